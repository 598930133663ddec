"""The suppression list: numbers that are never rung again, by anybody, in any campaign."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from agenx_cli.core.attempt import OptedOut
from agenx_cli.store.attempt_rows import fold_into, load
from agenx_cli.store.database import Database
from agenx_cli.store.records import Suppressed
from agenx_cli.store.tables import suppression


class SuppressionList:
    """Each method is one durable transaction and raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, number: str, reason: str, source: str, now: datetime, *, attempt_uid: str | None = None) -> bool:
        """Suppress. False when it already was; the first reason stays.

        With ``attempt_uid``, that call's opt-out is reported in the same transaction.
        """
        row = insert(suppression).values(number=number, reason=reason, source=source, created_at=now)
        with self._database.write() as connection:
            attempt = None if attempt_uid is None else load(connection, attempt_uid)
            if attempt is not None:
                fold_into(connection, attempt, OptedOut(), "opt_out", now)
            return connection.execute(row.on_conflict_do_nothing()).rowcount == 1

    def remove(self, number: str) -> bool:
        """Take off the list. False when it was not on it."""
        with self._database.write() as connection:
            return connection.execute(delete(suppression).where(suppression.c.number == number)).rowcount == 1

    def has(self, number: str) -> bool:
        """Whether it must not be rung."""
        return self.get(number) is not None

    def get(self, number: str) -> Suppressed | None:
        """Why and since when, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(suppression).where(suppression.c.number == number)).fetchone()
            return None if row is None else Suppressed(row.number, row.reason, row.source, row.created_at)

    def list(self) -> tuple[Suppressed, ...]:
        """All of it, newest first."""
        query = select(suppression).order_by(suppression.c.created_at.desc(), suppression.c.number)
        with self._database.read() as connection:
            return tuple(
                Suppressed(row.number, row.reason, row.source, row.created_at) for row in connection.execute(query)
            )
