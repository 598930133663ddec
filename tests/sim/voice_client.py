"""The simulated Realtime server on a free port, and a client that checks every event against the SDK's types."""

import asyncio
import base64
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from agenx_cli.sim.sound import speak
from agenx_cli.sim.voice.app import voice_app
from tests.contracts_openai import check_client_event, check_server_event

KEY = "sk-simulated"
MODEL = "gpt-realtime-2.1"
PCMU = {"type": "audio/pcmu"}
SILENCE = b"\xff"
CHECKED: Counter[str] = Counter()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[str]:
    """The server's origin, for instance ``127.0.0.1:40001``."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(
        voice_app(api_key=KEY, **options), log_level="error", lifespan="off", ws_max_size=16 * 1024 * 1024
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def session(origin: str, *, model: str = MODEL, **headers: str) -> AsyncIterator["Client"]:
    """An open session whose ``session.created`` was read."""
    address = f"ws://{origin}/v1/realtime?model={model}"
    async with connect(address, additional_headers={"Authorization": f"Bearer {KEY}", **headers}) as socket_:
        client = Client(socket_)
        await client.until("session.created")
        yield client


class Client:
    """A strict client. ``events`` holds all that came."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.events: list[dict[str, Any]] = []
        self._count = 0

    async def send(self, kind: str, **fields: Any) -> str:
        """Send a valid event; its id."""
        self._count += 1
        event = {"type": kind, "event_id": f"evt_{self._count}", **fields}
        check_client_event(event)
        CHECKED["client"] += 1
        await self.socket.send(json.dumps(event))
        return f"evt_{self._count}"

    async def raw(self, event: Any) -> None:
        """Send anything."""
        await self.socket.send(event if isinstance(event, str) else json.dumps(event))

    async def next(self) -> dict[str, Any]:
        """The next event, checked."""
        event: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
        check_server_event(event)
        CHECKED["server"] += 1
        self.events.append(event)
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        """Read up to the first event of a type."""
        while True:
            event = await self.next()
            if event["type"] == kind:
                return event

    async def error(self) -> dict[str, Any]:
        """The next event is an error: its body."""
        event = await self.next()
        assert event["type"] == "error", event
        body: dict[str, Any] = event["error"]
        return body

    async def configure(self, **session_fields: Any) -> dict[str, Any]:
        """μ-law both ways, the detector only reports; the session that came back."""
        detection = session_fields.pop("detection", {"type": "server_vad", "create_response": False})
        audio = {
            "input": {
                "format": PCMU,
                "transcription": {"model": "gpt-transcribe", "languages": ["es"]},
                "turn_detection": detection,
            },
            "output": {"format": PCMU, "voice": "marin"},
        }
        await self.send("session.update", session={"type": "realtime", "audio": audio, **session_fields})
        session_: dict[str, Any] = (await self.until("session.updated"))["session"]
        return session_

    async def say(self, text: str, *, before_ms: int = 200, after_ms: int = 700) -> None:
        """Append speech in 20 ms frames, at once."""
        await self.append(SILENCE * 8 * before_ms + speak(text) + SILENCE * 8 * after_ms)

    async def append(self, ulaw: bytes) -> None:
        """Append audio in 20 ms frames."""
        for begin in range(0, len(ulaw), 160):
            audio = base64.b64encode(ulaw[begin : begin + 160]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    def types(self, since: int = 0) -> list[str]:
        """The types of the events from there on."""
        return [event["type"] for event in self.events[since:]]


def audio_of(events: list[dict[str, Any]], item_id: str | None = None) -> bytes:
    """All audio in the deltas (of one item)."""
    deltas = [event for event in events if event["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(event["delta"]) for event in deltas if item_id in (None, event["item_id"]))
