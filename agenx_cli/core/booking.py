"""Free time: which starts may be offered, and whether one that somebody chose still may.

The rules, in words:

- Working hours are wall-clock times of the playbook's zone; a start lies on the grid that begins at an opening hour
  and advances by ``step_minutes``, and the meeting ends, in real minutes, no later than the closing hour.
- A wall-clock time that a change of the clocks skips is never offered; one that comes twice means its first coming.
- Nothing starts before ``now`` plus the notice, or after ``now`` plus the horizon.
- Two meetings of one host never overlap. Offering looks at what is busy; the store looks again when it holds.

Nothing here reads a clock or a calendar: the moment and the busy times are arguments. Spans are in UTC, because Python
compares two moments of one zone by their wall clocks, which is wrong in the hour that comes twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

from agenx_cli.core.playbook import MeetingRules

MeetingStatus = Literal["held", "booked", "cancelled"]
NOON = time(12)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in UTC, its end excluded."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: datetime, end: datetime) -> "Span":
        """From moments of any zone."""
        return cls(start.astimezone(UTC), end.astimezone(UTC))

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share any moment."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class SlotProblem:
    """Why a start cannot be had: a code (``slot.past``, ``slot.too_soon``, ``slot.too_far``, ``slot.outside_hours``,
    ``slot.taken``) and a sentence for the model."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as the store keeps it. ``held`` blocks the slot, ``booked`` is promised to the callee.

    ``zone`` is the one in which its time was spoken of; the moments themselves are in UTC.
    """

    id: str
    attempt_uid: str | None
    host: str
    starts_at: datetime
    ends_at: datetime
    status: MeetingStatus
    phone: str
    title: str
    zone: str
    name: str | None
    email: str | None
    notes: str | None
    calendar: str
    created_at: datetime
    updated_at: datetime

    @property
    def span(self) -> Span:
        """When it takes place."""
        return Span.of(self.starts_at, self.ends_at)

    def __repr__(self) -> str:
        """Without anything personal: this may end up in a log."""
        return f"Meeting({self.id}, {self.status}, {self.starts_at.isoformat()})"


@dataclass(frozen=True, slots=True)
class SlotTaken:
    """The store could not hold a slot: another meeting of the same host overlaps it."""

    span: Span


def free_slots(
    rules: MeetingRules, zone: tzinfo, busy: Iterable[Span], now: datetime, *, between: Span | None = None
) -> Iterator[Span]:
    """Every start that may be offered, soonest first, each once; with ``between`` only those that start in it."""
    taken = sorted(busy, key=lambda span: span.start)
    earliest, latest = _bounds(rules, now)
    if between is not None:
        earliest, latest = max(earliest, between.start), min(latest, between.end)
    day, last_day = earliest.astimezone(zone).date(), latest.astimezone(zone).date()
    while day <= last_day:
        for slot in _grid(rules, zone, day):
            if earliest <= slot.start <= latest and not any(slot.overlaps(span) for span in taken):
                yield slot
        day += timedelta(days=1)


def offers(slots: Iterable[Span], zone: tzinfo, limit: int) -> tuple[Span, ...]:
    """A few that differ: of each local day the first of the morning and of the afternoon, soonest first."""
    chosen: dict[tuple[date, bool], Span] = {}
    for slot in slots:
        wall = slot.start.astimezone(zone)
        chosen.setdefault((wall.date(), wall.time() >= NOON), slot)
        if len(chosen) == limit:
            break
    return tuple(chosen.values())


def choose(
    start: datetime, rules: MeetingRules, zone: tzinfo, busy: Iterable[Span], now: datetime
) -> Span | SlotProblem:
    """The slot that begins at ``start``, or why it cannot be had."""
    earliest, latest = _bounds(rules, now)
    if start <= now:
        return SlotProblem("slot.past", "That time is in the past.")
    if start < earliest:
        return SlotProblem("slot.too_soon", f"Meetings need {rules.notice_minutes} minutes of notice.")
    if start > latest:
        return SlotProblem("slot.too_far", f"Meetings can be booked at most {rules.horizon_days} days ahead.")
    wanted = start.astimezone(UTC)
    slot = next((s for s in _grid(rules, zone, start.astimezone(zone).date()) if s.start == wanted), None)
    if slot is None:
        return SlotProblem("slot.outside_hours", "No meeting can start at that time.")
    if any(slot.overlaps(span) for span in busy):
        return SlotProblem("slot.taken", "That time has just been taken.")
    return slot


def _bounds(rules: MeetingRules, now: datetime) -> tuple[datetime, datetime]:
    moment = now.astimezone(UTC)
    return moment + timedelta(minutes=rules.notice_minutes), moment + timedelta(days=rules.horizon_days)


def _grid(rules: MeetingRules, zone: tzinfo, day: date) -> tuple[Span, ...]:
    """The starts of one local day, in order, each instant once, whether free or not."""
    starts: dict[datetime, Span] = {}
    for weekday, opens, closes in rules.hours:
        if weekday != day.weekday():
            continue
        closing = _instant(datetime.combine(day, closes), zone)
        wall = datetime.combine(day, opens)
        while wall <= datetime.combine(day, closes):
            begin = _instant(wall, zone)
            end = begin + timedelta(minutes=rules.minutes)
            exists = begin.astimezone(zone).replace(tzinfo=None) == wall
            if exists and end <= closing:
                starts[begin] = Span(begin, end)
            wall += timedelta(minutes=rules.step_minutes)
    return tuple(starts[key] for key in sorted(starts))


def _instant(wall: datetime, zone: tzinfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)
