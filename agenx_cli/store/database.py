"""One SQLite file: opened, migrated when due, and used in transactions whose failures are ``StoreError``.

WAL with ``synchronous=FULL`` for every commit, not only for intents, opt-outs and meetings: it costs about 0.14 ms
and leaves no table of what may be lost on a power cut. Writers take the lock at BEGIN (IMMEDIATE), so that what a
transaction read is still true when it writes; inside one process they queue on a lock of ours, which is fair,
across processes on SQLite's own with ``BUSY_MS``.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from agenx_cli.errors import StoreError

BUSY_MS = 5_000
HEAD = "0001"
"""The number of the newest migration; a test holds it to the files."""


class Database:
    """Connections to one file, for several threads."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._writing = threading.RLock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; nothing is written. Raises StoreError."""
        with _translated(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One durable transaction: committed at the end of the block, undone by any exception.

        Raises StoreError; an IntegrityError passes through for the query that expects it.
        """
        with _translated(self.path), self._writing, self._engine.connect() as plain:
            connection = plain.execution_options(agenx_begin="IMMEDIATE")
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open, create or migrate the file that ``url`` names (``sqlite:///path``). Raises StoreError."""
    path = _path_of(url)
    _create(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_MS / 1000}, pool_size=8
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    database = Database(engine, path)
    try:
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _path_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise StoreError(
            "the database URL cannot be read", fix="use sqlite:///path/to/agenx.db, or unset AGENX_DATABASE_URL"
        ) from exc
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise StoreError(
            f"this version keeps its state in a SQLite file, not in {parsed.get_backend_name()}",
            fix="set AGENX_DATABASE_URL=sqlite:///path/to/agenx.db, or unset it",
        )
    return Path(parsed.database).expanduser()


def _create(path: Path) -> None:
    """An empty file only its owner may read (where the system has such a thing); SQLite's own files inherit it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as exc:
        raise StoreError(
            f"the database {path} cannot be created: {exc.strerror}",
            fix="check the folder's permissions and free space, or point AGENX_HOME elsewhere",
        ) from exc


def _on_connect(connection: Any, _record: Any) -> None:
    """sqlite3 would begin transactions by itself and too late; from here on only ``_on_begin`` does."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    kind = connection.get_execution_options().get("agenx_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _version(connection: Connection) -> str | None:
    """The migration a file is at: None for a fresh one."""
    known = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('alembic_version', 'attempts')"
    )
    names = {row[0] for row in known}
    if "alembic_version" not in names:
        if names:
            raise StoreError("this file is a database of another program", fix="point AGENX_HOME elsewhere")
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _migrate(database: Database) -> None:
    """Bring the file to HEAD. alembic is imported only when there is something to do."""
    with database.read() as connection:
        if _version(connection) == HEAD:
            return
    with database.write() as connection:
        version = _version(connection)
        if version == HEAD:
            return
        if version is not None and version > HEAD:
            raise StoreError(
                f"the database is at version {version}; this agenx knows versions up to {HEAD}",
                fix="upgrade agenx: pip install --upgrade agenx",
            )
        from agenx_cli.store.migrate import upgrade  # noqa: PLC0415  alembic costs 0.2 s and is rarely needed

        upgrade(connection)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as exc:
        raise _explained(path, str(exc.orig)) from exc
    except SQLAlchemyError as exc:
        raise StoreError(f"the database {path} cannot be used: {type(exc).__name__}") from exc


_EXPLAINED = (
    ("locked", "is held by another program", f"close what holds it; agenx waits {BUSY_MS // 1000} s for it"),
    ("busy", "is held by another program", f"close what holds it; agenx waits {BUSY_MS // 1000} s for it"),
    ("full", "cannot grow: the disk is full", "free some space; what was committed is safe"),
    ("malformed", "is damaged", "restore a backup, or move the file away to start afresh"),
    ("not a database", "is not a database", "restore a backup, or move the file away to start afresh"),
    ("disk i/o", "cannot be read or written: the disk reports an error", "check the disk"),
    ("readonly", "may not be written", "check the permissions of the file and its folder"),
    ("unable to open", "cannot be opened", "check the permissions of the file and its folder"),
)


def _explained(path: Path, message: str) -> StoreError:
    lower = message.lower()
    for word, what, fix in _EXPLAINED:
        if word in lower:
            return StoreError(f"the database {path} {what}", fix=fix)
    return StoreError(f"the database {path} refused: {message}")
