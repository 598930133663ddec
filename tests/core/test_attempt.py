"""The attempt machine: any order, any repetition, any gap."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core import attempt as a
from agenx_cli.core.attempt import AnsweredBy, CarrierProgress, CarrierStatus, Disposition, Facts, Phase

T0 = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def told(events) -> Facts:
    facts = Facts()
    for event in events:
        facts = a.fold(facts, event)
    return facts


SEVEN = (
    CarrierProgress(CarrierStatus.INITIATED, at(0), 0),
    CarrierProgress(CarrierStatus.RINGING, at(1), 1),
    CarrierProgress(CarrierStatus.ANSWERED, at(5), 2),
    a.MachineVerdict(AnsweredBy.HUMAN),
    a.StreamStarted(at(9)),
    a.ConversationEnded("not_interested", callee_spoke=True),
    CarrierProgress(CarrierStatus.COMPLETED, at(40), 3, sip_code=200, duration_s=35),
)


def test_all_orders_of_one_calls_seven_events_converge():
    results = {told(order) for order in permutations(SEVEN)}
    assert len(results) == 1
    facts = results.pop()
    assert a.phase(facts) is Phase.ENDED
    assert a.disposition(facts) is Disposition.NOT_INTERESTED
    assert (facts.answered_at, facts.ended_at, facts.duration_s) == (at(5), at(40), 35)
    print("orders", 5040)


def test_all_orders_with_every_event_doubled_converge():
    results = {told([*order, *order[::-1]]) for order in permutations(SEVEN)}
    assert results == {told(SEVEN)}


def test_the_phase_never_goes_back_in_any_order():
    for order in permutations(SEVEN):
        facts, reached = Facts(), Phase.DIALING
        for event in order:
            facts = a.fold(facts, event)
            assert a.phase(facts) >= reached
            reached = a.phase(facts)


def test_missing_events_cost_only_what_they_alone_proved():
    whole = told(SEVEN)
    for size in range(len(SEVEN)):
        for some in combinations(SEVEN, size):
            facts = told(some)
            assert a.join(facts, whole) == whole
            over = SEVEN[-1] in some
            assert (a.phase(facts) is Phase.ENDED) == over
            if over and SEVEN[5] in some:
                assert a.disposition(facts) is Disposition.NOT_INTERESTED


moments = st.integers(0, 90).map(at)
maybe_code = st.none() | st.sampled_from([200, 404, 486])
events = st.one_of(
    st.builds(
        CarrierProgress,
        st.sampled_from(CarrierStatus),
        st.none() | moments,
        st.none(),
        maybe_code,
        st.none() | st.sampled_from(["13224", "32009"]),
        st.none() | st.integers(0, 60),
        st.none() | st.sampled_from(AnsweredBy),
    ),
    st.builds(a.MachineVerdict, st.sampled_from(AnsweredBy)),
    st.just(a.Uncertain("timeout")),
    st.just(a.Accepted()),
    st.builds(a.NotPlaced, st.sampled_from(["21211", "429"])),
    st.just(a.Lost()),
    st.builds(a.StreamStarted, moments),
    st.builds(a.StreamEnded, moments),
    st.builds(
        a.ConversationEnded,
        st.sampled_from(["goodbye", *a.REASONS, *a.WEAK_REASONS]),
        callee_spoke=st.booleans(),
    ),
    st.builds(a.MeetingBooked, st.sampled_from(["m1", "m2"])),
    st.builds(a.MeetingCancelled, st.sampled_from(["m1", "m2"])),
    st.just(a.OptedOut()),
    st.just(a.CallbackAgreed()),
    st.builds(a.HungUpByUs, st.sampled_from(["operator", "drain"])),
    st.just(a.Interrupted()),
)
some_facts = st.lists(events, max_size=8).map(told)


@given(st.lists(events, max_size=9), st.randoms(use_true_random=False))
def test_any_events_in_any_order_with_repetitions_converge(reports, chance):
    shuffled = reports + [chance.choice(reports) for _ in reports]
    chance.shuffle(shuffled)
    assert told(shuffled) == told(reports)


@given(some_facts, some_facts, some_facts)
def test_join_is_a_least_upper_bound(one, other, third):
    assert a.join(one, other) == a.join(other, one)
    assert a.join(one, one) == one
    assert a.join(one, a.join(other, third)) == a.join(a.join(one, other), third)
    assert a.join(Facts(), one) == one


@given(some_facts, events)
def test_nothing_is_ever_unlearned(facts, event):
    more = a.fold(facts, event)
    assert a.join(facts, more) == more
    assert a.phase(more) >= a.phase(facts)
    assert (a.disposition(more) is not None) >= (a.disposition(facts) is not None)


@given(some_facts)
def test_a_disposition_exists_exactly_when_the_attempt_is_over(facts):
    assert (a.disposition(facts) is None) == (a.phase(facts) is not Phase.ENDED)


def test_every_field_of_the_facts_takes_part_in_the_join():
    """A forgotten field in ``join`` would lose what was known."""
    full = told(
        [
            *SEVEN,
            a.Uncertain("x"),
            a.Accepted(),
            a.Lost(),
            a.Interrupted(),
            a.OptedOut(),
            a.CallbackAgreed(),
            a.NotPlaced("x"),
            a.StreamEnded(at(39)),
            a.HungUpByUs("x"),
            a.MeetingBooked("m"),
            a.MeetingCancelled("m"),
            CarrierProgress(CarrierStatus.FAILED, error_code="x"),
        ]
    )
    nothing = Facts()
    for field in fields(Facts):
        assert getattr(full, field.name) != getattr(nothing, field.name), field.name
        assert getattr(a.join(nothing, full), field.name) == getattr(full, field.name)


@pytest.mark.parametrize(
    ("reports", "phase"),
    [
        ([], Phase.DIALING),
        ([a.Uncertain("timeout")], Phase.UNKNOWN),
        ([a.Uncertain("timeout"), a.Accepted()], Phase.QUEUED),
        ([CarrierProgress(CarrierStatus.QUEUED)], Phase.QUEUED),
        ([CarrierProgress(CarrierStatus.INITIATED)], Phase.QUEUED),
        ([CarrierProgress(CarrierStatus.RINGING)], Phase.RINGING),
        ([CarrierProgress(CarrierStatus.ANSWERED)], Phase.ANSWERED),
        ([a.StreamStarted(at(1))], Phase.TALKING),
        ([a.StreamStarted(at(1)), a.StreamEnded(at(2))], Phase.TALKING),
        ([a.ConversationEnded("goodbye", callee_spoke=True)], Phase.DIALING),
        ([a.StreamStarted(at(1)), CarrierProgress(CarrierStatus.COMPLETED)], Phase.ENDED),
        ([a.NotPlaced("21211")], Phase.ENDED),
        ([a.Lost()], Phase.ENDED),
        ([a.Interrupted()], Phase.DIALING),
    ],
)
def test_the_phase_is_the_furthest_that_anything_proves(reports, phase):
    assert a.phase(told(reports)) is phase


DONE = CarrierProgress(CarrierStatus.COMPLETED, at(40))
TALKED = a.StreamStarted(at(9))


def said(reason: str, *, spoke: bool = True) -> a.ConversationEnded:
    return a.ConversationEnded(reason, callee_spoke=spoke)


@pytest.mark.parametrize(
    ("reports", "ending"),
    [
        ([TALKED, a.MeetingBooked("m"), said("meeting_booked"), DONE], Disposition.MEETING_BOOKED),
        ([TALKED, a.MeetingBooked("m"), a.MeetingCancelled("m"), said("goodbye"), DONE], Disposition.COMPLETED),
        ([TALKED, said("meeting_booked"), DONE], Disposition.COMPLETED),
        ([TALKED, a.MeetingBooked("m"), a.OptedOut(), DONE], Disposition.OPTED_OUT),
        ([TALKED, said("opted_out"), DONE], Disposition.OPTED_OUT),
        ([TALKED, a.CallbackAgreed(), said("callback"), DONE], Disposition.CALLBACK),
        ([TALKED, said("callback"), DONE], Disposition.COMPLETED),
        ([TALKED, said("not_interested"), DONE], Disposition.NOT_INTERESTED),
        ([TALKED, said("wrong_person"), DONE], Disposition.WRONG_PERSON),
        ([TALKED, said("voicemail"), DONE], Disposition.VOICEMAIL),
        ([TALKED, a.MachineVerdict(AnsweredBy.MACHINE), said("silent"), DONE], Disposition.VOICEMAIL),
        ([TALKED, a.MachineVerdict(AnsweredBy.MACHINE), said("not_interested"), DONE], Disposition.NOT_INTERESTED),
        ([a.MachineVerdict(AnsweredBy.FAX), DONE], Disposition.VOICEMAIL),
        (
            [TALKED, a.MachineVerdict(AnsweredBy.MACHINE), a.MachineVerdict(AnsweredBy.HUMAN), said("goodbye"), DONE],
            Disposition.COMPLETED,
        ),
        ([TALKED, said("silent", spoke=False), DONE], Disposition.SILENT),
        ([TALKED, said("goodbye", spoke=False), DONE], Disposition.SILENT),
        ([TALKED, said("hung_up"), DONE], Disposition.HUNG_UP),
        ([TALKED, said("model_failed"), DONE], Disposition.FAILED),
        ([TALKED, said("goodbye"), DONE], Disposition.COMPLETED),
        ([TALKED, DONE], Disposition.COMPLETED),
        ([DONE], Disposition.HUNG_UP),
        ([a.HungUpByUs("operator"), DONE], Disposition.COMPLETED),
        ([CarrierProgress(CarrierStatus.BUSY)], Disposition.BUSY),
        ([CarrierProgress(CarrierStatus.NO_ANSWER)], Disposition.NO_ANSWER),
        ([CarrierProgress(CarrierStatus.FAILED)], Disposition.FAILED),
        ([CarrierProgress(CarrierStatus.CANCELED)], Disposition.CANCELED),
        ([a.Interrupted(), CarrierProgress(CarrierStatus.BUSY)], Disposition.BUSY),
        ([a.Interrupted(), CarrierProgress(CarrierStatus.CANCELED)], Disposition.INTERRUPTED),
        ([TALKED, a.Interrupted(), DONE], Disposition.INTERRUPTED),
        ([TALKED, a.OptedOut(), a.Interrupted(), DONE], Disposition.OPTED_OUT),
        ([TALKED, a.MeetingBooked("m"), a.Interrupted(), DONE], Disposition.MEETING_BOOKED),
        ([a.Interrupted(), a.NotPlaced("never_dialed")], Disposition.INTERRUPTED),
        ([a.NotPlaced("21211")], Disposition.FAILED),
        ([a.HungUpByUs("drain"), a.NotPlaced("drain")], Disposition.CANCELED),
        ([a.Uncertain("timeout"), a.Lost()], Disposition.LOST),
        ([a.Interrupted(), a.Lost()], Disposition.LOST),
        ([a.Lost(), CarrierProgress(CarrierStatus.RINGING)], Disposition.LOST),
        ([a.Lost(), CarrierProgress(CarrierStatus.NO_ANSWER)], Disposition.NO_ANSWER),
        ([a.Lost(), a.HungUpByUs("lost"), CarrierProgress(CarrierStatus.CANCELED)], Disposition.CANCELED),
    ],
)
def test_the_ending_follows_from_the_facts(reports, ending):
    assert a.disposition(told(reports)) is ending
    assert a.disposition(told(reports[::-1])) is ending


def test_the_phases_are_seven_in_their_order():
    names = ["DIALING", "UNKNOWN", "QUEUED", "RINGING", "ANSWERED", "TALKING", "ENDED"]
    assert [(phase.name, phase.value) for phase in Phase] == [(name, n) for n, name in enumerate(names)]


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        (Facts(), Phase.DIALING),
        (Facts(uncertain=True), Phase.UNKNOWN),
        (Facts(accepted=True), Phase.QUEUED),
        (Facts(accepted=True, uncertain=True), Phase.QUEUED),
        (Facts(status=CarrierStatus.QUEUED), Phase.QUEUED),
        (Facts(status=CarrierStatus.INITIATED), Phase.QUEUED),
        (Facts(status=CarrierStatus.RINGING), Phase.RINGING),
        (Facts(status=CarrierStatus.ANSWERED), Phase.ANSWERED),
        (Facts(answered_at=at(1)), Phase.ANSWERED),
        (Facts(answered_at=at(1), stream_started_at=at(2)), Phase.TALKING),
        (Facts(stream_started_at=at(2)), Phase.TALKING),
        (Facts(lost=True), Phase.ENDED),
        (Facts(not_placed="21211"), Phase.ENDED),
    ],
)
def test_each_fact_alone_proves_its_phase(facts, phase):
    assert a.phase(facts) is phase


def test_a_progress_report_proves_that_the_call_was_taken_and_all_that_rides_along():
    told_us = CarrierProgress(
        CarrierStatus.RINGING, at(1), 1, sip_code=180, error_code="x", duration_s=3, answered_by=AnsweredBy.FAX
    )
    assert a.proved_by(told_us) == Facts(
        status=CarrierStatus.RINGING, accepted=True, sip_code=180, error_code="x", duration_s=3,
        answered_by=AnsweredBy.FAX,
    )  # fmt: skip


def test_of_two_reports_the_greater_code_the_longer_time_and_the_earlier_moment_stay():
    one = Facts(error_code="13224", not_placed="429", sip_code=200, duration_s=3, answered_at=at(9), ended_at=at(4))
    other = Facts(error_code="32009", not_placed="500", sip_code=486, duration_s=5, answered_at=at(8), ended_at=at(5))
    both = Facts(error_code="32009", not_placed="500", sip_code=486, duration_s=5, answered_at=at(8), ended_at=at(4))
    assert a.join(one, other) == both
    assert a.join(other, one) == both
    assert a.join(one, Facts()) == one
