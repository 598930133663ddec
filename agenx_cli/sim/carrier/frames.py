"""Media stream messages (https://www.twilio.com/docs/voice/media-streams/websocket-messages).

``Outbox`` writes ours with Twilio's own numbering; ``read`` takes the customer's and refuses, with 31924, whatever is
not exactly one of the three they may send.
"""

import binascii
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any


class StreamProtocolError(Exception):
    """The customer's message breaks the protocol: 31924."""


@dataclass(frozen=True, slots=True)
class MediaIn:
    """Audio for the callee."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class MarkIn:
    """A mark to give back."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearIn:
    """Throw out what waits."""


def read(message: str | bytes, stream_sid: str) -> MediaIn | MarkIn | ClearIn:
    """One message of the customer. Raises StreamProtocolError with the reason."""
    if not isinstance(message, str):
        raise StreamProtocolError("a binary message")
    try:
        frame = json.loads(message)
    except ValueError as exc:
        raise StreamProtocolError("not JSON") from exc
    if not isinstance(frame, dict):
        raise StreamProtocolError("not an object")
    if frame.get("streamSid") != stream_sid:
        raise StreamProtocolError("a wrong or missing streamSid")
    match frame.get("event"):
        case "media":
            return MediaIn(_audio(_part(frame, "media", "payload")))
        case "mark":
            return MarkIn(_part(frame, "mark", "name"))
        case "clear":
            _only(frame, {"event", "streamSid"})
            return ClearIn()
        case other:
            raise StreamProtocolError(f"unknown event {other!r}")


def _part(frame: dict[str, Any], name: str, field: str) -> str:
    _only(frame, {"event", "streamSid", name})
    part = frame.get(name)
    if not isinstance(part, dict):
        raise StreamProtocolError(f"{name} is not an object")
    _only(part, {field})
    value = part.get(field)
    if not isinstance(value, str) or not value:
        raise StreamProtocolError(f"{name}.{field} is not a text with something in it")
    return value


def _only(part: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(part) - known):
        raise StreamProtocolError(f"unknown field {', '.join(unknown)}")


def _audio(payload: str) -> bytes:
    try:
        return b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise StreamProtocolError("the payload is not base64") from exc


class Outbox:
    """Writes one stream's messages. Numbers are texts; ``sequenceNumber`` counts all but ``connected``."""

    def __init__(self, account_sid: str, call_sid: str, stream_sid: str) -> None:
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._stream_sid = stream_sid
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> str:
        """The first message."""
        return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, parameters: dict[str, str]) -> str:
        """The second message: what the stream is and the customer's own parameters."""
        start = {
            "accountSid": self._account_sid,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        return self._numbered("start", start=start)

    def media(self, audio: bytes, timestamp_ms: int) -> str:
        """20 ms of the callee; the timestamp counts from the beginning of the stream."""
        self._chunk += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(timestamp_ms),
            "payload": b64encode(audio).decode("ascii"),
        }
        return self._numbered("media", media=media)

    def mark(self, name: str) -> str:
        """A mark given back."""
        return self._numbered("mark", mark={"name": name})

    def dtmf(self, digit: str) -> str:
        """A key that the callee pressed."""
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def stop(self) -> str:
        """The last message."""
        return self._numbered("stop", stop={"accountSid": self._account_sid, "callSid": self._call_sid})

    def _numbered(self, event: str, **body: Any) -> str:
        self._sequence += 1
        frame = {"event": event, "sequenceNumber": str(self._sequence), **body, "streamSid": self._stream_sid}
        return json.dumps(frame)
