"""What the model may ask for, and everything it may get wrong."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core import tools
from agenx_cli.core.tools import ToolError, idempotency_key, parse
from tests.core.playbooks import ALL_TOOLS, playbook

BOOK = playbook()
TEN = datetime(2026, 11, 24, 9, tzinfo=UTC)
START = "2026-11-24T10:00:00+01:00"


def asked(name, /, **arguments):
    return parse(name, json.dumps(arguments), BOOK)


def refused(name, text):
    answer = parse(name, text if isinstance(text, str) else json.dumps(text), BOOK)
    assert isinstance(answer, ToolError)
    return answer.message


def test_well_formed_calls_become_requests_in_utc():
    assert parse("check_availability", "", BOOK) == tools.CheckAvailability(None, None)
    assert asked("check_availability", **{"from": START, "to": None}) == tools.CheckAvailability(TEN, None)
    booking = asked("book_meeting", start=START, confirmed=True, name=" Ana\n", email="ana@b.es", notes="")
    assert booking == tools.BookMeeting(TEN, True, "Ana", "ana@b.es", None)
    assert asked("cancel_meeting") == tools.CancelMeeting(None, None)
    assert asked("schedule_callback", at="2026-11-24T09:00Z", note="x") == tools.ScheduleCallback(TEN, "x")
    assert asked("opt_out", reason="no") == tools.OptOut("no")
    assert asked("end_call", reason="goodbye") == tools.EndCall("goodbye")


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("empleados", "12", "12"),
        ("empleados", "-12.5", "-12.5"),
        ("decide", "Sí.", "yes"),
        ("decide", "no", "no"),
        ("sector", "industria", "Industria"),
        ("nota", "lo que sea", "lo que sea"),
    ],
)
def test_answers_are_kept_in_one_form(field, value, kept):
    assert asked("record_answer", field=field, value=value) == tools.RecordAnswer(field, kept)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("empleados", "doce", "digits"),
        ("decide", "quizá", "'yes' or 'no'"),
        ("sector", "otro", "Industria, Servicios"),
        ("otra", "x", "Fields: empleados"),
        (None, "x", "'field' is required"),
        ("nota", " ", "'value' is required"),
    ],
)
def test_answers_that_do_not_fit_say_what_would(field, value, said):
    assert said in refused("record_answer", {"field": field, "value": value})


def test_a_tool_that_the_playbook_lacks_does_not_exist():
    small = playbook(tools=("opt_out", "end_call"))
    answer = parse("book_meeting", "{}", small)
    assert isinstance(answer, ToolError)
    assert "opt_out, end_call" in answer.message


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("opt_out", "{", "not valid JSON"),
        ("opt_out", "[" * 3_000, "not valid JSON"),
        ("opt_out", "[]", "one JSON object"),
        ("opt_out", " " * 9_000, "too long"),
        ("opt_out", {"reason": 3}, "'reason' must be text"),
        ("opt_out", {"raeson": "x"}, "Unknown argument 'raeson'. Arguments: reason."),
        ("check_availability", {"from": START, "to": START}, "later than"),
        ("check_availability", {"from": "mañana"}, "ISO 8601"),
        ("book_meeting", {"confirmed": True}, "'start' is required"),
        ("book_meeting", {"start": START}, "'confirmed' must be"),
        ("book_meeting", {"start": START, "confirmed": "yes"}, "'confirmed' must be"),
        ("book_meeting", {"start": START, "confirmed": True, "email": "ana at b"}, "spell it"),
        ("schedule_callback", {}, "'at' is required"),
        ("end_call", {"reason": "bored"}, "must be one of: goodbye"),
        ("end_call", {}, "must be one of"),
    ],
)
def test_what_is_wrong_is_said_to_the_model(name, text, said):
    assert said in refused(name, text)


@pytest.mark.parametrize(
    "start",
    [
        "2026-11-24T10:00:00",
        "2026-11-24",
        "20261124T100000+0100",
        "2026-13-24T10:00:00+01:00",
        "2026-11-24T10:00:00+99:00",
        "２026-11-24T10:00:00+01:00",
        1795510800,
        True,
    ],
)
def test_a_moment_needs_a_date_a_time_and_an_offset(start):
    assert "ISO 8601" in refused("book_meeting", {"start": start, "confirmed": True})


@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00+23:59", "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"]
)
def test_a_moment_far_from_now_is_refused_before_anything_is_added_to_it(start):
    assert "year" in refused("book_meeting", {"start": start, "confirmed": True})


@given(st.sampled_from(ALL_TOOLS), st.text(max_size=200))
def test_garbage_is_refused_without_raising(name, text):
    parse(name, text, BOOK)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["start", "confirmed", "from", "to", "at", "field", "value", "reason", "email", "name", "x"])


@given(st.sampled_from(ALL_TOOLS), st.dictionaries(KEYS, JSON, max_size=4))
def test_any_json_is_a_request_or_a_sentence(name, arguments):
    answer = parse(name, json.dumps(arguments), BOOK)
    if isinstance(answer, ToolError):
        assert answer.message.isprintable()
    else:
        assert len(idempotency_key("a", answer)) == 32


def test_the_same_action_has_the_same_key_however_it_was_written():
    one = asked("book_meeting", start=START, confirmed=True, name="Ana")
    two = asked("book_meeting", start="2026-11-24T09:00:00Z", confirmed=True)
    assert idempotency_key("a", one) == idempotency_key("a", two)
    assert idempotency_key("b", one) != idempotency_key("a", one)
    others = [
        asked("book_meeting", start="2026-11-24T09:30:00Z", confirmed=True),
        asked("schedule_callback", at=START),
        asked("check_availability", **{"from": START}),
        asked("record_answer", field="nota", value="x"),
        asked("record_answer", field="nota", value="y"),
        asked("opt_out"),
        asked("cancel_meeting"),
        asked("end_call", reason="goodbye"),
    ]
    assert len({idempotency_key("a", request) for request in (one, *others)}) == 9
