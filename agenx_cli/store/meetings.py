"""Meetings: held, then booked, or cancelled; of one host no two that stand ever overlap.

A hold is written before anything else is done about a meeting, and turns into a booking at once. One that is still
only held when a process starts was left by one that died in between: the callee had agreed, so it is then booked.
A meeting that was cancelled stays as a row; the same slot can be held again under another id.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from agenx_cli.core.attempt import MeetingBooked, MeetingCancelled
from agenx_cli.core.booking import Meeting, MeetingStatus, SlotTaken, Span
from agenx_cli.store.attempt_rows import fold_into, load
from agenx_cli.store.database import Database
from agenx_cli.store.tables import meetings


class Meetings:
    """The table of meetings. Every method is one transaction and may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hold(self, wanted: Meeting) -> Meeting | SlotTaken:
        """Take the slot, or say that it is taken. The same id twice is the same hold, whatever became of it."""
        with self._database.write() as connection:
            row = connection.execute(select(meetings).where(meetings.c.id == wanted.id)).one_or_none()
            if row is not None:
                return _meeting(row)
            overlapping = _standing(wanted.host, wanted.span).limit(1)
            if connection.execute(overlapping).one_or_none() is not None:
                return SlotTaken(wanted.span)
            connection.execute(insert(meetings).values(**asdict(wanted)))
            return wanted

    def commit(self, meeting_id: str, now: datetime) -> Meeting | None:
        """Book what is held; None when there is no such meeting or it was cancelled. Twice is once."""
        meeting = self._change(meeting_id, ("held",), "booked", now)
        return meeting if meeting is not None and meeting.status == "booked" else None

    def cancel(self, meeting_id: str, now: datetime) -> Meeting | None:
        """Take a meeting back, held or booked; None when there is no such meeting. Twice is once."""
        return self._change(meeting_id, ("held", "booked"), "cancelled", now)

    def get(self, meeting_id: str) -> Meeting | None:
        """One meeting, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(meetings).where(meetings.c.id == meeting_id)).one_or_none()
            return None if row is None else _meeting(row)

    def list(self) -> tuple[Meeting, ...]:
        """All meetings, soonest first, cancelled ones included."""
        return self._all(select(meetings).order_by(meetings.c.starts_at, meetings.c.id))

    def of_attempt(self, attempt_uid: str) -> tuple[Meeting, ...]:
        """What one call booked, in the order in which it did."""
        query = select(meetings).where(meetings.c.attempt_uid == attempt_uid)
        return self._all(query.order_by(meetings.c.created_at, meetings.c.id))

    def busy(self, host: str, between: Span) -> tuple[Span, ...]:
        """When a host is taken, held slots included."""
        return tuple(meeting.span for meeting in self._all(_standing(host, between)))

    def _change(
        self, meeting_id: str, old: tuple[MeetingStatus, ...], new: MeetingStatus, now: datetime
    ) -> Meeting | None:
        with self._database.write() as connection:
            change = update(meetings).where(meetings.c.id == meeting_id, meetings.c.status.in_(old))
            changed = connection.execute(change.values(status=new, updated_at=now)).rowcount == 1
            row = connection.execute(select(meetings).where(meetings.c.id == meeting_id)).one_or_none()
            if changed and row is not None:
                _report(connection, row, now)
            return None if row is None else _meeting(row)

    def _all(self, query: "Select[Any]") -> tuple[Meeting, ...]:
        with self._database.read() as connection:
            return tuple(_meeting(row) for row in connection.execute(query))


def _standing(host: str, span: Span) -> "Select[Any]":
    return select(meetings).where(
        meetings.c.host == host,
        meetings.c.status != "cancelled",
        meetings.c.starts_at < span.end,
        meetings.c.ends_at > span.start,
    )


def _report(connection: Connection, row: "Row[Any]", now: datetime) -> None:
    """Tell the attempt what became of its meeting, in the same transaction."""
    attempt = None if row.attempt_uid is None else load(connection, row.attempt_uid)
    if attempt is not None:
        event = MeetingBooked(row.id) if row.status == "booked" else MeetingCancelled(row.id)
        fold_into(connection, attempt, event, f"meeting.{row.status}:{row.id}", now)


def _meeting(row: "Row[Any]") -> Meeting:
    return Meeting(**row._asdict())
