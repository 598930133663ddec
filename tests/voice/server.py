"""A little GA Realtime server on a real socket: it says what a test tells it to say."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

PCMU = {"format": {"type": "audio/pcmu"}}
CREATED = {"type": "session.created", "event_id": "e1", "session": {"id": "s", "expires_at": 1_795_000_000}}
UPDATED = {"type": "session.updated", "event_id": "e2", "session": {"audio": {"input": PCMU, "output": PCMU}}}

Script = Callable[["Talk"], Awaitable[None]]


class Talk:
    """One session, from the server's side."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def say(self, *events) -> None:
        for event in events:
            await self.socket.send(event if isinstance(event, str | bytes) else json.dumps(event))

    async def hear(self) -> dict:
        return json.loads(await self.socket.recv())

    async def greet(self) -> dict:
        """The usual beginning; answers the client's ``session.update``."""
        await self.say(CREATED)
        update = await self.hear()
        await self.say(UPDATED)
        return update

    async def stay(self) -> None:
        """Until the client goes."""
        await self.socket.wait_closed()


class Server:
    """What was asked of it, and where it is."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refusals: list[Response] = []
        self.done = asyncio.Event()
        self.url = ""

    def refuse(self, status: int, *, times: int = 1, body: str = "", **headers: str) -> None:
        """Answer the next upgrades with a status."""
        fields = Headers(Connection="close")
        for name, value in headers.items():
            fields[name.replace("_", "-")] = value
        response = Response(status, HTTPStatus(status).phrase, fields, body.encode())
        self.refusals += [response] * times


@asynccontextmanager
async def serving(script: Script):
    """A server that plays this script to whoever comes."""
    server = Server()

    def at_upgrade(_: ServerConnection, request: Request) -> Response | None:
        server.requests.append(request)
        return server.refusals.pop(0) if server.refusals else None

    async def session(socket: ServerConnection) -> None:
        try:
            await script(Talk(socket))
        finally:
            server.done.set()

    settings = {"process_request": at_upgrade, "compression": None, "close_timeout": 0.2}
    async with serve(session, "127.0.0.1", 0, **settings) as listening:
        port = listening.sockets[0].getsockname()[1]
        server.url = f"http://127.0.0.1:{port}/v1"
        yield server
