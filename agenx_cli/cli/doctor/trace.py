"""What really crosses the wire in one live call, watched from around the public app, without what is private.

No one can test offline over which form of its address Twilio signs an upgrade, how its frames are cut, when marks
come back after a clear, and in which order callbacks arrive. A ``Trace`` writes that down: names, counts, moments
and statuses; no number, no id, no audio, no word, no signature.

The bridge sends so little ahead that mostly nothing waits when it clears. So the first clear of a call gets something
to throw away: a fifth of a second of silence and a mark of ours, whose way back the bridge does not see.
"""

import binascii
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from agenx_cli.cli.doctor.echo import Echo
from agenx_cli.errors import RemoteProtocolError
from agenx_cli.telephony.twilio import media, webhooks

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

PROBE = "doctor"
PROBE_AUDIO = b"\xff" * 1_600
_TOLD = ("CallStatus", "SequenceNumber", "AnsweredBy", "MachineDetectionDuration", "StreamEvent", "StreamError")


class Trace:
    """The record of one call. Moments are milliseconds since it was made."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._upgrade: tuple[str, str | None, str | None] | None = None
        self._last_media = 0
        self._names: dict[str, int] = {}
        self._echo = Echo()
        self.callbacks: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.start: dict[str, Any] = {}
        self.media: Counter[str] = Counter()
        self.longest_gap_ms = 0

    def observe(self, app: App) -> App:
        """``app``, watched. It behaves as before."""

        async def observed(scope: Any, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["method"] == "POST":
                await self._post(app, scope, receive, send)
            elif scope["type"] == "websocket":
                await self._stream(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return observed

    def signature_form(self, token: str, origin: str) -> str:
        """Over which form of its address the upgrade was signed, without the host."""
        if self._upgrade is None:
            return "no upgrade was seen"
        path, signature, settings = self._upgrade
        for url in webhooks.upgrade_urls(origin, path):
            if webhooks.signed_as(token, url, signature, settings):
                return url.replace(urlsplit(url).hostname or "", "HOST")
        return "none of ours" if signature else "no signature"

    def interruption(self) -> dict[str, Any]:
        """What a clear of ours did: of the marks that waited when it was sent, how many came back, and how soon.

        The first clear that marks waited for counts; without one, the first at all.
        """
        waiting: set[int] = set()
        clears: list[tuple[int, int, frozenset[int]]] = []
        for nth, frame in enumerate(self.frames):
            if frame["event"] == "mark" and frame["from"] == "agenx":
                waiting.add(frame["mark"])
            elif frame["event"] == "mark":
                waiting.discard(frame["mark"])
            elif frame["event"] == "clear":
                clears.append((nth, frame["at_ms"], frozenset(waiting)))
        if not clears:
            return {"clear_seen": False}
        nth, at, marks = next((clear for clear in clears if clear[2]), clears[0])
        back = [
            frame["at_ms"] - at
            for frame in self.frames[nth:]
            if frame["from"] == "carrier" and frame["event"] == "mark" and frame["mark"] in marks
        ]
        return {"clear_seen": True, "at_ms": at, "marks_waiting": len(marks), "marks_back_after_ms": back}

    def ulaw(self) -> dict[str, Any]:
        """Whether both ends speak it: the carrier says so at the start; a session opens only once the model has
        confirmed it both ways, so that audio of ours proves the other."""
        form = self.start.get("mediaFormat")
        encoding = form.get("encoding") if isinstance(form, dict) else None
        return {"carrier": encoding == "audio/x-mulaw", "model": self.media["agenx_bytes"] > 0}

    def document(self, token: str, origin: str) -> dict[str, Any]:
        """Everything seen, as JSON."""
        return {
            "upgrade": {"signed_over": self.signature_form(token, origin), "start": self.start},
            "ulaw": self.ulaw(),
            "media": {**self.media, "longest_gap_ms": self.longest_gap_ms},
            "echo": self._echo.measured(),
            "interruption": self.interruption(),
            "marks_and_clears": self.frames,
            "callbacks": self.callbacks,
        }

    # --- watching

    def _at(self) -> int:
        return round((self._now() - self._began) * 1000)

    async def _post(self, app: App, scope: Any, receive: Receive, send: Send) -> None:
        body = b""
        seen: dict[str, Any] = {"at_ms": self._at(), "route": _route(scope["path"])}

        async def heard() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["answered"] = message["status"]
            await send(message)

        try:
            await app(scope, heard, said)
        finally:
            seen |= _told(body)
            headers = {name.lower() for name, _ in scope["headers"]}
            seen["idempotency_token"] = b"i-twilio-idempotency-token" in headers
            self.callbacks.append(seen)

    async def _stream(self, app: App, scope: Any, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._upgrade = (
            scope["path"],
            headers.get("x-twilio-signature"),
            headers.get("x-twilio-webhooks-signature-settings"),
        )

        async def heard() -> Message:
            message = await receive()
            while message["type"] == "websocket.receive":
                if self._frame("carrier", message.get("text")) != PROBE:
                    break
                message = await receive()
            return message

        async def said(message: Message) -> None:
            if message["type"] == "websocket.send":
                for text in self._probe(message.get("text")):
                    self._frame("agenx", text)
                    await send({"type": "websocket.send", "text": text})
                self._frame("agenx", message.get("text"))
            await send(message)

        await app(scope, heard, said)

    def _probe(self, text: str | None) -> tuple[str, ...]:
        """What to send before a frame of the bridge: something to throw away before its first clear."""
        event, frame = _read(text)
        if event != "clear" or PROBE in self._names:
            return ()
        stream = str(frame.get("streamSid"))
        return media.media(stream, PROBE_AUDIO), media.mark(stream, PROBE)

    def _frame(self, side: str, text: str | None) -> str | None:
        """Write a frame down. Gives the name of the mark that it is."""
        event, frame = _read(text)
        name = None
        if event == "media":
            self._media(side, frame)
        elif event == "start":
            self.start = _start(frame)
        else:
            if (side, event) == ("agenx", "clear"):
                self._echo.cleared(self._at())
            mark = frame.get("mark")
            name = str(mark.get("name")) if isinstance(mark, dict) else None
            number = None if name is None else self._number(name)
            self.frames.append({"at_ms": self._at(), "from": side, "event": event, "mark": number})
        return name

    def _media(self, side: str, frame: dict[str, Any]) -> None:
        body = frame.get("media")
        payload = body.get("payload") if isinstance(body, dict) else None
        try:
            audio = binascii.a2b_base64(payload) if isinstance(payload, str) else b""
        except ValueError:
            audio = b""
        self.media[f"{side}_frames"] += 1
        self.media[f"{side}_bytes"] += len(audio)
        at = self._at()
        (self._echo.came if side == "carrier" else self._echo.sent)(at, audio)
        if side == "carrier":
            self.longest_gap_ms = max(self.longest_gap_ms, at - (self._last_media or at))
            self._last_media = at

    def _number(self, name: str) -> int:
        """Marks are numbered in the order in which they are first seen; their names are nobody's business."""
        return self._names.setdefault(name, len(self._names) + 1)


def _read(text: str | None) -> tuple[str, dict[str, Any]]:
    """A frame and what it is."""
    try:
        frame = json.loads(text or "")
        return str(frame["event"])[:20], frame
    except (ValueError, KeyError, TypeError):
        return "unreadable", {}


def _route(path: str) -> str:
    """A path without the attempt's id."""
    parts = path.split("/")
    return "/".join(parts[:3]) if parts[1:2] == ["twilio"] else path[:40]


def _told(body: bytes) -> dict[str, str]:
    try:
        form = webhooks.read_form(body)
    except RemoteProtocolError:
        return {"form": "unreadable"}
    return {name: form[name][:40] for name in _TOLD if form.get(name)}


def _start(frame: dict[str, Any]) -> dict[str, Any]:
    start = frame.get("start")
    if not isinstance(start, dict):
        return {"unreadable": True}
    parameters = start.get("customParameters")
    return {
        "mediaFormat": start.get("mediaFormat"),
        "tracks": start.get("tracks"),
        "parameters": sorted(parameters) if isinstance(parameters, dict) else None,
    }
