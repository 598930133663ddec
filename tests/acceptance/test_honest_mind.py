"""It must show 3, over everything that lies between: what the playbook has is what the conversation becomes."""

import json

import pytest

from tests.acceptance import renaming, runs
from tests.acceptance.world import read_lines

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def calls(captured):
    return json.loads((captured.folder / "calls.json").read_text(encoding="utf-8"))


def ours(call):
    return " ".join(text for speaker, text in call["transcript"] if speaker == "assistant")


def test_a_tool_by_another_name_is_called_by_that_name(captured, calls):
    """The wire shows which session was told of which tools, and what was called in it."""
    called, told = {}, {}
    for record in read_lines(captured.folder / "world" / "wire" / "voice.jsonl"):
        event, session = record["event"], record["session"]
        if event["type"] == "session.update" and "tools" in event["session"]:
            told.setdefault(session, set()).update(tool["name"] for tool in event["session"]["tools"])
        if event["type"] == "response.function_call_arguments.done":
            called.setdefault(session, []).append(event["name"])
    (session,) = (session for session, names in told.items() if renaming.THEIRS in names)
    assert renaming.OURS not in told[session]
    assert renaming.THEIRS in called[session]
    assert renaming.OURS not in called[session]
    assert calls[runs.RENAMED]["disposition"] == "meeting_booked"
    assert len(calls[runs.RENAMED]["meetings"]) == 1


def test_with_nothing_free_a_callback_is_agreed_and_nothing_booked(calls):
    call = calls[runs.NO_TIME]
    assert call["disposition"] == "callback"
    assert not call["meetings"]
    assert "no veo huecos libres" in ours(call)
    assert "reserv" not in ours(call)


def test_without_the_booking_tool_interest_is_noted_and_nothing_booked(calls):
    call = calls[runs.NO_BOOKING]
    assert not call["meetings"]
    assert "un compañero le llamará" in ours(call)
    assert "agenda" not in ours(call)
    assert call["answers"]


def test_another_language_is_another_conversation(calls):
    english, spanish = calls[runs.ENGLISH["interested"]], calls[runs.SPANISH["interested"]]
    assert "Shall I book it?" in ours(english)
    assert "¿Lo confirmo?" in ours(spanish)
    assert english["disposition"] == spanish["disposition"] == "meeting_booked"
