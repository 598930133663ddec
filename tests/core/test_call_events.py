"""The order of a carrier's words, and of guesses about who picked up."""

from typing import get_args

import pytest

from agenx_cli.core import attempt, call_events
from agenx_cli.core.call_events import AnsweredBy, CarrierStatus

OVER = {"canceled", "no_answer", "busy", "failed", "completed"}


def test_statuses_are_ranked_as_they_can_follow_each_other():
    order = ["queued", "initiated", "ringing", "answered", "canceled", "no_answer", "busy", "failed", "completed"]
    assert sorted(CarrierStatus, key=lambda status: status.rank) == order
    assert len({status.rank for status in CarrierStatus}) == len(order)


@pytest.mark.parametrize("status", CarrierStatus)
def test_five_statuses_end_a_call(status):
    assert status.terminal is (status.value in OVER)


def test_a_recognised_person_outweighs_every_other_guess():
    assert sorted(AnsweredBy, key=lambda kind: kind.rank) == ["unknown", "fax", "machine", "human"]
    assert [kind.rank for kind in AnsweredBy] == [0, 1, 2, 3]


def test_every_event_proves_something():
    assert set(attempt._PROVES) == set(get_args(call_events.CallEvent))
