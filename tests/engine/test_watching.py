"""What was dialed is watched until the carrier says that it is over."""

import asyncio
import threading
from datetime import timedelta

import pytest

from agenx_cli.core.attempt import (
    CarrierProgress,
    CarrierStatus,
    ConversationEnded,
    Disposition,
    Phase,
    StreamEnded,
    StreamStarted,
)
from agenx_cli.core.policy import Refuse
from agenx_cli.engine.reconcile import match, progress_of
from agenx_cli.engine.schedule import next_look
from agenx_cli.errors import StoreError
from agenx_cli.ports import CarrierCall
from agenx_cli.store.records import Figures
from tests.engine.world import NOW, OUR_NUMBER, new_call


async def dialed(engine, to: str = "+34600000011"):
    attempt = await engine.submit(new_call(to))
    await engine.turn()
    return attempt.uid


async def talking(engine, store, clock):
    uid = await dialed(engine)
    store.attempts.fold(uid, StreamStarted(clock.now()), "stream", clock.now())
    return uid


async def test_a_missing_last_callback_is_made_up_for_within_a_minute(engine, carrier, store, clock):
    uid = await dialed(engine)
    carrier.becomes("CA0001", "busy", ended_at=clock.now(), duration_s=0)
    clock.forward(44)
    await engine.turn()
    assert store.attempts.get(uid).phase is Phase.QUEUED
    clock.forward(2)
    await engine.turn()
    assert store.attempts.get(uid).disposition is Disposition.BUSY


async def test_a_call_whose_callbacks_never_come_is_accounted_for(engine, carrier, store, clock):
    uid = await talking(engine, store, clock)
    started = clock.now()
    clock.forward(30)
    ended = clock.now()
    carrier.becomes(
        "CA0001",
        "completed",
        started_at=started,
        ended_at=ended,
        duration_s=30,
        price_usd=0.02,
        answered_by="human",
    )
    store.attempts.fold(uid, ConversationEnded("goodbye", callee_spoke=True), "end", clock.now())
    store.attempts.fold(uid, StreamEnded(clock.now()), "stream-end", clock.now())
    clock.forward(6)
    await engine.turn()
    row = store.attempts.get(uid)
    assert (row.disposition, row.answered_at, row.ended_at) == (Disposition.COMPLETED, started, ended)
    assert (row.duration_s, row.answered_by, row.figures.cost_carrier_usd) == (30, "human", 0.02)


@pytest.mark.parametrize(
    "case",
    [
        ([StreamStarted(NOW), StreamEnded(NOW)], 31, "bridge_gone"),
        ([CarrierProgress(CarrierStatus.ANSWERED, NOW)], 91, "no_stream"),
        ([CarrierProgress(CarrierStatus.ANSWERED, NOW), StreamStarted(NOW)], 691, "time_limit"),
    ],
)
async def test_a_call_that_is_up_without_a_reason_is_ended(engine, carrier, store, case):
    reports, wait_s, reason = case
    uid, clock = await dialed(engine), carrier.clock
    carrier.becomes("CA0001", "answered", started_at=clock.now())
    for number, report in enumerate(reports):
        store.attempts.fold(uid, report, str(number), clock.now())
    clock.forward(wait_s)
    await engine.turn()
    assert carrier.up == []
    row = store.attempts.get(uid)
    assert row.facts.hung_up_by_us == {reason}
    assert row.over


async def test_a_call_that_is_fine_is_left_alone(engine, carrier, store, clock):
    uid = await talking(engine, store, clock)
    carrier.becomes("CA0001", "answered", started_at=clock.now())
    for _ in range(8):
        clock.forward(61)
        await engine.turn()
    assert carrier.up == ["CA0001"]
    assert store.attempts.get(uid).phase is Phase.TALKING


async def test_a_call_that_lingers_after_the_hang_up_is_watched_to_its_end(engine, carrier, store, clock):
    uid = await talking(engine, store, clock)
    carrier.becomes("CA0001", "answered", started_at=clock.now())
    carrier.lingering = True
    assert await engine.hang_up(uid, "operator")
    assert not store.attempts.get(uid).over
    carrier.lingering = False
    clock.forward(6)
    await engine.turn()
    assert carrier.up == []
    assert store.attempts.get(uid).over


async def test_a_carrier_that_fails_is_not_hammered(engine, carrier, store, clock):
    uid = await dialed(engine)
    carrier.becomes("CA0001", "busy")
    carrier.down = True
    clock.forward(60)
    for _ in range(5):
        await engine.turn()
    carrier.down = False
    await engine.turn()
    assert not store.attempts.get(uid).over
    clock.forward(6)
    await engine.turn()
    assert store.attempts.get(uid).disposition is Disposition.BUSY


async def test_a_call_the_carrier_denies_twice_is_lost_unless_it_is_talking(engine, carrier, store, clock):
    quiet = await dialed(engine)
    loud = await dialed(engine, "+34600000022")
    store.attempts.fold(loud, StreamStarted(clock.now()), "stream", clock.now())
    carrier.calls.clear()
    for _ in range(3):
        clock.forward(61)
        await engine.turn()
    assert store.attempts.get(quiet).disposition is Disposition.LOST
    assert store.attempts.get(loud).phase is Phase.TALKING


async def test_an_attempt_in_the_queue_can_be_ended_before_it_is_dialed(engine, carrier, store):
    attempt = await engine.submit(new_call())
    assert await engine.hang_up(attempt.uid, "operator")
    await engine.turn()
    assert carrier.requests == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.CANCELED
    assert not await engine.hang_up(attempt.uid, "operator")
    assert not await engine.hang_up("nobody", "operator")


async def test_a_hang_up_while_the_request_is_on_its_way_ends_the_call_when_it_is_known(engine, carrier, store, clock):
    placing = carrier.place

    async def place(request):
        await engine.hang_up(request.attempt_uid, "operator")
        return await placing(request)

    carrier.place = place
    attempt = await engine.submit(new_call())
    await engine.turn()
    assert carrier.up == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.CANCELED


async def test_the_bridge_tells_of_an_end_and_the_waiting_hear_of_it(engine, carrier, store, clock):
    uid = await dialed(engine)
    waiting = asyncio.create_task(engine.over(uid))
    await asyncio.sleep(0)
    ended = store.attempts.fold(uid, CarrierProgress(CarrierStatus.BUSY), "k", clock.now())
    engine.changed(ended)
    assert (await waiting).disposition is Disposition.BUSY


async def test_an_end_that_nobody_told_of_is_noticed(engine, carrier, store, clock):
    uid = await dialed(engine)
    waiting = asyncio.create_task(engine.over(uid))
    await asyncio.sleep(0.05)
    store.attempts.fold(uid, CarrierProgress(CarrierStatus.BUSY), "k", clock.now())
    await engine.turn()
    assert (await waiting).disposition is Disposition.BUSY


# --- drain


async def test_draining_starts_nothing_withdraws_the_queue_and_waits_for_the_live(engine, carrier, store, clock):
    uid = await dialed(engine)
    queued = await engine.submit(new_call("+34600000022"))
    draining = asyncio.create_task(engine.drain(3600))
    assert (await engine.over(queued.uid)).disposition is Disposition.CANCELED
    running = asyncio.create_task(engine.run())
    refused = await engine.submit(new_call("+34600000033"))
    assert isinstance(refused, Refuse)
    assert refused.reason.code == "engine.draining"
    assert not draining.done()
    store.attempts.fold(uid, CarrierProgress(CarrierStatus.COMPLETED), "k", clock.now())
    await asyncio.wait_for(draining, 20)
    await asyncio.wait_for(running, 20)
    assert [row.uid for row in store.attempts.live()] == []
    assert len(carrier.requests) == 1


async def test_a_drain_that_takes_too_long_says_goodbye_and_then_hangs_up(engine, carrier, desk, store, clock):
    uid = await talking(engine, store, clock)
    carrier.becomes("CA0001", "answered", started_at=clock.now())
    await asyncio.wait_for(engine.drain(5), 20)
    assert (uid, "drain", True) in desk.ended
    assert (uid, "drain", False) in desk.ended
    assert carrier.up == []
    assert store.attempts.get(uid).disposition is Disposition.COMPLETED


async def test_hanging_up_all_ends_every_call_even_if_the_carrier_is_down(engine, carrier, store, clock):
    for number in range(5):
        await dialed(engine, f"+3460000000{number}")
    await engine.hang_up_all("operator")
    assert carrier.up == []
    assert store.attempts.live() == ()
    carrier.down = True
    await engine.hang_up_all("operator")


async def test_a_drain_outlasts_a_database_that_fails(engine, carrier, store, clock):
    uid = await dialed(engine)
    queued = await engine.submit(new_call("+34600000022"))
    listing, folding = store.attempts.live, store.attempts.fold
    store.attempts.live = store.attempts.fold = failing
    draining = asyncio.create_task(engine.drain(3600))
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not draining.done()
    store.attempts.live, store.attempts.fold = listing, folding
    carrier.becomes("CA0001", "no_answer", ended_at=clock.now())
    running = asyncio.create_task(engine.run())
    await asyncio.wait_for(draining, 20)
    await asyncio.wait_for(running, 20)
    assert store.attempts.get(uid).disposition is Disposition.NO_ANSWER
    assert store.attempts.get(queued.uid).disposition is Disposition.CANCELED
    assert len(carrier.requests) == 1


@pytest.mark.parametrize("broken", ["failing", "stalling"])
async def test_a_database_that_is_gone_keeps_no_call_up(engine, carrier, desk, store, broken):
    uid = await dialed(engine)
    gone = threading.Event()

    def stalling(*arguments, **more):
        gone.wait(20)
        failing()

    store.attempts.live = failing
    store.attempts.get = failing if broken == "failing" else store.attempts.get
    store.attempts.fold = failing if broken == "failing" else stalling
    await asyncio.wait_for(engine.drain(1), 20)
    gone.set()
    assert carrier.up == []
    assert (uid, "drain", False) in desk.ended


async def test_an_intent_that_waits_for_the_database_is_not_dialed_while_draining(engine, carrier, store, clock):
    attempt = await engine.submit(new_call())
    beginning, loop, failed = store.attempts.begin_dial, asyncio.get_running_loop(), asyncio.Event()

    def fail_once(*_asked):
        store.attempts.begin_dial = beginning
        loop.call_soon_threadsafe(failed.set)
        failing()

    store.attempts.begin_dial = fail_once
    running = asyncio.create_task(engine.run())
    await asyncio.wait_for(failed.wait(), 20)
    draining = asyncio.create_task(engine.drain(3600))
    await asyncio.wait_for(draining, 20)
    await asyncio.wait_for(running, 20)
    assert carrier.requests == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.CANCELED


async def test_who_gave_up_waiting_is_forgotten(engine, clock):
    uid = await dialed(engine)
    waiting = asyncio.create_task(engine.over(uid))
    await asyncio.sleep(0.05)
    assert engine._ledger.watched == (uid,)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert engine._ledger.watched == ()


# --- what it cost


async def ended(engine, carrier, store, clock):
    uid = await talking(engine, store, clock)
    carrier.becomes("CA0001", "completed", started_at=clock.now(), ended_at=clock.now(), duration_s=30)
    over = CarrierProgress(CarrierStatus.COMPLETED, clock.now(), duration_s=30)
    store.attempts.fold(uid, over, "over", clock.now())
    store.attempts.finish(uid, Figures(cost_carrier_usd=0.5), clock.now())
    return uid


async def test_the_carriers_own_price_is_asked_for_once_and_outweighs_ours(start, carrier, store, clock):
    engine = start(apart=lambda attempt: 0.001 * (attempt.duration_s or 0))
    uid = await ended(engine, carrier, store, clock)
    carrier.becomes("CA0001", "completed", price_usd=0.02)
    clock.forward(89)
    await engine.turn()
    assert store.attempts.get(uid).figures.cost_carrier_usd == 0.5
    clock.forward(1)
    for _ in range(5):
        await engine.turn()
        clock.forward(100)
    store.attempts.finish(uid, Figures(cost_carrier_usd=0.5), clock.now())
    figures = store.attempts.get(uid).figures
    assert (figures.cost_carrier_usd, figures.carrier_priced) == (0.05, True)
    assert carrier.fetched["CA0001"] == 1


async def test_a_price_that_is_not_there_yet_is_asked_for_again_at_the_next_start(start, carrier, store, clock):
    first = start()
    uid = await ended(first, carrier, store, clock)
    for _ in range(5):
        clock.forward(100)
        await first.turn()
    assert carrier.fetched["CA0001"] == 1
    assert store.attempts.get(uid).figures == Figures(cost_carrier_usd=0.5, carrier_priced=False)
    carrier.becomes("CA0001", "completed", price_usd=0.02)
    second = start()
    await second.recover()
    await second.turn()
    assert store.attempts.get(uid).figures.cost_carrier_usd == 0.02
    await second.recover()
    await second.turn()
    assert carrier.fetched["CA0001"] == 2


async def test_old_calls_and_calls_that_nobody_answered_are_not_asked_about(start, carrier, store, clock):
    engine = start()
    await ended(engine, carrier, store, clock)
    clock.forward(25 * 3600)
    busy = await dialed(engine, "+34600000022")
    store.attempts.fold(busy, CarrierProgress(CarrierStatus.BUSY, clock.now()), "k", clock.now())
    clock.forward(100)
    await engine.recover()
    await engine.turn()
    assert carrier.fetched.total() == 0


async def test_a_carrier_that_is_away_is_asked_for_prices_later(start, carrier, store, clock):
    engine = start()
    uid = await ended(engine, carrier, store, clock)
    clock.forward(100)
    carrier.down = True
    await engine.turn()
    await engine.turn()
    assert carrier.fetched["CA0001"] == 1
    carrier.down = False
    carrier.becomes("CA0001", "completed", price_usd=0.02)
    clock.forward(61)
    await engine.turn()
    assert store.attempts.get(uid).figures.cost_carrier_usd == 0.02


async def test_nobody_waits_for_a_price(start, carrier, store, clock):
    engine = start()
    await ended(engine, carrier, store, clock)
    clock.forward(100)
    asked = asyncio.Event()

    async def fetch(call_id):
        asked.set()
        await asyncio.Event().wait()

    carrier.fetch = fetch
    running = asyncio.create_task(engine.run())
    await asyncio.wait_for(asked.wait(), 20)
    await asyncio.wait_for(engine.drain(3600), 20)
    await asyncio.wait_for(running, 20)


# --- which call is ours


def calls_of(*moments: float, direction: str = "outbound-api", to: str = "+34600000011"):
    return [
        CarrierCall(f"CA{number}", to, OUR_NUMBER, direction, "queued", NOW + timedelta(seconds=moment))
        for number, moment in enumerate(moments)
    ]


async def test_only_calls_of_this_dial_match(engine, carrier, store):
    await engine.submit(new_call())
    (intent,) = store.attempts.live()
    assert match(intent, calls_of(0), ()) == []  # it was not begun
    begun = store.attempts.begin_dial(intent, NOW)
    assert [call.call_id for call in match(begun, calls_of(5, 0), ())] == ["CA1", "CA0"]
    assert match(begun, calls_of(-31, 41), ()) == []
    assert match(begun, calls_of(0, direction="inbound"), ()) == []
    assert match(begun, calls_of(0, to="+34600000022"), ()) == []
    assert match(begun, calls_of(0), {"CA0"}) == []


def test_the_carriers_record_says_what_its_callbacks_would_have():
    (ringing,) = progress_of(CarrierCall("CA1", "a", "b", "outbound-api", "ringing", NOW))
    assert ringing == CarrierProgress(CarrierStatus.RINGING)
    (answered,) = progress_of(CarrierCall("CA1", "a", "b", "outbound-api", "answered", NOW, started_at=NOW))
    assert answered == CarrierProgress(CarrierStatus.ANSWERED, NOW)
    (busy,) = progress_of(CarrierCall("CA1", "a", "b", "outbound-api", "busy", NOW, ended_at=NOW, duration_s=0))
    assert busy == CarrierProgress(CarrierStatus.BUSY, NOW, duration_s=0)


async def test_what_is_over_or_not_begun_is_not_looked_at(engine, store, clock):
    await engine.submit(new_call())
    (intent,) = store.attempts.live()
    assert next_look(intent) is None
    over = store.attempts.fold(intent.uid, CarrierProgress(CarrierStatus.BUSY), "k", clock.now())
    assert next_look(over) is None


def failing(*_arguments, **_more):
    raise StoreError("the database is held by another program")
