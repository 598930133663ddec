import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import agenx_cli
from agenx_cli import errors
from agenx_cli.cli import app as root
from agenx_cli.cli.frame import GLOBAL_FLAGS, GLOBAL_OPTIONS, hoist

HEAVY = (
    "twilio", "fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "openai", "pydantic", "websockets", "httpx2",
    "pyngrok", "phonenumbers", "icalendar", "jinja2", "orjson", "click", "dotenv", "platformdirs", "asyncio",
)  # fmt: skip


def agenx(
    *args: str, env: dict[str, str] | None = None, cwd: Path | None = None, **more
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "agenx_cli", *args],
        check=False, capture_output=True, text=True, encoding="utf-8", timeout=50, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(agenx_cli.__file__).parents[1]), **(env or {})}, cwd=cwd, **more,
    )  # fmt: skip


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_only_typer_and_our_own_light_modules(flag):
    program = (
        "import sys, runpy; sys.argv = ['agenx', sys.argv[1]]\n"
        "try: runpy.run_module('agenx_cli', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "sys.stderr.write(' '.join(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, flag], check=False, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert {name for name in HEAVY if name in loaded} == set()
    ours = {name for name in loaded if name.startswith("agenx_cli.")}
    rooms = {name.split(".")[1] for name in ours}
    assert rooms <= {"cli", "errors", "settings", "reading", "log", "__main__"}


def test_the_version_is_the_packages():
    assert agenx("--version").stdout == f"agenx {agenx_cli.__version__}\n"


def test_every_command_has_help_and_leaves_the_global_flags_to_the_frame():
    def walk(command, path):
        assert command.help, path
        if len(path) > 1:
            own = {flag for param in command.params for flag in param.opts}
            assert own & (GLOBAL_FLAGS | GLOBAL_OPTIONS) == set(), f"{path}: the frame owns these"
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*path, name])

    walk(typer.main.get_command(root.app), ["agenx"])


def test_a_wrong_flag_says_so_with_a_fix_and_exits_with_2():
    done = agenx("config", "show", "--orgin")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: No such option: --orgin")
    assert "fix: agenx config show --help" in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--json", "config", "show"],
        ["config", "--json", "show"],
        ["config", "show", "--json"],
        ["config", "show", "-o", "json"],
        ["config", "show", "--output=json"],
        ["-ojson", "config", "show"],
    ],
)
def test_json_may_be_asked_for_before_and_after_the_command(args, clean_environment):
    done = agenx(*args)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["home"] == str(clean_environment)


def test_help_names_a_value_only_where_one_is_taken():
    told = agenx("call", "--help").stdout
    assert "--dry-run" in told
    assert "<bool>" not in told + agenx("--help").stdout


def test_words_behind_two_dashes_are_nobodys_flags():
    assert hoist(["call", "--var", "a=b", "--json", "--", "--json", "-o"]) == [
        "--json", "call", "--var", "a=b", "--", "--json", "-o",
    ]  # fmt: skip
    assert hoist(["call", "-o"]) == ["-o", "call"]


def test_output_may_be_set_and_a_flag_overrides_it():
    assert json.loads(agenx("config", "show", env={"AGENX_OUTPUT": "json"}).stdout)
    assert agenx("config", "show", "-o", "text", env={"AGENX_OUTPUT": "json"}).stdout.startswith("setting")
    contradiction = agenx("config", "show", "--json", "-o", "text")
    assert contradiction.returncode == 2


def test_where_a_setting_comes_from_is_told_and_secrets_are_not(tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-this-is-secret-00\nTWILIO_PHONE_NUMBER=+15555550100\n")
    done = agenx("config", "show", "--origin", "--json", cwd=tmp_path)
    shown = json.loads(done.stdout)
    assert shown["openai_api_key"] == {"value": "••••••••", "origin": ".env"}
    assert shown["twilio_phone_number"]["value"] == "+15…00"
    assert "this-is-secret" not in done.stdout + done.stderr


def test_a_bad_setting_is_an_error_with_a_fix_and_no_traceback(tmp_path):
    (tmp_path / "agenx.toml").write_text('port = "x"\n')
    done = agenx("config", "show", cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*agenx\.toml.*\nfix: .*\n", done.stderr)
    told = agenx("config", "show", "-vv", cwd=tmp_path)
    assert "Traceback" in told.stderr


def ending_of(problem, *flags: str):
    """How the frame ends when a command raises ``problem`` (or returns it, when it is a number)."""
    app = typer.Typer(cls=root.Root)
    app.callback()(root.root)

    @app.command()
    def verb() -> int:
        if isinstance(problem, int):
            return problem
        raise problem

    return CliRunner().invoke(app, [*flags, "verb"])


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (0, 0),
        (7, 7),
        (errors.AgenxError("x"), 1),
        (errors.StoreError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.SettingsError("x"), 2),
        (errors.IntakeError("x", file="f", line=3), 2),
        (errors.ServerStartError("x"), 3),
        (errors.CarrierError("x", provider="p", credentials=True), 4),
        (errors.PolicyError("x", code="num.premium"), 5),
        (errors.VoiceError("x", provider="p"), 6),
        (errors.RemoteProtocolError("x"), 6),
        (ExceptionGroup("g", [ValueError("v"), ExceptionGroup("h", [errors.ServerStartError("x")])]), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_ending_has_its_exit_code(problem, code):
    assert ending_of(problem).exit_code == code


def test_an_error_never_shows_a_number_that_slipped_into_it():
    done = ending_of(errors.AgenxError("no answer from +34600000001", fix="ring +34600000001"))
    assert "0000001" not in done.stderr
    assert "error: no answer from +34" in done.stderr


def test_what_nobody_foresaw_is_one_line_without_traceback(tmp_path):
    program = (
        "import sys; from agenx_cli.cli import app as root\n"
        "@root.app.command()\n"
        "def verb() -> None:\n    'v'\n    raise ZeroDivisionError('of +34600000001')\n"
        "root.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "verb"], check=False, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "600000001" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_a_terminated_command_exits_with_143():
    program = (
        "import time; from agenx_cli.cli import app as root\n"
        "@root.app.command()\n"
        "def verb() -> None:\n    'v'\n    print('up', flush=True)\n    time.sleep(30)\n"
        "root.main()"
    )
    with subprocess.Popen([sys.executable, "-c", program, "verb"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_a_reader_that_leaves_early_is_no_failure():
    with subprocess.Popen(
        [sys.executable, "-m", "agenx_cli", "config", "show", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(30), process.stderr.read()) == (0, b"")
