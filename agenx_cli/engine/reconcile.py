"""Which of the carrier's calls is ours, when the answer to the dial was lost. Pure.

The carrier's record of a call has no field for our own id, so a call is recognised by its two numbers, its direction
and the moment of its creation. Calls that belong to other attempts are known by their ids and left alone.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from agenx_cli.core.attempt import AnsweredBy, CarrierProgress, CarrierStatus
from agenx_cli.ports import CarrierCall
from agenx_cli.store.records import Attempt

SKEW = timedelta(seconds=30)
"""Between our clock and the carrier's. Wider would reach into calls of other programs on the account."""


def match(attempt: Attempt, calls: Sequence[CarrierCall], taken: Collection[str]) -> list[CarrierCall]:
    """The carrier's calls that can only come from this attempt's dial, earliest first: that one is to be adopted."""
    return sorted(
        (call for call in calls if call.call_id not in taken and _from_this_dial(attempt, call)),
        key=lambda call: (call.created_at, call.call_id),
    )


def _from_this_dial(attempt: Attempt, call: CarrierCall) -> bool:
    if attempt.dialed_at is None or attempt.dial_deadline is None:
        return False
    if (call.to, call.from_) != (attempt.phone, attempt.our_number) or not call.direction.startswith("outbound"):
        return False
    return attempt.dialed_at - SKEW <= call.created_at <= attempt.dial_deadline + SKEW


def progress_of(call: CarrierCall) -> tuple[CarrierProgress, ...]:
    """The carrier's record as the reports that its callbacks would have brought.

    A completed call was answered: its start is the moment of the answer.
    """
    status = CarrierStatus(call.status)
    answered_by = AnsweredBy(call.answered_by) if call.answered_by in set(AnsweredBy) else None
    answered = CarrierProgress(CarrierStatus.ANSWERED, at=call.started_at, answered_by=answered_by)
    if status is CarrierStatus.ANSWERED:
        return (answered,)
    if not status.terminal:
        return (CarrierProgress(status),)
    ended = CarrierProgress(status, at=call.ended_at, duration_s=call.duration_s, answered_by=answered_by)
    return (answered, ended) if status is CarrierStatus.COMPLETED else (ended,)
