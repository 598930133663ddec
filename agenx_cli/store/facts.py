"""Facts and events as JSON: moments are ISO 8601 text, sets are sorted lists, nothing unknown is written."""

from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from agenx_cli.core.attempt import AnsweredBy, CallEvent, CarrierStatus, Facts

_MOMENTS = {"answered_at", "ended_at", "stream_started_at", "stream_ended_at"}
_SETS = {"reasons", "hung_up_by_us", "booked", "cancelled"}


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Only what differs from knowing nothing."""
    nothing = Facts()
    known = ((name.name, getattr(facts, name.name)) for name in fields(Facts))
    return {name: _plain(value) for name, value in known if value != getattr(nothing, name)}


def facts_from_json(stored: dict[str, Any]) -> Facts:
    """The inverse. A field of a later version is dropped: what it proves, that version will see again."""
    names = {name.name for name in fields(Facts)}
    return Facts(**{name: _typed(name, value) for name, value in stored.items() if name in names})


def event_to_json(event: CallEvent) -> dict[str, Any]:
    """What an event said, for the record."""
    known = ((name.name, getattr(event, name.name)) for name in fields(event))
    return {name: _plain(value) for name, value in known if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    return str(value) if isinstance(value, StrEnum) else value


def _typed(name: str, value: Any) -> Any:
    if name in _MOMENTS:
        return datetime.fromisoformat(value)
    if name in _SETS:
        return frozenset(value)
    if name == "status":
        return CarrierStatus(value)
    return AnsweredBy(value) if name == "answered_by" else value
