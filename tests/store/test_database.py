"""The file: created, migrated, shared, damaged, held, full."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from agenx_cli.errors import StoreError
from agenx_cli.store import database
from agenx_cli.store.database import HEAD, open_database
from agenx_cli.store.migrate import config
from agenx_cli.store.store import open_store
from agenx_cli.store.tables import Moment, metadata

MOMENT = datetime(2026, 11, 24, 10, 0, 0, 123000, tzinfo=UTC)


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_a_fresh_file_has_exactly_the_tables_that_the_code_names(url):
    opened = open_database(url)
    with opened.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    opened.close()


def test_the_migrations_are_numbered_in_one_line_up_to_head():
    scripts = ScriptDirectory.from_config(config())
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions[0] == HEAD
    assert revisions == [f"{number:04d}" for number in range(len(revisions), 0, -1)]


def test_every_connection_is_durable_and_keeps_references(url):
    opened = open_database(url)
    with opened.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": database.BUSY_MS}
    opened.close()


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX thing")
def test_only_its_owner_may_read_the_file_and_its_neighbours(url):
    store = open_store(url)
    store.suppression.has("+34600000011")
    for file in path_of(url).parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    store.close()


def test_an_up_to_date_file_opens_without_alembic(url):
    open_database(url).close()
    code = f"""
import sys
from agenx_cli.store.store import open_store
open_store({url!r}).close()
assert not [name for name in sys.modules if name.startswith("alembic")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_file_of_a_newer_version_is_refused_untouched(url):
    open_database(url).close()
    with sqlite3.connect(path_of(url)) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    plain.close()
    with pytest.raises(StoreError, match="9999") as caught:
        open_database(url)
    assert "upgrade" in caught.value.fix


def test_a_database_of_another_program_is_refused(url):
    path_of(url).parent.mkdir()
    with sqlite3.connect(path_of(url)) as plain:
        plain.execute("CREATE TABLE attempts (x)")
    plain.close()
    with pytest.raises(StoreError, match="another program"):
        open_database(url)


def test_garbage_is_refused_with_a_fix(url):
    path_of(url).parent.mkdir()
    path_of(url).write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError, match="not a database") as caught:
        open_database(url)
    assert caught.value.fix


def test_a_damaged_page_is_refused_with_a_fix(url):
    store = open_store(url)
    for number in range(600):
        store.suppression.add(f"+346{number:08d}", "asked", "test", MOMENT)
    store.close()
    raw = bytearray(path_of(url).read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    path_of(url).write_bytes(raw)
    with pytest.raises(StoreError) as caught:
        open_store(url).suppression.list()
    assert caught.value.fix


@pytest.mark.parametrize("url", ["postgresql://localhost/x", "sqlite://", "sqlite:///:memory:", "no url"])
def test_another_kind_of_database_is_refused_with_a_fix(url):
    with pytest.raises(StoreError) as caught:
        open_database(url)
    assert "sqlite:///" in caught.value.fix


def test_a_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be created"):
        open_database(f"sqlite:///{tmp_path}/file/agenx.db")


def test_a_file_that_is_a_folder_is_explained(tmp_path):
    with pytest.raises(StoreError) as caught:
        open_database(f"sqlite:///{tmp_path}")
    assert caught.value.fix


def test_a_database_held_by_another_program_is_said_to_be(url, monkeypatch):
    monkeypatch.setattr(database, "BUSY_MS", 50)
    store = open_store(url)
    other = sqlite3.connect(path_of(url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="held by another program"):
        store.suppression.add("+34600000011", "asked", "test", MOMENT)
    other.execute("ROLLBACK")
    other.close()
    assert store.suppression.add("+34600000011", "asked", "test", MOMENT)
    store.close()


def fill(store) -> None:
    """Write until there is no room; the room is what the connection is told it is."""
    with store.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for number in range(2000):
            row = (f"+346{number:08d}" + "x" * 500,)
            connection.exec_driver_sql("INSERT INTO suppression VALUES (?, 'asked', 'test', 0)", row)


def test_a_full_disk_is_said_to_be_and_keeps_what_was_committed(url):
    store = open_store(url)
    store.suppression.add("+34600000011", "asked", "test", MOMENT)
    with pytest.raises(StoreError, match="disk is full") as caught:
        fill(store)
    assert caught.value.fix
    assert [row.number for row in store.suppression.list()] == ["+34600000011"]
    store.close()


def same_row_twice(store) -> None:
    with store.database.write() as connection:
        for _ in range(2):
            connection.exec_driver_sql("INSERT INTO suppression VALUES ('a', 'x', 'x', 0)")


def test_what_a_block_did_is_undone_when_it_fails(store):
    with pytest.raises(IntegrityError):
        same_row_twice(store)
    assert store.suppression.list() == ()


def test_two_processes_may_create_the_file_at_once(url):
    code = f"from agenx_cli.store.store import open_store; open_store({url!r}).suppression.list()"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(timeout=30) for process in running] == [0, 0, 0]


def test_many_threads_write_without_losing_a_row(store):
    def write(thread: int) -> None:
        for number in range(20):
            store.suppression.add(f"+34{thread:03d}{number:06d}", "asked", "test", MOMENT)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.suppression.list()) == 240


def test_a_moment_without_a_zone_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="zone"):
        Moment().process_bind_param(MOMENT.replace(tzinfo=None), None)
