"""A few bytes of Twilio's REST API on a real socket, which misbehaves when told to."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, urlsplit

AC = "AC" + "0" * 32
CA = "CA" + "1" * 32
PN = "PN" + "2" * 32


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    headers: dict[str, str]


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def says(status: int, body: object, **headers: str) -> Answer:
    """An answer; ``body`` is JSON, or text as it is."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\n{more}\r\n".encode() + raw)

    return answer


def error(status: int, code: int, message: str = "To number +34600000001 is odd") -> Answer:
    return says(status, {"code": code, "message": message, "more_info": "https://x", "status": status})


async def resets(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Accepts, then drops the connection."""
    writer.transport.abort()


async def truncates(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Half an answer."""
    writer.write(b'HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n{"sid": "CA1')
    await writer.drain()
    writer.close()


def sleeps(seconds: float) -> Answer:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await says(201, call())(asked, writer)

    return answer


def call(**changed: object) -> dict[str, object]:
    return {
        "sid": CA,
        "account_sid": AC,
        "to": "+34600000001",
        "from": "+34910000001",
        "direction": "outbound-api",
        "status": "queued",
        "date_created": "Tue, 24 Nov 2026 10:00:00 +0000",
        "start_time": None,
        "end_time": None,
        "duration": None,
        "price": None,
        "price_unit": "USD",
        "answered_by": None,
        "queue_time": "0",
    } | changed


def number(**changed: object) -> dict[str, object]:
    return {
        "sid": PN,
        "phone_number": "+34910000001",
        "capabilities": {"voice": True, "sms": False},
        "voice_url": "https://old.example/x",
        "voice_method": "GET",
        "voice_application_sid": "",
        "trunk_sid": None,
    } | changed


def page(key: str, *items: dict[str, object]) -> dict[str, object]:
    meta = {"page": 0, "page_size": 20, "uri": "/x", "first_page_uri": "/x", "next_page_uri": None}
    return {key: list(items), "start": 0, "end": len(items), "previous_page_uri": None} | meta


@dataclass
class TwilioServer:
    """Answers from ``script`` in order, the last one for ever. ``asked`` has every request that came."""

    script: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    routes: dict[str, Answer] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def posts(self) -> int:
        return sum(asked.method == "POST" for asked in self.asked)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            while await self._one(reader, writer):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = (await reader.readline()).decode()
        if not line:
            return False
        method, target, _ = line.split()
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        asked = Asked(method, parts.path, parse_qs(parts.query), parse_qs(body.decode(), True), headers)
        self.asked.append(asked)
        await self._answer(asked)(asked, writer)
        return not writer.is_closing()

    def _answer(self, asked: Asked) -> Answer:
        for path, answer in self.routes.items():
            if asked.path.endswith(path):
                return answer
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]
