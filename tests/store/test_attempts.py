"""Attempts: intents, calls, reports, tickets."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from agenx_cli.core import attempt as a
from agenx_cli.core.attempt import CarrierProgress, CarrierStatus, Disposition, Facts, Phase
from agenx_cli.core.policy import Defer, Refuse
from agenx_cli.store.facts import facts_from_json, facts_to_json
from agenx_cli.store.records import Adopted, Attempt, Conflict, Figures, NewAttempt, NewInbound
from agenx_cli.store.tickets import fits, hashed
from tests.core.test_attempt import SEVEN, some_facts

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
PHONE = "+34600000011"


def new(uid: str = "u1", phone: str = PHONE, **more) -> NewAttempt:
    fields = {"our_number": "+34910000000", "playbook": "p", "ticket": f"ticket-{uid}", "owner": "me"} | more
    return NewAttempt(uid=uid, phone=phone, **fields)


def inbound(uid: str = "i1", call_id: str = "CA1", ticket: str = "ticket-i1") -> NewInbound:
    return NewInbound(uid, call_id, PHONE, "+34910000000", "p", ticket, "me")


def admitted(store, uid: str = "u1", phone: str = PHONE, **more) -> Attempt:
    attempt = store.attempts.admit(new(uid, phone, **more), NOW)
    assert isinstance(attempt, Attempt)
    return attempt


def begun(store, uid: str = "u1", phone: str = PHONE) -> Attempt:
    attempt = store.attempts.begin_dial(admitted(store, uid, phone), NOW)
    assert isinstance(attempt, Attempt)
    return attempt


# --- the intent


def test_an_intent_keeps_all_that_serving_it_after_a_restart_needs(store):
    admitted(store, variables={"empresa": "Ñandú"}, record=True, ring_s=20, time_limit_s=300)
    stored = store.attempts.get("u1")
    assert stored.phase is Phase.DIALING
    assert (stored.direction, stored.phone, stored.playbook) == ("outbound", PHONE, "p")
    assert (stored.variables, stored.record) == ({"empresa": "Ñandú"}, True)
    assert (stored.ring_s, stored.time_limit_s, stored.owner, stored.epoch) == (20, 300, "me", 1)
    assert stored.created_at == NOW
    assert PHONE not in repr(stored)


def test_a_number_with_a_live_attempt_is_deferred(store):
    admitted(store)
    verdict = store.attempts.admit(new("u2"), NOW)
    assert isinstance(verdict, Defer)
    assert verdict.reason.code == "freq.inflight"
    store.attempts.fold("u1", a.NotPlaced("x"), "k", NOW)
    assert isinstance(store.attempts.admit(new("u2"), NOW), Attempt)


def test_a_suppressed_number_is_refused_and_nothing_is_written(store):
    store.suppression.add(PHONE, "asked", "test", NOW)
    verdict = store.attempts.admit(new(), NOW)
    assert isinstance(verdict, Refuse)
    assert verdict.reason.code == "dnc.internal"
    assert store.attempts.list() == ()


def test_the_table_itself_forbids_two_live_dials_to_a_number(store):
    admitted(store)
    with pytest.raises(IntegrityError), store.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO attempts SELECT 'u2', direction, phone, our_number, playbook, variables, record, ring_s,"
            " time_limit_s, owner, epoch, ticket_hash, ticket_expires_at, ticket_used_at, dialed_at, dial_deadline,"
            " carrier_call_id, looks, looked_at, facts, phase, disposition, answered_by, error_code, error,"
            " created_at, changed_at, answered_at, ended_at, duration_s, usage, cost_voice_usd, cost_carrier_usd,"
            " first_word_ms, turns, barge_ins, recording, carrier_priced FROM attempts WHERE uid = 'u1'"
        )


def test_of_many_at_once_one_is_admitted(store):
    verdicts = []
    gate = threading.Barrier(8)

    def try_it(number: int) -> None:
        gate.wait()
        verdicts.append(store.attempts.admit(new(f"u{number}"), NOW))

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(verdict, Attempt) for verdict in verdicts) == 1


# --- the fence


def test_an_attempt_is_begun_once(store):
    attempt = admitted(store)
    first = store.attempts.begin_dial(attempt, NOW)
    assert first.dialed_at == NOW
    assert first.dial_deadline == NOW + timedelta(seconds=10)
    assert store.attempts.begin_dial(attempt, NOW) is None


def test_an_attempt_that_was_taken_over_cannot_be_begun_by_its_old_owner(store):
    attempt = admitted(store)
    taken = store.attempts.take_over(attempt, "you", NOW)
    assert (taken.owner, taken.epoch) == ("you", 2)
    assert store.attempts.begin_dial(attempt, NOW) is None
    assert store.attempts.take_over(attempt, "they", NOW) is None


def test_an_opt_out_between_intent_and_dial_wins(store):
    attempt = admitted(store)
    store.suppression.add(PHONE, "asked", "test", NOW)
    verdict = store.attempts.begin_dial(attempt, NOW)
    assert isinstance(verdict, Refuse)
    ended = store.attempts.get("u1")
    assert (ended.phase, ended.error_code, ended.dialed_at) == (Phase.ENDED, "dnc.internal", None)


def test_an_unknown_attempt_is_nobodys(store):
    attempt = admitted(store)
    store.attempts.fold("u1", a.NotPlaced("x"), "k", NOW)
    assert store.attempts.begin_dial(attempt, NOW) is None
    assert store.attempts.get("nobody") is None
    assert store.attempts.fold("nobody", a.Lost(), "k", NOW) is None
    assert store.attempts.adopt("nobody", "CA1", NOW) is None
    assert store.attempts.report("nobody", "CA1", a.Lost(), "k", NOW) is None
    assert store.attempts.finish("nobody", Figures(turns=1), NOW) is None


# --- the carrier's call


def test_the_first_call_id_wins(store):
    begun(store)
    first = store.attempts.adopt("u1", "CA1", NOW)
    assert isinstance(first, Adopted)
    assert first.attempt.phase is Phase.QUEUED
    assert isinstance(store.attempts.adopt("u1", "CA1", NOW), Adopted)
    second = store.attempts.adopt("u1", "CA2", NOW)
    assert isinstance(second, Conflict)
    assert second.existing == "CA1"
    assert store.attempts.of_call("CA1").uid == "u1"
    assert store.attempts.of_call("CA2") is None


def test_a_call_belongs_to_one_attempt(store):
    begun(store)
    begun(store, "u2", "+34600000022")
    store.attempts.adopt("u1", "CA1", NOW)
    assert store.attempts.adopt("u2", "CA1", NOW) is None
    assert store.attempts.report("u2", "CA1", CarrierProgress(CarrierStatus.BUSY), "k", NOW) is None
    assert store.attempts.get("u2").carrier_call_id is None


def test_a_strays_report_is_not_folded(store):
    begun(store)
    store.attempts.adopt("u1", "CA1", NOW)
    stray = CarrierProgress(CarrierStatus.COMPLETED)
    assert isinstance(store.attempts.report("u1", "CA2", stray, "k", NOW), Conflict)
    assert store.attempts.get("u1").phase is Phase.QUEUED


# --- reports


def test_every_order_of_a_calls_reports_leaves_the_same_row(store):
    """80 of the 5,040 orders on real rows; all of them are folded in tests/core/test_attempt.py."""
    rows = set()
    for number, order in enumerate(list(permutations(SEVEN))[::63]):
        uid, phone = f"u{number}", f"+346{number:08d}"
        with store.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM attempt_events")
        admitted(store, uid, phone)
        for event in (*order, order[0]):
            store.attempts.report(uid, f"CA{number}", event, f"{type(event).__name__}:{event}", NOW)
        row = store.attempts.get(uid)
        rows.add((row.facts, row.phase, row.disposition, row.answered_at, row.ended_at, row.duration_s))
        assert len(store.attempts.events(uid)) == len(SEVEN) + 1  # and the adoption
    assert len(rows) == 1
    assert rows.pop()[2] is Disposition.NOT_INTERESTED


def test_a_repeated_report_is_kept_once(store):
    begun(store)
    for _ in range(5):
        store.attempts.fold("u1", SEVEN[1], "CA1:1:ringing", NOW)
    (event,) = store.attempts.events("u1")
    assert (event.key, event.kind, event.body["status"]) == ("CA1:1:ringing", "CarrierProgress", "ringing")


def test_an_end_without_the_carriers_moment_gets_ours_once(store):
    begun(store)
    store.attempts.fold("u1", a.Lost(), "lost", NOW, error="gone")
    assert store.attempts.get("u1").ended_at == NOW
    later = NOW + timedelta(hours=1)
    row = store.attempts.fold("u1", a.OptedOut(), "opted", later)
    assert (row.ended_at, row.disposition, row.error) == (NOW, Disposition.OPTED_OUT, "gone")


@given(some_facts)
def test_facts_survive_the_database(facts):
    assert facts_from_json(facts_to_json(facts)) == facts


def test_facts_of_a_later_version_are_read_as_far_as_they_are_known():
    assert facts_from_json({"lost": True, "future": 1}) == Facts(lost=True)


def test_an_attempt_whose_end_was_asked_for_is_not_begun(store):
    attempt = admitted(store)
    store.attempts.fold("u1", a.HungUpByUs("operator"), "h", NOW)
    assert store.attempts.begin_dial(attempt, NOW) is None
    row = store.attempts.get("u1")
    assert (row.dialed_at, row.disposition, row.error_code) == (None, Disposition.CANCELED, "operator")
    assert isinstance(admitted(store, "u2"), Attempt)


def test_a_lost_attempt_holds_its_number_until_its_call_could_not_last_any_longer(store):
    begun(store)
    store.attempts.fold("u1", a.Lost(), "lost", NOW)
    until = NOW + timedelta(seconds=25 + 660 + 60)
    denied = store.attempts.admit(new("u2"), NOW)
    assert isinstance(denied, Defer)
    assert (denied.until, denied.reason.code) == (until, "freq.inflight")
    assert isinstance(store.attempts.admit(new("u3", "+34600000022"), NOW), Attempt)
    assert isinstance(store.attempts.admit(new("u2"), until - timedelta(milliseconds=1)), Defer)
    assert isinstance(store.attempts.admit(new("u2"), until), Attempt)


def test_a_lost_attempt_that_is_accounted_for_frees_its_number(store):
    begun(store)
    store.attempts.fold("u1", a.Lost(), "lost", NOW)
    store.attempts.fold("u1", CarrierProgress(CarrierStatus.CANCELED, NOW), "k", NOW)
    assert isinstance(store.attempts.admit(new("u2"), NOW), Attempt)


def test_an_estimate_never_replaces_the_carriers_own_price(store):
    begun(store)
    store.attempts.finish("u1", Figures(cost_carrier_usd=0.5), NOW)
    store.attempts.finish("u1", Figures(carrier_priced=False), NOW)
    assert store.attempts.get("u1").figures == Figures(cost_carrier_usd=0.5, carrier_priced=False)
    store.attempts.finish("u1", Figures(cost_carrier_usd=0.02, carrier_priced=True), NOW)
    store.attempts.finish("u1", Figures(cost_carrier_usd=0.5, carrier_priced=False, turns=3), NOW)
    assert store.attempts.get("u1").figures == Figures(cost_carrier_usd=0.02, carrier_priced=True, turns=3)
    assert store.attempts.finish("nobody", Figures(turns=3), NOW) is None


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("phone = '+34600000011' AND disposition = 'lost'", "lost_attempts"),
        (
            "carrier_priced IS NULL AND answered_at IS NOT NULL AND ended_at BETWEEN 1 AND 2",
            "attempts_without_price",
        ),
    ],
)
def test_what_is_asked_all_the_time_has_an_index(store, condition, index):
    with store.database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN SELECT uid FROM attempts WHERE {condition}").fetchall()
    assert index in str(plan)


def test_figures_are_added_as_they_become_known(store):
    begun(store)
    store.attempts.finish("u1", Figures(usage={"input_tokens": 5}, cost_voice_usd=0.01, turns=3), NOW)
    row = store.attempts.finish("u1", Figures(cost_carrier_usd=0.02, first_word_ms=640, recording="r.wav"), NOW)
    assert row.figures == Figures({"input_tokens": 5}, 0.01, 0.02, 640, 3, None, "r.wav")
    assert row.cost_usd == pytest.approx(0.03)
    assert store.attempts.finish("u1", Figures(), NOW) == row
    assert begun(store, "u2", "+34600000022").cost_usd is None


def test_lists_are_newest_first_and_live_ones_are_found_by_owner(store):
    admitted(store, "u1")
    admitted(store, "u2", "+34600000022", owner="dead")
    store.attempts.admit(new("u3", "+34600000033"), NOW + timedelta(seconds=1))
    store.attempts.fold("u3", a.Lost(), "k", NOW)
    assert [row.uid for row in store.attempts.list()] == ["u3", "u1", "u2"]
    assert [row.uid for row in store.attempts.list(1)] == ["u3"]
    assert [row.uid for row in store.attempts.list(phone=PHONE)] == ["u1"]
    assert [row.uid for row in store.attempts.live()] == ["u1", "u2"]
    assert [row.uid for row in store.attempts.live("me")] == ["u1"]
    assert [row.uid for row in store.attempts.orphans("me")] == ["u2"]


def test_a_lost_call_that_shows_itself_is_listed_until_it_is_accounted_for(store):
    begun(store)
    store.attempts.fold("u1", a.Lost(), "lost", NOW)
    assert store.attempts.resurfaced(3) == ()
    store.attempts.report("u1", "CA1", CarrierProgress(CarrierStatus.RINGING), "k", NOW)
    assert [row.uid for row in store.attempts.resurfaced(3)] == ["u1"]
    for _ in range(3):
        store.attempts.looked("u1", NOW)
    assert store.attempts.resurfaced(3) == ()
    store.attempts.report("u1", "CA1", CarrierProgress(CarrierStatus.NO_ANSWER), "k2", NOW)
    assert store.attempts.get("u1").disposition is Disposition.NO_ANSWER
    assert store.attempts.resurfaced(99) == ()


# --- inbound


def test_an_inbound_call_told_twice_is_one_attempt_with_the_newest_ticket(store):
    store.attempts.open_inbound(inbound(), NOW)
    again = store.attempts.open_inbound(inbound("i2", ticket="ticket-i2"), NOW)
    assert (again.uid, again.direction, again.phase) == ("i1", "inbound", Phase.RINGING)
    assert store.attempts.burn_ticket("i1", "ticket-i1", "CA1", NOW) is None
    assert store.attempts.burn_ticket("i1", "ticket-i2", "CA1", NOW) is not None
    third = store.attempts.open_inbound(inbound("i3", ticket="ticket-i3"), NOW)
    assert third.uid == "i1"
    assert store.attempts.burn_ticket("i1", "ticket-i3", "CA1", NOW) is None


def test_an_inbound_ticket_lives_sixty_seconds_and_only_for_its_call(store):
    store.attempts.open_inbound(inbound(), NOW)
    late = NOW + timedelta(seconds=60)
    assert store.attempts.burn_ticket("i1", "ticket-i1", "CA2", NOW) is None
    assert store.attempts.burn_ticket("i1", "ticket-i1", "CA1", late) is None
    admitted_ = store.attempts.burn_ticket("i1", "ticket-i1", "CA1", late - timedelta(milliseconds=1))
    assert admitted_.ticket_used_at is not None


# --- tickets


def test_an_outbound_ticket_adopts_its_call_and_is_good_until_used_or_over(store):
    begun(store)
    hours = NOW + timedelta(hours=3)
    attempt = store.attempts.burn_ticket("u1", "ticket-u1", "CA1", hours)
    assert attempt.carrier_call_id == "CA1"
    begun(store, "u2", "+34600000022")
    store.attempts.fold("u2", CarrierProgress(CarrierStatus.NO_ANSWER), "k", NOW)
    assert store.attempts.burn_ticket("u2", "ticket-u2", "CA2", NOW) is None
    begun(store, "u3", "+34600000033")
    store.attempts.fold("u3", a.Interrupted(), "k", NOW)
    assert store.attempts.burn_ticket("u3", "ticket-u3", "CA3", NOW) is None
    begun(store, "u4", "+34600000044")
    store.attempts.fold("u4", a.HungUpByUs("operator"), "h", NOW)
    assert store.attempts.burn_ticket("u4", "ticket-u4", "CA4", NOW) is None


def test_a_thousand_tickets_replayed_of_another_call_or_absent_admit_nobody(store):
    admitted_ = tried = 0
    for number in range(1000):
        if number < 100:
            begun(store, f"u{number}", f"+346{number:08d}")
            assert store.attempts.burn_ticket(f"u{number}", f"ticket-u{number}", f"CA{number}", NOW)
        uid, other = f"u{number % 100}", f"u{(number + 1) % 100}"
        for who, ticket, call in (
            (uid, f"ticket-{uid}", f"CA{number % 100}"),  # replayed
            (uid, f"ticket-{uid}", "CAother"),  # for another call
            (other, f"ticket-{uid}", "CAnew"),  # for another attempt
            (uid, "", f"CA{number % 100}"),  # absent
        ):
            tried += 1
            admitted_ += store.attempts.burn_ticket(who, ticket, call, NOW) is not None
    assert (tried, admitted_) == (4000, 0)
    print("tickets admitted", admitted_, "of", tried)


@given(st.text(st.characters(), max_size=300))
def test_no_other_text_is_a_ticket(text):
    assert not fits(text, hashed("the ticket"))
    assert not fits(text, None)
    assert fits("the ticket", hashed("the ticket"))


def test_a_wrong_try_burns_nothing(store):
    begun(store)
    for text in ("\ud800", "\x00", "ñ" * 300):
        assert store.attempts.burn_ticket(text, "ticket-u1", "CA1", NOW) is None
        assert store.attempts.burn_ticket("u1", text, "CA1", NOW) is None
    assert store.attempts.burn_ticket("u1", "wrong", "CA1", NOW) is None
    assert store.attempts.burn_ticket("nobody", "ticket-u1", "CA1", NOW) is None
    assert store.attempts.burn_ticket("u1", "ticket-u1", "CA1", NOW) is not None


def test_of_many_uses_at_once_one_is_admitted(store):
    begun(store)
    results = []
    gate = threading.Barrier(8)

    def use() -> None:
        gate.wait()
        results.append(store.attempts.burn_ticket("u1", "ticket-u1", "CA1", NOW))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1
