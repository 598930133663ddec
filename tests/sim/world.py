"""A simulated carrier and a customer's server, both on real ports, for the carrier's tests."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from agenx_cli.sim.carrier.clock import CarrierClock
from agenx_cli.sim.carrier.exchange import Exchange
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
    hooks: list
    changed: asyncio.Condition
    documents: dict
    phones: dict
    wishes: dict
    bridge: dict
    handshakes: list = field(default_factory=list)

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

    async def over(self, seconds=5.0, path="/status/"):
        """Wait for the terminal status callback."""
        ends = {"completed", "busy", "failed", "no-answer", "canceled"}
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: any(h.get("CallStatus") in ends for h in self.of(path)))
        return next(hook for hook in self.of(path) if hook.get("CallStatus") in ends)

    async def fault(self, **fault):
        answer = await self.client.post("/sim/faults", json=fault)
        assert answer.status_code == 200, answer.text

    async def shown(self, sid):
        return (await self.client.get(f"/sim/calls/{sid}")).json()

    def phone(self, number=CALLEE):
        return self.phones[number]


@asynccontextmanager
async def serving(app):
    """An application on a free port of loopback."""
    listener = bind(0)
    server = uvicorn.Server(server_config(app))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def open_world(tmp_path, **settings):
    """Carrier and customer. ``wishes[number]`` are the arguments of the phone there, ``bridge['talk']`` the stream's
    other end."""
    hooks, documents, wishes, phones, bridge, handshakes = [], {}, {}, {}, {}, []
    changed = asyncio.Condition()

    async def hook(request):
        body = (await request.body()).decode()
        params = parse_qsl(body, keep_blank_values=True)
        async with changed:
            hooks.append(
                Hook(
                    request.url.path, request.method, request.url.query, params, dict(request.headers), str(request.url)
                )
            )
            changed.notify_all()
        found = documents.get(request.url.path, Response(status_code=204))
        return await found(request) if asyncio.iscoroutinefunction(found) else found

    async def media(socket):
        handshakes.append((str(socket.url), dict(socket.headers)))
        if bridge.get("refuse"):
            await socket.send_denial_response(Response(status_code=403))
            return
        await socket.accept()
        try:
            await bridge["talk"](socket)
        except WebSocketDisconnect:
            return

    customer_app = Starlette(
        routes=[
            WebSocketRoute("/ms", media),
            Route("/{path:path}", hook, methods=["GET", "POST"]),
        ]
    )

    def phone(persona, seed, calling):  # noqa: ARG001
        number = next((n for n in wishes if n not in phones), f"unasked-{seed}") if calling else current["number"]
        phones[number] = Script(**wishes.get(number, {}))
        return phones[number]

    current = {"number": CALLEE}
    exchange = Exchange(
        phones=phone,
        personas=("interested", "voicemail"),
        ledger=Ledger(tmp_path / "ledger.jsonl"),
        wire=WireLog(tmp_path / "wire"),
        clock=CarrierClock(settings.get("offset_s", 0.0)),
        cps=settings.get("cps", 100.0),
    )
    real_phone = exchange.phone

    def phone_at(persona, number, *, calling=False):
        current["number"] = number
        return real_phone(persona, number, calling=calling)

    exchange.phone = phone_at
    auth = httpx2.BasicAuth(exchange.account.sid, exchange.account.token)
    async with (
        serving(customer_app) as (customer, customer_server),
        serving(carrier_app(exchange)) as (url, _),
    ):
        async with httpx2.AsyncClient(base_url=url, auth=auth, trust_env=False) as client:
            yield World(exchange, url, client, customer, hooks, changed, documents, phones, wishes, bridge, handshakes)
    assert not exchange.crew.failures


async def frames_until(socket, event):
    """All of the carrier's frames up to one of this kind."""
    frames = []
    while True:
        frame = json.loads(await socket.receive_text())
        frames.append(frame)
        if frame["event"] == event:
            return frames
