"""``<Connect><Stream>``: the carrier's end of a bidirectional media stream."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from agenx_cli.sim.carrier.forms import is_url
from agenx_cli.sim.carrier.frames import ClearIn, MarkIn, MediaIn, Outbox, StreamProtocolError, read
from agenx_cli.sim.carrier.line import Line
from agenx_cli.sim.carrier.playout import Playout
from agenx_cli.sim.carrier.signature import HEADER, signature
from agenx_cli.sim.wirelog import WireLog

HANDSHAKE, PROTOCOL, BAD_URL, CLOSED = 31920, 31924, 11100, 31921
_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 1 << 20
_MAX_WAITING = 3_000  # messages: a minute of a customer who does not read


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """What a ``<Stream>`` asks for."""

    url: str
    parameters: dict[str, str]
    account_sid: str
    call_sid: str


@dataclass(slots=True)
class StreamRecord:
    """What became of a stream. ``began_ms`` is on the line's clock, like the playout's moments."""

    stream_sid: str
    began_ms: int | None = None
    playout: Playout = field(default_factory=Playout)
    error_code: int | None = None
    error: str = ""
    closed_by: str = ""


class MediaStream:
    """One stream of one call. It is the line's source and takes what the line carries away."""

    def __init__(self, order: StreamOrder, record: StreamRecord, token: str, wire: WireLog) -> None:
        self._order = order
        self._token = token
        self._wire = wire
        self.record = record
        self._outbox = Outbox(order.account_sid, order.call_sid, record.stream_sid)
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._at_ms = 0

    async def run(self, line: Line, started: Callable[[], None], cut_after_s: float | None = None) -> None:
        """Until the customer closes, breaks the protocol, or the call ends (then the task is cancelled).

        ``started`` is called once the customer's server took the upgrade. ``cut_after_s`` drops the connection as a
        broken network would.
        """
        if (problem := url_problem(self._order.url)) is not None:
            self._fail(*problem)
            return
        headers = {HEADER.lower(): signature(self._token, self._order.url)}
        try:
            socket = await connect(
                self._order.url,
                additional_headers=headers,
                user_agent_header="TwilioMediaStreams/1.0",
                compression=None,
                proxy=None,
                open_timeout=_HANDSHAKE_S,
                close_timeout=1.0,
                ping_interval=None,
                max_size=_MAX_MESSAGE,
            )
        except (InvalidHandshake, InvalidURI, OSError, TimeoutError) as exc:
            self._fail(HANDSHAKE, f"no WebSocket: {exc}")
            return
        started()
        if cut_after_s is not None:
            asyncio.get_running_loop().call_later(cut_after_s, self._cut, socket)
        await self._converse(socket, line)

    def take(self, at_ms: int) -> bytes:
        """The callee's next 20 ms, as the customer filled them."""
        self._at_ms = at_ms
        audio, due = self.record.playout.take(at_ms)
        self._give_back(due)
        return audio

    def said(self, audio: bytes, at_ms: int) -> None:
        """20 ms of the callee, on their way to the customer."""
        if self._waiting.qsize() < _MAX_WAITING:
            self._put(self._outbox.media(audio, at_ms - (self.record.began_ms or 0)))

    def digit(self, digit: str) -> None:
        """A key that the callee pressed."""
        self._put(self._outbox.dtmf(digit))

    async def _converse(self, socket: ClientConnection, line: Line) -> None:
        self.record.began_ms = self._at_ms = line.at_ms
        self._put(self._outbox.connected())
        self._put(self._outbox.start(self._order.parameters))
        line.source = self
        line.sink = self.said
        writer = asyncio.create_task(self._write(socket))
        closed_by = "carrier"
        try:
            closed_by = await self._listen(socket)
        finally:
            line.source = line.sink = None
            self.record.closed_by = closed_by
            if closed_by == "carrier":
                self._put(self._outbox.stop())
            self._waiting.put_nowait(None)
            await writer
            await socket.close()

    async def _listen(self, socket: ClientConnection) -> str:
        try:
            async for message in socket:
                self._log("bridge", message)
                self._obey(message)
        except StreamProtocolError as exc:
            self._fail(PROTOCOL, str(exc))
            return "carrier"
        except ConnectionClosed:
            if not self.record.error_code:
                self._fail(CLOSED, "the connection broke")
        return "bridge"

    def _obey(self, message: str | bytes) -> None:
        match read(message, self.record.stream_sid):
            case MediaIn(audio):
                self.record.playout.write(audio)
            case MarkIn(name):
                self._give_back(self.record.playout.mark(name))
            case ClearIn():
                self._give_back(self.record.playout.clear(self._at_ms))

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while (message := await self._waiting.get()) is not None:
                await socket.send(message)
                self._log("carrier", message)
        except ConnectionClosed:
            return

    def _give_back(self, marks: list[str]) -> None:
        for name in marks:
            self._put(self._outbox.mark(name))

    def _put(self, message: str) -> None:
        self._waiting.put_nowait(message)

    def _fail(self, code: int, message: str) -> None:
        self.record.error_code = code
        self.record.error = message

    def _cut(self, socket: ClientConnection) -> None:
        self._fail(CLOSED, "the network broke (a planned fault)")
        socket.transport.abort()

    def _log(self, side: str, message: str | bytes) -> None:
        if self._wire.active:
            text = message if isinstance(message, str) else message.hex()
            self._wire.write("media", {"call": self._order.call_sid, "from": side, "message": text})


def url_problem(url: str) -> tuple[int, str] | None:
    """What Twilio has against a stream's URL: code and reason.

    Only wss on port 443 and no query string; ws and other ports are taken on loopback, where no certificate can be had.
    """
    if not is_url(url, ("wss", "ws")):
        return BAD_URL, "the stream's URL is not a wss:// URL"
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        return HANDSHAKE, "a stream's URL takes no query string"
    if not _loopback(parts.hostname or "") and (parts.scheme != "wss" or parts.port not in (None, 443)):
        return BAD_URL, "a stream goes to wss on port 443"
    return None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
