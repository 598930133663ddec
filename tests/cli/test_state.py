"""calls, meetings and suppress, through the command line, over a real store."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agenx_cli.cli.app import app
from agenx_cli.core.attempt import CarrierProgress, CarrierStatus, ConversationEnded, StreamStarted
from agenx_cli.store.records import Figures, NewInbound
from agenx_cli.store.store import open_store
from tests.calendars.test_builtin import MEETING
from tests.core.playbooks import NOW

PHONE = "+34600000011"
CALL_FIELDS = [
    "attempt", "campaign", "phone", "n", "phase", "disposition", "answered_by", "carrier_call_id", "created_at",
    "answered_at", "ended_at", "duration_s", "cost_usd", "first_word_ms", "turns", "barge_ins",
]  # fmt: skip


def run(*args, code=0):
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == code, result.output
    return result


def data(*args):
    return json.loads(run(*args, "--json").stdout)


@pytest.fixture
def home(clean_environment):
    return Path(clean_environment)


@pytest.fixture
def store(home):
    store = open_store(f"sqlite:///{home / 'agenx.db'}")
    yield store
    store.close()


@pytest.fixture
def call(store):
    """An inbound call that booked a meeting, with its transcript and figures."""
    store.attempts.open_inbound(NewInbound("abc123", "CA1", PHONE, "+34910000000", "agenx-ai", "t", "me"), NOW)
    store.attempts.fold("abc123", StreamStarted(NOW), "stream", NOW)
    store.transcripts.put("abc123", "1", "assistant", "¿Es buen momento?", 900)
    store.transcripts.put("abc123", "2", "assistant", "Le ofrezco", 61_000, 1_200)
    store.transcripts.put("abc123", "3", "callee", "Sí\x1b[31m", 3_000)
    store.answers.put("abc123", "proceso", "facturas")
    store.callbacks.put("abc123", PHONE, NOW + timedelta(days=1), None, NOW)
    store.meetings.hold(replace(MEETING, attempt_uid="abc123", status="held"))
    store.meetings.commit("m1", NOW)
    store.attempts.fold("abc123", ConversationEnded("goodbye", callee_spoke=True), "said", NOW)
    ended = CarrierProgress(CarrierStatus.COMPLETED, at=NOW + timedelta(seconds=70), duration_s=70)
    store.attempts.fold("abc123", ended, "completed", NOW)
    store.attempts.finish("abc123", Figures(cost_voice_usd=0.01, cost_carrier_usd=0.02, turns=3, barge_ins=1), NOW)
    return "abc123"


@pytest.mark.parametrize("group", ["calls", "meetings", "suppress"])
def test_nothing_yet_is_said_and_is_an_empty_document(group):
    assert run(group, "list").stdout.strip().endswith(("yet.", "list."))
    assert data(group, "list") == []


def test_calls_are_listed_with_the_documented_fields(call):
    (row,) = data("calls", "list")
    assert list(row) == CALL_FIELDS
    assert (row["attempt"], row["phone"], row["disposition"]) == ("abc123", PHONE, "meeting_booked")
    assert (row["cost_usd"], row["duration_s"], row["phase"]) == (0.03, 70, "ended")
    assert row["created_at"] == "2026-11-22T16:00:00+00:00"
    text = run("calls", "list").stdout
    assert "abc123" in text
    assert "$0.0300" in text


def test_a_call_is_shown_with_what_was_said_and_done(call):
    shown = data("calls", "show", "abc")
    assert [line["text"] for line in shown["transcript"]] == ["¿Es buen momento?", "Sí\x1b[31m", "Le ofrezco"]
    assert shown["transcript"][2] == {"speaker": "assistant", "text": "Le ofrezco", "at_ms": 61_000, "heard_ms": 1_200}
    assert shown["answers"] == {"proceso": "facturas"}
    assert shown["meetings"] == ["m1"]
    assert shown["callback_at"] == "2026-11-23T16:00:00+00:00"
    assert "MeetingBooked" in {event["kind"] for event in shown["events"]}
    text = run("calls", "show", "abc123").stdout
    assert "01:01  assistant  Le ofrezco\n" in text
    assert "\x1b" not in text


def test_a_call_without_words_says_so(store):
    store.attempts.open_inbound(NewInbound("xyz", "CA2", PHONE, "+34910000000", "p", "t", "me"), NOW)
    assert "Nothing was said." in run("calls", "show", "xyz").stdout


def test_an_id_must_mean_one_call(store, call):
    store.attempts.open_inbound(NewInbound("abc999", "CA2", PHONE, "+34910000000", "p", "t", "me"), NOW)
    assert "begins so" in run("calls", "show", "abc", code=2).output
    assert "no call has this id" in run("calls", "show", "zzz", code=2).output
    assert "fix: agenx calls list" in run("calls", "show", "", code=2).output


def test_hanging_up_needs_a_call_that_is_live_and_a_worker_that_has_it(store, call):
    assert data("calls", "hangup", call) == {"attempt": call, "hung_up": False, "disposition": "meeting_booked"}
    store.attempts.open_inbound(NewInbound("live1", "CA2", PHONE, "+34910000000", "p", "t", "me"), NOW)
    assert "no running agenx serve" in run("calls", "hangup", "live1", code=1).output


def test_meetings_are_listed_in_the_zone_in_which_they_were_agreed(call):
    (row,) = data("meetings", "list")
    assert row == {
        "id": "m1",
        "phone": PHONE,
        "starts_at": "2026-11-22T17:00:00+01:00",
        "ends_at": "2026-11-22T17:30:00+01:00",
        "calendar": "local",
        "host": "default",
        "attempt": call,
        "status": "booked",
    }
    assert "2026-11-22 17:00" in run("meetings", "list").stdout


def test_a_meeting_is_shown_with_its_file(home, call):
    assert data("meetings", "show", "m")["file"] is None
    run("meetings", "cancel", "m1", "--yes")
    shown = data("meetings", "show", "m1")
    assert shown["file"] == str(home / "meetings" / "m1.ics")
    assert shown["title"] == MEETING.title
    assert "cancelled" in run("meetings", "show", "m1").stdout


def test_cancelling_asks_frees_the_time_and_rewrites_the_file(home, store, call):
    assert "--yes" in run("meetings", "cancel", "m1", code=2).output
    assert store.meetings.get("m1").status == "booked"
    assert data("meetings", "cancel", "m1", "--yes")["status"] == "cancelled"
    assert b"CANCELLED" in (home / "meetings" / "m1.ics").read_bytes()
    assert data("meetings", "list") == []
    assert data("meetings", "list", "--all")[0]["status"] == "cancelled"
    assert "already" in run("meetings", "cancel", "m1").stdout
    assert store.attempts.get(call).disposition != "meeting_booked"
    assert "no meeting has this id" in run("meetings", "show", "q", code=2).output


def test_a_number_is_suppressed_once_and_found_again(store):
    assert data("suppress", "add", "600 00 00 11", "--region", "ES", "--reason", "asked")["added"] is True
    assert data("suppress", "add", PHONE)["added"] is False
    assert data("suppress", "check", PHONE)["reason"] == "asked"
    assert data("suppress", "check", "+34600000012") == {"phone": "+34600000012", "suppressed": False}
    assert "suppressed since" in run("suppress", "check", PHONE).stdout
    assert "not on" in run("suppress", "check", "+34600000012").stdout
    assert PHONE in run("suppress", "list").stdout
    assert data("suppress", "list")[0]["source"] == "operator"


def test_taking_a_number_off_the_list_needs_a_yes(store):
    run("suppress", "add", PHONE)
    assert "--yes" in run("suppress", "remove", PHONE, code=2).output
    assert store.suppression.has(PHONE)
    assert data("suppress", "remove", PHONE, "--yes") == {"removed": True, "phone": PHONE}
    assert data("suppress", "remove", PHONE) == {"removed": False, "phone": PHONE}


def test_a_number_that_cannot_be_read_is_refused_with_a_fix():
    result = run("suppress", "add", "600000011", code=2)
    assert "fix:" in result.output
    assert "600000011" not in result.output


def test_a_file_of_numbers_is_imported_row_by_row(tmp_path, store):
    file = tmp_path / "list.csv"
    file.write_text("\ufeffname;phone\nAna;+34 600 00 00 11\nLuis;600 00 00 12\n\nEva;12\nAna;0034600000011\n", "utf-8")
    result = data("suppress", "import", str(file), "--region", "ES")
    assert (result["added"], result["already"]) == (2, 0)
    assert [(row["line"], row["code"]) for row in result["rejected"]] == [(5, "num.invalid")]
    again = run("suppress", "import", str(file), "--region", "ES")
    assert "0 added, 2 already there, 1 without" in again.stdout
    assert "line 5" in again.output


@pytest.mark.parametrize(("content", "said"), [(None, "no such file"), (b"\xff\xfe\xff", "not UTF-8"), (..., "cannot")])
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, said):
    file = tmp_path / "list.csv"
    if content is ...:
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    assert said in run("suppress", "import", str(file), code=2).output


def test_a_rehearsal_s_state_is_another(home):
    run("suppress", "add", PHONE, "--simulate")
    assert data("suppress", "list") == []
    assert data("suppress", "list", "--simulate")[0]["phone"] == PHONE
    assert (home / "simulation" / "agenx.db").exists()
