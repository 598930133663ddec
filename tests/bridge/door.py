"""The public application as it is served, a carrier that signs, and a model that counts who asks for it."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import websockets
from twilio.request_validator import RequestValidator

from agenx_cli.bridge import server
from agenx_cli.bridge.app import Door, public_app
from agenx_cli.bridge.desk import Desk, Outside
from agenx_cli.calendars.builtin import BuiltinCalendar
from agenx_cli.intake.prices import load_prices
from agenx_cli.ports import Assignment
from agenx_cli.store.records import NewAttempt, NewInbound
from agenx_cli.store.store import Store, open_store
from tests.engine.world import OUR_NUMBER, PLAYBOOK, HandClock, SmallCarrier

TOKEN = "0123456789abcdef0123456789abcdef"
ORIGIN = "https://calls.example.com"
ACCOUNT = "AC" + "0" * 32
CALLER = "+34600000077"


class SilentLeg:
    """A session with a model that says nothing."""

    def hear(self, payload):
        pass

    def send(self, command):
        pass

    async def close(self):
        pass


@dataclass
class CountingVoice:
    """A model of which only matters how often somebody asked for it."""

    connects: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, config, receive):
        self.connects += 1
        self.asked.set()
        return SilentLeg()


@dataclass
class House:
    """The served application and all that stands behind it."""

    port: int
    store: Store
    clock: HandClock
    carrier: SmallCarrier
    voice: CountingVoice
    desk: Desk
    http: httpx2.AsyncClient
    uids: itertools.count = field(default_factory=lambda: itertools.count(1))

    # --- what the carrier would do

    async def post(self, path, form=(), *, signed_for=None, signature=None, origin=ORIGIN, headers=(), body=None):
        """A webhook. ``signed_for``: the path that the signature is right for (the same one unless told)."""
        fields = dict(form)
        right = sign(f"{origin}{path if signed_for is None else signed_for}", fields)
        given = {"X-Twilio-Signature": right if signature is None else signature}
        given |= {"Content-Type": "application/x-www-form-urlencoded", **dict(headers)}
        given = {name: value for name, value in given.items() if value}
        content = urlencode(fields) if body is None else body
        return await self.http.post(path, content=content, headers=given)

    def status(self, uid, call_id, status="ringing", **more):
        """A status callback, signed."""
        return self.post(f"/twilio/status/{uid}", {"CallSid": call_id, "CallStatus": status, **more})

    async def upgrade(self, *, signature=None, headers=(), path="/media-stream"):
        """Ask for a media stream. The socket, or the HTTP status it was refused with."""
        right = sign("wss" + ORIGIN.removeprefix("https") + "/media-stream", {})
        given = {"X-Twilio-Signature": right if signature is None else signature, **dict(headers)}
        given = {name: value for name, value in given.items() if value}
        try:
            return await websockets.connect(
                f"ws://127.0.0.1:{self.port}{path}", additional_headers=given, compression=None, proxy=None
            )
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    async def stream(self, uid, ticket, call_id) -> bytes:
        """A signed stream with these parameters, until our side closes it; the audio that was spoken on it."""
        socket = await self.upgrade()
        async with socket:
            for frame in opening_frames(uid, ticket, call_id):
                await socket.send(json.dumps(frame))
            with contextlib.suppress(websockets.ConnectionClosed):
                return b"".join([str(frame).encode() async for frame in socket])
        return b""

    # --- what there is to be stolen

    def outbound(self, *, call_id=None):
        """A dialed attempt: its uid and its ticket."""
        number = next(self.uids)
        uid, ticket = f"out{number}", f"ticket-of-{number}-0123456789abcdef"
        new = NewAttempt(uid, f"+346{number:08d}", OUR_NUMBER, "agenx-ai", ticket, "me")
        attempt = self.store.attempts.admit(new, self.clock.now())
        self.store.attempts.begin_dial(attempt, self.clock.now())
        if call_id is not None:
            self.store.attempts.adopt(uid, call_id, self.clock.now())
        self.desk.prepare(uid, ticket, Assignment(PLAYBOOK))
        return uid, ticket

    def inbound(self, call_id):
        """A call that rings in: its uid and its ticket."""
        number = next(self.uids)
        uid, ticket = f"in{number}", f"ticket-of-{number}-0123456789abcdef"
        new = NewInbound(uid, call_id, CALLER, OUR_NUMBER, "agenx-ai", ticket, "me")
        self.store.attempts.open_inbound(new, self.clock.now())
        return uid, ticket

    def later(self, seconds):
        self.clock.at += timedelta(seconds=seconds)


def sign(url, form):
    """The carrier's own signature, by its own library."""
    return RequestValidator(TOKEN).compute_signature(url, form)


def bitten(signature, at):
    """The signature with one byte off."""
    at %= len(signature) - 1  # the last one is the base64 padding
    return signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]


def opening_frames(uid, ticket, call_id):
    """How a media stream begins; a parameter that is None is absent."""
    given = {"attempt": uid, "ticket": ticket}
    start = {
        "streamSid": "MZ" + "0" * 32,
        "accountSid": ACCOUNT,
        "callSid": call_id,
        "tracks": ["inbound"],
        "customParameters": {name: value for name, value in given.items() if value is not None},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    yield {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    yield {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": start["streamSid"]}


@contextlib.asynccontextmanager
async def a_house(folder: Path, *, inbound: bool = True, voice=None) -> AsyncIterator[House]:
    """Serve it on a free port for as long as the block runs; ``voice`` stands in for the silent model."""
    store = open_store(f"sqlite:///{folder / 'agenx.db'}")
    clock, voice = HandClock(), voice or CountingVoice()
    carrier = SmallCarrier(clock)
    outside = Outside(
        store=store,
        carrier=carrier,
        voice=voice,
        calendar=BuiltinCalendar(folder / "meetings"),
        clock=clock,
        prices=load_prices(),
        home=folder,
        playbooks=lambda _name: PLAYBOOK,
    )
    desk = Desk(outside, origin=ORIGIN)
    door = Door(TOKEN, store, clock, "me", Assignment(PLAYBOOK) if inbound else None)
    bound = server.bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    async with (
        desk.open(),
        server.serving(public_app(desk, door), bound) as port,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
    ):
        yield House(port, store, clock, carrier, voice, desk, http)
    store.close()


async def many(n, one, *, at_once=32):
    """``one(0) … one(n - 1)``, several at a time, in the order of the numbers."""
    room = asyncio.Semaphore(at_once)

    async def guarded(number):
        async with room:
            return await one(number)

    return await asyncio.gather(*(guarded(number) for number in range(n)))
