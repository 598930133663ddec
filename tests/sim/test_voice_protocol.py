"""The simulated Realtime server over a real socket: configuration, errors, order, bounds."""

import audioop
import base64
import itertools
import json
import urllib.error
import urllib.request
from asyncio import to_thread

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agenx_cli.sim.sound import Listener, Said, speak
from tests.sim.talk import SPANISH, TOOLS
from tests.sim.voice_client import CHECKED, KEY, MODEL, PCMU, SILENCE, audio_of, serving, session


@pytest.fixture
async def origin():
    async with serving(seed=7) as address:
        yield address


@pytest.fixture(scope="module", autouse=True)
def counts():
    yield
    print(f"\nevents checked against the openai package: {dict(CHECKED)}")


async def get(address: str, key: str | None = KEY) -> tuple[int, dict]:
    def ask():
        request = urllib.request.Request(address, headers={} if key is None else {"Authorization": f"Bearer {key}"})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)

    return await to_thread(ask)


# --- the door


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("sk-other", 401), (KEY, 200)])
async def test_models_are_told_to_whoever_has_the_key(origin, key, status):
    assert (await get(f"http://{origin}/v1/models/{MODEL}", key))[0] == status
    assert (await get(f"http://{origin}/v1/models", key))[0] == status


async def test_an_unknown_model_is_not_found(origin):
    status, body = await get(f"http://{origin}/v1/models/gpt-4o-realtime-preview")
    assert (status, body["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        (f"?model={MODEL}", {}, 401),
        (f"?model={MODEL}", {"Authorization": "Bearer sk-other"}, 401),
        ("", {"Authorization": f"Bearer {KEY}"}, 400),
        ("?call_id=rtc_1", {"Authorization": f"Bearer {KEY}"}, 400),
    ],
)
async def test_the_upgrade_is_refused_without_key_or_model(origin, query, headers, status):
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"ws://{origin}/v1/realtime{query}", additional_headers=headers)
    assert refusal.value.response.status_code == status


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [({"OpenAI-Beta": "realtime=v1"}, None), ({}, ["realtime", "openai-beta.realtime-v1"])],
)
async def test_the_beta_is_turned_away_with_an_error_and_4000(origin, headers, subprotocols):
    headers = {"Authorization": f"Bearer {KEY}", **headers}
    address = f"ws://{origin}/v1/realtime?model={MODEL}"
    async with connect(address, additional_headers=headers, subprotocols=subprotocols) as socket:
        event = json.loads(await socket.recv())
        assert (event["type"], event["error"]["code"]) == ("error", "beta_api_shape_disabled")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 4000
    assert closed.value.rcvd.reason == "invalid_request_error.beta_api_shape_disabled"


async def test_a_dead_model_is_an_error_and_a_close(origin):
    address = f"ws://{origin}/v1/realtime?model=gpt-4o-realtime-preview-2024-10-01"
    async with connect(address, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
        assert json.loads(await socket.recv())["error"]["code"] == "model_not_found"


# --- session.update


async def test_the_session_that_opens_is_the_servers_default(origin):
    async with session(origin) as client:
        created = client.events[0]["session"]
        assert created["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
        assert created["audio"]["input"]["turn_detection"]["create_response"] is True
        assert created["object"] == "realtime.session"


async def test_an_update_changes_only_what_it_names_and_echoes_the_whole(origin):
    async with session(origin) as client:
        told = await client.configure(instructions=SPANISH, tools=list(TOOLS.values()))
        assert told["audio"]["input"]["format"] == told["audio"]["output"]["format"] == PCMU
        assert told["audio"]["input"]["turn_detection"]["threshold"] == 0.5
        assert told["audio"]["input"]["turn_detection"]["create_response"] is False
        assert [tool["name"] for tool in told["tools"]] == list(TOOLS)
        await client.send("session.update", session={"type": "realtime", "instructions": ""})
        told = (await client.until("session.updated"))["session"]
        assert (told["instructions"], len(told["tools"])) == ("", len(TOOLS))


async def test_the_update_of_the_protocol_page_is_accepted(origin):
    detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": False,
        "interrupt_response": False,
    }
    audio_in = {
        "format": PCMU,
        "noise_reduction": {"type": "near_field"},
        "transcription": {"model": "gpt-transcribe", "languages": ["en"], "keywords": ["Acme"]},
        "turn_detection": detection,
    }
    truncation = {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}}
    mcp = {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://mcp.example.com/mcp",
        "authorization": "TOKEN",
        "allowed_tools": ["find_customer"],
        "require_approval": "never",
    }
    async with session(origin) as client:
        await client.send(
            "session.update",
            session={
                "type": "realtime",
                "output_modalities": ["audio"],
                "instructions": "You are the phone agent of Acme",
                "reasoning": {"effort": "low"},
                "max_output_tokens": 1024,
                "parallel_tool_calls": False,
                "tool_choice": "auto",
                "tracing": None,
                "truncation": truncation,
                "audio": {"input": audio_in, "output": {"format": PCMU, "voice": "marin", "speed": 1.0}},
                "tools": [TOOLS["opt_out"], mcp],
            },
        )
        told = (await client.until("session.updated"))["session"]
        assert told["audio"]["input"] == audio_in
        assert told["truncation"] == truncation


def detection(**fields):
    return {"type": "realtime", "audio": {"input": {"turn_detection": fields}}}


def transcription(**fields):
    return {"type": "realtime", "audio": {"input": {"transcription": fields}}}


WRONG_SESSIONS = [
    ({"instructions": "x"}, "missing_required_parameter", "session.type"),
    ({"type": "transcription"}, "invalid_value", "session.type"),
    ({"type": "realtime", "voice": "marin"}, "unknown_parameter", "session.voice"),
    ({"type": "realtime", "input_audio_format": "g711_ulaw"}, "unknown_parameter", "session.input_audio_format"),
    ({"type": "realtime", "turn_detection": None}, "unknown_parameter", "session.turn_detection"),
    ({"type": "realtime", "modalities": ["audio"]}, "unknown_parameter", "session.modalities"),
    ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
    ({"type": "realtime", "instructions": None}, "invalid_type", "session.instructions"),
    ({"type": "realtime", "output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
    ({"type": "realtime", "max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
    ({"type": "realtime", "max_output_tokens": "many"}, "invalid_value", "session.max_output_tokens"),
    ({"type": "realtime", "model": "gpt-realtime"}, "invalid_value", "session.model"),
    ({"type": "realtime", "audio": {"voice": "marin"}}, "unknown_parameter", "session.audio.voice"),
    (
        {"type": "realtime", "audio": {"output": {"voice": "nobody"}}},
        "invalid_value",
        "session.audio.output.voice",
    ),
    (
        {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcm"}}}},
        "missing_required_parameter",
        "session.audio.output.format.rate",
    ),
    (
        {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu", "rate": 8000}}}},
        "unknown_parameter",
        "session.audio.output.format.rate",
    ),
    (
        {"type": "realtime", "audio": {"output": {"format": "g711_ulaw"}}},
        "invalid_type",
        "session.audio.output.format",
    ),
    (
        detection(type="semantic_vad", threshold=0.5),
        "unknown_parameter",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        detection(type="server_vad", threshold="0.5"),
        "invalid_type",
        "session.audio.input.turn_detection.threshold",
    ),
    (detection(type="server_vad", threshold=1.5), "invalid_value", "session.audio.input.turn_detection.threshold"),
    (detection(threshold=0.5), "missing_required_parameter", "session.audio.input.turn_detection.type"),
    (
        transcription(model="gpt-4o-transcribe", keywords=["x"]),
        "invalid_value",
        "session.audio.input.transcription.keywords",
    ),
    (
        transcription(model="gpt-transcribe", delay="low"),
        "invalid_value",
        "session.audio.input.transcription.delay",
    ),
    (transcription(model="gpt-live-transcribe"), "invalid_value", "session.audio.input.transcription.model"),
    (transcription(model="gpt-realtime-whisper"), "invalid_value", "session.audio.input.transcription.model"),
    ({"type": "realtime", "tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
    (
        {"type": "realtime", "tools": [{"type": "function", "function": {"name": "x"}}]},
        "unknown_parameter",
        "session.tools[0].function",
    ),
    ({"type": "realtime", "tools": [TOOLS["opt_out"], TOOLS["opt_out"]]}, "invalid_value", "session.tools"),
    (
        {"type": "realtime", "tool_choice": {"type": "function", "name": "nothing"}},
        "invalid_value",
        "session.tool_choice.name",
    ),
]


@pytest.mark.parametrize(("wanted", "code", "param"), WRONG_SESSIONS)
async def test_a_wrong_session_is_refused_whole_and_names_the_field(origin, wanted, code, param):
    async with session(origin) as client:
        before = await client.configure()
        wanted = {**wanted, "include": None}
        await client.raw({"type": "session.update", "event_id": "evt_wrong", "session": wanted})
        error = await client.error()
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
        assert error["event_id"] == "evt_wrong"
        await client.send("session.update", session={"type": "realtime"})
        assert (await client.until("session.updated"))["session"] == before


async def test_an_older_model_takes_no_reasoning(origin):
    async with session(origin, model="gpt-realtime-1.5") as client:
        await client.send("session.update", session={"type": "realtime", "reasoning": {"effort": "low"}})
        assert (await client.error())["param"] == "session.reasoning"


async def test_the_voice_is_fixed_once_it_was_heard(origin):
    async with session(origin) as client:
        await client.configure()
        await client.send("response.create")
        await client.until("response.done")
        await client.until("rate_limits.updated")
        await client.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}})
        assert (await client.error())["code"] == "cannot_update_voice"


# --- malformed events


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ('{"type": "response.create", "event_id": "\\ud800"}', "invalid_json", None),
        ('{"type": NaN}', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ([], "invalid_value", ""),
        ({}, "missing_required_parameter", "type"),
        ({"type": "session.create"}, "invalid_value", "type"),
        ({"type": 7}, "invalid_type", "type"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "%%%"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "//8=", "x": 1}, "unknown_parameter", "x"),
        (
            {"type": "response.create", "response": {"modalities": ["audio"]}},
            "unknown_parameter",
            "response.modalities",
        ),
        ({"type": "response.create", "response": {"voice": "marin"}}, "unknown_parameter", "response.voice"),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user"}},
            "missing_required_parameter",
            "item.content",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}]},
            },
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "audio": ""}]},
            },
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "c", "output": {}},
            },
            "invalid_type",
            "item.output",
        ),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
        ({"type": "conversation.item.retrieve", "item_id": "item_x"}, "item_retrieve_invalid_item_id", "item_id"),
        ({"type": "conversation.item.delete", "item_id": "item_x"}, "item_delete_invalid_item_id", "item_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "item_x", "content_index": 0, "audio_end_ms": 5},
            "item_truncate_invalid_item_id",
            "item_id",
        ),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "c", "output": "x"},
            },
            "invalid_tool_call_id",
            "item.call_id",
        ),
    ],
)
async def test_a_wrong_event_gets_one_error_and_the_session_goes_on(origin, event, code, param):
    async with session(origin) as client:
        await client.raw({**event, "event_id": "evt_wrong"} if isinstance(event, dict) else event)
        error = await client.error()
        assert (error["code"], error["param"]) == (code, param)
        assert error["event_id"] == ("evt_wrong" if isinstance(event, dict) else None)
        await client.configure()


# --- a turn


TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


async def test_an_audio_turn_has_the_usual_order_and_its_words_are_in_the_sound(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH, detection={"type": "server_vad"})
        start = len(client.events)
        await client.say("Buenos días, ¿quién es?")
        await client.until("rate_limits.updated")
        kinds = [kind for kind in client.types(start) if not kind.endswith(".delta") and "transcription" not in kind]
        assert kinds == TURN
        started, stopped = client.events[start], client.events[start + 1]
        assert 0 <= started["audio_start_ms"] <= 200
        assert stopped["audio_end_ms"] - started["audio_start_ms"] >= 700
        done = next(event for event in client.events if event["type"] == "response.done")["response"]
        said = done["output"][0]["content"][0]["transcript"]
        assert "Clara" in said
        assert Listener().hear(audio_of(client.events))[-1] == Said(said, complete=True)
        committed = client.events[start + 2]
        assert (
            committed["item_id"] == started["item_id"] == stopped["item_id"] == client.events[start + 3]["item"]["id"]
        )


async def test_deltas_have_any_length_and_base64_padding_appears(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        await client.say("Sí, dígame.")
        await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        await client.until("response.done")
        deltas = [event["delta"] for event in client.events if event["type"] == "response.output_audio.delta"]
        assert len({len(delta) for delta in deltas}) > 3
        assert any(delta.endswith("=") for delta in deltas)
        shown = "".join(e["delta"] for e in client.events if e["type"] == "response.output_audio_transcript.delta")
        done = next(e for e in client.events if e["type"] == "response.output_audio_transcript.done")
        assert shown == done["transcript"]


async def test_the_transcript_comes_after_the_commit_with_its_seconds(origin):
    async with session(origin) as client:
        await client.configure()
        await client.say("Hola, ¿qué tal?")
        committed = await client.until("input_audio_buffer.committed")
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert (heard["transcript"], heard["item_id"]) == ("Hola, ¿qué tal?", committed["item_id"])
        assert heard["usage"]["type"] == "duration"
        assert 0.5 < heard["usage"]["seconds"] < 2.5


async def test_a_damaged_sentence_is_not_understood(origin):
    async with session(origin) as client:
        await client.configure()
        sound = speak("Sí, me interesa mucho, cuénteme más")
        await client.append(SILENCE * 1600 + sound[:1600] + sound[1760:] + SILENCE * 5600)
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert not heard["transcript"].endswith("más")


@pytest.mark.parametrize(("threshold", "starts"), [(0.3, True), (0.6, False)])
async def test_what_counts_as_speech_is_decided_by_the_threshold(origin, threshold, starts):
    hum = bytes((0x68, 0x68, 0xE8, 0xE8)) * 1000  # about -43 dBFS
    async with session(origin) as client:
        await client.configure(detection={"type": "server_vad", "threshold": threshold, "create_response": False})
        await client.append(hum)
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert ("input_audio_buffer.speech_started" in client.types()) == starts


async def test_silence_duration_is_counted_in_audio_time(origin):
    async with session(origin) as client:
        await client.configure(detection={"type": "server_vad", "silence_duration_ms": 200, "create_response": False})
        await client.say("Hola.", after_ms=240)
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] == pytest.approx(200 + len(speak("Hola.")) / 8 + 200, abs=40)


async def test_two_turns_get_two_items_in_order(origin):
    async with session(origin) as client:
        await client.configure()
        await client.say("Uno.")
        await client.say("Dos.")
        first = await client.until("input_audio_buffer.committed")
        second = await client.until("input_audio_buffer.committed")
        assert second["previous_item_id"] == first["item_id"] != second["item_id"]


async def test_manual_turns_are_committed_by_the_client(origin):
    async with session(origin) as client:
        await client.configure(detection=None)
        await client.say("Hola, ¿qué tal?")
        await client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "Hola, ¿qué tal?"
        assert "input_audio_buffer.speech_started" not in client.types()


async def test_a_manual_commit_during_speech_takes_the_turns_own_id(origin):
    async with session(origin) as client:
        await client.configure()
        await client.say("Este es un saludo largo que no se acaba nunca", after_ms=0)
        started = await client.until("input_audio_buffer.speech_started")
        await client.send("input_audio_buffer.commit")
        assert (await client.until("input_audio_buffer.committed"))["item_id"] == started["item_id"]


async def test_semantic_detection_ends_turns_too(origin):
    async with session(origin) as client:
        await client.configure(detection={"type": "semantic_vad", "eagerness": "high", "create_response": False})
        await client.say("Hola.")
        await client.until("input_audio_buffer.committed")


# --- responses


async def test_only_one_response_at_a_time(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        await client.send("response.create")
        created = await client.until("response.created")
        again = await client.send("response.create")
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", again)
        assert created["response"]["id"] in error["message"]
        await client.send(
            "response.create", response={"conversation": "none", "input": [], "instructions": "Say hello"}
        )
        done = [await client.until("response.done") for _ in range(2)]
        assert {one["response"]["status"] for one in done} == {"completed"}


async def test_out_of_band_words_do_not_enter_the_conversation(origin):
    async with session(origin) as client:
        await client.configure()
        text = "Hola, soy Clara, asistente de inteligencia artificial."
        await client.send(
            "response.create",
            response={
                "conversation": "none",
                "input": [],
                "tool_choice": "none",
                "instructions": f"Say exactly the text: <text>{text}</text>",
                "metadata": {"topic": "opening"},
            },
        )
        done = (await client.until("response.done"))["response"]
        assert done["output"][0]["content"][0]["transcript"] == text
        assert done["metadata"] == {"topic": "opening"}
        assert done["conversation_id"] is None
        assert "conversation.item.added" not in client.types()


async def test_a_cancelled_response_closes_what_it_began(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        await client.send("response.create")
        delta = await client.until("response.output_audio.delta")
        await client.send("response.cancel", response_id=delta["response_id"])
        done = (await client.until("response.done"))["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert done["output"][0]["status"] == "incomplete"
        assert done["usage"]["output_token_details"]["audio_tokens"] >= 1
        await client.send("response.cancel")
        assert (await client.until("error"))["error"]["code"] == "response_cancel_not_active"
        assert "response.output_audio.delta" not in itertools.dropwhile(
            lambda kind: kind != "response.done", client.types()
        )


async def test_speech_interrupts_a_response_only_when_told_to(origin):
    async with session(origin) as client:
        await client.configure(
            instructions=SPANISH, detection={"type": "server_vad", "create_response": False, "interrupt_response": True}
        )
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.say("Perdone, una pregunta.")
        done = (await client.until("response.done"))["response"]
        assert done["status_details"]["reason"] == "turn_detected"


async def test_truncation_keeps_to_what_was_sent_and_removes_the_transcript(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        item_id = done["output"][0]["id"]
        length = len(audio_of(client.events, item_id)) // 8
        place = {"item_id": item_id, "content_index": 0}
        await client.send("conversation.item.truncate", **place, audio_end_ms=length + 1)
        error = (await client.until("error"))["error"]
        assert error["message"] == f"Audio content of {length}ms is already shorter than {length + 1}ms"
        await client.send("conversation.item.truncate", **place, audio_end_ms=0)
        error = (await client.until("error"))["error"]
        assert (error["code"], error["message"]) == (
            "unsupported_content_type",
            "Only model output audio messages can be truncated",
        )
        await client.send("conversation.item.truncate", **place, audio_end_ms=300)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 300
        await client.send("conversation.item.truncate", **place, audio_end_ms=301)
        assert (await client.until("error"))["error"]["code"] == "invalid_value"
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.until("conversation.item.retrieved"))["item"]
        assert "transcript" not in item["content"][0]
        await client.send("conversation.item.delete", item_id=item_id)
        await client.until("conversation.item.deleted")


async def test_a_truncated_sentence_is_remembered_only_as_far_as_it_was_heard(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        text = {"type": "input_text", "text": "Sí, dígame."}
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": [text]})
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        item = done["output"][0]
        await client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=100)
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": [text]})
        await client.send("response.create")
        again = (await client.until("response.done"))["response"]
        assert again["output"][0]["content"][0]["transcript"] == item["content"][0]["transcript"]


async def test_items_are_placed_and_named_as_asked(origin):
    async with session(origin) as client:
        await client.configure()

        async def put(item_id, after=None):
            item = {
                "id": item_id,
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "x"}],
            }
            await client.send("conversation.item.create", item=item, previous_item_id=after)

        await put("b")
        assert (await client.until("conversation.item.added"))["previous_item_id"] is None
        await put("a", "root")
        assert (await client.until("conversation.item.added"))["previous_item_id"] is None
        await put("c", "a")
        assert (await client.until("conversation.item.added"))["previous_item_id"] == "a"
        await put("a")
        assert (await client.until("error"))["error"]["code"] == "item_create_duplicate_item_id"
        await put("d", "nowhere")
        assert (await client.until("error"))["error"]["code"] == "item_create_invalid_previous_item_id"


async def test_a_function_call_is_made_answered_and_spoken_of(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH, tools=list(TOOLS.values()))
        await client.say("No me vuelvan a llamar.")
        await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        arguments = await client.until("response.function_call_arguments.done")
        done = (await client.until("response.done"))["response"]
        assert (arguments["name"], done["output"][0]["name"]) == ("opt_out", "opt_out")
        output = {"type": "function_call_output", "call_id": arguments["call_id"], "output": '{"status": "opted_out"}'}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        last = (await client.until("response.done"))["response"]["output"]
        assert "no volveremos a llamarle" in last[0]["content"][0]["transcript"]
        assert json.loads(last[1]["arguments"]) == {"reason": "opted_out"}


async def test_usage_adds_up_and_later_turns_are_cached(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        usages = []
        for _ in range(2):
            await client.say("Buenos días.")
            await client.until("input_audio_buffer.committed")
            await client.send("response.create")
            usages.append((await client.until("response.done"))["response"]["usage"])
        for usage in usages:
            details, out = usage["input_token_details"], usage["output_token_details"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            assert usage["input_tokens"] == details["text_tokens"] + details["audio_tokens"]
            assert usage["output_tokens"] == out["text_tokens"] + out["audio_tokens"]
            assert details["cached_tokens"] <= usage["input_tokens"]
        assert usages[0]["input_token_details"]["cached_tokens"] == 0
        assert usages[1]["input_token_details"]["cached_tokens_details"]["audio_tokens"] > 0
        assert usages[1]["input_tokens"] > usages[0]["input_tokens"]


async def test_a_limit_on_output_makes_the_response_incomplete(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH, max_output_tokens=10)
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert len(audio_of(client.events)) <= 10 * 50 * 8


async def test_text_is_written_when_text_is_asked_for(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        await client.send("response.create", response={"output_modalities": ["text"]})
        written = await client.until("response.output_text.done")
        done = (await client.until("response.done"))["response"]
        assert done["output"][0]["content"] == [{"type": "output_text", "text": written["text"]}]
        assert "response.output_audio.delta" not in client.types()


async def test_a_response_may_be_given_its_own_input(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        item = {
            "id": "u1",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "¿Es un robot?"}],
        }
        await client.send("conversation.item.create", item=item)
        await client.send("response.create", response={"input": [{"type": "item_reference", "id": "u1"}]})
        done = (await client.until("response.done"))["response"]
        assert "inteligencia artificial" in done["output"][0]["content"][0]["transcript"]
        await client.send("response.create", response={"input": [{"type": "item_reference", "id": "u2"}]})
        assert (await client.until("error"))["error"]["param"] == "response.input[0].id"


@pytest.mark.parametrize("kind", [{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcma"}])
async def test_other_formats_are_spoken_too(origin, kind):
    async with session(origin) as client:
        await client.send("session.update", session={"type": "realtime", "audio": {"output": {"format": kind}}})
        await client.until("session.updated")
        await client.send("response.create")
        await client.until("response.done")
        assert len(audio_of(client.events)) > 8000


async def test_sound_may_be_put_into_the_conversation_as_an_item(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        audio = base64.b64encode(speak("¿Es usted un robot?")).decode()
        part = {"type": "input_audio", "audio": audio}
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        item = (await client.until("conversation.item.done"))["item"]
        await client.send("conversation.item.retrieve", item_id=item["id"])
        assert (await client.until("conversation.item.retrieved"))["item"]["content"][0]["audio"] == audio
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert "inteligencia artificial" in done["output"][0]["content"][0]["transcript"]
        await client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=100)
        assert (await client.until("error"))["error"]["code"] == "unsupported_content_type"


async def test_history_is_replayed_with_its_calls(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH, tools=list(TOOLS.values()))
        call = {"type": "function_call", "name": "opt_out", "call_id": "call_1", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "call_1", "output": '{"status": "opted_out"}'}
        for item in (call, output):
            await client.send("conversation.item.create", item=item)
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert "no volveremos a llamarle" in done["output"][0]["content"][0]["transcript"]


async def test_other_transcription_models_bill_by_tokens(origin):
    async with session(origin) as client:
        await client.configure()
        await client.send("session.update", session=transcription(model="gpt-4o-transcribe", language="es"))
        await client.say("Hola.")
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert heard["usage"]["total_tokens"] == heard["usage"]["input_tokens"] + heard["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("kind", "audio"),
    [
        ({"type": "audio/pcma"}, audioop.lin2alaw(audioop.ulaw2lin(speak("Hola, ¿qué tal?"), 2), 2)),
        (
            {"type": "audio/pcm", "rate": 24000},
            audioop.ratecv(audioop.ulaw2lin(speak("Hola, ¿qué tal?"), 2), 2, 1, 8000, 24000, None)[0],
        ),
    ],
)
async def test_words_do_not_survive_a_change_of_format(origin, kind, audio):
    async with session(origin) as client:
        await client.configure(detection=None)
        await client.send("session.update", session={"type": "realtime", "audio": {"input": {"format": kind}}})
        await client.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())
        await client.send("input_audio_buffer.commit")
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == ""


@pytest.mark.parametrize(
    ("first", "second", "param"),
    [
        ({"tracing": "auto"}, {"tracing": None}, "session.tracing"),
        ({}, {"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools[0]"),
    ],
)
async def test_more_rules_across_fields(origin, first, second, param):
    async with session(origin) as client:
        await client.configure(**first)
        await client.send("session.update", session={"type": "realtime", **second})
        assert (await client.error())["param"] == param


async def test_the_speed_does_not_change_while_somebody_speaks(origin):
    async with session(origin) as client:
        await client.configure(instructions=SPANISH)
        await client.send("response.create")
        await client.send("session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.2}}})
        assert (await client.until("error"))["error"]["param"] == "session.audio.output.speed"
        await client.until("response.done")


async def test_an_approval_that_nobody_asked_for_is_refused(origin):
    async with session(origin) as client:
        item = {"type": "mcp_approval_response", "id": "a", "approval_request_id": "b", "approve": True}
        await client.send("conversation.item.create", item=item)
        assert (await client.error())["param"] == "item.approval_request_id"
