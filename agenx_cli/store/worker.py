"""One worker per SQLite file.

The lock is an exclusive transaction on a side file, held for as long as the process lives: the operating system
lets go of it when the process dies, however it dies, on every system that SQLite knows. Who holds it stands in the
``workers`` table, because nobody can read a file that is held exclusively.
"""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert

from agenx_cli.errors import StoreError
from agenx_cli.store.database import Database
from agenx_cli.store.records import WorkerRecord
from agenx_cli.store.tables import workers


class Worker:
    """Take the lock, say who has it, find who has it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._path = database.path.with_name(database.path.name + ".worker")
        self._lock: sqlite3.Connection | None = None
        self._owner: str | None = None

    def acquire(self, me: WorkerRecord) -> None:
        """Be the worker from here on. Raises StoreError that says who is, when somebody else is."""
        lock = _locked(self._path)
        if lock is None:
            raise StoreError(_held_by(self._last()), fix="end that process, or use another AGENX_HOME")
        self._lock, self._owner = lock, me.owner
        values = {
            "pid": me.pid,
            "host": me.host,
            "control_url": me.control_url,
            "kind": me.kind,
            "started_at": me.started_at,
            "ended_at": None,
        }
        row = insert(workers).values(owner=me.owner, **values)
        with self._database.write() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=[workers.c.owner], set_=values))

    def announce(self, control_url: str) -> None:
        """Say where commands reach this worker, once that is known."""
        with self._database.write() as connection:
            connection.execute(update(workers).where(workers.c.owner == self._owner).values(control_url=control_url))

    def release(self, now: datetime) -> None:
        """Stop being the worker. Safe to call twice."""
        if self._lock is None:
            return
        with self._database.write() as connection:
            connection.execute(update(workers).where(workers.c.owner == self._owner).values(ended_at=now))
        self._lock.close()
        self._lock = None

    def holder(self) -> WorkerRecord | None:
        """The worker that runs now, or None. Looks at the lock itself, not at what a dead process left."""
        if self._lock is None:
            probe = _locked(self._path)
            if probe is not None:
                probe.close()
                return None
        return self._last()

    def _last(self) -> WorkerRecord | None:
        query = select(workers).where(workers.c.ended_at.is_(None)).order_by(workers.c.started_at.desc())
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).fetchone()
            return None if row is None else WorkerRecord(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name


def _locked(path: Path) -> sqlite3.Connection | None:
    """The side file, held exclusively, or None when another process has it."""
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as exc:
        raise _no_lock(path, exc) from exc
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as exc:
        with closing(connection):
            if "locked" in str(exc) or "busy" in str(exc):
                return None
            raise _no_lock(path, exc) from exc
    return connection


def _no_lock(path: Path, exc: sqlite3.Error) -> StoreError:
    return StoreError(
        f"the lock {path} cannot be taken: {exc}", fix="check the folder's permissions, or remove the file"
    )


def _held_by(record: WorkerRecord | None) -> str:
    if record is None:
        return "another agenx process is just starting on this database"
    since = record.started_at.isoformat(timespec="seconds")
    return (
        f"this database already has a worker: agenx {record.kind}, process {record.pid} on {record.host}, since {since}"
    )
