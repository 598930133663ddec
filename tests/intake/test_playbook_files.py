"""Playbook folders: what ships, what is read, and every complaint with its file, line and fix."""

import csv
import json
import tomllib
from datetime import UTC, datetime, time

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.lead import BadNumber, parse_number
from agenx_cli.core.playbook import render_instructions, render_opening
from agenx_cli.core.script import problems
from agenx_cli.errors import IntakeError
from agenx_cli.intake.playbook_files import (
    complaint,
    find_playbook,
    json_schema,
    load_playbook,
    shipped,
    shipped_folder,
)

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)
MINIMAL = """\
name = "mine"
company = "Acme"
assistant = "Sam"
purpose = "to ask"
language = "en"
opening = "This is Sam, an AI assistant of Acme. Say if you want no more calls."
"""


@pytest.fixture
def folder(tmp_path):
    def write(toml=MINIMAL, instructions="Be kind."):
        (tmp_path / "playbook.toml").write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        if instructions is not None:
            (tmp_path / "instructions.md").write_text(instructions, "utf-8")
        return tmp_path

    return write


def refused(path):
    with pytest.raises(IntakeError) as caught:
        load_playbook(path)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_playbook_may_be_used(name):
    playbook = load_playbook(shipped_folder(name))
    assert playbook.name == name
    assert problems(playbook) == ()
    assert len(render_instructions(playbook, {}, NOW)) < 10_000


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_campaign_has_its_three_files_and_numbers_that_can_be_read(name):
    campaign = shipped_folder(name)
    assert {path.name for path in campaign.iterdir()} == {"playbook.toml", "instructions.md", "leads.csv"}
    with (campaign / "leads.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    region = load_playbook(campaign).region
    assert not any(isinstance(parse_number(row["telefono"], region), BadNumber) for row in rows)


def test_agenx_ai_offers_agenx_ai_in_spanish():
    playbook = load_playbook(shipped_folder("agenx-ai"))
    opening = render_opening(playbook, {})
    assert "asistente de inteligencia artificial de Agenx AI" in opening
    assert "automatizar procesos" in opening
    assert opening.endswith("¿Es buen momento?")
    assert "gracias por llamar" in render_opening(playbook, {}, inbound=True)
    text = render_instructions(playbook, {"nombre": "Ana", "empresa": "Acme"}, NOW)
    assert "empresa experta en tecnología de inteligencia artificial" in text
    assert "Preguntas por ⟦Ana⟧, de la empresa ⟦Acme⟧." in text


def test_a_minimal_playbook_gets_sensible_defaults(folder):
    playbook = load_playbook(folder())
    assert (playbook.locale, playbook.tools, playbook.time_zone) == ("en-US", ("opt_out", "end_call"), None)
    assert "technical problem" in playbook.apology
    assert problems(playbook) == ()
    assert load_playbook(folder() / "playbook.toml") == playbook


def test_other_languages_get_a_locale(folder):
    assert load_playbook(folder(MINIMAL.replace('"en"', '"fr"'))).locale == "fr-FR"


def test_a_file_from_windows_is_read_as_well(folder):
    toml = ("\ufeff" + MINIMAL).replace("\n", "\r\n").encode()
    assert load_playbook(folder(toml)).company == "Acme"


def test_hours_are_days_or_ranges_of_days(folder):
    hours = '[meetings.hours]\nfri_mon = "09:00-10:00"\nwed = ["16:00-18:00", "09:00-14:00"]\n'
    assert load_playbook(folder(MINIMAL + hours)).meetings.hours == (
        (0, time(9), time(10)),
        (2, time(9), time(14)),
        (2, time(16), time(18)),
        (4, time(9), time(10)),
        (5, time(9), time(10)),
        (6, time(9), time(10)),
    )


def test_required_variables_have_no_default(folder):
    toml = 'required = ["a"]\n' + MINIMAL + '[variables]\na = ""\nb = "x"\n'
    assert load_playbook(folder(toml)).variables == (("a", None), ("b", "x"))


@pytest.mark.parametrize(
    ("toml", "line", "message", "fix"),
    [
        (MINIMAL + "voice = \n", 7, "not valid TOML: Invalid value", "look at: voice ="),
        (MINIMAL + 'title = "x\n', 7, "not valid TOML", "look at"),
        (MINIMAL + "x = [", 7, "not valid TOML", "look at: x = ["),
        (MINIMAL + 'compny = "x"\n', 7, "unknown key 'compny'", "did you mean 'company'?"),
        (MINIMAL + "zzz = 1\n", 7, "unknown key 'zzz'", "keys it may have: answers, "),
        (MINIMAL + "[limits]\nmax_cal = 3\n", 8, "unknown key 'limits.max_cal'", "'max_call'"),
        (MINIMAL + "[limits]\nring = 25\nmax_call = 3\n", 9, "'limits.max_call': Input should be greater", "schema"),
        (MINIMAL + '[limits]\nmax_call = "600"\n', 8, "valid integer", "schema"),
        (MINIMAL.replace('company = "Acme"\n', ""), None, "the key 'company' is missing", "add company"),
        (MINIMAL + 'time_zone = "Madrid"\n', 7, "'Madrid' is no time zone", "schema"),
        (MINIMAL + 'time_zone = "../etc/passwd"\n', 7, "is no time zone", "schema"),
        (MINIMAL + 'tools = ["opt_out", "opt_out"]\n', 7, "named twice", "schema"),
        (MINIMAL + 'tools = ["opt_out", "transfer"]\n', 7, "'tools.1'", "schema"),
        (MINIMAL + 'required = ["a"]\n', None, "'a' is required", "schema"),
        (MINIMAL + '[[answers]]\nname = "a"\n', 7, "'answers.0.description' is missing", "add description"),
        (
            MINIMAL
            + '[[answers]]\nname = "a"\ndescription = "x"\n[[answers]]\nname = "b"\ndescription = "x"\nkin = 1\n',
            13,
            "unknown key 'answers.1.kin'",
            "'kind'",
        ),
        (MINIMAL + '[[answers]]\nname = "a"\ndescription = "x"\nkind = "choice"\n', 7, "go together", "schema"),
        (MINIMAL + '[[answers]]\nname = "a"\ndescription = "x"\n' * 2, 7, "same name", "schema"),
        (MINIMAL + '[meetings.hours]\nlunes = "09:00-10:00"\n', 7, "'lunes' is no day", "schema"),
        (MINIMAL + '[meetings.hours]\nmon = "9-10"\n', 7, "'9-10' of mon is no period", "schema"),
        (MINIMAL + '[meetings.hours]\nmon = "12:00-10:00"\n', 7, "is no period", "schema"),
        (MINIMAL + '[variables]\ncompany = "x"\n', 8, "set by agenx itself", "rename"),
        (MINIMAL.replace("Sam, an", "{{ sam }}, an"), 6, "opening: unknown variable 'sam'", "assistant, company"),
        (MINIMAL.replace('"Acme"', '"Ac\\nme"'), 2, "one line", "schema"),
    ],
)
def test_a_wrong_file_is_refused_at_its_line_with_a_fix(folder, toml, line, message, fix):
    error = refused(folder(toml))
    assert message in error.message
    assert fix in error.fix
    assert error.line == line
    assert error.file.endswith("playbook.toml")


def test_an_unknown_variable_of_the_instructions_is_found_at_its_line(folder):
    error = refused(folder(instructions="one\ntwo {{ nmae }}\n"))
    assert (error.line, error.file.endswith("instructions.md")) == (2, True)
    assert "unknown variable 'nmae'" in error.message


def test_files_that_are_missing_or_no_text_say_so(folder, tmp_path):
    assert "no such folder" in refused(tmp_path / "nowhere").message
    assert "missing" in refused(tmp_path).message
    assert refused(folder(instructions=None)).file.endswith("instructions.md")
    assert "not UTF-8" in refused(folder(MINIMAL.encode() + b"# \xff")).message
    assert refused(folder(MINIMAL.encode() + b"# \xff")).line == 7
    assert "larger than" in refused(folder(MINIMAL + "#" * 300_000)).message
    (tmp_path / "playbook.toml").unlink()
    (tmp_path / "playbook.toml").mkdir()
    assert "cannot be read" in refused(tmp_path).message


def test_depth_does_not_break_the_reader(folder):
    assert "nested too deeply" in refused(folder(MINIMAL + "x = " + "[" * 5_000 + "]" * 5_000)).message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_playbook_or_a_complaint(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("any")
    (path / "playbook.toml").write_bytes(raw)
    (path / "instructions.md").write_bytes(b"")
    assert refused(path).fix


def test_the_schema_describes_what_the_reader_accepts():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = tomllib.loads((shipped_folder() / "playbook.toml").read_text("utf-8"))
    jsonschema.validate(raw, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**raw, "compny": "x"}, schema)
    json.dumps(schema)


def test_a_playbook_is_found_by_path_or_by_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_playbook(None) == find_playbook("agenx-ai") == shipped_folder("agenx-ai")
    (tmp_path / "agenx-ai").mkdir()
    assert find_playbook("agenx-ai").resolve() == tmp_path / "agenx-ai"
    assert str(find_playbook("mine")) == "mine"
    with pytest.raises(IntakeError) as caught:
        shipped_folder("none")
    assert "agenx-ai" in caught.value.fix


def test_a_problem_of_the_script_has_its_place_too(folder):
    path = folder(MINIMAL.replace("an AI assistant", "the assistant") + 'tools = ["end_call", "check_availability"]\n')
    places = {problem.code: complaint(problem, path) for problem in problems(load_playbook(path))}
    assert places["script.no_ai_disclosure"].line == 6
    assert places["tools.no_opt_out"].line == 7
    assert places["tools.no_hours"].line is None
    assert all(error.file.endswith("playbook.toml") and error.fix for error in places.values())
