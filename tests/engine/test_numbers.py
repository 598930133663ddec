"""Our number's inbound setting is borrowed: whatever happens, its owner gets it back, and only what we took."""

from dataclasses import replace

import pytest

from agenx_cli.engine.numbers import restore_all, take
from agenx_cli.errors import CarrierError
from agenx_cli.ports import CarrierNumber

PHONE, OTHER = "+34910000000", "+34910000099"
THEIRS, OURS = "https://theirs.example/voice", "https://ours.example/incoming-call"


@pytest.fixture
def number(carrier):
    carrier.numbers[PHONE] = CarrierNumber("PN1", PHONE, voice=True, voice_url=THEIRS, voice_method="GET")
    return lambda: (carrier.numbers[PHONE].voice_url, carrier.numbers[PHONE].voice_method)


def change(carrier, phone=PHONE, **what):
    carrier.numbers[phone] = replace(carrier.numbers[phone], **what)


async def test_it_is_taken_and_given_back(store, carrier, clock, number):
    await take(store, carrier, clock, PHONE, OURS)
    assert number() == (OURS, "POST")
    assert await restore_all(store, carrier) == 1
    assert number() == (THEIRS, "GET")
    assert store.numbers.all() == ()
    assert await restore_all(store, carrier) == 0


async def test_the_old_setting_is_saved_before_it_is_changed(store, carrier, clock, number):
    setting, saved = carrier.set_voice_url, []

    async def watched(*asked):
        saved.extend(store.numbers.all())
        await setting(*asked)

    carrier.set_voice_url = watched
    await take(store, carrier, clock, PHONE, OURS)
    (first,) = saved
    assert (first.old_url, first.old_method, first.our_url) == (THEIRS, "GET", OURS)


async def test_what_somebody_else_set_meanwhile_is_left_alone(store, carrier, clock, number):
    await take(store, carrier, clock, PHONE, OURS)
    change(carrier, voice_url="https://third.example/voice")
    assert await restore_all(store, carrier) == 0
    assert number() == ("https://third.example/voice", "POST")
    assert store.numbers.all() == ()


async def test_a_crash_leaves_it_to_the_next_start(store, carrier, clock, number):
    await take(store, carrier, clock, PHONE, OURS)  # and then the process was killed
    assert await restore_all(store, carrier) == 1
    await take(store, carrier, clock, PHONE, "https://new.example/incoming-call")
    (saved,) = store.numbers.all()
    assert (saved.old_url, saved.our_url) == (THEIRS, "https://new.example/incoming-call")
    await restore_all(store, carrier)
    assert number() == (THEIRS, "GET")


@pytest.mark.parametrize("applied", [True, False])
async def test_an_answer_that_was_lost_forgets_nothing(store, carrier, clock, number, applied):
    setting = carrier.set_voice_url

    async def lost(*asked):
        if applied:
            await setting(*asked)
        raise CarrierError("no answer", provider="small", retryable=True)

    carrier.set_voice_url = lost
    with pytest.raises(CarrierError):
        await take(store, carrier, clock, PHONE, OURS)
    carrier.set_voice_url = setting
    assert await restore_all(store, carrier) == int(applied)
    assert number() == (THEIRS, "GET")
    assert store.numbers.all() == ()


async def test_a_setting_of_ours_is_never_saved_as_the_old_one(store, carrier, clock, number):
    """A crash, and a start that could not give back; then the number is taken again."""
    await take(store, carrier, clock, PHONE, OURS)
    carrier.down = True
    assert await restore_all(store, carrier) == 0
    carrier.down = False
    await take(store, carrier, clock, PHONE, "https://new.example/incoming-call")
    (saved,) = store.numbers.all()
    assert (saved.old_url, saved.old_method) == (THEIRS, "GET")


async def test_a_change_of_its_owner_after_a_crash_is_what_is_given_back(store, carrier, clock, number):
    await take(store, carrier, clock, PHONE, OURS)
    change(carrier, voice_url="https://third.example/voice", voice_method="GET")
    await take(store, carrier, clock, PHONE, "https://new.example/incoming-call")
    assert await restore_all(store, carrier) == 1
    assert number() == ("https://third.example/voice", "GET")


async def test_one_number_that_fails_does_not_keep_the_others(store, carrier, clock, number, caplog):
    carrier.numbers[OTHER] = CarrierNumber("PN9", OTHER, voice=True, voice_url=THEIRS, voice_method="GET")
    for phone in (PHONE, OTHER):
        await take(store, carrier, clock, phone, OURS)
    carrier.stubborn.add("PN1")
    assert await restore_all(store, carrier) == 1
    assert carrier.numbers[OTHER].voice_url == THEIRS
    assert [saved.number_id for saved in store.numbers.all()] == ["PN1"]
    assert [record.message for record in caplog.records] == ["number.not_restored"]
    assert PHONE not in caplog.text
    carrier.stubborn.clear()
    assert await restore_all(store, carrier) == 1
    assert number() == (THEIRS, "GET")


async def test_a_number_of_another_account_stays_on_record(store, carrier, clock, number):
    await take(store, carrier, clock, PHONE, OURS)
    away = carrier.numbers.pop(PHONE)
    assert await restore_all(store, carrier) == 0
    carrier.numbers[PHONE] = away
    assert await restore_all(store, carrier) == 1
    assert number() == (THEIRS, "GET")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"voice": False}, "cannot carry voice"),
        ({"application": "AP1"}, "go to a TwiML app"),
        ({"trunk": "TK1"}, "go to a SIP trunk"),
    ],
)
async def test_a_number_whose_calls_cannot_come_here_is_refused_and_left_alone(store, carrier, number, what, message):
    clock = carrier.clock
    change(carrier, **what)
    with pytest.raises(CarrierError, match=message) as caught:
        await take(store, carrier, clock, PHONE, OURS)
    assert "--no-set-webhook" in caught.value.fix
    assert number() == (THEIRS, "GET")
    assert store.numbers.all() == ()


async def test_a_number_that_is_not_the_accounts_is_refused(store, carrier, clock):
    with pytest.raises(CarrierError, match="does not own") as caught:
        await take(store, carrier, clock, PHONE, OURS)
    assert "E.164" in caught.value.fix
    assert PHONE not in caught.value.message
    assert store.numbers.all() == ()
