import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import pytest

from agenx_cli.cli.output import Output, plain
from agenx_cli.errors import AgenxError, UsageError


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class End(StrEnum):
    BUSY = "busy"


@dataclass(frozen=True)
class Fact:
    at: datetime
    end: End
    file: Path


def printed(mode="text", *, terminal=False, **more) -> tuple[Output, io.StringIO, io.StringIO]:
    kind = Screen if terminal else io.StringIO
    out, err = kind(), kind()
    return Output(mode, stdout=out, stderr=err, stdin=io.StringIO(), **more), out, err


def test_json_is_one_document_and_nothing_else_on_stdout():
    output, out, _ = printed("json")
    output.line("hello")
    output.table(["a"], [[1]])
    output.event("ringing", attempt="x")
    output.document({"fact": Fact(datetime(2026, 11, 24, tzinfo=UTC), End.BUSY, Path("a.wav")), "word": "mañana"})
    told = json.loads(out.getvalue())
    assert told == {"fact": {"at": "2026-11-24T00:00:00+00:00", "end": "busy", "file": "a.wav"}, "word": "mañana"}
    assert "mañana" in out.getvalue()


def test_jsonl_is_a_line_an_event():
    output, out, _ = printed("jsonl")
    output.event("ringing", attempt="x")
    output.document({"done": True})
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"event": "ringing", "attempt": "x"},
        {"done": True},
    ]


def test_quiet_and_verbose_decide_about_stderr_only():
    output, out, err = printed(quiet=True)
    output.note("note")
    output.detail("detail")
    output.warn("beware")
    output.error(AgenxError("it broke", fix="mend it"))
    output.line("data")
    assert out.getvalue() == "data\n"
    assert err.getvalue() == "warning: beware\nerror: it broke\nfix: mend it\n"
    output, _, err = printed(verbose=1)
    output.note("note")
    output.detail("detail")
    assert err.getvalue() == "note\ndetail\n"


def test_a_fix_wraps_at_words_under_itself_in_a_terminal_and_stays_one_line_in_a_pipe(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    output, out, err = printed(terminal=True, colour=False)
    output.error(AgenxError("it broke", fix="take the one and then the other " * 4 + "https://example.com/" + "x" * 70))
    output.labelled("✗", "red", "a check with a long name: " + "and long words " * 6)
    rows = err.getvalue().splitlines()
    assert rows[1].startswith("fix: take")
    assert all(row.startswith("     ") for row in rows[2:])
    assert rows[-1].endswith("/" + "x" * 70)
    assert max(map(len, [*rows[:-1], *out.getvalue().splitlines()])) <= 60
    output, _, err = printed()
    output.error(AgenxError("it broke", fix="one and " * 40))
    assert len(err.getvalue().splitlines()) == 2


def test_speech_that_was_never_heard_is_no_line():
    output, out, _ = printed()
    output.said(4_000, "assistant", "")
    assert out.getvalue() == ""


def test_a_table_is_at_most_80_columns_and_loses_nothing():
    output, out, _ = printed()
    output.table(["name", "what"], [["x" * 70, "y" * 70], ["[bold]z[/bold]", None]])
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert out.getvalue().count("x") == 70
    assert out.getvalue().count("y") == 70
    assert "[bold]z[/bold]" in out.getvalue()


def test_an_empty_table_says_so():
    output, out, _ = printed()
    output.table(["name"], [], empty="No meetings yet.")
    assert out.getvalue() == "No meetings yet.\n"


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    output, out, _ = printed(terminal=True)
    output.line(output.style("yes", "green"))
    assert out.getvalue() == "\x1b[32myes\x1b[0m\n"
    assert output.live
    assert "\x1b" in output.tick(True)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            assert output.style("yes", "green") == "yes"
    assert printed(terminal=True, colour=False)[0].style("yes", "red") == "yes"
    assert printed()[0].style("yes", "red") == "yes"
    assert [printed()[0].tick(ok) for ok in (True, False, None)] == ["✓", "✗", "–"]


@pytest.mark.parametrize("terminal", [True, False])
def test_nobody_else_writes_on_the_operators_terminal(monkeypatch, terminal):
    monkeypatch.setenv("TERM", "xterm")
    output, out, err = printed(terminal=terminal)
    hostile = "a\x1b[2J\x1b]0;title\x07b\x9bc\u202ed\r"
    output.line(hostile + output.style(hostile, "red"))
    output.note(hostile)
    output.table(["x"], [[hostile]])
    for char in "\x07\x9b\u202e\r":
        assert char not in out.getvalue() + err.getvalue()
    assert "\x1b[2J" not in out.getvalue() + err.getvalue()
    assert plain("line\n\tline") == "line\n\tline"


def test_without_a_terminal_nothing_is_asked_and_the_flag_is_named():
    output, _, _ = printed()
    with pytest.raises(UsageError) as caught:
        output.confirm("Ring them?", flag="--yes")
    assert caught.value.fix == "pass --yes"
    assert output.confirm("Ring them?", given=True)


def test_on_a_terminal_only_yes_is_yes():
    for answer, yes in (("y\n", True), ("sí\n", True), ("\n", False), ("", False), ("no\n", False)):
        err = Screen()
        output = Output(stdout=Screen(), stderr=err, stdin=Screen(answer))
        assert output.confirm("Ring them?") is yes
        assert err.getvalue() == "Ring them? [y/N] "
    with pytest.raises(UsageError):
        Output(stdout=Screen(), stderr=Screen(), stdin=Screen("y\n"), prompts=False).confirm("Ring them?")


def test_what_has_no_json_form_is_a_mistake_of_ours():
    with pytest.raises(TypeError):
        printed("json")[0].document({"x": object()})


def test_json_escapes_what_a_terminal_would_obey():
    stdout = io.StringIO()
    Output("jsonl", stdout=stdout, stderr=io.StringIO()).document({"words": "a\x9b2Jb\u202ec\x1bd"})
    assert not set("\x9b\u202e\x1b") & set(stdout.getvalue())
    assert json.loads(stdout.getvalue()) == {"words": "a\x9b2Jb\u202ec\x1bd"}
