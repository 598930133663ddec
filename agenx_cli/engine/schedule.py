"""When the carrier should be asked about an attempt, and when a call has no business being up any more. Pure.

Callbacks are the fast way, never the only one: whatever is quiet for longer than its phase can last is looked up.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from agenx_cli.core.attempt import Phase
from agenx_cli.store.records import Attempt

LOOKUP_GRACE = timedelta(seconds=15)
"""After the dial's deadline: the carrier's list may be that late, and a callback that adopts is likelier first."""
SECOND_LOOK = timedelta(seconds=60)
LOOKS_UNTIL_LOST = 2
RING_SLACK = timedelta(seconds=20)
"""The carrier lets a call ring up to 5 s longer than asked, and its callback takes its time."""
ANSWERED_QUIET = timedelta(seconds=30)
TALKING_QUIET = timedelta(seconds=60)
ENDING_QUIET = timedelta(seconds=5)
"""The end is near: its callback, or our look."""
RESURFACED_LOOKS = 20

NO_STREAM_LIMIT = timedelta(seconds=90)
"""Answered, the opening spoken, and still no media stream."""
STREAM_GONE_LIMIT = timedelta(seconds=30)
"""The stream closed; the fallback that follows it in the document is over long before."""
CUT_OFF_LATE = timedelta(seconds=30)
"""After the carrier's own time limit, which should have ended the call."""

PRICED_AFTER = timedelta(seconds=90)
"""The carrier prices a call some time after its end."""
PRICE_RECENT = timedelta(days=1)
"""An older call is not asked about any more."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call is up without a reason; ``reason`` is what is recorded."""

    reason: str


def next_look(attempt: Attempt) -> datetime | None:
    """The moment to ask the carrier about this attempt; None: nobody can ask (it was not dialed, or is over)."""
    if attempt.over or (attempt.outbound and attempt.dialed_at is None):
        return None
    since = max(attempt.changed_at, attempt.looked_at or attempt.changed_at)
    if attempt.carrier_call_id is None:
        return _lookup_at(attempt)
    facts = attempt.facts
    if facts.stream_ended_at is not None or facts.interrupted or facts.hung_up_by_us:
        return since + ENDING_QUIET
    if attempt.phase is Phase.TALKING:
        return since + TALKING_QUIET
    if attempt.phase is Phase.ANSWERED or not attempt.outbound:
        return since + ANSWERED_QUIET
    return since + timedelta(seconds=attempt.ring_s) + RING_SLACK


def _lookup_at(attempt: Attempt) -> datetime:
    if attempt.looked_at is not None:
        return attempt.looked_at + SECOND_LOOK
    return (attempt.dial_deadline or attempt.created_at) + LOOKUP_GRACE


def overdue(attempt: Attempt, now: datetime) -> HangUp | None:
    """Whether a call that the carrier says is up should be ended by us."""
    facts = attempt.facts
    answered_at = facts.answered_at
    if facts.stream_ended_at is not None and now >= facts.stream_ended_at + STREAM_GONE_LIMIT:
        return HangUp("bridge_gone")
    if answered_at is None:
        return None
    if facts.stream_started_at is None and now >= answered_at + NO_STREAM_LIMIT:
        return HangUp("no_stream")
    if now >= answered_at + timedelta(seconds=attempt.time_limit_s) + CUT_OFF_LATE:
        return HangUp("time_limit")
    return None
