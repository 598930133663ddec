"""A process dies anywhere; the next one settles what it left, and nobody is rung again."""

import asyncio

import pytest

from agenx_cli.core.attempt import (
    CarrierProgress,
    CarrierStatus,
    ConversationEnded,
    Disposition,
    HungUpByUs,
    MeetingBooked,
    OptedOut,
    Phase,
    StreamStarted,
)
from agenx_cli.errors import StoreError
from agenx_cli.ports import CarrierCall
from agenx_cli.store.records import NewInbound
from tests.engine.world import OUR_NUMBER, new_call


async def one(engine):
    attempt = await engine.submit(new_call())
    await engine.turn()
    return attempt.uid


async def settled(start, clock, seconds: float = 200):
    """A new process: recovery, and its sweep for a while."""
    engine = start()
    await engine.recover()
    for _ in range(int(seconds // 10)):
        clock.forward(10)
        await engine.turn()
    return engine


async def test_killed_after_the_intent_before_the_request(engine, start, carrier, store, clock):
    attempt = await engine.submit(new_call())
    await settled(start, clock)
    row = store.attempts.get(attempt.uid)
    assert carrier.requests == []
    assert (row.disposition, row.error_code) == (Disposition.INTERRUPTED, "never_dialed")


async def test_killed_between_the_fence_and_the_request(engine, start, carrier, store, clock):
    attempt = await engine.submit(new_call())
    store.attempts.begin_dial(attempt, clock.now())
    await settled(start, clock)
    assert carrier.requests == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.LOST


async def test_killed_with_the_call_accepted_and_the_answer_unread(engine, start, carrier, store, clock):
    carrier.answers = ["crash"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    await settled(start, clock)
    row = store.attempts.get(attempt.uid)
    assert (row.carrier_call_id, row.disposition) == ("CA0001", Disposition.INTERRUPTED)
    assert carrier.up == []
    assert len(carrier.requests) == 1


async def test_killed_while_it_rings(engine, start, carrier, store, clock):
    uid = await one(engine)
    carrier.becomes("CA0001", "ringing")
    await start().recover()
    assert carrier.up == []
    assert store.attempts.get(uid).disposition is Disposition.INTERRUPTED


async def test_killed_while_it_rings_and_nobody_answered(engine, start, carrier, store, clock):
    uid = await one(engine)
    carrier.becomes("CA0001", "no_answer", ended_at=clock.now())
    await start().recover()
    assert store.attempts.get(uid).disposition is Disposition.NO_ANSWER


@pytest.mark.parametrize("over", [True, False])
async def test_killed_while_talking(start, carrier, store, clock, over):
    uid = await one(start())
    store.attempts.fold(uid, StreamStarted(clock.now()), "s", clock.now())
    carrier.becomes("CA0001", "completed" if over else "answered", started_at=clock.now(), duration_s=9)
    await start().recover()
    row = store.attempts.get(uid)
    assert carrier.up == []
    assert row.disposition is Disposition.INTERRUPTED
    assert row.facts.stream_ended_at is not None


@pytest.mark.parametrize(
    ("report", "ending"),
    [(MeetingBooked("m"), Disposition.MEETING_BOOKED), (OptedOut(), Disposition.OPTED_OUT)],
)
async def test_what_was_agreed_before_the_kill_stands(start, carrier, store, report, ending):
    uid, clock = await one(start()), carrier.clock
    carrier.becomes("CA0001", "answered", started_at=clock.now())
    store.attempts.fold(uid, StreamStarted(clock.now()), "s", clock.now())
    store.attempts.fold(uid, report, "deed", clock.now())
    await start().recover()
    assert carrier.up == []
    assert store.attempts.get(uid).disposition is ending


@pytest.mark.parametrize("status", ["answered", "completed"])
async def test_killed_after_the_hang_up_was_asked_for(start, carrier, store, clock, status):
    uid = await one(start())
    store.attempts.fold(uid, StreamStarted(clock.now()), "s", clock.now())
    store.attempts.fold(uid, ConversationEnded("not_interested", callee_spoke=True), "e", clock.now())
    carrier.becomes("CA0001", status, started_at=clock.now())
    await start().recover()
    assert carrier.up == []
    assert store.attempts.get(uid).disposition is Disposition.NOT_INTERESTED


async def test_killed_after_we_ended_it(engine, start, carrier, store, clock):
    uid = await one(engine)
    store.attempts.fold(uid, HungUpByUs("operator"), "h", clock.now())
    carrier.becomes("CA0001", "canceled", ended_at=clock.now())
    await start().recover()
    assert store.attempts.get(uid).disposition is Disposition.CANCELED


async def test_killed_while_an_inbound_call_talks(start, carrier, store, clock):
    new = NewInbound("i1", "CAin", "+34600000011", OUR_NUMBER, "p", "t", "dead")
    store.attempts.open_inbound(new, clock.now())
    store.attempts.fold("i1", StreamStarted(clock.now()), "s", clock.now())
    carrier.calls["CAin"] = _inbound(clock)
    await start().recover()
    assert carrier.up == []
    assert store.attempts.get("i1").disposition is Disposition.INTERRUPTED


def _inbound(clock):
    return CarrierCall("CAin", OUR_NUMBER, "+34600000011", "inbound", "answered", clock.now(), started_at=clock.now())


async def test_a_carrier_that_is_away_at_the_start_is_asked_later(engine, start, carrier, store, clock):
    uid = await one(engine)
    store.attempts.fold(uid, StreamStarted(clock.now()), "s", clock.now())
    carrier.becomes("CA0001", "answered", started_at=clock.now())
    carrier.down = True
    fresh = start()
    assert await fresh.recover() == 1
    assert carrier.up == ["CA0001"]
    carrier.down = False
    clock.forward(6)
    await fresh.turn()
    assert carrier.up == []
    assert store.attempts.get(uid).disposition is Disposition.INTERRUPTED


async def test_an_orphan_that_a_callback_adopts_later_is_ended(engine, start, carrier, store, clock):
    """Not found by its numbers at first, then it rings."""
    carrier.answers = ["crash"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    hidden = dict(carrier.calls)
    carrier.calls.clear()
    fresh = start()
    await fresh.recover()
    assert store.attempts.get(attempt.uid).phase is Phase.UNKNOWN
    carrier.calls.update(hidden)
    carrier.becomes("CA0001", "ringing")
    ringing = CarrierProgress(CarrierStatus.RINGING)
    store.attempts.report(attempt.uid, "CA0001", ringing, "k", clock.now())
    clock.forward(6)
    await fresh.turn()
    assert carrier.up == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.INTERRUPTED


async def test_what_was_committed_and_not_carried_out_is_repaired(start, clock):
    done = []

    def broken():
        raise StoreError("no room")

    await start(repairs=[broken, lambda: done.append("ics")]).recover()
    assert done == ["ics"]


async def test_my_own_attempts_are_no_orphans(engine, carrier, store):
    uid = await one(engine)
    assert await engine.recover() == 0
    assert not store.attempts.get(uid).over


async def test_an_orphan_is_settled_by_one_of_two(engine, start, carrier, store, clock):
    uid = await one(engine)
    carrier.becomes("CA0001", "ringing")
    await asyncio.gather(start().recover(), start().recover())
    assert store.attempts.get(uid).disposition is Disposition.INTERRUPTED


async def test_hundred_orphans_in_every_state_are_all_settled_and_none_is_rung(engine, start, carrier, store, clock):
    kinds = ("ok", "lost answer", "never came", "429")
    statuses = ("queued", "ringing", "answered", "completed", "busy", "no_answer", "failed", "canceled")
    carrier.answers = [kinds[number % 4] for number in range(90)]
    for number in range(90):
        await engine.submit(new_call(f"+346{number:08d}"))
    await engine.turn()
    for number, call_id in enumerate(list(carrier.calls)):
        carrier.becomes(call_id, statuses[number % 8], started_at=clock.now(), ended_at=clock.now())
    for number in range(90, 100):
        await engine.submit(new_call(f"+346{number:08d}"))
    await settled(start, clock)
    rows = store.attempts.list(1000)
    assert len(rows) == 100
    assert [row.uid for row in rows if not row.over] == []
    assert carrier.up == []
    assert len(carrier.requests) == 90
    print("orphans settled", 100, "rung again", len(carrier.requests) - 90)
