"""A callee's socket over ASGI: ordered sending that nobody waits for, and reading that ends with the socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.websockets import WebSocket, WebSocketDisconnect

from agenx_cli.errors import RemoteProtocolError

WAITING_MAX = 1_000
"""Frames of 60 ms that may wait for a carrier that does not read: a minute. Then the call is given up."""


class CallSocket:
    """One accepted media stream. ``run`` sends what was queued; it must be running for anything to leave."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = False

    def send(self, frame: str) -> None:
        """Queue a frame. Frames after the end go nowhere."""
        if self._closed:
            return
        if self._waiting.qsize() >= WAITING_MAX:
            self._finish()
        else:
            self._waiting.put_nowait(frame)

    async def run(self) -> None:
        """Send in order until ``close``; then close the socket."""
        while (frame := await self._waiting.get()) is not None:
            try:
                await self._socket.send_text(frame)
            except (WebSocketDisconnect, RuntimeError, OSError):  # RuntimeError: Starlette, after the other side closed
                self._closed = True
                return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            await self._socket.close()

    async def frames(self) -> AsyncIterator[str | bytes]:
        """What comes in. Raises RemoteProtocolError for a binary message."""
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                self._finish()
                return
            text = message.get("text")
            if text is None:
                raise RemoteProtocolError("a binary message on a media stream")
            yield text

    async def close(self) -> None:
        """Close behind everything that was queued. Safe to call twice."""
        self._finish()

    def _finish(self) -> None:
        if not self._closed:
            self._closed = True
            self._waiting.put_nowait(None)
