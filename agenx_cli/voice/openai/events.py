"""The GA Realtime protocol as text in and text out (``protocols/realtime.md`` §2 to §8). No I/O.

Reading: ``Decoder`` turns one server event into the events of a conversation. What we do not know is ignored,
because the vendor adds events without notice; what we know but cannot read raises RemoteProtocolError,
because guessing at it would lose speech silently. A failure that the server reports is a value (``ModelFault``).

Writing: ``session_update``, ``append`` and ``encode`` make every client event that we ever send. The server's voice
detector only reports: ``create_response`` and ``interrupt_response`` are always false, so that the bridge alone
creates and cancels responses.
"""

import binascii
import re
from collections.abc import Callable
from typing import Any, Protocol, assert_never

import orjson

from agenx_cli.core.playbook import VoiceDetection
from agenx_cli.core.signals import (
    AnswerTool,
    AskReply,
    CalleeText,
    CancelReply,
    Event,
    Forget,
    ModelCommand,
    ModelFault,
    ModelReady,
    ReplyAudio,
    ReplyEnded,
    ReplyStarted,
    ReplyStatus,
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
from agenx_cli.voice.openai.fields import (
    Json,
    a_list,
    a_text,
    an_id,
    an_object,
    maybe_object,
    maybe_text,
    milliseconds,
)
from agenx_cli.voice.openai.profiles import Profile

MAX_EVENT = 4 * 1024 * 1024
"""Characters of one server event: more than six minutes of audio in one piece."""
MAX_CALLS = 128
AUDIO = "audio/pcmu"
WRONG_AUDIO = "audio_format"
"""The code of the fault when the server answers with another audio format than ours."""
TOOL_FIELDS = ("name", "description", "parameters")
KEY = re.compile(r"\bsk-[^\s\"',;]+")
MAX_MESSAGE = 500
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
STATUSES: dict[str, ReplyStatus] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "incomplete": "incomplete",
    "failed": "failed",
}

# --- reading


def parse(text: str | bytes) -> Json:
    """One server event as an object with a ``type``. Raises RemoteProtocolError."""
    if len(text) > MAX_EVENT:
        raise RemoteProtocolError(f"the voice model sent an event of {len(text)} characters")
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise RemoteProtocolError("the voice model sent something that is not JSON") from exc
    if not isinstance(event, dict):
        raise RemoteProtocolError("the voice model sent JSON that is not an object")
    an_id(event, "type")
    return event


class Decoder:
    """What must be remembered of one session in order to read its events: the names of the functions it calls."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._readers: dict[str, Callable[[Json], tuple[Event, ...]]] = {
            "session.updated": self._session_updated,
            "error": self._error,
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": self._speech_stopped,
            "input_audio_buffer.committed": self._committed,
            "conversation.item.added": self._item,
            "conversation.item.created": self._item,
            "conversation.item.done": self._item,
            "conversation.item.truncated": self._truncated,
            "conversation.item.input_audio_transcription.completed": self._transcribed,
            "response.created": self._response_created,
            "response.output_item.added": self._item,
            "response.output_item.done": self._item,
            "response.function_call_arguments.done": self._arguments,
            "response.output_audio.delta": self._audio,
            "response.output_audio.done": self._audio_done,
            "response.output_audio_transcript.delta": self._text_delta,
            "response.output_text.delta": self._text_delta,
            "response.done": self._response_done,
        }

    def decode(self, text: str | bytes) -> tuple[Event, ...]:
        """What one server event means to the conversation. Raises RemoteProtocolError."""
        return self.interpret(parse(text))

    def interpret(self, event: Json) -> tuple[Event, ...]:
        """The same for an event that is parsed already."""
        reader = self._readers.get(event["type"])
        return () if reader is None else reader(event)

    # --- the session

    def _session_updated(self, event: Json) -> tuple[Event, ...]:
        """A model was seen to answer PCM after it had been asked for μ-law (§2): the echo is what counts."""
        audio = an_object(an_object(event, "session"), "audio")
        for side in ("input", "output"):
            has = an_object(an_object(audio, side), "format").get("type")
            if has != AUDIO:
                text = f"the voice model wants {str(has)[:40]!r} as {side} instead of {AUDIO}"
                return (ModelFault(WRONG_AUDIO, text),)
        return (ModelReady(),)

    def _error(self, event: Json) -> tuple[Event, ...]:
        error = an_object(event, "error")
        code = maybe_text(error, "code") or maybe_text(error, "type")
        message = _message(error) or "the voice model reported an error without a message"
        return (ModelFault(code, message, maybe_text(error, "event_id")),)

    # --- the callee

    def _speech_started(self, event: Json) -> tuple[Event, ...]:
        return (SpeechStarted(an_id(event, "item_id"), milliseconds(event, "audio_start_ms")),)

    def _speech_stopped(self, event: Json) -> tuple[Event, ...]:
        return (SpeechStopped(an_id(event, "item_id"), milliseconds(event, "audio_end_ms")),)

    def _committed(self, event: Json) -> tuple[Event, ...]:
        return (TurnCommitted(an_id(event, "item_id")),)

    def _transcribed(self, event: Json) -> tuple[Event, ...]:
        usage = maybe_object(event, "usage")
        return (CalleeText(an_id(event, "item_id"), a_text(event, "transcript"), usage),)

    def _truncated(self, event: Json) -> tuple[Event, ...]:
        return (UtteranceTruncated(an_id(event, "item_id"), milliseconds(event, "audio_end_ms")),)

    # --- the reply

    def _response_created(self, event: Json) -> tuple[Event, ...]:
        return (ReplyStarted(an_id(an_object(event, "response"), "id")),)

    def _audio(self, event: Json) -> tuple[Event, ...]:
        reply, utterance = an_id(event, "response_id"), an_id(event, "item_id")
        try:
            audio = binascii.a2b_base64(a_text(event, "delta", limit=MAX_EVENT), strict_mode=True)
        except ValueError as exc:
            raise RemoteProtocolError("the voice model sent audio that is not base64") from exc
        return (ReplyAudio(reply, utterance, audio),) if audio else ()

    def _audio_done(self, event: Json) -> tuple[Event, ...]:
        return (UtteranceEnded(an_id(event, "response_id"), an_id(event, "item_id")),)

    def _text_delta(self, event: Json) -> tuple[Event, ...]:
        reply, utterance = an_id(event, "response_id"), an_id(event, "item_id")
        return (ReplyText(reply, utterance, a_text(event, "delta")),)

    def _response_done(self, event: Json) -> tuple[Event, ...]:
        response = an_object(event, "response")
        reply = an_id(response, "id")
        said = an_id(response, "status")
        details = maybe_object(response, "status_details")
        error = maybe_object(details, "error")
        calls = tuple(call for item in a_list(response, "output") if (call := self._completed_call(item, said)))
        self._names.clear()
        return (
            ReplyEnded(
                reply_id=reply,
                status=STATUSES.get(said, "failed"),
                reason=maybe_text(details, "reason") or (None if said in STATUSES else said),
                error_code=maybe_text(error, "code") or maybe_text(error, "type"),
                error_message=_message(error),
                tool_calls=calls,
                usage=maybe_object(response, "usage"),
            ),
        )

    # --- function calls

    def _item(self, event: Json) -> tuple[Event, ...]:
        item = an_object(event, "item")
        if item.get("type") == "function_call":
            self._remember(maybe_text(item, "call_id"), maybe_text(item, "name"))
        return ()

    def _arguments(self, event: Json) -> tuple[Event, ...]:
        self._remember(an_id(event, "call_id"), maybe_text(event, "name"))
        return ()

    def _remember(self, call_id: str | None, name: str | None) -> None:
        """Some servers give a call's name only once, and not where it is needed (§4)."""
        if call_id and name and len(self._names) < MAX_CALLS:
            self._names[call_id] = name

    def _completed_call(self, item: Any, reply_status: str) -> ToolCall | None:
        """A call may only be run when it is whole: a cut-off one holds half of its arguments (§6)."""
        if not isinstance(item, dict):
            raise RemoteProtocolError("the voice model sent an output item that is not an object")
        status = maybe_text(item, "status") or reply_status
        if item.get("type") != "function_call" or status != "completed":
            return None
        call_id = an_id(item, "call_id")
        name = maybe_text(item, "name") or self._names.get(call_id)
        if not name:
            raise RemoteProtocolError("the voice model called a function without naming it")
        return ToolCall(call_id, name, a_text(item, "arguments"))


def _message(error: Json) -> str | None:
    """A vendor's sentence about an error: short, and without the key that some of them quote."""
    text = maybe_text(error, "message")
    return text and KEY.sub("sk-…", text)[:MAX_MESSAGE]


# --- writing


class Configuration(Protocol):
    """What a session is told before the first word (``ports.SessionConfig``; a codec sees no ports)."""

    @property
    def instructions(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def voice(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def detection(self) -> VoiceDetection: ...
    @property
    def tools(self) -> tuple[Json, ...]: ...
    @property
    def keywords(self) -> tuple[str, ...]: ...
    @property
    def max_output_tokens(self) -> int: ...


def session_update(profile: Profile, config: Configuration, event_id: str) -> str:
    """The one ``session.update`` of a session (§2). Only the first part of the language tag is sent."""
    transcription: Json = {
        "model": profile.transcription_model,
        "languages": [config.language.partition("-")[0].lower()],
    }
    if config.keywords:
        transcription["keywords"] = list(config.keywords)
    session: Json = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": config.instructions,
        "max_output_tokens": config.max_output_tokens,
        "tool_choice": "auto",
        "tracing": None,
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": 8000},
        },
        "audio": {
            "input": {
                "format": {"type": AUDIO},
                "noise_reduction": {"type": "near_field"},
                "transcription": transcription,
                "turn_detection": _turn_detection(config.detection),
            },
            "output": {"format": {"type": AUDIO}, "voice": config.voice, "speed": 1.0},
        },
        "tools": [{"type": "function"} | {key: tool[key] for key in TOOL_FIELDS} for tool in config.tools],
    }
    if profile.capabilities.reasons(config.model):
        session |= {"reasoning": {"effort": "low"}, "parallel_tool_calls": False}
    return _write("session.update", event_id, session=session)


def _turn_detection(detection: VoiceDetection) -> Json:
    """Report only, whichever detector; ``semantic_vad`` takes none of the other's fields."""
    quiet: Json = {"create_response": False, "interrupt_response": False}
    if detection.kind == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": detection.eagerness} | quiet
    return {
        "type": "server_vad",
        "threshold": detection.threshold,
        "prefix_padding_ms": detection.prefix_ms,
        "silence_duration_ms": detection.silence_ms,
        "idle_timeout_ms": None,
    } | quiet


def append(payload: str) -> str:
    """The callee's audio, base64 as the carrier sent it, spliced into the frame. Raises LocalProtocolError."""
    if BASE64.fullmatch(payload) is None:
        raise LocalProtocolError("audio for the voice model is not base64")
    return '{"type":"input_audio_buffer.append","audio":"' + payload + '"}'


def encode(command: ModelCommand) -> str:
    """A command of the conversation as a client event that carries the command's id. Raises LocalProtocolError."""
    match command:
        case AskReply():
            return _ask(command)
        case CancelReply(command_id, reply_id):
            return _write("response.cancel", command_id, response_id=reply_id)
        case Truncate(command_id, utterance_id, heard_ms):
            if heard_ms < 1:
                raise LocalProtocolError("an utterance of which nothing was heard is forgotten, not truncated")
            return _write(
                "conversation.item.truncate",
                command_id,
                item_id=utterance_id,
                content_index=0,
                audio_end_ms=heard_ms,
            )
        case Forget(command_id, item_id):
            return _write("conversation.item.delete", command_id, item_id=item_id)
        case TellModel(command_id, role, text):
            kind = "output_text" if role == "assistant" else "input_text"
            content = [{"type": kind, "text": text}]
            return _create(command_id, {"type": "message", "role": role, "content": content})
        case AnswerTool(command_id, call_id, output):
            return _create(command_id, {"type": "function_call_output", "call_id": call_id, "output": output})
        case _:
            assert_never(command)


def _ask(command: AskReply) -> str:
    response: Json = {}
    if command.instructions is not None:
        response["instructions"] = command.instructions
    if not command.tools:
        response["tool_choice"] = "none"
    return _write("response.create", command.command_id, **({"response": response} if response else {}))


def _create(command_id: str, item: Json) -> str:
    return _write("conversation.item.create", command_id, item=item)


def _write(kind: str, event_id: str, **fields: Any) -> str:
    """Raises LocalProtocolError for what JSON cannot carry (half a surrogate pair in a text, for instance)."""
    try:
        return orjson.dumps({"type": kind, "event_id": event_id, **fields}).decode()
    except orjson.JSONEncodeError as exc:
        raise LocalProtocolError(f"a {kind} for the voice model cannot be written as JSON") from exc
