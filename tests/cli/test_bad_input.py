"""Bad input at every border of the command line: its own message, a fix, the exit code, and nothing lost.

The table runs in this process; what is about streams, encodings and pipes runs the command as a process of its own.
"""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agenx_cli.cli.app import app
from agenx_cli.store.records import NewInbound, WorkerRecord
from agenx_cli.store.store import open_store
from tests.intake.test_playbook_files import MINIMAL

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
NUMBER = "+34600000001"
KEYS = {
    "OPENAI_API_KEY": "sk-canary-of-the-model-0000",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "canary0of0the0carrier0000000000",
    "TWILIO_PHONE_NUMBER": "+34910000001",
}
CALL = ("call", NUMBER, "--yes")
REHEARSE = (*CALL, "--simulate")
SERVE = ("serve", "--no-set-webhook", "--public-url", "https://calls.example.com")
NAMED = ("--playbook", "mine")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory of its own, with a playbook in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "playbook.toml").write_text(MINIMAL)
    (tmp_path / "mine" / "instructions.md").write_text("Be kind.")
    return tmp_path


def refused(args, code, said, fix, *, out=""):
    """Run it, and judge how it refuses."""
    result = CliRunner().invoke(app, list(args))
    told = " ".join(result.stderr.split())
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == out
    assert re.search(said, told), told
    assert re.search(rf"fix: .*{fix}", told), told
    assert "Traceback" not in told
    assert not any(secret in told for secret in KEYS.values()), told
    assert NUMBER not in told
    return told


# --- numbers, variables, flags

NUMBERS = [
    ("hello", 2, "not a telephone number"),
    ("", 2, "not a telephone number|no number"),
    ("+34 600 000 001 ext. 5", 2, "extension"),
    ("9" * 100_000, 2, "number"),
    ("+346\x1b[31m00000001", 2, "number"),
    ("+34\u0661\u0662\u0663", 2, "number"),
    ("+346000000010000000", 2, "number"),
    ("+34 806 12 34 56", 5, "premium"),
    ("+1 900 555 1234", 5, "premium"),
    ("+1 876 555 1234", 5, "outside the United States"),
    ("+34 112", 2, "number"),
]


@pytest.mark.parametrize("mode", [("--simulate",), ("--simulate", "--json"), ("--dry-run",)], ids=" ".join)
@pytest.mark.parametrize(("number", "code", "said"), NUMBERS, ids=lambda value: repr(value)[:24])
def test_a_number_that_cannot_or_may_not_be_rung(here, number, code, said, mode):
    refused(("call", number, "--yes", *mode), code, said, ".+")


FLAGS = [
    ((*REHEARSE, "--var", "nope=1"), 2, "no variable 'nope'", "nombre, empresa"),
    ((*REHEARSE, "--var", "nombre"), 2, "NAME=VALUE", "--var company"),
    ((*REHEARSE, "--var", "no\x1b[31mpe=1"), 2, "no variable", "nombre, empresa"),
    ((*REHEARSE, "--from", "x"), 2, "not a telephone number", "plus"),
    (("call", "600000001", "--simulate", "--region", "XX"), 2, "not a country", "two-letter"),
    ((*REHEARSE, "--at", "soon"), 2, "--at", ""),
    ((*REHEARSE, "--listen", "x.mp3"), 2, "WAV", "something.wav"),
    ((*REHEARSE, "--detach"), 2, "none runs", "agenx serve"),
    ((*CALL, "--listen", "x.wav"), 2, "rehearsals", "--simulate"),
    ((*REHEARSE, "--playbook", "/nowhere"), 2, "no such folder", "playbook new"),
    ((*REHEARSE, "--playbook", "x" * 5_000), 2, "", ""),
    ((*REHEARSE, "--json", "-o", "text"), 2, "contradict", "leave one"),
    (("--profile", "p", *REHEARSE), 2, "no profile named 'p'", r"profile\.p"),
    (("serve", "--tunnel", "x"), 2, "no tunnel named", "ngrok"),
    (("calls", "show", "nobody"), 2, "no call", "calls list"),
    (("calls", "show", "a" * 100_000), 2, "no call", "calls list"),
    (("meetings", "show", "nobody"), 2, "no meeting", "meetings list"),
    (("suppress", "add", "x"), 2, "not a telephone number", "plus"),
    (("suppress", "import", "nowhere.csv"), 2, "no such file", ""),
    (("playbook", "new", "../x"), 2, "name", "small letters"),
]


@pytest.mark.parametrize(
    ("args", "code", "said", "fix"), FLAGS, ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else ""
)
def test_a_flag_or_argument_that_makes_no_sense(here, args, code, said, fix):
    refused(args, code, said, fix)


# --- settings

SETTINGS = [
    ({}, CALL, "OPENAI_API_KEY, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER are not set", "--simulate"),
    ({}, ("serve",), "OPENAI_API_KEY", "platform.openai.com"),
    ({**KEYS, "TWILIO_PHONE_NUMBER": ""}, CALL, "TWILIO_PHONE_NUMBER is not set", "Active numbers"),
    ({**KEYS, "TWILIO_PHONE_NUMBER": ""}, ("serve",), "TWILIO_PHONE_NUMBER is not set", "Active numbers"),
    ({**KEYS, "OPENAI_API_KEY": ""}, CALL, "OPENAI_API_KEY is not set", "API keys"),
    ({**KEYS, "TWILIO_PHONE_NUMBER": "910 000 001"}, CALL, "E.164", "ten digits"),
    ({**KEYS, "TWILIO_ACCOUNT_SID": "AC12"}, CALL, "32 hexadecimal", "copy it whole"),
    ({**KEYS, "OPENAI_API_KEY": "sk canary of the model"}, CALL, "no spaces", "sk-"),
    ({"PORT": "99999"}, REHEARSE, "0 to 65535", "5050"),
    ({"AGENX_OUTPUT": "yaml"}, REHEARSE, "text, json, jsonl", "json"),
    ({"AGENX_TIME_ZONE": "Mars/Base"}, REHEARSE, "not a time zone", "Europe/Madrid"),
    ({"AGENX_SIMULATE": "maybe"}, CALL, "1 or 0", "1 or 0"),
    ({"OPENAI_BASE_URL": "http://example.com"}, CALL, "https://", "api.openai.com"),
    ({**KEYS, "AGENX_PUBLIC_URL": "http://calls.example.com"}, CALL, "plain http", "https://"),
    ({**KEYS, "AGENX_PUBLIC_URL": "https://u:p@calls.example.com"}, CALL, "name or password", "https://"),
    ({**KEYS, "AGENX_PUBLIC_URL": "https://calls.example.com/x"}, CALL, "no path", "https://"),
    ({**KEYS, "AGENX_PUBLIC_URL": "https://my_host.example.com"}, CALL, "underscore", "https://"),
    ({**KEYS, "AGENX_PUBLIC_URL": "https://calls.example.com:8443"}, CALL, "443 only", "https://"),
    ({"AGENX_HOME": " "}, REHEARSE, "blank", "directory"),
    ({"AGENX_DATABASE_URL": "postgresql://u:p@h/d", **KEYS}, SERVE, "SQLite", "sqlite:///"),
    ({"AGENX_DATABASE_URL": "::", **KEYS}, SERVE, "database URL", "sqlite:///"),
]


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_that_is_missing_or_makes_no_sense(here, monkeypatch, case):
    env, args, said, fix = case
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    code = 1 if "AGENX_DATABASE_URL" in env else 2
    refused(args, code, said, fix)
    if "AGENX_OUTPUT" not in env:  # the flag outweighs it
        refused((*args, "--json"), code, said, fix)


FILES = [
    (".env", b'FOO BAR = baz"\n', r"\.env, line 1", "NAME=VALUE"),
    (".env", b"A=1\n\xff\xfe\x00\n", r"\.env", ""),
    (".env", b'OPENAI_API_KEY="sk-canary-of-the-model-0000\n', r"\.env, line 1", "quotes"),
    ("agenx.toml", b"port = 1\nport = = 3\n", r"agenx\.toml, line 2", "mend that line"),
    ("agenx.toml", b'prot = "x"\n', r"agenx\.toml.*prot", ""),
    ("agenx.toml", b'port = "x"\n', r"agenx\.toml", "5050"),
    ("agenx.toml", b"\xff\xfe", r"agenx\.toml", ""),
    ("agenx.toml", b'openai_api_key = "sk-canary-of-the-model-0000"\nport = []\n', r"agenx\.toml", ""),
]


@pytest.mark.parametrize(("name", "content", "said", "fix"), FILES, ids=lambda value: repr(value)[:30])
def test_a_settings_file_that_is_broken(here, name, content, said, fix):
    (here / name).write_bytes(content)
    for args in (("config", "show"), REHEARSE, ("calls", "list", "--json")):
        refused(args, 2, said, fix)


# --- playbooks

PLAYBOOKS = [
    (MINIMAL + "opening = = 1\n", None, 2, r"playbook\.toml, line 7", "."),
    (MINIMAL + 'colour = "red"\n', None, 2, r"playbook\.toml, line 7.*colour", "."),
    (MINIMAL.replace('language = "en"', 'language = "xx-nope"'), None, 2, r"playbook\.toml, line 5", "."),
    (MINIMAL, "Be kind.\nAsk {{ nobody }}.", 2, "line 2: unknown variable 'nobody'", "names it may use"),
    (MINIMAL, "{% for x in y %}", 2, r"instructions\.md, line 1", "."),
    (MINIMAL, "{{ ''.__class__ }}", 2, r"instructions\.md, line 1", "."),
    (MINIMAL.replace("an AI assistant", "the assistant"), None, 5, "AI|artificial", "."),
    (MINIMAL.replace("Say if you want no more calls.", ""), None, 5, "call", "."),
    (MINIMAL + '[variables]\nwho = ""\n', "Hello {{ who | upper(1) }}", 2, r"instructions\.md", "."),
    (MINIMAL + "[variables]\n", None, None, "", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", PLAYBOOKS, ids=range(len(PLAYBOOKS)))
def test_a_playbook_that_may_not_be_used(here, case):
    toml, instructions, code, said, fix = case
    (here / "mine" / "playbook.toml").write_text(toml)
    if instructions is not None:
        (here / "mine" / "instructions.md").write_text(instructions)
    if code is None:
        assert CliRunner().invoke(app, ["call", NUMBER, "--dry-run", *NAMED]).exit_code == 0
        return
    for args in ((*REHEARSE, *NAMED), ("call", NUMBER, "--dry-run", *NAMED), ("serve", "--simulate", *NAMED)):
        refused(args, code, said, fix)


def test_a_variable_that_must_be_given_is_missing(here):
    (here / "mine" / "playbook.toml").write_text(MINIMAL + 'required = ["who"]\n[variables]\nwho = ""\n')
    for args in ((*REHEARSE, *NAMED), ("call", NUMBER, "--dry-run", *NAMED)):
        refused(args, 2, "needs a value for 'who'", "--var who=VALUE")


def test_a_recording_without_its_notice_is_refused(here, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for args in ((*CALL, "--record", *NAMED), (*SERVE, "--record", *NAMED)):
        refused(args, 5, "notice", "--record")


# --- prompts


def test_without_a_terminal_the_flag_is_named(here, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    told = refused(("call", NUMBER), 2, "no terminal to ask", "--yes")
    assert "600000001" not in told
    refused(("call", NUMBER, "--no-input", "--json"), 2, "", "--yes")
    CliRunner().invoke(app, ["suppress", "add", NUMBER])
    refused(("suppress", "remove", NUMBER), 2, "", "--yes")
    assert json.loads(CliRunner().invoke(app, ["suppress", "check", NUMBER, "--json"]).stdout)["suppressed"]


# --- the state


@pytest.fixture
def kept(clean_environment):
    """A database with a call in it, and a check that it is still there."""
    home = Path(clean_environment)
    store = open_store(f"sqlite:///{home / 'agenx.db'}")
    store.attempts.open_inbound(NewInbound("kept", "CA1", NUMBER, "+34910000001", "agenx-ai", "t", "me"), NOW)
    store.close()
    yield home / "agenx.db"
    store = open_store(f"sqlite:///{home / 'agenx.db'}")
    assert [attempt.uid for attempt in store.attempts.list()] == ["kept"]
    store.close()


READING = [("calls", "list"), ("meetings", "list", "--json"), ("suppress", "add", NUMBER)]


def test_a_database_from_a_newer_version_is_left_alone(here, kept):
    with sqlite3.connect(kept) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    for args in READING:
        refused(args, 1, "version 9999", "upgrade agenx")
    with sqlite3.connect(kept) as file:
        file.execute("UPDATE alembic_version SET version_num = '0001'")


def test_a_database_that_is_damaged_is_left_alone(here, kept):
    good = kept.read_bytes()
    for bad in (os.urandom(8192), b"SQLite format 3\0" + b"\xff" * 8000):
        kept.write_bytes(bad)
        for args in READING:
            refused(args, 1, "not a database|damaged|refused", "restore a backup")
        assert kept.read_bytes() == bad
    kept.write_bytes(good)


def test_a_database_of_another_program_is_left_alone(here, clean_environment):
    home = Path(clean_environment)
    home.mkdir()
    with sqlite3.connect(home / "agenx.db") as file:
        file.execute("CREATE TABLE attempts (mine)")
    refused(("calls", "list"), 1, "another program", "AGENX_HOME")


@pytest.mark.parametrize("args", [*READING, REHEARSE, ("serve", "--simulate"), ("calls", "list", "--simulate")])
def test_a_home_that_is_a_file_or_cannot_be_made(here, monkeypatch, args):
    (here / "file").touch()
    for home in (here / "file", here / "file" / "deeper"):
        monkeypatch.setenv("AGENX_HOME", str(home))
        refused(args, 1, "cannot be (created|kept)", "permissions")


def test_a_second_worker_is_told_who_the_first_one_is(here, monkeypatch, clean_environment):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store = open_store(f"sqlite:///{Path(clean_environment) / 'agenx.db'}")
    store.worker.acquire(WorkerRecord("other", 4711, "thishost", None, "call", NOW, None))
    refused(CALL, 1, "already has a worker: agenx call, process 4711 on thishost", "AGENX_HOME")
    refused(SERVE, 1, "process 4711", "AGENX_HOME")
    store.close()


@pytest.mark.parametrize("left", [None, "{", "[]", '{"url": "http://127.0.0.1:9", "key": "x"}'])
def test_a_worker_that_cannot_be_reached_is_said_and_nothing_is_rung(here, monkeypatch, clean_environment, left):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    home = Path(clean_environment)
    store = open_store(f"sqlite:///{home / 'agenx.db'}")
    store.worker.acquire(WorkerRecord("other", 4711, "thishost", None, "serve", NOW, None))
    if left is not None:
        (home / "worker.json").write_text(left)
    refused(CALL, 1, "does not answer|already has a worker", ".")
    assert store.attempts.list() == ()
    store.close()


def test_a_port_in_use_is_named(here, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused((*SERVE, "--port", port), 3, f"port {port} on 127.0.0.1 is in use", "--port 5051")
        refused((*SERVE, "--host", "192.0.2.1"), 3, "cannot listen on 192.0.2.1", "--host 127.0.0.1")
        refused((*SERVE, "--host", "no.such.host.invalid"), 3, "cannot listen on", "--host 127.0.0.1")


# --- streams, encodings, pipes


def agenx(*args, env=None, **more):
    settings = {name: value for name, value in os.environ.items() if name not in {"TERM", "COLUMNS"}}
    return subprocess.Popen(
        [sys.executable, "-m", "agenx_cli", *args],
        env={**settings, **(env or {})},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def together(*commands):
    """Run them at the same time; their (code, stdout, stderr)."""
    return [(*process.communicate(timeout=50), process.returncode) for process in commands]


def test_piped_output_has_no_escape_codes_and_is_utf8_whatever_the_locale(here):
    dry = ("call", NUMBER, "--dry-run", "--var", "nombre=Núñez")
    terms = [{"TERM": "xterm-256color"}]
    locales = [{"LC_ALL": "C"}, {"LANG": "", "LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1"}]
    commands = [agenx(*dry, env=env, cwd=here) for env in terms + locales]
    commands += [
        agenx("--help", env=terms[0], cwd=here),
        agenx("call", "x", "--yes", "--simulate", env=terms[0], cwd=here),
    ]
    for out, err, code in together(*commands):
        assert b"\x1b" not in out + err
        assert b"Traceback" not in err
        assert code in {0, 2}
        (out + err).decode("utf-8")
    for out, _, _ in together(*(agenx(*dry, "--json", env=env, cwd=here) for env in locales)):
        assert "Núñez" in json.loads(out)["instructions"]


@pytest.mark.skipif(os.name != "posix", reason="a pty")
@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}], ids=["dumb", "NO_COLOR"])
def test_a_terminal_that_wants_no_colour_gets_none(here, env):
    import pty

    for args in (("call", NUMBER, "--dry-run"), ("call", "x", "--simulate"), ("--help",)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "agenx_cli", *args], stdin=theirs, stdout=theirs, stderr=theirs, cwd=here,
            env={**os.environ, **env},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        process.wait(30)
        os.close(ours)
        colours = re.findall(rb"\x1b\[[0-9;]*m", shown)
        assert [code for code in colours if code not in (b"\x1b[0m", b"\x1b[1m", b"\x1b[2m", b"\x1b[1;2m")] == [], args
        if env["TERM"] == "dumb":
            assert b"\x1b" not in shown


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error elsewhere")
def test_a_reader_that_leaves_early_is_no_failure(here):
    commands = [("playbook", "schema"), ("call", NUMBER, "--dry-run"), ("--help",), ("calls", "list", "--json")]
    running = [agenx(*args, cwd=here) for args in commands]
    for process in running:
        process.stdout.close()
    for args, process in zip(commands, running, strict=True):
        err = process.stderr.read()
        assert process.wait(30) in {0, 1}, args
        assert b"Traceback" not in err
        assert b"should not have happened" not in err
        process.stderr.close()


@pytest.mark.skipif(os.name != "posix", reason="arguments are text elsewhere")
def test_an_argument_that_is_not_text_is_refused(here):
    bad = b"\xff\xfe"
    tries = [
        ("calls", "show", bad),
        ("suppress", "add", NUMBER, "--reason", bad),
        ("call", NUMBER, "--simulate", "--var", b"nombre=" + bad),
    ]
    for out, err, code in together(*(agenx(*args, cwd=here) for args in tries)):
        assert (code, out) == (2, b"")
        assert b"error: an argument is not UTF-8 text" in err
        assert b"fix: " in err


def test_a_wrong_flag_is_told_like_every_other_error(here):
    tries = [
        ("call",),
        ("call", NUMBER, "--vra", "x"),
        ("nonsense",),
        ("call", NUMBER, "--port", "x"),
        ("call", NUMBER, "--var"),
    ]
    for out, err, code in together(*(agenx(*args, cwd=here) for args in tries)):
        assert (code, out) == (2, b"")
        assert err.startswith(b"error: ")
        assert b"\nfix: agenx" in err
