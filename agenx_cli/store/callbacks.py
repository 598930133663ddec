"""Callbacks that were agreed: one per attempt, the last one counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from agenx_cli.core.attempt import CallbackAgreed
from agenx_cli.store.attempt_rows import fold_into, load
from agenx_cli.store.database import Database
from agenx_cli.store.tables import callbacks


@dataclass(frozen=True, slots=True)
class Callback:
    """Somebody wants to be rung again."""

    attempt_uid: str
    phone: str
    due_at: datetime
    note: str | None
    created_at: datetime

    def __repr__(self) -> str:
        """Without anything personal: this may end up in a log."""
        return f"Callback({self.attempt_uid}, {self.due_at.isoformat()})"


class Callbacks:
    """The table of callbacks. Every method is one transaction and may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, attempt_uid: str, phone: str, due_at: datetime, note: str | None, now: datetime) -> None:
        """Write down when to ring again, and report it to the attempt; a later agreement of the call replaces it."""
        changed = {"phone": phone, "due_at": due_at, "note": note, "created_at": now}
        row = insert(callbacks).values(attempt_uid=attempt_uid, **changed)
        with self._database.write() as connection:
            connection.execute(row.on_conflict_do_update(["attempt_uid"], set_=changed))
            attempt = load(connection, attempt_uid)
            if attempt is not None:
                fold_into(connection, attempt, CallbackAgreed(), "callback", now)

    def of(self, attempt_uid: str) -> Callback | None:
        """What was agreed in one call, if anything."""
        query = select(callbacks).where(callbacks.c.attempt_uid == attempt_uid)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else Callback(**row._asdict())

    def list(self) -> tuple[Callback, ...]:
        """All of them, soonest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(callbacks).order_by(callbacks.c.due_at))
            return tuple(Callback(**row._asdict()) for row in rows)
