"""It must show 2: ``agenx serve --simulate --calls 20 --json``, all six personas, each with the right ending.

Who rang is known from the simulated carrier's ledger, which our side never reads.
"""

from collections import Counter
from datetime import datetime
from itertools import groupby

import pytest
from icalendar import Calendar

from tests.acceptance.world import LONGEST_S, PERSONAS, RIGHT, ledger_of

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def state(twenty):
    return twenty.folder / "serve" / "simulation"


@pytest.fixture(scope="module")
def pairs(twenty, state):
    """(our record, the carrier's record) of each call."""
    ledger = ledger_of(state / "ledger.json")
    return [(call, ledger[call["carrier_call_id"]]) for call in twenty["serve"].document["calls"]]


def test_twenty_calls_rang_in_and_all_six_personas_were_among_them(twenty, pairs, state):
    assert len(pairs) == len(ledger_of(state / "ledger.json")) == 20
    counted = Counter(carrier["persona"] for _, carrier in pairs)
    assert set(counted) == set(PERSONAS)
    assert min(counted.values()) >= 3
    ours = twenty["serve"].document["by_disposition"]
    assert ours == dict(sorted(Counter(RIGHT[carrier["persona"]] for _, carrier in pairs).items()))


@pytest.mark.parametrize("persona", PERSONAS)
def test_each_call_ends_as_it_should(pairs, persona):
    endings = [call["disposition"] for call, carrier in pairs if carrier["persona"] == persona]
    print(f"{persona}: {endings.count(RIGHT[persona])} of {len(endings)} calls ended {RIGHT[persona]}")
    assert endings == [RIGHT[persona]] * len(endings)


def test_who_interrupts_is_yielded_to(pairs):
    assert all(call["barge_ins"] >= 1 for call, carrier in pairs if carrier["persona"] == "interrupts")


def test_every_booked_call_has_its_meeting_and_its_invitation(twenty, pairs, state):
    booked = [call for call, carrier in pairs if RIGHT[carrier["persona"]] == "meeting_booked"]
    meetings = {meeting["attempt"]: meeting for meeting in twenty["meetings"].document}
    assert set(meetings) == {call["attempt"] for call in booked}
    for call in booked:
        meeting = meetings[call["attempt"]]
        assert (meeting["status"], meeting["phone"]) == ("booked", call["phone"])
        invitation = (state / "meetings" / f"{meeting['id']}.ics").read_bytes()
        event = Calendar.from_ical(invitation).walk("VEVENT")[0]
        assert event["DTSTART"].dt == datetime.fromisoformat(meeting["starts_at"])
    starts = [meeting["starts_at"] for meeting in meetings.values()]
    assert len(set(starts)) == len(starts)
    print(f"{len(booked)} calls, {len(meetings)} meetings, {len(list((state / 'meetings').glob('*.ics')))} invitations")


def test_whoever_asked_for_it_is_on_the_suppression_list_and_nobody_else(twenty, pairs):
    asked = {call["phone"] for call, carrier in pairs if carrier["persona"] == "do_not_call"}
    assert {entry["phone"] for entry in twenty["suppress"].document} == asked


def test_no_call_lasts_longer_than_a_persona_does(pairs):
    lasted = sorted((carrier["persona"], length(carrier)) for _, carrier in pairs)
    for persona, group in groupby(lasted, key=lambda pair: pair[0]):
        seconds = [f"{seconds:.1f}" for _, seconds in group]
        print(f"{persona}: {', '.join(seconds)} s")
    assert max(seconds for _, seconds in lasted) < LONGEST_S + 1


def length(carrier):
    return (
        datetime.fromisoformat(carrier["ended_at"]) - datetime.fromisoformat(carrier["answered_at"])
    ).total_seconds()


def test_what_is_reported_is_data_alone(twenty):
    assert twenty["serve"].code == 0
    assert "Traceback" not in twenty["serve"].err
    assert '"calls"' not in twenty["serve"].err
