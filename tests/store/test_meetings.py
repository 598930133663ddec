"""Meetings, answers and callbacks over a real database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agenx_cli.core.booking import SlotTaken, Span
from agenx_cli.store.records import NewInbound
from agenx_cli.store.store import open_store
from tests.calendars.test_builtin import MEETING
from tests.core.playbooks import NOW

HELD = replace(MEETING, attempt_uid=None, status="held")
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def store(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'agenx.db'}")
    yield store
    store.close()


def at(minutes, **changes):
    start = NOW + timedelta(minutes=minutes)
    return replace(HELD, starts_at=start, ends_at=start + timedelta(minutes=30), **changes)


def test_a_hold_is_kept_as_it_was_given(store):
    assert store.meetings.hold(HELD) == HELD
    assert store.meetings.get("m1") == HELD
    assert store.meetings.get("m2") is None


def test_the_same_hold_twice_is_one_whatever_became_of_it(store):
    store.meetings.hold(HELD)
    booked = store.meetings.commit("m1", LATER)
    assert store.meetings.hold(HELD) == booked == replace(HELD, status="booked", updated_at=LATER)


@pytest.mark.parametrize("minutes", [-29, 0, 29])
def test_overlapping_slots_of_a_host_are_taken(store, minutes):
    store.meetings.hold(HELD)
    other = at(minutes, id="m2")
    assert store.meetings.hold(other) == SlotTaken(other.span)
    assert store.meetings.hold(replace(other, host="another")) == replace(other, host="another")


@pytest.mark.parametrize("minutes", [-30, 30])
def test_slots_that_touch_are_free(store, minutes):
    store.meetings.hold(HELD)
    assert store.meetings.hold(at(minutes, id="m2")).id == "m2"


def test_what_is_cancelled_is_free_again_and_stays_cancelled(store):
    store.meetings.hold(HELD)
    assert store.meetings.cancel("m1", LATER).status == "cancelled"
    assert store.meetings.cancel("m1", LATER + timedelta(1)).updated_at == LATER
    assert store.meetings.commit("m1", LATER) is None
    assert store.meetings.hold(replace(HELD, id="m2")).id == "m2"
    assert [meeting.id for meeting in store.meetings.list()] == ["m1", "m2"]


def test_what_does_not_exist_is_nothing(store):
    assert store.meetings.commit("m9", NOW) is None
    assert store.meetings.cancel("m9", NOW) is None


def test_busy_says_what_stands_in_a_stretch(store):
    store.meetings.hold(HELD)
    store.meetings.hold(at(60, id="m2"))
    store.meetings.cancel("m2", NOW)
    assert store.meetings.busy("default", Span(NOW, NOW + timedelta(hours=5))) == (HELD.span,)
    assert store.meetings.busy("default", Span(HELD.ends_at, NOW + timedelta(hours=5))) == ()


def test_a_callback_is_found_by_its_call(store):
    store.attempts.open_inbound(NewInbound("a1", "CA1", "+34600000011", "+34910000000", "p", "t", "me"), NOW)
    assert store.callbacks.of("a1") is None
    store.callbacks.put("a1", "+34600000011", LATER, "x", NOW)
    assert store.callbacks.of("a1").due_at == LATER
