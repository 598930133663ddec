"""Suppression, transcripts, saved numbers, and the one worker."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from agenx_cli.errors import StoreError
from agenx_cli.store.records import NewAttempt, WorkerRecord
from agenx_cli.store.store import open_store

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
PHONE = "+34600000011"


def me(owner: str = "me", minutes: int = 0) -> WorkerRecord:
    return WorkerRecord(owner, os.getpid(), "here", None, "serve", NOW + timedelta(minutes=minutes), None)


def test_an_opt_out_is_kept_once_with_its_first_reason(store):
    assert store.suppression.add(PHONE, "asked in a call", "call", NOW)
    assert not store.suppression.add(PHONE, "again", "sms", NOW)
    assert store.suppression.has(PHONE)
    assert store.suppression.get(PHONE).reason == "asked in a call"
    assert PHONE not in repr(store.suppression.list())
    assert store.suppression.remove(PHONE)
    assert not store.suppression.remove(PHONE)
    assert not store.suppression.has(PHONE)


def test_an_opt_out_is_there_for_another_process_as_soon_as_it_is_saved(store, url):
    store.suppression.add(PHONE, "asked", "call", NOW)
    code = f"from agenx_cli.store.store import open_store; assert open_store({url!r}).suppression.has({PHONE!r})"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_line_becomes_better_known_but_never_worse(store):
    store.attempts.admit(NewAttempt("u1", PHONE, "+34910000000", "p", "t", "me"), NOW)
    store.transcripts.put("u1", "b", "callee", "sí", 900)
    store.transcripts.put("u1", "c", "callee", "ro\ud83dto", 950)
    store.transcripts.put("u1", "a", "assistant", "Hola, soy", 0, 300, final=False)
    store.transcripts.put("u1", "a", "assistant", "Hola, soy Clara", 0, 700, final=True)
    store.transcripts.put("u1", "a", "assistant", "Ho", 0, 1, final=False)
    lines = store.transcripts.of("u1")
    assert [(line.key, line.text, line.heard_ms, line.final) for line in lines] == [
        ("a", "Hola, soy Clara", 700, True),
        ("b", "sí", None, True),
        ("c", "ro?to", None, True),
    ]
    assert "Clara" not in repr(lines)


def test_the_oldest_setting_of_a_number_is_what_is_restored(store):
    store.numbers.save(PHONE, "PN1", old_url="https://old", old_method="GET", our_url="https://a", now=NOW)
    saved = store.numbers.save(PHONE, "PN1", old_url="https://a", old_method="POST", our_url="https://b", now=NOW)
    assert (saved.old_url, saved.old_method, saved.our_url) == ("https://old", "GET", "https://b")
    assert store.numbers.all() == (saved,)
    store.numbers.forget(PHONE)
    assert store.numbers.all() == ()


def test_the_worker_is_one_and_says_who_it_is(store, url):
    assert store.worker.holder() is None
    store.worker.acquire(me())
    store.worker.announce("http://127.0.0.1:5051")
    assert store.worker.holder().control_url == "http://127.0.0.1:5051"
    code = f"""
import sys
from datetime import UTC, datetime
from agenx_cli.errors import StoreError
from agenx_cli.store.store import open_store
from agenx_cli.store.records import WorkerRecord
store = open_store({url!r})
print(store.worker.holder().control_url)
try:
    store.worker.acquire(WorkerRecord("you", 1, "there", None, "call", datetime(2026, 11, 24, tzinfo=UTC), None))
except StoreError as error:
    print(error.message)
    sys.exit(7)
"""
    second = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)
    assert second.returncode == 7, second.stderr
    assert f"process {os.getpid()} on here" in second.stdout
    assert "http://127.0.0.1:5051" in second.stdout
    store.worker.release(NOW)
    store.worker.release(NOW)
    assert store.worker.holder() is None
    store.worker.acquire(me("me2", 1))
    assert store.worker.holder().owner == "me2"
    store.worker.release(NOW)


def test_a_worker_that_was_killed_holds_nothing(store, url):
    code = f"""
import sys
from datetime import UTC, datetime
from agenx_cli.store.store import open_store
from agenx_cli.store.records import WorkerRecord
store = open_store({url!r})
store.worker.acquire(WorkerRecord("dead", 1, "there", "http://x", "serve", datetime(2026, 11, 24, tzinfo=UTC), None))
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert store.worker.holder().owner == "dead"
        with pytest.raises(StoreError, match="already has a worker") as caught:
            store.worker.acquire(me())
        assert caught.value.fix
        process.kill()
        process.wait(timeout=30)
    assert store.worker.holder() is None
    store.worker.acquire(me(minutes=1))
    assert store.worker.holder().owner == "me"


def test_a_lock_that_cannot_be_made_is_explained(store):
    store.worker._path.mkdir()
    with pytest.raises(StoreError):
        store.worker.acquire(me())


def test_a_store_can_be_opened_again_after_it_was_closed(url):
    open_store(url).close()
    open_store(url).close()
