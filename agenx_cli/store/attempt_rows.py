"""An attempt's row: read into a record, and rewritten from facts."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from agenx_cli.core.attempt import Accepted, CallEvent, Disposition, Facts, Phase, disposition, fold, phase
from agenx_cli.store.facts import event_to_json, facts_from_json, facts_to_json
from agenx_cli.store.records import Adopted, Attempt, Conflict, Figures
from agenx_cli.store.tables import attempt_events, attempts

_FIGURES = tuple(name.name for name in fields(Figures))
_DERIVED = {"facts", "phase", "disposition", "figures", "variables"}
_PLAIN = tuple(name.name for name in fields(Attempt) if name.name not in _DERIVED)


def record_of(row: Row[Any]) -> Attempt:
    """A row as a record."""
    values = row._mapping  # noqa: SLF001  SQLAlchemy's public name for it
    return Attempt(
        **{name: values[name] for name in _PLAIN},
        variables=dict(values["variables"]),
        facts=facts_from_json(values["facts"]),
        phase=Phase(values["phase"]),
        disposition=None if values["disposition"] is None else Disposition(values["disposition"]),
        figures=Figures(**{name: values[name] for name in _FIGURES}),
    )


def load(connection: Connection, uid: str) -> Attempt | None:
    """One attempt, or None."""
    row = connection.execute(select(attempts).where(attempts.c.uid == uid)).fetchone()
    return None if row is None else record_of(row)


def load_by_call(connection: Connection, call_id: str) -> Attempt | None:
    """The attempt that has this call of the carrier, or None."""
    row = connection.execute(select(attempts).where(attempts.c.carrier_call_id == call_id)).fetchone()
    return None if row is None else record_of(row)


def derived(facts: Facts) -> dict[str, Any]:
    """The columns that follow from facts."""
    ending = disposition(facts)
    return {
        "facts": facts_to_json(facts),
        "phase": int(phase(facts)),
        "disposition": None if ending is None else str(ending),
        "answered_by": None if facts.answered_by is None else str(facts.answered_by),
        "answered_at": facts.answered_at,
        "ended_at": facts.ended_at,
        "duration_s": facts.duration_s,
    }


def fold_into(
    connection: Connection, attempt: Attempt, event: CallEvent, key: str, now: datetime, **columns: Any
) -> Attempt:
    """Keep the report once, and join it to the facts. A repeated one changes nothing.

    An attempt that ends without the carrier's word for when gets ``now``, once.
    """
    connection.execute(
        sqlite_insert(attempt_events)
        .values(attempt_uid=attempt.uid, key=key, kind=type(event).__name__, body=event_to_json(event), at=now)
        .on_conflict_do_nothing()
    )
    facts = fold(attempt.facts, event)
    if facts == attempt.facts and not columns:
        return attempt
    values = derived(facts) | {"error_code": facts.not_placed or facts.error_code} | columns
    if values["phase"] == Phase.ENDED and values["ended_at"] is None:
        values["ended_at"] = attempt.ended_at or now
    connection.execute(update(attempts).where(attempts.c.uid == attempt.uid).values(changed_at=now, **values))
    return _must(load(connection, attempt.uid))


def add(connection: Connection, **values: Any) -> Attempt:
    """A new row; the caller names every column that has no obvious start."""
    start = derived(values.pop("facts")) | {"epoch": 1, "looks": 0}
    connection.execute(insert(attempts).values(**(start | values)))
    return _must(load(connection, values["uid"]))


def change(connection: Connection, uid: str, now: datetime, **columns: Any) -> Attempt:
    """Set columns that are not derived from facts."""
    connection.execute(update(attempts).where(attempts.c.uid == uid).values(changed_at=now, **columns))
    return _must(load(connection, uid))


def adopt(connection: Connection, uid: str, call_id: str, now: datetime) -> Adopted | Conflict | None:
    """Compare-and-set the carrier's id; the first one wins. None: no such attempt, or another attempt's call."""
    attempt = load(connection, uid)
    if attempt is None:
        return None
    if attempt.carrier_call_id is not None:
        same = attempt.carrier_call_id == call_id
        return Adopted(attempt) if same else Conflict(attempt, attempt.carrier_call_id)
    if load_by_call(connection, call_id) is not None:
        return None
    return Adopted(fold_into(connection, attempt, Accepted(), "accepted", now, carrier_call_id=call_id))


def _must(attempt: Attempt | None) -> Attempt:
    if attempt is None:
        raise AssertionError("a row that was just written is not there")
    return attempt
