"""What the model may ask us to do: its arguments are hostile text until they have passed here.

``parse`` gives one typed request per tool, or a ``ToolError`` whose sentence goes back to the model so that it can
mend its call. ``idempotency_key`` names an action by (attempt, tool, what makes it that action): a session that was
opened anew calls the same tool again under another call id, and must not book twice.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never, get_args

from agenx_cli.core.playbook import AnswerField, EndReason, Playbook, tool_schema
from agenx_cli.core.templates import clean

MAX_ARGUMENTS_CHARACTERS = 8_000
MAX_NAME, MAX_EMAIL, MAX_TEXT = 120, 254, 600
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
EMAIL = re.compile(r"[^\s@<>()\[\],;:\"\\]{1,64}@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,6})?", re.ASCII)
YEARS = range(2000, 2100)
"""Moments of other years are mistakes, and at both ends of the calendar zones and horizons can no longer be added."""
YES = frozenset({"yes", "true", "sí", "si", "y", "s"})
NO = frozenset({"no", "false", "n"})


@dataclass(frozen=True, slots=True)
class ToolError:
    """What is wrong with a call, for the model: one or two sentences in English."""

    message: str


@dataclass(frozen=True, slots=True)
class CheckAvailability:
    """Free starts, optionally only those between two moments."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class BookMeeting:
    """A meeting at ``start``; ``confirmed`` says that the callee agreed after the time was read back."""

    start: datetime
    confirmed: bool
    name: str | None
    email: str | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class CancelMeeting:
    """The meeting that this call booked; ``meeting_id`` may say which, but never another call's."""

    meeting_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ScheduleCallback:
    """The callee wants to be rung again at this moment."""

    at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class OptOut:
    """The callee does not want any more calls."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """A field of the playbook and its value, normalised by the field's kind."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """The conversation is over."""

    reason: EndReason


Request = CheckAvailability | BookMeeting | CancelMeeting | ScheduleCallback | OptOut | RecordAnswer | EndCall


class _ArgumentError(Exception):
    """Carries a ToolError out of the readers below; never leaves this module."""


def parse(name: str, arguments: str, playbook: Playbook) -> Request | ToolError:
    """The request that a tool call makes, or what to tell the model about it. Raises nothing."""
    if name not in playbook.tools:
        return ToolError(f"There is no tool named {clean(name, 60)!r}. Tools: {', '.join(playbook.tools)}.")
    try:
        given = _object(arguments)
        allowed = tool_schema(name, playbook)["parameters"]["properties"]
        _refuse_others(given, allowed)
        return _READERS[name](given, playbook)
    except _ArgumentError as exc:
        return ToolError(str(exc))


def idempotency_key(attempt_uid: str, request: Request) -> str:
    """32 hexadecimal digits that are the same whenever the same action is asked for in the same attempt."""
    parts = [attempt_uid, type(request).__name__, *_identity(request)]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _identity(request: Request) -> tuple[str, ...]:
    match request:
        case BookMeeting(start=moment) | ScheduleCallback(at=moment):
            return (moment.isoformat(),)
        case RecordAnswer(field=field, value=value):
            return (field, value)
        case CheckAvailability(since=since, until=until):
            return (str(since), str(until))
        case EndCall(reason=reason):
            return (reason,)
        case CancelMeeting() | OptOut():
            return ()
        case _:
            assert_never(request)


def _object(text: str) -> Mapping[str, Any]:
    if len(text) > MAX_ARGUMENTS_CHARACTERS:
        raise _ArgumentError("The arguments are too long.")
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError) as exc:
        raise _ArgumentError("The arguments are not valid JSON.") from exc
    if not isinstance(given, dict):
        raise _ArgumentError("The arguments must be one JSON object.")
    return given


def _refuse_others(given: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    for name in given:
        if name not in allowed:
            raise _ArgumentError(f"Unknown argument {clean(name, 60)!r}. Arguments: {', '.join(allowed)}.")


def _check_availability(given: Mapping[str, Any], _: Playbook) -> Request:
    since, until = _moment(given, "from"), _moment(given, "to")
    if since is not None and until is not None and until <= since:
        raise _ArgumentError("'to' must be later than 'from'.")
    return CheckAvailability(since, until)


def _book_meeting(given: Mapping[str, Any], _: Playbook) -> Request:
    confirmed = given.get("confirmed")
    if not isinstance(confirmed, bool):
        raise _ArgumentError("'confirmed' must be true or false.")
    email = _text(given, "email", MAX_EMAIL)
    if email is not None and EMAIL.fullmatch(email) is None:
        raise _ArgumentError("'email' is not an e-mail address. Ask the person to spell it, or leave it out.")
    start = _needed_moment(given, "start")
    return BookMeeting(start, confirmed, _text(given, "name", MAX_NAME), email, _text(given, "notes", MAX_TEXT))


def _cancel_meeting(given: Mapping[str, Any], _: Playbook) -> Request:
    return CancelMeeting(_text(given, "meeting_id", MAX_NAME), _text(given, "reason", MAX_TEXT))


def _schedule_callback(given: Mapping[str, Any], _: Playbook) -> Request:
    return ScheduleCallback(_needed_moment(given, "at"), _text(given, "note", MAX_TEXT))


def _opt_out(given: Mapping[str, Any], _: Playbook) -> Request:
    return OptOut(_text(given, "reason", MAX_TEXT))


def _record_answer(given: Mapping[str, Any], playbook: Playbook) -> Request:
    name = _needed_text(given, "field", MAX_NAME)
    field = next((answer for answer in playbook.answers if answer.name == name), None)
    if field is None:
        names = ", ".join(answer.name for answer in playbook.answers)
        raise _ArgumentError(f"There is no field {name!r}. Fields: {names}.")
    return RecordAnswer(name, _value(field, _needed_text(given, "value", MAX_TEXT)))


def _end_call(given: Mapping[str, Any], _: Playbook) -> Request:
    reasons: tuple[EndReason, ...] = get_args(EndReason)
    for reason in reasons:
        if given.get("reason") == reason:
            return EndCall(reason)
    raise _ArgumentError(f"'reason' must be one of: {', '.join(reasons)}.")


_READERS: dict[str, Callable[[Mapping[str, Any], Playbook], Request]] = {
    "check_availability": _check_availability,
    "book_meeting": _book_meeting,
    "cancel_meeting": _cancel_meeting,
    "schedule_callback": _schedule_callback,
    "opt_out": _opt_out,
    "record_answer": _record_answer,
    "end_call": _end_call,
}


def _value(field: AnswerField, text: str) -> str:
    """The answer in the form in which it is kept: ``yes``/``no``, a plain number, the choice as the playbook has it."""
    word = text.casefold().rstrip(".")
    if field.kind == "yes_no":
        if word not in YES | NO:
            raise _ArgumentError(f"The value of {field.name!r} must be 'yes' or 'no'.")
        return "yes" if word in YES else "no"
    if field.kind == "number":
        if NUMBER.fullmatch(text) is None:
            raise _ArgumentError(f"The value of {field.name!r} must be a number in digits, for instance 12 or 12.5.")
        return text
    if field.kind == "choice":
        chosen = next((choice for choice in field.choices if choice.casefold() == word), None)
        if chosen is None:
            raise _ArgumentError(f"The value of {field.name!r} must be one of: {', '.join(field.choices)}.")
        return chosen
    return text


def _text(given: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _ArgumentError(f"'{name}' must be text.")
    return clean(value, limit) or None


def _needed_text(given: Mapping[str, Any], name: str, limit: int) -> str:
    value = _text(given, name, limit)
    if value is None:
        raise _ArgumentError(f"'{name}' is required.")
    return value


def _moment(given: Mapping[str, Any], name: str) -> datetime | None:
    """A moment in UTC from ISO 8601 with an offset, to the minute or finer, in one of the ``YEARS``."""
    value = given.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and MOMENT.fullmatch(value) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _ArgumentError(f"'{name}' must be ISO 8601 with an offset, for instance 2026-11-24T10:00:00+01:00.")
    if moment.year not in YEARS:
        raise _ArgumentError(f"The year of '{name}' must be one from {YEARS.start} to {YEARS.stop - 1}.")
    return moment.astimezone(UTC)


def _needed_moment(given: Mapping[str, Any], name: str) -> datetime:
    value = _moment(given, name)
    if value is None:
        raise _ArgumentError(f"'{name}' is required: ISO 8601 with an offset, for instance 2026-11-24T10:00:00+01:00.")
    return value
