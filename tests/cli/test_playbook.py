"""playbook check, render, schema and new, through the command line."""

import json

import pytest
from typer.testing import CliRunner

from agenx_cli.cli.app import app
from tests.intake.test_playbook_files import MINIMAL


def run(*args, code=0):
    result = CliRunner().invoke(app, ["playbook", *args])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "playbook.toml").write_text(MINIMAL)
    (tmp_path / "instructions.md").write_text("Be kind to {{ name }}.")
    return tmp_path


def test_the_shipped_one_may_be_used():
    assert "agenx-ai may be used." in run("check", "agenx-ai").stdout
    assert json.loads(run("check", "agenx-ai", "--json").stdout) == {
        "playbook": "agenx-ai",
        "ok": True,
        "problems": [],
    }


def test_an_unknown_variable_is_an_error_with_file_line_and_fix(mine):
    output = run("check", str(mine), code=2).output
    assert "instructions.md, line 1: unknown variable 'name'" in " ".join(output.split())
    assert "fix: names it may use" in output


def test_what_must_be_mended_is_listed_and_is_a_failed_check(mine):
    (mine / "instructions.md").write_text("Be kind.")
    (mine / "playbook.toml").write_text(MINIMAL.replace("an AI", "the"))
    found = json.loads(run("check", str(mine), "--json", code=1).stdout)
    (problem,) = found["problems"]
    assert (problem["code"], problem["line"]) == ("script.no_ai_disclosure", 6)
    assert "✗" in run("check", str(mine), code=1).stdout


def test_a_time_zone_may_come_from_the_settings(mine):
    (mine / "instructions.md").write_text("Be kind.")
    tools = 'tools = ["opt_out", "end_call", "schedule_callback"]\n'
    (mine / "playbook.toml").write_text(MINIMAL + tools)
    assert "tools.no_time_zone" in run("check", ".", code=1).stdout
    (mine / "agenx.toml").write_text('time_zone = "Europe/Madrid"\n')
    run("check", ".")


def test_rendering_shows_what_a_call_would_get():
    text = run("render", "agenx-ai", "--var", "nombre=Ana=1").stdout
    assert "⟦Ana=1⟧" in text
    assert "Hola. Soy Clara" in text
    document = json.loads(run("render", "agenx-ai", "--inbound", "--json").stdout)
    assert document["opening"].startswith("Hola, gracias por llamar")
    assert [tool["name"] for tool in document["tools"]][-1] == "end_call"


@pytest.mark.parametrize("flag", ["nombre", "=x"])
def test_a_variable_needs_name_and_value(flag):
    assert "--var NAME=VALUE" in run("render", "agenx-ai", "--var", flag, code=2).output


def test_the_schema_is_printed_in_every_mode():
    assert json.loads(run("schema").stdout) == json.loads(run("schema", "--json").stdout)


def test_a_new_playbook_may_be_used_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "agenx playbook check my-book" in run("new", "my-book").stdout.replace("\n", " ")
    assert json.loads(run("check", "my-book", "--json").stdout)["playbook"] == "my-book"
    assert "there already" in run("new", "my-book", code=2).output
    assert "small letters" in run("new", "../x", code=2).output
