"""A simulated carrier and a customer's server, both on real ports, for the carrier's tests.

A module that uses it takes the ``doors`` fixture and runs all its tests in one event loop.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from agenx_cli.sim.carrier.clock import CarrierClock
from agenx_cli.sim.carrier.exchange import NETWORK_PERSONAS, Exchange
from agenx_cli.sim.ledger import Ledger
from agenx_cli.sim.server import bind, carrier_app, server_config
from agenx_cli.sim.wirelog import WireLog

CALLEE = "+34600000001"
QUIET = b"\xff" * 160


class Script:
    """A phone whose owner does what the test wrote: what to say in which 20 ms step, and when to leave."""

    def __init__(self, **wishes):
        self.answers = wishes.get("answers", True)
        self.ring_ms = wishes.get("ring_ms", 20)
        self.answered_by = wishes.get("answered_by", "human")
        self.machine_verdict_ms = wishes.get("verdict_ms", 100)
        self.end_of_greeting_ms = wishes.get("greeting_ms", 200)
        self._leaves_at = wishes.get("leaves_at", 10**9)
        self._says = wishes.get("says", {})
        self.heard = bytearray()
        self.log = []

    def step(self, heard, at_ms):
        self.heard += heard
        if at_ms >= self._leaves_at:
            return None
        return self._says.get(at_ms, QUIET)


@dataclass
class Hook:
    path: str
    method: str
    query: str
    params: list
    headers: dict
    url: str

    def __getitem__(self, name):
        return dict(self.params)[name]

    def get(self, name, default=None):
        return dict(self.params).get(name, default)


@dataclass
class World:
    """``hooks`` are the customer's received webhooks; ``phones`` who answers which number."""

    exchange: Exchange
    url: str
    client: httpx2.AsyncClient
    customer: str
    hooks: list = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    documents: dict = field(default_factory=dict)
    phones: dict = field(default_factory=dict)
    wishes: dict = field(default_factory=dict)
    bridge: dict = field(default_factory=dict)
    handshakes: list = field(default_factory=list)

    def ring(self, persona, number, *, calling=False):
        """Whoever is at a number, in place of the seeded callees."""
        wish = {"answers": False} if persona in NETWORK_PERSONAS else self.wishes.get(number, {})
        self.phones[number] = Script(**wish)
        return self.phones[number]

    async def take_hook(self, request):
        params = parse_qsl((await request.body()).decode(), keep_blank_values=True)
        path, url = request.url.path, request.url
        async with self.changed:
            self.hooks.append(Hook(path, request.method, url.query, params, dict(request.headers), str(url)))
            self.changed.notify_all()
        found = self.documents.get(path, Response(status_code=204))
        return found() if callable(found) and not isinstance(found, Response) else found

    async def take_stream(self, socket):
        self.handshakes.append((str(socket.url), dict(socket.headers)))
        if self.bridge.get("refuse"):
            await socket.send_denial_response(Response(status_code=403))
            return
        await socket.accept()
        try:
            await self.bridge["talk"](socket)
            await socket.close()
        except (WebSocketDisconnect, RuntimeError):
            return  # the carrier or the test closed it before

    @property
    def api(self):
        return f"/2010-04-01/Accounts/{self.exchange.account.sid}"

    @property
    def ws(self):
        return self.customer.replace("http", "ws")

    async def place(self, twiml="<Response><Hangup/></Response>", **more):
        """Place a call with all callbacks on; its sid."""
        answer = await self.create(Twiml=twiml, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()["sid"]

    async def create(self, **more):
        form = {
            "To": CALLEE,
            "From": self.exchange.account.numbers[0].phone_number,
            "StatusCallback": f"{self.customer}/status/a1",
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
            **more,
        }
        form = {name: value for name, value in form.items() if value is not None}
        return await self.client.post(f"{self.api}/Calls.json", data=form)

    async def seen(self, count, *, path="/status/", seconds=5.0):
        """Wait for so many webhooks under a path; they come in the order of their arrival."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: len(self.of(path)) >= count)
        return self.of(path)

    def of(self, path):
        return [hook for hook in self.hooks if hook.path.startswith(path)]

    async def over(self, sid=None, seconds=5.0):
        """Wait for the terminal status callback (of this call)."""
        ends = {"completed", "busy", "failed", "no-answer", "canceled"}

        def found():
            return [
                hook
                for hook in self.of("/status/")
                if hook.get("CallStatus") in ends and sid in (None, hook.get("CallSid"))
            ]

        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(found)
        return found()[0]

    async def fault(self, **fault):
        answer = await self.client.post("/sim/faults", json=fault)
        assert answer.status_code == 200, answer.text

    async def shown(self, sid):
        return (await self.client.get(f"/sim/calls/{sid}")).json()

    def phone(self, number=CALLEE):
        return self.phones[number]


class Door:
    """An application on a free port of loopback whose inside can be exchanged, so that many tests share one server."""

    def __init__(self):
        self.inside = None
        self.url = ""

    async def __call__(self, scope, receive, send):
        await self.inside(scope, receive, send)

    @asynccontextmanager
    async def open(self):
        listener = bind(0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(server_config(Starlette(routes=[Mount("", app=self)])))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield self
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def open_world(doors, tmp_path, **settings):
    """Carrier and customer. ``wishes[number]`` are the arguments of the phone there, ``bridge['talk']`` the stream's
    other end."""
    carrier, customer = doors
    exchange = Exchange(
        phones=lambda persona, seed, calling: Script(),
        personas=("interested", "voicemail"),
        ledger=Ledger(tmp_path / "ledger.jsonl"),
        wire=WireLog(tmp_path / "wire"),
        clock=CarrierClock(settings.get("offset_s", 0.0)),
        cps=settings.get("cps", 100.0),
    )
    auth = httpx2.BasicAuth(exchange.account.sid, exchange.account.token)
    async with httpx2.AsyncClient(base_url=carrier.url, auth=auth, trust_env=False, verify=False) as client:
        world = World(exchange, carrier.url, client, customer.url)
        exchange.phone = world.ring
        carrier.inside = carrier_app(exchange)
        customer.inside = Starlette(
            routes=[
                WebSocketRoute("/ms", world.take_stream),
                Route("/{path:path}", world.take_hook, methods=["GET", "POST"]),
            ]
        )
        yield world
    await exchange.close()
    assert not exchange.crew.failures


async def frames_until(socket, event):
    """All of the carrier's frames up to one of this kind."""
    frames = []
    while True:
        frame = json.loads(await socket.receive_text())
        frames.append(frame)
        if frame["event"] == event:
            return frames
