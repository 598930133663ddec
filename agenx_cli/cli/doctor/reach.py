"""The public address: does it lead to this machine?"""

from fastapi import FastAPI

from agenx_cli.bridge import server
from agenx_cli.cli.doctor.check import Tell, passed, refused, skipped
from agenx_cli.errors import AgenxError, ServerStartError
from agenx_cli.ports import Tunnel
from agenx_cli.settings import Settings
from agenx_cli.wiring import TUNNELS, probe


async def reach_checks(settings: Settings, tell: Tell) -> None:
    """A round trip with a nonce, through the address that calls would use."""
    name = "public address"
    if settings.public_url is None and (settings.carrier_on_loopback or not settings.ngrok_authtoken):
        tell(skipped(name, "none is needed or none is set"))
        return
    try:
        tunnel = TUNNELS["fixed" if settings.public_url else "ngrok"](settings)
        try:
            tell(passed(name, f"{await _round_trip(settings, tunnel)} leads here"))
        finally:
            await tunnel.close()
    except AgenxError as error:
        tell(refused(name, error))


async def _round_trip(settings: Settings, tunnel: Tunnel) -> str:
    """The origin, once our own health page was read through it.

    A given address leads to the configured port. When that is taken, whatever runs there has to answer: a running
    ``agenx serve`` does.
    """
    try:
        bound = server.bind(settings.host, settings.port if settings.public_url else 0)
    except ServerStartError:
        origin = await tunnel.open(settings.port)
        await probe(origin)
        return origin
    async with server.serving(_health(), bound) as port:
        origin = await tunnel.open(port)
        await probe(origin)
        return origin


def _health() -> FastAPI:
    """Nothing but the page that the probe asks for."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    async def healthz(nonce: str = "") -> dict[str, str]:
        return {"status": "ok", "nonce": nonce[:64]}

    app.add_api_route("/healthz", healthz)
    return app
