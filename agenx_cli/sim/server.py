"""The outside world as one process: the simulated carrier, its callees, and the simulated voice model on one port."""

import asyncio
import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.protocols.http.h11_impl import H11Protocol

from agenx_cli.errors import ServerStartError
from agenx_cli.sim.carrier.clock import CarrierClock
from agenx_cli.sim.carrier.control import Control
from agenx_cli.sim.carrier.exchange import OWN_NUMBER, Exchange
from agenx_cli.sim.carrier.line import Phone
from agenx_cli.sim.carrier.rest import Rest
from agenx_cli.sim.ledger import Ledger
from agenx_cli.sim.wirelog import WireLog

HOST = "127.0.0.1"
_MAX_SOCKET_MESSAGE = 1 << 24
_GRACE_S = 1


class SeveringProtocol(H11Protocol):
    """HTTP whose application can reach the connection beneath, to break it on purpose."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def api_key(seed: int) -> str:
    """The voice model's key: the same for the same seed."""
    return "sk-simulated-" + hashlib.sha256(f"agenx simulated voice {seed}".encode()).hexdigest()[:40]


def build_app(exchange: Exchange, *, key: str, seed: int) -> Starlette:
    """Carrier, control routes and voice model as one application. Closing it ends every task of theirs."""
    from agenx_cli.sim.voice.app import voice_app  # noqa: PLC0415 - the model's mind is heavy; carrier tests do without

    voice = voice_app(api_key=key, seed=seed, log=_voice_log(exchange.wire))
    return carrier_app(exchange, Mount("", app=voice))


def carrier_app(exchange: Exchange, *more: Mount) -> Starlette:
    """The carrier alone, with what else is to be served behind it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's shape
        try:
            yield
        finally:
            await exchange.close()

    return Starlette(routes=[*Rest(exchange).routes(), *Control(exchange).routes(), *more], lifespan=lifespan)


def _voice_log(wire: WireLog) -> Callable[[dict[str, object]], None] | None:
    return (lambda record: wire.write("voice", record)) if wire.active else None


def environment(exchange: Exchange, port: int, key: str) -> dict[str, str]:
    """All that a client needs to use this world as if it were the real one."""
    return {
        "AGENX_TWILIO_API_URL": f"http://{HOST}:{port}",
        "OPENAI_BASE_URL": f"http://{HOST}:{port}/v1",
        "TWILIO_ACCOUNT_SID": exchange.account.sid,
        "TWILIO_AUTH_TOKEN": exchange.account.token,
        "OPENAI_API_KEY": key,
        "TWILIO_PHONE_NUMBER": OWN_NUMBER,
        "AGENX_SIM_CLOCK": str(exchange.clock.offset_s),
    }


def serve(
    *,
    port: int = 0,
    seed: int = 1,
    ledger: Path | None = None,
    wire_log: Path | None = None,
    clock_offset: float = 0.0,
    cps: float = 1.0,
    with_parent: bool = False,
) -> None:
    """Serve until SIGTERM, Ctrl-C or (``with_parent``) the end of stdin. Raises ServerStartError.

    The first line on stdout is ``{"env": {…}}``; the port is bound by then. ``clock_offset`` is seconds added to real
    UTC in everything the carrier stamps.
    """
    listener = bind(port)
    exchange = new_exchange(seed=seed, ledger=ledger, wire_log=wire_log, clock_offset=clock_offset, cps=cps)
    key = api_key(seed)
    app = build_app(exchange, key=key, seed=seed)
    server = uvicorn.Server(server_config(app))
    if with_parent:
        threading.Thread(target=_wait_for_parent, args=(server,), daemon=True).start()
    bound: int = listener.getsockname()[1]
    sys.stdout.write(json.dumps({"env": environment(exchange, bound, key)}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def new_exchange(*, seed: int, ledger: Path | None, wire_log: Path | None, clock_offset: float, cps: float) -> Exchange:
    """The carrier with the six callees."""
    from agenx_cli.sim.callees import PERSONAS, Callee  # noqa: PLC0415 - as above

    def callee(persona: str, seed: int, calling: bool) -> Phone:  # noqa: FBT001 - a factory's plain shape
        return Callee(persona, seed, calling=calling)

    return Exchange(
        phones=callee,
        personas=PERSONAS,
        ledger=Ledger(ledger),
        wire=WireLog(wire_log),
        clock=CarrierClock(clock_offset),
        seed=seed,
        cps=cps,
    )


def server_config(app: Starlette) -> uvicorn.Config:
    """How the world is served, in a process of its own or in a test."""
    return uvicorn.Config(
        app,
        http=SeveringProtocol,
        log_level="warning",
        access_log=False,
        ws_max_size=_MAX_SOCKET_MESSAGE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="on",
    )


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; 0 is any free port. Raises ServerStartError.

    Its protocol is named: asyncio turns off Nagle's delay (40 ms on every small frame) only where it is.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(256)
    except OSError as exc:
        listener.close()
        raise ServerStartError(
            f"the simulators cannot listen on {HOST}:{port}: {exc.strerror or exc}",
            fix="choose another --port, or 0 for any free one",
        ) from exc
    return listener


def _wait_for_parent(server: uvicorn.Server) -> None:
    """Whoever started us holds our stdin; when it ends, however it ends, so do we."""
    descriptor = sys.stdin.fileno()
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:
        pass
    server.should_exit = True
