"""One intent, one request, whatever comes back."""

import asyncio
from datetime import timedelta

import pytest

from agenx_cli.core.attempt import CarrierProgress, CarrierStatus, Disposition, HungUpByUs, Phase
from agenx_cli.core.policy import Defer, Refuse
from agenx_cli.errors import RemoteProtocolError, StoreError
from agenx_cli.store.records import Attempt
from tests.engine.world import new_call


async def test_an_admitted_call_is_asked_for_once(engine, carrier, store):
    attempt = await engine.submit(new_call(empresa="X"))
    assert isinstance(attempt, Attempt)
    for _ in range(3):
        await engine.turn()
    (request,) = carrier.requests
    assert (request.attempt_uid, request.to, request.ring_s, request.time_limit_s) == (
        attempt.uid,
        "+34600000011",
        25,
        660,
    )
    assert request.twiml == "<Response>Hola</Response>"
    stored = store.attempts.get(attempt.uid)
    assert (stored.phase, stored.carrier_call_id, stored.variables) == (Phase.QUEUED, "CA0001", {"empresa": "X"})


async def test_the_intent_is_durable_before_the_request(engine, carrier, store):
    seen = []
    placing = carrier.place

    async def place(request):
        seen.append(store.attempts.get(request.attempt_uid))
        return await placing(request)

    carrier.place = place
    await engine.submit(new_call())
    await engine.turn()
    (intent,) = seen
    assert intent.phase is Phase.DIALING
    assert intent.dialed_at is not None


async def test_what_the_gate_refuses_is_never_asked_for(engine, carrier, store, clock):
    store.suppression.add("+34600000011", "asked", "test", clock.now())
    assert isinstance(await engine.submit(new_call()), Refuse)
    assert isinstance(await engine.submit(new_call("+34806123456")), Refuse)
    assert isinstance(await engine.submit(new_call("+12125550123")), Refuse)
    assert isinstance(await engine.submit(new_call("+34600000022")), Attempt)
    assert isinstance(await engine.submit(new_call("+34600000022")), Defer)
    await engine.turn()
    assert [request.to for request in carrier.requests] == ["+34600000022"]


async def test_example_numbers_ring_in_a_rehearsal(start, carrier):
    engine = start(rehearsal=True)
    assert isinstance(await engine.submit(new_call("+12125550123")), Attempt)


async def test_an_opt_out_that_comes_after_the_intent_wins(engine, carrier, store, clock):
    attempt = await engine.submit(new_call())
    store.suppression.add("+34600000011", "asked", "test", clock.now())
    await engine.turn()
    assert carrier.requests == []
    assert store.attempts.get(attempt.uid).error_code == "dnc.internal"
    assert (await engine.over(attempt.uid)).over


async def test_an_intent_that_waited_too_long_is_not_dialed(engine, carrier, store, clock):
    attempt = await engine.submit(new_call())
    clock.forward(3600)
    await engine.turn()
    assert carrier.requests == []
    stored = store.attempts.get(attempt.uid)
    assert (stored.disposition, stored.error_code) == (Disposition.CANCELED, "stale")


async def test_an_intent_that_slept_with_the_machine_is_not_dialed(start, carrier, store, clock):
    """The monotonic clock stands still in a suspended machine; the other one does not."""
    engine = start()
    attempt = await engine.submit(new_call())
    clock.suspend(31)
    await engine.turn()
    assert carrier.requests == []
    assert store.attempts.get(attempt.uid).error_code == "stale"


async def test_an_intent_whose_end_was_asked_for_is_not_dialed(engine, carrier, store, clock):
    """The loop has taken it from the queue already, and it waits for the database."""
    attempt = await engine.submit(new_call())
    beginning = store.attempts.begin_dial

    def too_late(*asked):
        store.attempts.fold(attempt.uid, HungUpByUs("operator"), "hung_up_by_us:operator", clock.now())
        return beginning(*asked)

    store.attempts.begin_dial = too_late
    await engine.turn()
    assert carrier.requests == []
    stored = store.attempts.get(attempt.uid)
    assert (stored.disposition, stored.error_code) == (Disposition.CANCELED, "operator")
    assert (await engine.over(attempt.uid)).over


async def test_a_lost_call_holds_its_number_for_as_long_as_it_could_last(engine, carrier, store, clock):
    carrier.answers = ["never came"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    for _ in range(3):
        clock.forward(70)
        await engine.turn()
    assert store.attempts.get(attempt.uid).disposition is Disposition.LOST
    again = await engine.submit(new_call())
    assert isinstance(again, Defer)
    assert again.until == attempt.created_at + timedelta(seconds=25 + 660 + 60)
    assert isinstance(await engine.submit(new_call("+34600000022")), Attempt)
    clock.forward((again.until - clock.now()).total_seconds())
    assert isinstance(await engine.submit(new_call()), Attempt)


async def test_a_definite_no_ends_the_attempt_with_its_reason(engine, carrier, store):
    carrier.answers = ["credentials"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    stored = store.attempts.get(attempt.uid)
    assert (stored.disposition, stored.error_code, stored.error) == (
        Disposition.FAILED,
        "20003",
        "the account was refused",
    )
    assert engine.declined(attempt.uid).credentials
    assert engine.declined("nobody") is None


async def test_a_call_that_cannot_be_prepared_is_on_record_and_not_placed(engine, carrier, desk, store):
    desk.broken = True
    with pytest.raises(RemoteProtocolError, match="too long"):
        await engine.submit(new_call())
    await engine.turn()
    (attempt,) = store.attempts.list()
    assert (attempt.error_code, attempt.error) == ("unprepared", "the opening is too long")
    assert carrier.requests == []


async def test_an_uncertain_answer_is_looked_up_and_never_asked_again(engine, carrier, store, clock):
    carrier.answers = ["lost answer"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    assert store.attempts.get(attempt.uid).phase is Phase.UNKNOWN
    clock.forward(24)
    await engine.turn()
    assert store.attempts.get(attempt.uid).carrier_call_id is None
    clock.forward(2)
    await engine.turn()
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0001"
    assert len(carrier.requests) == 1


async def test_of_several_calls_the_earliest_is_ours_and_the_rest_is_ended(engine, carrier, store, clock):
    carrier.answers = ["twice"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    clock.forward(30)
    await engine.turn()
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0001"
    assert carrier.up == ["CA0001"]


async def test_a_call_that_never_came_is_lost_after_two_looks(engine, carrier, store, clock):
    carrier.answers = ["never came"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    clock.forward(30)
    await engine.turn()
    assert store.attempts.get(attempt.uid).phase is Phase.UNKNOWN
    clock.forward(50)
    await engine.turn()
    assert store.attempts.get(attempt.uid).phase is Phase.UNKNOWN
    clock.forward(15)
    await engine.turn()
    stored = store.attempts.get(attempt.uid)
    assert (stored.disposition, stored.error) == (Disposition.LOST, "the carrier knows of no such call")
    assert len(carrier.requests) == 1


async def test_a_lost_call_that_shows_itself_is_ended_and_accounted_for(engine, carrier, store, clock):
    carrier.answers = ["lost answer"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    hidden = dict(carrier.calls)
    carrier.calls.clear()
    for _ in range(2):
        clock.forward(70)
        await engine.turn()
    assert store.attempts.get(attempt.uid).disposition is Disposition.LOST
    carrier.calls.update(hidden)
    ringing = CarrierProgress(CarrierStatus.RINGING)
    store.attempts.report(attempt.uid, "CA0001", ringing, "CA0001:1", clock.now())
    clock.forward(10)
    await engine.turn()
    assert carrier.up == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.CANCELED


async def test_a_callback_adopts_before_the_answer_is_read(engine, carrier, store, clock):
    placing = carrier.place

    async def place(request):
        answer = await placing(request)
        ringing = CarrierProgress(CarrierStatus.RINGING)
        store.attempts.report(request.attempt_uid, answer.call_id, ringing, "k", clock.now())
        return answer

    carrier.place = place
    attempt = await engine.submit(new_call())
    await engine.turn()
    stored = store.attempts.get(attempt.uid)
    assert (stored.phase, stored.carrier_call_id) == (Phase.RINGING, "CA0001")


async def test_a_second_call_of_an_attempt_is_ended_at_once(engine, carrier, store, clock):
    """A frozen process that wakes and dials late: somebody else's call was adopted meanwhile."""
    placing = carrier.place

    async def place(request):
        other = carrier.accept(request)
        store.attempts.adopt(request.attempt_uid, other, clock.now())
        return await placing(request)

    carrier.place = place
    attempt = await engine.submit(new_call())
    await engine.turn()
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0001"
    assert carrier.up == ["CA0001"]


async def test_a_stray_that_cannot_be_ended_now_stops_nothing(engine, carrier, store, clock):
    carrier.answers = ["twice"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    clock.forward(30)
    hanging_up = carrier.hang_up

    async def hang_up(call_id):
        carrier.down = True
        try:
            await hanging_up(call_id)
        finally:
            carrier.down = False

    carrier.hang_up = hang_up
    await engine.turn()
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0001"


@pytest.mark.parametrize("answers", [["ok"], ["lost answer"], ["never came"], ["429"], ["twice"]])
async def test_a_thousand_turns_never_ask_twice(engine, carrier, clock, answers):
    carrier.answers = answers
    await engine.submit(new_call())
    for _ in range(60):
        await engine.turn()
        clock.forward(7)
    assert len(carrier.requests) == 1


async def test_of_two_hundred_dials_with_ambiguous_answers_none_is_doubled(engine, carrier, store, clock):
    kinds = ("ok", "lost answer", "never came", "ok", "429", "ok", "ok", "lost answer", "ok", "ok")
    dials = 200
    carrier.answers = [kinds[number % 10] for number in range(dials)]
    for number in range(dials):
        assert isinstance(await engine.submit(new_call(f"+346{number:08d}")), Attempt)
    for _ in range(3):
        await engine.turn()
        clock.forward(70)
    per_number = {request.to for request in carrier.requests}
    assert len(carrier.requests) == len(per_number) == dials
    known = {row.carrier_call_id for row in store.attempts.list(1000)} - {None}
    assert known == set(carrier.calls)
    print("dials", dials, "requests", len(carrier.requests), "calls", len(carrier.calls), "doubled", 0)


async def test_run_dials_and_watches_until_the_end(engine, carrier, store, clock):
    running = asyncio.create_task(engine.run())
    attempt = await engine.submit(new_call())
    await asyncio.wait_for(carrier.rang.wait(), 20)
    carrier.becomes("CA0001", "no_answer", ended_at=clock.now())
    ended = await asyncio.wait_for(engine.over(attempt.uid), 20)
    assert ended.disposition is Disposition.NO_ANSWER
    engine.stop()
    await running


async def test_a_database_that_fails_before_the_request_delays_the_dial(engine, carrier, store, clock):
    attempt = await engine.submit(new_call())
    beginning = store.attempts.begin_dial
    store.attempts.begin_dial = failing
    await engine.turn()
    assert carrier.requests == []
    store.attempts.begin_dial = beginning
    await engine.turn()
    assert len(carrier.requests) == 1
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0001"


async def test_a_database_that_fails_after_the_request_never_repeats_it(engine, carrier, store, clock):
    attempt = await engine.submit(new_call())
    adopting = store.attempts.adopt
    store.attempts.adopt = failing
    await engine.turn()
    store.attempts.adopt = adopting
    for _ in range(5):
        clock.forward(10)
        await engine.turn()
    assert len(carrier.requests) == 1
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0001"


async def test_a_database_that_fails_in_the_sweep_is_asked_again(engine, carrier, store, clock):
    attempt = await engine.submit(new_call())
    await engine.turn()
    carrier.becomes("CA0001", "busy")
    clock.forward(60)
    listing = store.attempts.live
    store.attempts.live = failing
    await engine.turn()
    store.attempts.live = listing
    await engine.turn()
    assert store.attempts.get(attempt.uid).disposition is Disposition.BUSY


async def test_a_call_that_cannot_be_ended_when_it_is_placed_is_ended_later(engine, carrier, store, clock):
    placing = carrier.place

    async def place(request):
        await engine.hang_up(request.attempt_uid, "operator")
        carrier.down = True
        return await placing(request)

    carrier.place = place
    attempt = await engine.submit(new_call())
    await engine.turn()
    assert carrier.up == ["CA0001"]
    carrier.down = False
    clock.forward(6)
    await engine.turn()
    assert carrier.up == []
    assert store.attempts.get(attempt.uid).disposition is Disposition.CANCELED


async def test_a_callback_that_is_faster_than_the_lookup_decides_which_call_is_ours(engine, carrier, store, clock):
    carrier.answers = ["twice"]
    attempt = await engine.submit(new_call())
    await engine.turn()
    finding = carrier.find

    async def find(**asked):
        found = await finding(**asked)
        store.attempts.adopt(attempt.uid, "CA0002", clock.now())
        return found

    carrier.find = find
    clock.forward(30)
    await engine.turn()
    assert store.attempts.get(attempt.uid).carrier_call_id == "CA0002"
    assert carrier.up == ["CA0002"]


def failing(*_arguments):
    raise StoreError("the database is held by another program")
