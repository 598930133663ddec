"""Twilio's Media Streams frames: JSON text in and out, nothing else.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages. ``decode`` answers with a value or
raises RemoteProtocolError, whatever it is given; the three frames that we may send are built here too, because
anything malformed ends the stream (error 31924). Numbers arrive as strings. Audio is G.711 μ-law at 8,000 Hz, raw,
in base64.
"""

import binascii
import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from agenx_cli.errors import LocalProtocolError, RemoteProtocolError

MAX_FRAME_BYTES = 64 * 1024
"""Twilio documents no limit; its frames are about 300 bytes."""

_ID = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_DIGIT = frozenset("0123456789*#ABCDabcd")


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is up; what follows is ``Started``."""

    protocol: str


@dataclass(frozen=True, slots=True)
class Started:
    """The stream begins. ``parameters`` are the document's ``<Parameter>`` values, all text."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """A piece of what the callee says, usually 20 ms (160 bytes).

    ``payload`` is the base64 text as it came, to be passed on unchanged; ``audio`` the same, decoded, never empty.
    ``at_ms`` is Twilio's clock since the stream began.
    """

    stream_sid: str
    payload: str = field(repr=False)
    audio: bytes = field(repr=False)
    at_ms: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key was pressed."""

    stream_sid: str
    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of ours comes back: played, or thrown out by a clear."""

    stream_sid: str
    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over: the callee hung up, or other TwiML took the call."""

    stream_sid: str
    call_sid: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame that we do not know (yet), or that has nothing in it; to be ignored."""

    event: str


Frame = Connected | Started | Media | Dtmf | Mark | Stopped | Unknown


def decode(frame: str | bytes) -> Frame:
    """Read one frame. Raises RemoteProtocolError for anything over 64 KiB or not as documented."""
    message = _message(frame)
    event = _text(message, "event")
    read = _READERS.get(event)
    return Unknown(event[:40]) if read is None else read(message)


def media(stream_sid: str, audio: bytes) -> str:
    """Audio to be played after everything sent before it. Any length but none."""
    if not audio:
        raise LocalProtocolError("a media frame without audio")
    return _frame("media", stream_sid, "media", f'{{"payload":"{b64encode(audio).decode("ascii")}"}}')


def mark(stream_sid: str, name: str) -> str:
    """Ask for ``name`` back when everything before it was played (at once when nothing waits)."""
    if not name:
        raise LocalProtocolError("a mark without a name")
    return _frame("mark", stream_sid, "mark", json.dumps({"name": name}, separators=(",", ":")))


def clear(stream_sid: str) -> str:
    """Throw away what was not played. All waiting marks come back at once."""
    return f'{{"event":"clear","streamSid":"{_own(stream_sid)}"}}'


def _frame(event: str, stream_sid: str, key: str, body: str) -> str:
    return f'{{"event":"{event}","streamSid":"{_own(stream_sid)}","{key}":{body}}}'


def _own(stream_sid: str) -> str:
    if not _ID.fullmatch(stream_sid):
        raise LocalProtocolError("a frame without a stream id")
    return stream_sid


def _message(frame: str | bytes) -> dict[str, Any]:
    try:
        raw = frame.encode() if isinstance(frame, str) else frame
        if len(raw) > MAX_FRAME_BYTES:
            raise RemoteProtocolError(f"a media frame of {len(raw)} bytes; {MAX_FRAME_BYTES} is the most we take")
        message = orjson.loads(raw)
    except ValueError as exc:
        raise RemoteProtocolError("a media frame that is not JSON") from exc
    if not isinstance(message, dict):
        raise RemoteProtocolError("a media frame that is not a JSON object")
    return message


def _started(message: dict[str, Any]) -> Started:
    start = _object(message, "start")
    stream_sid = _id(message, "streamSid")
    if _id(start, "streamSid") != stream_sid:
        raise RemoteProtocolError("a start frame with two stream ids")
    form = _object(start, "mediaFormat")
    if (form.get("encoding"), form.get("sampleRate"), form.get("channels")) != ("audio/x-mulaw", 8000, 1):
        raise RemoteProtocolError("a stream that is not mono G.711 μ-law at 8,000 Hz")
    parameters = start.get("customParameters", {})
    if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
        raise RemoteProtocolError("a start frame whose parameters are not text")
    return Started(stream_sid, _id(start, "callSid"), _id(start, "accountSid"), parameters)


def _media(message: dict[str, Any]) -> Media | Unknown:
    body = _object(message, "media")
    if body.get("track", "inbound") != "inbound":
        return Unknown("media of another track")
    payload = _text(body, "payload")
    try:
        audio = binascii.a2b_base64(payload, strict_mode=True)
    except ValueError as exc:
        raise RemoteProtocolError("a media frame whose payload is not base64") from exc
    if not audio:
        return Unknown("media without audio")
    return Media(_id(message, "streamSid"), payload, audio, _number(body, "timestamp"))


def _connected(message: dict[str, Any]) -> Connected:
    return Connected(_text(message, "protocol"))


def _mark(message: dict[str, Any]) -> Mark:
    return Mark(_id(message, "streamSid"), _text(_object(message, "mark"), "name"))


def _stopped(message: dict[str, Any]) -> Stopped:
    return Stopped(_id(message, "streamSid"), _id(_object(message, "stop"), "callSid"))


def _dtmf(message: dict[str, Any]) -> Dtmf:
    digit = _text(_object(message, "dtmf"), "digit")
    if digit not in _DIGIT:
        raise RemoteProtocolError("a dtmf frame without a key of a telephone")
    return Dtmf(_id(message, "streamSid"), digit)


_READERS: Mapping[str, Callable[[dict[str, Any]], Frame]] = {
    "connected": _connected,
    "start": _started,
    "media": _media,
    "mark": _mark,
    "dtmf": _dtmf,
    "stop": _stopped,
}


def _object(message: dict[str, Any], key: str) -> dict[str, Any]:
    value = message.get(key)
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"a media frame without the object {key}")
    return value


def _text(message: dict[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise RemoteProtocolError(f"a media frame without the text {key}")
    return value


def _id(message: dict[str, Any], key: str) -> str:
    value = _text(message, key)
    if not _ID.fullmatch(value):
        raise RemoteProtocolError(f"a media frame whose {key} is not an id")
    return value


def _number(message: dict[str, Any], key: str) -> int:
    value = _text(message, key)
    if not (len(value) <= 15 and value.isascii() and value.isdigit()):
        raise RemoteProtocolError(f"a media frame whose {key} is not a number")
    return int(value)
