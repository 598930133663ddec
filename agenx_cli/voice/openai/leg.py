"""The socket to the voice model: opening a session, and carrying frames in both directions while it lives.

Opening: upgrade → greeting of the server → our ``session.update`` → its echo, which must say μ-law both ways; only
then may audio flow (§2). Refusals are told apart by what mends them (§8).

Living: one task reads, one writes what ``hear`` and ``send`` put into a bounded queue, in order. A session that ends
without our asking is reported once, as ``ModelLost``, and nothing follows it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from agenx_cli.core.signals import Event, ModelCommand, ModelFault, ModelLost, ModelReady
from agenx_cli.errors import RemoteProtocolError, VoiceError
from agenx_cli.ports import SessionConfig
from agenx_cli.reading import is_loopback
from agenx_cli.voice.openai import events
from agenx_cli.voice.openai.profiles import Profile, host_of
from agenx_cli.voice.openai.refusals import closing, fault, from_network, from_status

FIRST_PAUSE_S = 0.25
PING_S = 10.0
QUEUE_LIMIT = 1000
"""Frames that may wait for the socket: 20 s of audio. More means that the other side no longer takes any."""

SOCKET_LOG = logging.getLogger("agenx_cli.voice.socket")
SOCKET_LOG.setLevel(logging.WARNING)
"""The library logs headers and frames at DEBUG: the key and what people say."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for the upgrade, retries included (about as long as a telephone rings); for the echo of our
    configuration; for a polite close."""

    upgrade_s: float = 5.0
    configure_s: float = 5.0
    close_s: float = 2.0


class OpenAIVoice:
    """Sessions at one provider (``ports.VoiceModel``)."""

    def __init__(self, profile: Profile, api_key: str, base_url: str, *, patience: Patience = Patience()) -> None:
        self._profile = profile
        self._api_key = api_key
        self._base_url = base_url
        self._patience = patience

    def __repr__(self) -> str:
        return f"OpenAIVoice({self._profile.name})"

    async def connect(self, config: SessionConfig, receive: Callable[[Event], None]) -> "OpenAILeg":
        """Open a session that speaks μ-law both ways. Raises VoiceError, SettingsError for a wrong address.

        ``ModelReady`` is not among the events that ``receive`` gets: that this returned says it.
        """
        socket = await self._open(config.model)
        decoder = events.Decoder()
        try:
            await self._confirm(socket, decoder, config)
        except BaseException:
            await _shut(socket, self._patience.close_s)
            raise
        return OpenAILeg(socket, decoder, receive, self._patience.close_s)

    async def _confirm(self, socket: ClientConnection, decoder: events.Decoder, config: SessionConfig) -> None:
        """Configure the session, or say why that is not possible."""
        name = self._profile.name
        try:
            async with asyncio.timeout(self._patience.configure_s):
                await self._configure(socket, decoder, config)
        except TimeoutError as exc:
            text = f"the voice model did not confirm the session within {self._patience.configure_s:g} s"
            raise VoiceError(text, provider=name, code="timeout", retryable=True) from exc
        except ConnectionClosed as exc:
            code = None if exc.rcvd is None else str(int(exc.rcvd.code))
            text = f"the voice model refused the session: {closing(exc)}"
            raise VoiceError(text, provider=name, code=code) from exc
        except RemoteProtocolError as exc:
            raise VoiceError(exc.message, provider=name, code="protocol") from exc

    async def _open(self, model: str) -> ClientConnection:
        """The upgrade, tried again after 429, 5xx and network faults for as long as a telephone rings."""
        url = self._profile.address(self._base_url, model)
        if not self._api_key.isascii() or not self._api_key.isprintable() or not self._api_key.strip():
            text = "the key of the voice model is empty or holds characters that no key has"
            raise VoiceError(text, provider=self._profile.name, credentials=True, fix="set OPENAI_API_KEY")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.upgrade_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return await self._upgrade(url, deadline - loop.time())
            except InvalidStatus as exc:
                error = from_status(exc.response, self._profile, model)
                cause: Exception = exc
            except (WebSocketException, OSError, EOFError) as exc:
                error = from_network(exc, self._profile, host_of(url))
                cause = exc
            wait = max(pause, error.retry_after or 0.0)
            if not error.retryable or loop.time() + wait >= deadline:
                raise error from cause
            await asyncio.sleep(wait)
            pause *= 2

    async def _upgrade(self, url: str, seconds: float) -> ClientConnection:
        return await _Connect(
            url,
            additional_headers=dict(self._profile.headers(self._api_key)),
            compression=None,
            max_size=events.MAX_EVENT,
            open_timeout=seconds,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=self._patience.close_s,
            logger=SOCKET_LOG,
            proxy=None if is_loopback(url) else True,
        )

    async def _configure(self, socket: ClientConnection, decoder: events.Decoder, config: SessionConfig) -> None:
        greeted = False
        while True:
            event = events.parse(await socket.recv())
            if not greeted and event["type"] == self._profile.greeting:
                greeted = True
                await socket.send(events.session_update(self._profile, config, "evt_session"))
            for meaning in decoder.interpret(event):
                if isinstance(meaning, ModelFault):
                    raise fault(meaning, self._profile)
                if greeted and isinstance(meaning, ModelReady):
                    return


class _Connect(connect):
    """Follows no redirect: the key is meant for one address only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class OpenAILeg:
    """One open session (``ports.VoiceLeg``). ``hear`` and ``send`` never wait and never raise for a lost session."""

    def __init__(
        self,
        socket: ClientConnection,
        decoder: events.Decoder,
        receive: Callable[[Event], None],
        close_s: float,
    ) -> None:
        self._decoder = decoder
        self._socket = socket
        self._receive = receive
        self._close_s = close_s
        self._queue: deque[str] = deque()
        self._queued = asyncio.Event()
        self._over = False
        self._ended = asyncio.Event()
        self._life = asyncio.create_task(self._live(), name="voice leg")

    def hear(self, payload: str) -> None:
        """Base64 μ-law of the callee, forwarded as it came. Raises LocalProtocolError when it is no base64."""
        self._put(events.append(payload))

    def send(self, command: ModelCommand) -> None:
        """Carry out a command. Raises LocalProtocolError for one that the protocol forbids."""
        self._put(events.encode(command))

    async def close(self) -> None:
        """End the session within 2 s. No event follows. Safe to call twice, and together."""
        self._over = True
        self._ended.set()
        await asyncio.shield(self._life)

    # --- inside

    def _put(self, frame: str) -> None:
        if self._over:
            return
        if len(self._queue) >= QUEUE_LIMIT:
            self._lose("the voice model no longer takes what it is sent")
            return
        self._queue.append(frame)
        self._queued.set()

    async def _live(self) -> None:
        """Own the two tasks until the session is over, whoever ended it; then close the socket."""
        reader = asyncio.create_task(self._read(), name="voice leg reader")
        writer = asyncio.create_task(self._write(), name="voice leg writer")
        reader.add_done_callback(lambda _: self._ended.set())
        try:
            await self._ended.wait()
        finally:
            reader.cancel()
            writer.cancel()
            broken, _ = await asyncio.gather(reader, writer, return_exceptions=True)
            await _shut(self._socket, self._close_s)
        if isinstance(broken, Exception):
            raise broken

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.recv()
                if self._over:
                    return
                for event in self._decoder.decode(message):
                    self._receive(event)
        except ConnectionClosed as exc:
            self._lose(closing(exc))
        except RemoteProtocolError as exc:
            self._lose(exc.message)

    async def _write(self) -> None:
        """What was put into the queue, in order, as long as the socket takes it; the reader reports its end."""
        try:
            while True:
                await self._queued.wait()
                self._queued.clear()
                while self._queue:
                    await self._socket.send(self._queue.popleft())
        except ConnectionClosed:
            return

    def _lose(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._queue.clear()
        self._receive(ModelLost(reason))
        self._ended.set()


async def _shut(socket: ClientConnection, seconds: float) -> None:
    """Close politely, and by force when that takes too long.

    What still comes in is read and thrown away: behind a full buffer the other side's farewell would never be seen.
    """
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(socket.close(), _drain(socket))
    except TimeoutError:
        socket.transport.abort()


async def _drain(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
