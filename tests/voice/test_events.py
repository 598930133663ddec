"""The GA Realtime codec: what the server says, and what we say."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.playbook import VoiceDetection
from agenx_cli.core.signals import (
    AnswerTool,
    AskReply,
    CalleeText,
    CancelReply,
    Forget,
    ModelFault,
    ModelReady,
    ReplyAudio,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    SpeechStarted,
    SpeechStopped,
    TellModel,
    ToolCall,
    Truncate,
    TurnCommitted,
    UtteranceEnded,
    UtteranceTruncated,
)
from agenx_cli.errors import LocalProtocolError, RemoteProtocolError
from agenx_cli.ports import SessionConfig
from agenx_cli.voice.openai import events
from agenx_cli.voice.openai.fields import MAX_ITEMS, MAX_MS, MAX_TEXT
from agenx_cli.voice.openai.profiles import OPENAI
from tests.contracts_openai import check_client_event

PCMU = {"format": {"type": "audio/pcmu"}}
TOOL = {
    "name": "end_call",
    "description": "End the call.",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
}


def config(**changes):
    base = {
        "instructions": "Idioma: español.",
        "language": "es-ES",
        "voice": "marin",
        "model": "gpt-realtime-2.1",
        "detection": VoiceDetection(),
        "tools": (TOOL,),
        "keywords": ("Agenx",),
    }
    return SessionConfig(**(base | changes))


def decode(event, decoder=None):
    return (decoder or events.Decoder()).decode(json.dumps(event))


def delta(**changes):
    event = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "//79"}
    return event | {"event_id": "e", "output_index": 0, "content_index": 0} | changes


def done(**changes):
    response = {"id": "r", "status": "completed", "status_details": None, "output": [], "usage": None}
    return {"type": "response.done", "event_id": "e", "response": response | changes}


def call(**changes):
    item = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "opt_out", "arguments": "{}"}
    return item | {"status": "completed"} | changes


# --- reading


def test_each_event_of_a_turn_says_what_it_means():
    transcription = "conversation.item.input_audio_transcription"
    cases = [
        ({"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5}, SpeechStarted("u", 5)),
        ({"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": 9}, SpeechStopped("u", 9)),
        ({"type": "input_audio_buffer.committed", "item_id": "u", "previous_item_id": None}, TurnCommitted("u")),
        (
            {
                "type": f"{transcription}.completed",
                "item_id": "u",
                "transcript": "sí",
                "usage": {"type": "duration", "seconds": 1.5},
            },
            CalleeText("u", "sí", {"type": "duration", "seconds": 1.5}),
        ),
        ({"type": f"{transcription}.completed", "item_id": "u", "transcript": ""}, CalleeText("u", "")),
        ({"type": "response.created", "response": {"id": "r"}}, ReplyStarted("r")),
        (delta(), ReplyAudio("r", "i", b"\xff\xfe\xfd")),
        (delta(type="response.output_audio.done"), UtteranceEnded("r", "i")),
        (delta(type="response.output_audio_transcript.delta", delta="Hola"), ReplyText("r", "i", "Hola")),
        (delta(type="response.output_text.delta", delta="Hola"), ReplyText("r", "i", "Hola")),
        (
            {"type": "conversation.item.truncated", "item_id": "i", "content_index": 0, "audio_end_ms": 1480},
            UtteranceTruncated("i", 1480),
        ),
    ]
    for event, meaning in cases:
        assert decode(event) == (meaning,)


def test_a_delta_without_audio_means_nothing():
    assert decode(delta(delta="")) == ()


def test_the_session_is_ready_only_when_both_directions_are_mu_law():
    updated = {"type": "session.updated", "session": {"audio": {"input": PCMU, "output": PCMU}}}
    assert decode(updated) == (ModelReady(),)
    for side in ("input", "output"):
        audio = {"input": PCMU, "output": PCMU} | {side: {"format": {"type": "audio/pcm", "rate": 24000}}}
        (fault,) = decode({"type": "session.updated", "session": {"audio": audio}})
        assert fault.code == events.WRONG_AUDIO
        assert side in fault.message


def test_an_error_names_the_command_it_is_about():
    error = {"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "none"}
    said = decode({"type": "error", "error": error | {"param": None, "event_id": "agenx_7"}})
    assert said == (ModelFault("response_cancel_not_active", "none", "agenx_7"),)


def test_an_error_without_code_is_known_by_its_type():
    said = decode({"type": "error", "error": {"type": "server_error", "code": None, "message": None}})
    assert said == (ModelFault("server_error", "the voice model reported an error without a message", None),)


def test_no_key_that_a_server_quotes_gets_into_a_message():
    error = {"type": "invalid_request_error", "message": "Incorrect API key provided: sk-proj-abc***xyz. Bye"}
    (fault,) = decode({"type": "error", "error": error})
    assert "abc" not in fault.message
    assert "Bye" in fault.message
    (ended,) = decode(done(status="failed", status_details={"error": {"message": "key sk-secret" + "x" * 900}}))
    assert "secret" not in ended.error_message
    (long,) = decode({"type": "error", "error": {"message": "m" * 9000}})
    assert len(long.message) == events.MAX_MESSAGE


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.created", "session": {"expires_at": 1_795_000_000}},
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u", "error": {}},
        {"type": "response.hologram.delta", "delta": 5},
    ],
)
def test_what_means_nothing_to_the_conversation_is_ignored(event):
    assert decode(event) == ()


def test_the_end_of_a_reply_brings_its_completed_calls_and_usage():
    usage = {"total_tokens": 5}
    output = [{"type": "message"}, call(), call(call_id="c2", status="incomplete", arguments='{"a')]
    (ended,) = decode(done(output=output, usage=usage))
    assert ended == ReplyEnded("r", "completed", tool_calls=(ToolCall("c1", "opt_out", "{}"),), usage=usage)


def test_a_cancelled_reply_says_why():
    (ended,) = decode(done(status="cancelled", status_details={"type": "cancelled", "reason": "turn_detected"}))
    assert ended == ReplyEnded("r", "cancelled", reason="turn_detected")


def test_a_failed_reply_carries_the_servers_error():
    error = {"type": "server_error", "code": "rate_limit_exceeded", "message": "try again in 1m26.4s"}
    (ended,) = decode(done(status="failed", status_details={"type": "failed", "error": error}))
    assert (ended.status, ended.error_code, ended.error_message) == (
        "failed",
        "rate_limit_exceeded",
        "try again in 1m26.4s",
    )
    (ended,) = decode(done(status="failed", status_details={"error": {"type": "server_error"}}))
    assert ended.error_code == "server_error"


def test_a_reply_may_end_without_any_output():
    (ended,) = decode(done(output=None))
    assert ended == ReplyEnded("r", "completed")


def test_a_status_we_do_not_know_is_a_failure_with_that_reason():
    (ended,) = decode(done(status="paused"))
    assert (ended.status, ended.reason) == ("failed", "paused")


@pytest.mark.parametrize(
    "earlier",
    [
        {"type": "conversation.item.created", "item": call(status="in_progress")},
        {"type": "conversation.item.added", "item": call(status="in_progress")},
        {"type": "response.output_item.added", "item": call(status="in_progress")},
        {"type": "response.output_item.done", "item": call()},
        {"type": "response.function_call_arguments.done", "call_id": "c1", "name": "opt_out", "arguments": "{}"},
    ],
)
def test_a_server_may_name_a_function_only_once(earlier):
    decoder = events.Decoder()
    assert decode(earlier, decoder) == ()
    decode({"type": "response.function_call_arguments.done", "call_id": "c1", "arguments": "{}"}, decoder)
    (ended,) = decode(done(output=[call(name=None, status=None)]), decoder)
    assert ended.tool_calls == (ToolCall("c1", "opt_out", "{}"),)


def test_a_call_that_nobody_named_is_garbage():
    decoder = events.Decoder()
    decode({"type": "conversation.item.added", "item": {"type": "message"}}, decoder)
    with pytest.raises(RemoteProtocolError, match="without naming"):
        decode(done(output=[call(name="")]), decoder)


def test_endless_calls_do_not_fill_the_memory():
    decoder = events.Decoder()
    for i in range(MAX_ITEMS + 5):
        decode({"type": "response.output_item.added", "item": call(call_id=f"c{i}")}, decoder)
    assert len(decoder._names) == MAX_ITEMS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        b"\xff\xfe",
        "[]",
        "null",
        "{}",
        '{"type":5}',
        '{"type":""}',
        '{"type":"' + "x" * 600 + '"}',
        "[" * 100_000,
        '{"type":"x","a":' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
        " " * (events.MAX_EVENT + 1),
    ],
    ids=range(12),
)
def test_what_is_no_event_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        events.Decoder().decode(text)


@pytest.mark.parametrize(
    "event",
    [
        delta(delta="//7"),
        delta(delta="ñ==="),
        delta(delta="// 79"),
        delta(delta=5),
        delta(item_id=None),
        delta(response_id=""),
        delta(item_id="i" * 600),
        {"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "delta": "x" * (MAX_TEXT + 1)},
        {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": True},
        {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": -1},
        {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": MAX_MS + 1},
        {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 1.5},
        {"type": "error", "error": "bad"},
        {"type": "error", "error": {"code": 5}},
        {"type": "session.updated", "session": {"audio": {"input": PCMU}}},
        {"type": "response.created"},
        done(output=["x"]),
        done(output={}),
        done(output=[{}] * (MAX_ITEMS + 1)),
        done(output=[call(arguments=None)]),
        done(usage=[]),
        done(status=None),
    ],
)
def test_a_known_event_with_wrong_fields_is_refused(event):
    with pytest.raises(RemoteProtocolError):
        decode(event)


@given(st.binary(max_size=2000))
def test_audio_arrives_byte_for_byte(audio):
    got = decode(delta(delta=base64.b64encode(audio).decode()))
    assert b"".join(event.audio for event in got) == audio


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
KNOWN = [
    {"type": "session.created", "session": {"expires_at": 5}},
    {"type": "session.updated", "session": {"audio": {"input": PCMU, "output": PCMU}}},
    {"type": "error", "error": {"code": "x", "message": "m", "event_id": "e"}},
    {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 5},
    {"type": "conversation.item.added", "item": call()},
    {"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": "t"},
    {"type": "response.function_call_arguments.done", "call_id": "c", "name": "n"},
    delta(),
    done(output=[call()], status_details={"reason": "r", "error": {"code": "c"}}, usage={}),
]


def paths(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from paths(inner, (*path, key))


@given(st.data())
def test_no_field_of_any_event_can_break_the_decoder(data):
    event = json.loads(json.dumps(data.draw(st.sampled_from(KNOWN))))
    *way, last = data.draw(st.sampled_from(list(paths(event))))
    holder = event
    for key in way:
        holder = holder[key]
    holder[last] = data.draw(JSON)
    with suppress(RemoteProtocolError):
        decode(event)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_can_break_the_decoder(text):
    with suppress(RemoteProtocolError):
        events.Decoder().decode(text)


# --- writing


def sent(text):
    event = json.loads(text)
    check_client_event(event)
    return event


def test_the_session_speaks_mu_law_and_leaves_the_turns_to_us():
    event = sent(events.session_update(OPENAI, config(), "evt_session"))
    session = event["session"]
    assert event["event_id"] == "evt_session"
    assert session["type"] == "realtime"
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.6,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": False,
        "interrupt_response": False,
    }
    assert session["audio"]["input"]["transcription"] == {
        "model": "gpt-transcribe",
        "languages": ["es"],
        "keywords": ["Agenx"],
    }
    assert session["tools"] == [TOOL | {"type": "function"}]
    assert session["reasoning"] == {"effort": "low"}
    assert session["parallel_tool_calls"] is False


def test_the_semantic_detector_takes_none_of_the_others_fields():
    detection = VoiceDetection(kind="semantic_vad", eagerness="high")
    event = sent(events.session_update(OPENAI, config(detection=detection, keywords=()), "e"))
    assert event["session"]["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": False,
        "interrupt_response": False,
    }
    assert "keywords" not in event["session"]["audio"]["input"]["transcription"]


def test_a_model_that_does_not_reason_is_not_told_how():
    session = sent(events.session_update(OPENAI, config(model="gpt-realtime-1.5"), "e"))["session"]
    assert not {"reasoning", "parallel_tool_calls"} & session.keys()


def test_each_command_becomes_the_event_that_carries_its_id():
    cases = [
        (AskReply("a"), {"type": "response.create", "event_id": "a"}),
        (
            AskReply("a", "Say goodbye.", tools=False),
            {
                "type": "response.create",
                "event_id": "a",
                "response": {"instructions": "Say goodbye.", "tool_choice": "none"},
            },
        ),
        (CancelReply("b", "r"), {"type": "response.cancel", "event_id": "b", "response_id": "r"}),
        (
            Truncate("c", "i", 1480),
            {
                "type": "conversation.item.truncate",
                "event_id": "c",
                "item_id": "i",
                "content_index": 0,
                "audio_end_ms": 1480,
            },
        ),
        (Forget("d", "i"), {"type": "conversation.item.delete", "event_id": "d", "item_id": "i"}),
        (
            TellModel("f", "assistant", "Hola"),
            {
                "type": "conversation.item.create",
                "event_id": "f",
                "item": {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hola"}],
                },
            },
        ),
        (
            TellModel("g", "system", "Nota"),
            {
                "type": "conversation.item.create",
                "event_id": "g",
                "item": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Nota"}]},
            },
        ),
        (
            AnswerTool("h", "c1", '{"slots":[]}'),
            {
                "type": "conversation.item.create",
                "event_id": "h",
                "item": {"type": "function_call_output", "call_id": "c1", "output": '{"slots":[]}'},
            },
        ),
    ]
    for command, event in cases:
        assert sent(events.encode(command)) == event


def test_an_utterance_of_which_nothing_was_heard_cannot_be_truncated():
    with pytest.raises(LocalProtocolError, match="forgotten"):
        events.encode(Truncate("c", "i", 0))


def test_text_that_json_cannot_carry_is_our_fault():
    with pytest.raises(LocalProtocolError, match="JSON"):
        events.encode(TellModel("f", "system", "\ud800"))


@given(st.binary(min_size=1, max_size=400))
def test_the_carriers_audio_is_forwarded_as_it_came(audio):
    payload = base64.b64encode(audio).decode()
    assert sent(events.append(payload)) == {"type": "input_audio_buffer.append", "audio": payload}


@pytest.mark.parametrize("payload", ["", 'AA","x":"', "AAé=", "AA==\n", "AA\\"])
def test_nothing_but_base64_is_spliced_into_a_frame(payload):
    with pytest.raises(LocalProtocolError):
        events.append(payload)


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_of_a_command_survives(text, command_id):
    event = json.loads(events.encode(AnswerTool(command_id, "c", text)))
    assert (event["item"]["output"], event["event_id"]) == (text, command_id)
