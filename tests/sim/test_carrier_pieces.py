"""The carrier's pure pieces: signature, playout, frames, TwiML, faults, forms, ledger, wire log."""

import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, VoiceResponse

from agenx_cli.errors import AgenxError
from agenx_cli.sim.carrier import frames, twiml
from agenx_cli.sim.carrier.amd import Detection, Verdict, verdict
from agenx_cli.sim.carrier.faults import FaultPlan, parse_fault
from agenx_cli.sim.carrier.forms import Params, is_url
from agenx_cli.sim.carrier.frames import ClearIn, MarkIn, MediaIn, StreamProtocolError
from agenx_cli.sim.carrier.line import tone
from agenx_cli.sim.carrier.playout import Cleared, Playout, Span
from agenx_cli.sim.carrier.records import Call
from agenx_cli.sim.carrier.refusals import Refusal
from agenx_cli.sim.carrier.signature import signature
from agenx_cli.sim.carrier.stream import url_problem
from agenx_cli.sim.carrier.webhooks import Overrides
from agenx_cli.sim.ledger import Ledger
from agenx_cli.sim.wirelog import WireLog
from tests.sim.world import Script

TOKEN = "0123456789abcdef0123456789abcdef"


@given(
    st.dictionaries(st.text("abcXYZ", min_size=1), st.text(max_size=20), max_size=6), st.sampled_from(["", "?a=b&c"])
)
def test_a_signature_is_the_one_that_twilios_own_validator_expects(params, query):
    url = f"https://h.example/status/a1{query}"
    ours = signature(TOKEN, url + "#rc=3", params.items())
    assert RequestValidator(TOKEN).validate(url, params, ours)
    assert not RequestValidator(TOKEN).validate(url + "x", params, ours)


def test_an_upgrade_is_signed_over_its_websocket_address():
    assert RequestValidator(TOKEN).validate("wss://h.example/ms", {}, signature(TOKEN, "wss://h.example/ms"))


# --- playout


def test_marks_come_back_only_when_the_sample_before_them_was_played_to_its_end():
    playout = Playout()
    playout.write(b"\x01" * 320)
    assert playout.mark("end") == []
    assert playout.take(0) == (b"\x01" * 160, [])
    assert playout.take(20) == (b"\x01" * 160, [])
    assert playout.take(40) == (b"\xff" * 160, ["end"])
    assert playout.mark("at once") == ["at once"]
    assert playout.spans == [Span(0, 0, 320)]


def test_a_clear_throws_out_what_waits_and_gives_every_mark_back():
    playout = Playout()
    playout.write(b"\x01" * 1000)
    playout.mark("a")
    playout.write(b"\x02" * 10)
    playout.mark("b")
    playout.take(0)
    assert playout.clear(20) == ["a", "b"]
    assert playout.clears == [Cleared(20, 160, 850)]
    playout.write(b"\x03" * 8)
    assert playout.take(20)[0] == b"\x03" * 8 + b"\xff" * 152
    assert playout.spans[-1] == Span(20, 1010, 8)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=700), st.just("clear"), st.just("take"), st.just("mark"))))
def test_every_sample_is_played_once_in_order_or_was_cleared(steps):
    playout, sent, heard, marks, back, at_ms = Playout(), b"", {}, 0, [], 0
    for step in [*steps, *["take"] * 200]:
        if step == "take":
            audio, due = playout.take(at_ms)
            back += due
            at_ms += 20
            if playout.taken != playout.heard:
                heard[playout.heard] = audio[: playout.taken - playout.heard]
        elif step == "clear":
            back += playout.clear(at_ms)
        elif step == "mark":
            back += playout.mark(str(marks))
            marks += 1
        else:
            playout.write(step)
            sent += step
    assert all(sent[offset : offset + len(audio)] == audio for offset, audio in heard.items())
    played = sum(span.length for span in playout.spans)
    assert played + sum(clear.dropped for clear in playout.clears) == len(sent) == playout.written
    assert back == [str(n) for n in range(marks)]


# --- frames


def test_the_customers_three_messages_are_read():
    payload = b64encode(b"\x01\x02").decode()
    assert frames.read(_frame("media", media={"payload": payload}), "MZ1") == MediaIn(b"\x01\x02")
    assert frames.read(_frame("mark", mark={"name": "m"}), "MZ1") == MarkIn("m")
    assert frames.read(_frame("clear"), "MZ1") == ClearIn()


def _frame(event, sid="MZ1", **body):
    return json.dumps({"event": event, "streamSid": sid, **body})


@pytest.mark.parametrize(
    "message",
    [
        b"\x00",
        "",
        "[]",
        "nonsense",
        _frame("media", media={"payload": "AAA="}, sid="MZ2"),
        json.dumps({"event": "clear"}),
        _frame("start"),
        _frame("media", media={"payload": "not base64!"}),
        _frame("media", media={"payload": ""}),
        _frame("media", media={"payload": 5}),
        _frame("media", media="AAAA"),
        _frame("media", media={"payload": "AAAA", "track": "outbound"}),
        _frame("media", media={"payload": "AAAA"}, extra=1),
        _frame("mark", mark={}),
        _frame("clear", clear={}),
    ],
)
def test_anything_else_breaks_the_protocol(message):
    with pytest.raises(StreamProtocolError):
        frames.read(message, "MZ1")


def test_our_frames_count_in_texts_and_connected_has_no_number():
    outbox = frames.Outbox("AC1", "CA1", "MZ1")
    assert json.loads(outbox.connected()) == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    start = json.loads(outbox.start({"attempt": "42"}))
    assert (start["sequenceNumber"], start["streamSid"]) == ("1", "MZ1")
    assert start["start"]["customParameters"] == {"attempt": "42"}
    media = json.loads(outbox.media(b"\xff" * 160, 20))
    assert (media["sequenceNumber"], media["media"]["chunk"], media["media"]["timestamp"]) == ("2", "1", "20")
    assert json.loads(outbox.dtmf("5"))["dtmf"] == {"track": "inbound_track", "digit": "5"}
    assert json.loads(outbox.mark("m")) == {
        "event": "mark",
        "sequenceNumber": "4",
        "streamSid": "MZ1",
        "mark": {"name": "m"},
    }
    assert json.loads(outbox.stop())["stop"] == {"accountSid": "AC1", "callSid": "CA1"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("wss://h.example/ms", None),
        ("wss://h.example:443/ms", None),
        ("ws://127.0.0.1:5050/ms", None),
        ("ws://localhost:1/ms", None),
        ("wss://h.example/ms?ticket=1", 31920),
        ("ws://h.example/ms", 11100),
        ("wss://h.example:8443/ms", 11100),
        ("https://h.example/ms", 11100),
        ("/ms", 11100),
    ],
)
def test_a_stream_goes_to_wss_without_a_query_string(url, code):
    problem = url_problem(url)
    assert (problem and problem[0]) == code


# --- TwiML


def test_a_document_of_the_sdk_is_read():
    connect = Connect(action="https://h.example/after")
    stream = connect.stream(url="wss://h.example/ms", name="a1", status_callback="https://h.example/st")
    stream.parameter(name="attempt", value='42"<&')
    response = VoiceResponse()
    response.say("Hola,  mundo", language="es-ES")
    response.append(connect)
    response.hangup()
    say, connected, hangup = twiml.parse(str(response))
    assert (say.name, say.text, hangup.name) == ("Say", "Hola, mundo", "Hangup")
    (noun,) = connected.children
    assert [child.attributes for child in noun.children] == [{"name": "attempt", "value": '42"<&'}]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", twiml.PARSE),
        ("<Response>", twiml.PARSE),
        ("<Other/>", twiml.PARSE),
        ('<!DOCTYPE r [<!ENTITY a "b">]><Response/>', twiml.PARSE),
        ("<Response>text</Response>", twiml.SCHEMA),
        ("<Response><Sing/></Response>", twiml.SCHEMA),
        ("<Response><say>x</say></Response>", twiml.SCHEMA),
        ('<Response><Say tone="x">x</Say></Response>', twiml.SCHEMA),
        ("<Response><Say><b>x</b></Say></Response>", twiml.SCHEMA),
        ("<Response><Stream url='wss://h.example/ms'/></Response>", twiml.SCHEMA),
        ("<Response><Connect/></Response>", twiml.SCHEMA),
        ("<Response><Connect><Stream/></Connect></Response>", twiml.SCHEMA),
        ("<Response><Connect>x<Stream url='wss://h.example/'/></Connect></Response>", twiml.SCHEMA),
        (
            "<Response><Connect><Stream url='wss://h/'><Parameter name='n' value='"
            + "v" * 500
            + "'/></Stream></Connect></Response>",
            twiml.SCHEMA,
        ),
        ("<Response><Connect><Stream url='wss://h/' track='both_tracks'/></Connect></Response>", twiml.SCHEMA),
        ("<Response><Dial record='record-from-answer'>+34600000002</Dial></Response>", twiml.SCHEMA),
    ],
)
def test_a_wrong_document_is_refused_with_twilios_code(document, code):
    with pytest.raises(twiml.DocumentError) as refused:
        twiml.parse(document)
    assert refused.value.code == code


def test_speech_markup_inside_say_is_read_as_its_words():
    (say,) = twiml.parse(
        '<Response><!-- a note --><Say>One <break time="1s"/><emphasis>two</emphasis></Say></Response>'
    )
    assert say.text == "One two"


def test_a_number_out_of_range_in_an_attribute_is_refused():
    (pause,) = twiml.parse('<Response><Pause length="soon"/></Response>')
    with pytest.raises(twiml.DocumentError):
        pause.whole("length", 1)


# --- the rest


def test_detection_that_takes_longer_than_its_timeout_knows_nothing():
    slow = Script(verdict_ms=60_000)
    asked = Detection(until_message_end=False, background=True, timeout_s=3, url=None, method="POST")
    assert verdict(asked, slow) == Verdict("unknown", None, 3_000)


def test_a_fault_strikes_as_often_as_planned_and_only_where_it_is_aimed():
    plan = FaultPlan()
    plan.add(parse_fault({"kind": "callback.drop", "to": "+34600000001", "event": "ringing", "times": 2}))
    assert plan.take("callback.drop", to="+34600000002", event="ringing") is None
    assert plan.take("callback.drop", to="+34600000001", event="completed") is None
    assert [bool(plan.take("callback.drop", to="+34600000001", event="ringing")) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    plan.add(parse_fault({"kind": "rest.error", "times": 0}))
    assert all(plan.take("rest.error") for _ in range(5))
    assert plan.struck == {"callback.drop": 2, "rest.error": 5}


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"kind": "nonsense"},
        {"kind": "rest.error", "often": 1},
        {"kind": "rest.error", "times": -1},
        {"kind": "rest.error", "seconds": "1"},
        {"kind": "create.refuse", "code": "1"},
        {"kind": "rest.error", "to": 5},
    ],
)
def test_a_fault_that_cannot_be_is_refused(raw):
    with pytest.raises(ValueError, match=r"fault|times|seconds|code|text|kind"):
        parse_fault(raw)


def test_connection_overrides_are_read_from_the_fragment():
    assert Overrides.of("") == Overrides()
    read = Overrides.of("rc=9&ct=1&rp=5xx,rt,zz&tt=x")
    assert (read.rc, read.ct, read.tt, read.rp) == (5, 100, 15_000, {"5xx", "rt"})
    assert read.repeats("5xx")
    assert not read.repeats("ct")
    assert Overrides.of("rp=all").repeats("4xx")


@pytest.mark.parametrize("encoded", ["To=1&Shout=1", "To=1&To=2", "To", "To=%ff"])
def test_unknown_doubled_and_broken_parameters_are_refused(encoded):
    with pytest.raises(Refusal) as refused:
        Params(encoded, known=("To",))
    assert refused.value.code == 20001


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://h.example/x?y=1#rc=2", True),
        ("http://127.0.0.1:5050/x", True),
        ("https://under_score.example/", False),
        ("https://h.example:99999/", False),
        ("ftp://h.example/", False),
        ("//h.example/x", False),
        ("https:///x", False),
        ("https://user@h.example/", False),
        ("https://h.example/a b", False),
        ("https://[", False),
    ],
)
def test_only_addresses_that_twilio_takes_are_urls(url, good):
    assert is_url(url) is good


def test_a_ledger_outlives_its_process_and_a_line_cut_off(tmp_path):
    path = tmp_path / "deep" / "ledger.jsonl"
    moment = datetime(2026, 11, 24, 10, tzinfo=UTC)
    call = Call("CA1", "+34600000001", "+14155550100", "outbound-api", moment, "interested", attempt="a1")
    first = Ledger(path)
    first.put("calls", call.record())
    call.status = "ringing"
    first.put("calls", call.record())
    with path.open("a") as file:
        file.write('{"calls": {"sid": "CA2", "st')
    second = Ledger(path)
    assert [Call.of_record(record) for record in second.of("calls")] == [call]
    assert len(path.read_text().splitlines()) == 1
    first.close()
    second.close()


def test_a_damaged_ledger_says_where_and_what_to_do(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text("nonsense\n{}\n")
    with pytest.raises(AgenxError, match="line 1") as damaged:
        Ledger(path)
    assert damaged.value.fix


def test_the_wire_log_keeps_one_json_object_a_line(tmp_path):
    WireLog().write("rest", {"a": 1})
    wire = WireLog(tmp_path / "wire")
    wire.write("media", {"text": "ñ\n"})
    wire.write("media", {"text": "2"})
    wire.close()
    lines = (tmp_path / "wire" / "media.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["ñ\n", "2"]


def test_a_tone_is_sound_and_never_the_silence_byte():
    sound = tone(0.5)
    assert len(sound) == 4000
    assert 0xFF not in sound
    assert len(set(sound)) > 20
