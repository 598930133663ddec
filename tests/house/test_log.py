import io
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.log import Redactor, mask_phone, start_logging

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def stream():
    """Where the log goes; the root logger is put back afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers, root.level = before, level


def test_a_record_is_one_line_with_its_fields(stream):
    start_logging(1, stream=stream)
    logging.getLogger("agenx_cli.engine").info("call.placed", extra={"attempt": "a1", "queue_ms": 3})
    logging.getLogger("agenx_cli.engine").debug("not.shown")
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ info call\.placed attempt=a1 queue_ms=3\n", stream.getvalue())


@pytest.mark.parametrize(("verbose", "shown"), [(0, False), (1, True)])
def test_a_retry_under_way_is_no_warning_on_the_screen(stream, verbose, shown):
    start_logging(verbose, stream=stream)
    logging.getLogger("stamina").warning("stamina.retry_scheduled")
    assert ("retry" in stream.getvalue()) is shown


def test_as_json_a_record_is_an_object_and_stays_one_whatever_is_hidden(stream):
    start_logging(2, [SECRET], as_json=True, stream=stream)
    log = logging.getLogger("x")
    log.info("to %s", "+34600000001", extra={"header": f'Bearer {SECRET}"', "n": 1, "ok": True, "none": None})
    try:
        raise ValueError(f"+34600000001 with {SECRET}")  # noqa: TRY301
    except ValueError:
        log.exception("it.failed", stack_info=True)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["event"] == "to +34*******01"
    assert (first["header"], first["n"], first["ok"], first["none"]) == ('Bearer [hidden]"', 1, True, None)
    assert "ValueError" in second["exception"]
    assert "Stack" in second["exception"]
    assert SECRET not in stream.getvalue()
    assert "600000001" not in stream.getvalue()


def test_a_traceback_hides_what_the_message_hides(stream):
    start_logging(0, [SECRET], stream=stream)
    try:
        raise ValueError(f"+34600000001 with {SECRET}")  # noqa: TRY301
    except ValueError:
        logging.getLogger("other.library").exception("for %s", SECRET)
    assert "Traceback" in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert "600000001" not in stream.getvalue()


def test_starting_again_replaces_what_was_set(stream):
    start_logging(0, stream=stream)
    start_logging(0, stream=stream)
    logging.getLogger("x").warning("once")
    assert stream.getvalue().count("once") == 1


@pytest.mark.parametrize(
    "text",
    [
        "key sk-proj-abcdefgh12345678",
        "Authorization: Basic QUMwMTIzNDU2Nzg5OnRva2Vu",
        "ephemeral ek_abcdefgh12345678",
        "To=%2B34600000001&From=",
        "call +34600000001.",
    ],
)
def test_credentials_and_numbers_of_others_are_known_by_their_shape(text):
    told = Redactor()(text)
    assert told != text
    assert not re.search(r"abcdefgh|QUMw|00000001", told)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.text(), st.text())
def test_no_number_passes_whatever_stands_around_it(number, before, after):
    told = Redactor()(f"{before} {number} {after}")
    assert number not in told.replace(before, "", 1) or number in before + after
    assert mask_phone(number) != number


@given(st.lists(st.text("abc123-_.", min_size=6, max_size=20), max_size=4), st.text("abc123-_. ", max_size=60))
def test_no_secret_passes_even_inside_another(secrets, text):
    told = Redactor(secrets)(f"{text} {' '.join(secrets)}")
    assert not any(secret in told for secret in secrets)
