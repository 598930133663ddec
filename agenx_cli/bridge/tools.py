"""The tools of one call: each request of the model is checked, committed, and only then answered.

``run`` is synchronous (the session calls it in a thread) and raises nothing: what the model got wrong and what we
could not save both come back as ``{"error": …}``, so that no call of a tool is left unanswered and nothing is claimed
that was not committed. What identifies an action is the store's state, not the model's call id: asked twice, a tool
answers the same and does nothing the second time.
"""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from agenx_cli.bridge.on_offer import OnOffer
from agenx_cli.core.booking import Meeting, SlotProblem, SlotTaken, Span, choose, free_slots, offers
from agenx_cli.core.phrases import spoken
from agenx_cli.core.playbook import Playbook
from agenx_cli.core.signals import ToolAnswered, ToolCall
from agenx_cli.core.tools import (
    BookMeeting,
    CancelMeeting,
    CheckAvailability,
    EndCall,
    OptOut,
    RecordAnswer,
    Request,
    ScheduleCallback,
    ToolError,
    idempotency_key,
    parse,
)
from agenx_cli.errors import CalendarError, StoreError
from agenx_cli.ports import Calendar, Clock
from agenx_cli.store.store import Store

logger = logging.getLogger(__name__)

OFFERED = 6
"""How many free times the model is told at once."""

CALLBACK_DAYS = 60
"""How far ahead a callback may be agreed."""

Answer = tuple[dict[str, Any], frozenset[str]]
NOTHING: frozenset[str] = frozenset()
NOT_SAVED = {"error": "It could not be saved. Say that it did not work; do not say that it is done."}
NO_NUMBER = {
    "error": "The person's number is withheld: we do not have it, so we cannot call it. Say so; nothing was noted."
}


class Toolbox:
    """What one call's model may do. ``callee`` is the other person's number, E.164; empty when it is withheld.

    ``on_offer`` is shared by the calls that are live at once.
    """

    def __init__(
        self,
        *,
        attempt_uid: str,
        callee: str,
        playbook: Playbook,
        store: Store,
        calendar: Calendar,
        clock: Clock,
        on_offer: OnOffer,
    ) -> None:
        self._attempt_uid = attempt_uid
        self._callee = callee
        self._playbook = playbook
        self._store = store
        self._calendar = calendar
        self._clock = clock
        self._on_offer = on_offer
        self._zone = ZoneInfo(playbook.time_zone or "UTC")

    def run(self, call: ToolCall) -> ToolAnswered:
        """Do what the model asks for and say what came of it. Committed before it is answered."""
        request = parse(call.name, call.arguments, self._playbook)
        try:
            output, facts = self._perform(request)
        except StoreError as error:
            told = {"tool": type(request).__name__, "reason": error.message}
            logger.error("tool.not_saved", extra=told)  # noqa: TRY400  the message says it all
            output, facts = NOT_SAVED, NOTHING
        if "error" in output:
            logger.info("tool.refused", extra={"tool": type(request).__name__})
        return ToolAnswered(call.call_id, json.dumps(output, ensure_ascii=False), facts)

    def _perform(self, request: Request | ToolError) -> Answer:
        match request:
            case ToolError(message):
                answer: Answer = {"error": message}, NOTHING
            case CheckAvailability():
                answer = self._check_availability(request), NOTHING
            case BookMeeting():
                answer = self._book_meeting(request)
            case CancelMeeting():
                answer = self._cancel_meeting(request)
            case ScheduleCallback():
                answer = self._schedule_callback(request)
            case OptOut():
                answer = self._opt_out(request)
            case RecordAnswer(field, value):
                self._store.answers.put(self._attempt_uid, field, value)
                answer = {"status": "recorded"}, frozenset({"answer"})
            case EndCall():
                answer = {"error": "The call is ended elsewhere."}, NOTHING
        return answer

    # --- meetings

    def _check_availability(self, request: CheckAvailability) -> dict[str, Any]:
        now = self._clock.now()
        horizon = now + timedelta(days=self._playbook.meetings.horizon_days)
        between = Span.of(request.since or now, request.until or horizon)
        return {"slots": self._offer(now, between), "time_zone": self._zone.key}

    def _offer(self, now: datetime, between: Span | None = None) -> list[dict[str, str]]:
        """A few free times; all of them alike when they lie within one day, else some of each day."""
        rules, busy = self._playbook.meetings, self._busy(now)
        one_day = between is not None and between.end - between.start <= timedelta(days=1)

        def free() -> Iterable[Span]:
            return free_slots(rules, self._zone, busy, now, between=between)

        def pick(slots: Iterable[Span]) -> tuple[Span, ...]:
            return tuple(islice(slots, OFFERED)) if one_day else offers(slots, self._zone, OFFERED)

        return [self._said(slot) for slot in self._on_offer.choose(rules.host, self._attempt_uid, free, pick)]

    def _said(self, slot: Span) -> dict[str, str]:
        start = slot.start.astimezone(self._zone)
        return {"start": start.isoformat(), "spoken": spoken(start, self._playbook.language)}

    def _busy(self, now: datetime) -> tuple[Span, ...]:
        rules = self._playbook.meetings
        around = Span(now.astimezone(UTC), now.astimezone(UTC) + timedelta(days=rules.horizon_days + 1))
        return self._store.meetings.busy(rules.host, around)

    def _book_meeting(self, request: BookMeeting) -> Answer:
        if not request.confirmed:
            return {"error": "Not booked. Read the day and the time back and get a clear yes first."}, NOTHING
        mine = self._store.meetings.of_attempt(self._attempt_uid)
        standing = next((meeting for meeting in mine if meeting.status != "cancelled"), None)
        if standing is not None and standing.starts_at == request.start:
            return self._commit(standing)
        if standing is not None:
            message = f"This call has already booked {self._said(standing.span)['spoken']}. Cancel that one first."
            return {"error": message, "meeting_id": standing.id}, NOTHING
        now = self._clock.now()
        slot = choose(request.start, self._playbook.meetings, self._zone, self._busy(now), now)
        if isinstance(slot, SlotProblem):
            return {"error": f"Not booked. {slot.sentence}", "slots": self._offer(now)}, NOTHING
        held = self._store.meetings.hold(self._meeting(request, slot, now, len(mine)))
        if isinstance(held, SlotTaken):
            return {"error": "Not booked. That time has just been taken.", "slots": self._offer(now)}, NOTHING
        return self._commit(held)

    def _meeting(self, request: BookMeeting, slot: Span, now: datetime, nth: int) -> Meeting:
        key = idempotency_key(self._attempt_uid, request)[:16]
        rules = self._playbook.meetings
        return Meeting(
            id=f"{key}-{nth}" if nth else key,
            attempt_uid=self._attempt_uid,
            host=rules.host,
            starts_at=slot.start,
            ends_at=slot.end,
            status="held",
            phone=self._callee,
            title=rules.title or self._playbook.company,
            zone=self._zone.key,
            name=request.name,
            email=request.email,
            notes=request.notes,
            calendar=self._calendar.name,
            created_at=now,
            updated_at=now,
        )

    def _commit(self, held: Meeting) -> Answer:
        booked = self._store.meetings.commit(held.id, self._clock.now())
        if booked is None:
            return {"error": "Not booked. That meeting was cancelled meanwhile."}, NOTHING
        self._write_down(booked)
        said = self._said(booked.span)
        return {"status": "booked", "meeting_id": booked.id, **said}, frozenset({"meeting_booked"})

    def _cancel_meeting(self, request: CancelMeeting) -> Answer:
        mine = self._store.meetings.of_attempt(self._attempt_uid)
        meeting = next((each for each in reversed(mine) if request.meeting_id in {None, each.id}), None)
        if meeting is None:
            return {"error": "This call has not booked such a meeting; only its own can be cancelled."}, NOTHING
        cancelled = self._store.meetings.cancel(meeting.id, self._clock.now())
        self._write_down(cancelled or meeting)
        return {"status": "cancelled", "meeting_id": meeting.id}, frozenset({"meeting_cancelled"})

    def _write_down(self, meeting: Meeting) -> None:
        """Tell the calendar. The meeting stands even if that fails: the next start repairs it."""
        try:
            self._calendar.put(meeting)
        except CalendarError as error:
            told = {"meeting": meeting.id, "reason": error.message}
            logger.error("calendar.not_written", extra=told)  # noqa: TRY400  the message says it all

    # --- the rest

    def _schedule_callback(self, request: ScheduleCallback) -> Answer:
        now = self._clock.now()
        if not now < request.at <= now + timedelta(days=CALLBACK_DAYS):
            message = f"A callback must be in the future, at most {CALLBACK_DAYS} days ahead."
            return {"error": message}, NOTHING
        if not self._callee:
            return NO_NUMBER, NOTHING
        self._store.callbacks.put(self._attempt_uid, self._callee, request.at, request.note, now)
        at = request.at.astimezone(self._zone)
        said = {"at": at.isoformat(), "spoken": spoken(at, self._playbook.language)}
        return {"status": "scheduled", **said}, frozenset({"callback"})

    def _opt_out(self, request: OptOut) -> Answer:
        if not self._callee:
            return NO_NUMBER, NOTHING
        reason = request.reason or "asked in a call"
        source, now = f"call {self._attempt_uid}", self._clock.now()
        self._store.suppression.add(self._callee, reason, source, now, attempt_uid=self._attempt_uid)
        return {"status": "opted_out"}, frozenset({"opted_out"})


def repair(store: Store, calendar: Calendar, now: datetime) -> int:
    """At start, before any call is served: finish what a process that died had begun. Says how many meetings it mended.

    A meeting that was only held is booked, because the callee had agreed to it; then the calendar is given what it
    lacks. Raises StoreError and CalendarError.
    """
    held = [meeting for meeting in store.meetings.list() if meeting.status == "held"]
    for meeting in held:
        store.meetings.commit(meeting.id, now)
    return max(len(held), calendar.repair(store.meetings.list()))
