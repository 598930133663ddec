"""The house itself: what is shipped, what the README promises, what must not be in any file."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import agenx_cli

ROOT = Path(agenx_cli.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SECRETS = re.compile(
    r"\bsk-(?:proj-)?[A-Za-z0-9]{32,}|-----BEGIN [A-Z ]*PRIVATE KEY|\b2[A-Za-z0-9]{26}_[A-Za-z0-9]{20,}\b"
)


def tracked() -> list[Path]:
    """Every text file of the project."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:4000]]


def test_no_file_has_a_key_or_a_path_of_the_machine_it_was_written_on():
    paths = re.compile("|".join(re.escape(path) for path in ("/" + "root/", "/" + "work/", "/home/" + "runner")))
    texts = {file.relative_to(ROOT): file.read_text("utf-8") for file in tracked()}
    found = [f"{name}: {match[0]}" for name, text in texts.items() for match in SECRETS.finditer(text)]
    found += [f"{name}: {match[0]}" for name, text in texts.items() for match in paths.finditer(text)]
    assert found == []


def test_no_environment_file_and_no_database_is_in_the_project():
    assert [file for file in tracked() if file.suffix in {".db", ".wav", ".pem"} or file.name == ".env"] == []


def test_the_wheel_has_every_module_every_data_file_and_the_example_campaigns(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = set(wheel.namelist())
    package = ROOT / "agenx_cli"
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    } | {f"agenx_cli/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "campaigns").rglob("*") if path.is_file()}
    assert wanted - inside == set()
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in inside)


def test_every_example_campaign_has_its_three_files():
    folders = [folder for folder in (ROOT / "campaigns").iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        assert {file.name for file in folder.iterdir()} == {"playbook.toml", "instructions.md", "leads.csv"}


def test_the_version_stands_once_and_in_the_changelog():
    assert PROJECT["project"]["version"] == agenx_cli.__version__
    assert f"## {agenx_cli.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_there_are_at_least_five_import_contracts_and_the_floors_come_first():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    assert len(contracts) >= 5
    assert contracts[0]["type"] == "layers"
    assert len({contract["name"] for contract in contracts}) == len(contracts)


def test_the_core_and_the_codecs_fetch_nothing():
    """import-linter cannot forbid a part of urllib."""
    package = ROOT / "agenx_cli"
    pure = [*(package / "core").glob("*.py"), package / "voice/openai/events.py"]
    pure += [package / f"telephony/twilio/{name}.py" for name in ("media", "webhooks", "twiml")]
    assert [
        file.name for file in pure if re.search(r"urllib(\.| import )(request|error)", file.read_text("utf-8"))
    ] == []


def test_every_lint_exception_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    ignored = PROJECT["tool"]["ruff"]["lint"]["ignore"]
    for code in ignored:
        assert re.search(rf'"{code}",[^\n]*#', text), f"{code} is ignored without a reason"


def test_every_place_the_readme_names_is_there():
    readme = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"`((?:agenx_cli|campaigns|tests|docs|benchmarks)/[^`\s<>*]*)`", readme))
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
    linked = re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme)
    assert sorted(name for name in linked if not (ROOT / name.partition("#")[0]).exists()) == []


def test_every_command_the_readme_shows_exists():
    import typer

    from agenx_cli.cli.app import app

    commands = typer.main.get_command(app)
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r"^(?:\.venv/bin/)?agenx ([a-z]+(?: [a-z]+)?)", readme, re.MULTILINE)
    assert shown
    for words in shown:
        verb, _, sub = words.partition(" ")
        command = commands.commands.get(verb)
        assert command is not None, f"agenx {verb}"
        if sub and hasattr(command, "commands"):
            assert sub in command.commands, f"agenx {words}"


def test_decisions_are_numbered_without_gaps():
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
