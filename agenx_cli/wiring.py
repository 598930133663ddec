"""The composition root: settings become opened objects, and nothing else knows which adapter is behind a port."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from fastapi import FastAPI

from agenx_cli.bridge import server
from agenx_cli.bridge.app import Door, public_app
from agenx_cli.bridge.desk import Desk, Outside
from agenx_cli.bridge.recorder import assemble_left
from agenx_cli.bridge.tools import repair
from agenx_cli.clock import RehearsalClock, SystemClock, system_zone
from agenx_cli.control import Order
from agenx_cli.core.playbook import Playbook
from agenx_cli.core.script import problems
from agenx_cli.engine import numbers
from agenx_cli.engine.local import LocalEngine
from agenx_cli.errors import CarrierError, PolicyError, ServerStartError, StoreError
from agenx_cli.intake.playbook_files import complaint, find_playbook, load_playbook
from agenx_cli.intake.prices import load_prices
from agenx_cli.ports import Assignment, Calendar, Carrier, Clock, Tunnel, VoiceModel
from agenx_cli.settings import Settings
from agenx_cli.store.records import WorkerRecord
from agenx_cli.store.store import Store, open_store
from agenx_cli.tunnel import reachable

logger = logging.getLogger(__name__)

LAST_WORK_S = 12.0
"""A dial that is under way takes 10 s at most, and its answer must be written; nothing else is waited for longer."""
RESTORE_WITHIN_S = 10.0
PROBE_TRIES = 5
PROBE_PAUSE_S = 1.0
PROBE_TIMEOUT_S = 5.0


def _twilio(settings: Settings) -> Carrier:
    from agenx_cli.telephony.twilio.rest import TwilioCarrier

    account = settings.need_twilio()
    return TwilioCarrier(
        account_sid=account.account_sid,
        auth_token=account.auth_token,
        api_key=account.api_key,
        api_secret=account.api_secret,
        base_url=account.api_url,
    )


def _openai(settings: Settings) -> VoiceModel:
    from agenx_cli.voice.openai.leg import OpenAIVoice
    from agenx_cli.voice.openai.profiles import OPENAI

    account = settings.need_openai()
    return OpenAIVoice(OPENAI, account.api_key, account.base_url)


def _local_calendar(settings: Settings) -> Calendar:
    from agenx_cli.calendars.builtin import BuiltinCalendar

    return BuiltinCalendar(settings.home / "meetings")


def _ngrok(settings: Settings) -> Tunnel:
    from agenx_cli.tunnel import NgrokTunnel

    return NgrokTunnel(authtoken=settings.ngrok_authtoken, url=settings.ngrok_url, host=settings.host)


def _fixed(settings: Settings) -> Tunnel:
    from agenx_cli.tunnel import FixedUrl

    return FixedUrl(settings.public_url or "", carrier_on_loopback=settings.carrier_on_loopback)


CARRIERS: Mapping[str, Callable[[Settings], Carrier]] = MappingProxyType({"twilio": _twilio})
VOICES: Mapping[str, Callable[[Settings], VoiceModel]] = MappingProxyType({"openai": _openai})
CALENDARS: Mapping[str, Callable[[Settings], Calendar]] = MappingProxyType({"local": _local_calendar})
TUNNELS: Mapping[str, Callable[[Settings], Tunnel]] = MappingProxyType({"ngrok": _ngrok, "fixed": _fixed})


@dataclass(frozen=True, slots=True)
class Worker:
    """One process's ears, mouth and engine, running."""

    settings: Settings
    store: Store
    clock: Clock
    carrier: Carrier
    desk: Desk
    engine: LocalEngine
    origin: str


def clock_of(settings: Settings) -> Clock:
    """The real clock, or the one that a simulator on loopback lives by."""
    return RehearsalClock(settings.sim_clock) if settings.sim_clock else SystemClock()


def any_port(settings: Settings) -> Settings:
    """A rehearsal listens on any free port unless one was asked for."""
    return settings if settings.origin("port") != "default" else replace(settings, port=0)


def playbook_named(settings: Settings, given: str | None) -> Playbook:
    """The playbook that a flag or the settings mean, ready to be spoken.

    Raises IntakeError for one that cannot be read, PolicyError for an opening that does not disclose what it must.
    """
    folder = find_playbook(given or settings.playbook)
    playbook = load_playbook(folder)
    if playbook.time_zone is None:
        playbook = replace(playbook, time_zone=settings.time_zone or system_zone())
    for problem in problems(playbook):
        error = complaint(problem, folder)
        if problem.code.startswith("script.no_"):
            raise PolicyError(error.message, code=problem.code, fix=problem.fix)
        raise error
    return playbook


def assignment_of(settings: Settings, order: Order) -> Assignment:
    """What an order of another command is about. Raises IntakeError, PolicyError."""
    return Assignment(playbook_named(settings, order.playbook), order.variables, order.record)


@contextlib.asynccontextmanager
async def working(
    settings: Settings,
    *,
    kind: str,
    playbook: Playbook,
    clock: Clock | None = None,
    inbound: Assignment | None = None,
    webhook: bool = False,
    watch: Callable[[FastAPI], None] = lambda _app: None,
) -> AsyncIterator[Worker]:
    """A worker, up from the store to the public address, and taken down again in the opposite order.

    ``inbound`` is what calls that ring in are about (None: they are rejected); ``webhook`` sends them here for as
    long as the block runs; ``watch`` may put something around the public app. Raises SettingsError, StoreError,
    ServerStartError, CarrierError.
    """
    clock = clock or clock_of(settings)
    owner = secrets.token_hex(8)
    async with contextlib.AsyncExitStack() as stack:
        store = open_store(settings.database_url)
        stack.callback(store.close)
        store.worker.acquire(WorkerRecord(owner, os.getpid(), socket.gethostname(), None, kind, clock.now(), None))
        stack.callback(lambda: store.worker.release(clock.now()))
        carrier = CARRIERS["twilio"](settings)
        stack.push_async_callback(carrier.close)
        calendar = CALENDARS["local"](settings)
        desk = Desk(_outside(settings, playbook, store=store, carrier=carrier, calendar=calendar, clock=clock))
        await stack.enter_async_context(desk.open())
        engine = LocalEngine(
            store,
            carrier,
            desk,
            clock,
            owner,
            rehearsal=settings.carrier_on_loopback,
            told=desk.progressed,
            apart=desk.apart,
            repairs=[
                lambda: repair(store, calendar, clock.now()),
                lambda: assemble_left(settings.home / "recordings"),
            ],
        )
        desk.changed = engine.changed
        door = Door(settings.need_twilio().auth_token, store, clock, owner, inbound)
        app = public_app(desk, door)
        watch(app)
        desk.origin = await _reachable(settings, app, stack)
        await engine.recover()
        await stack.enter_async_context(_running(engine, desk))
        if webhook:
            await stack.enter_async_context(_webhook(settings, store, carrier, clock, desk.origin))
        yield Worker(settings, store, clock, carrier, desk, engine, desk.origin)


def _outside(
    settings: Settings, playbook: Playbook, *, store: Store, carrier: Carrier, calendar: Calendar, clock: Clock
) -> Outside:
    return Outside(
        store=store,
        carrier=carrier,
        voice=VOICES["openai"](settings),
        calendar=calendar,
        clock=clock,
        prices=load_prices(),
        model=settings.model if settings.origin("model") != "default" else None,
        home=settings.home,
        playbooks=lambda name: playbook if name == playbook.name else playbook_named(settings, name),
        voice_name=settings.voice,
    )


async def _reachable(settings: Settings, app: FastAPI, stack: contextlib.AsyncExitStack) -> str:
    """Serve the public app and give it a public address that really leads to it."""
    bound = server.bind(settings.host, settings.port)
    port = await stack.enter_async_context(server.serving(app, bound))
    if settings.public_url is None and settings.carrier_on_loopback:
        return f"http://{reachable(settings.host)}:{port}"
    tunnel = TUNNELS["fixed" if settings.public_url else "ngrok"](settings)
    stack.push_async_callback(tunnel.close)
    origin = (await tunnel.open(port)).rstrip("/")
    await probe(origin)
    return origin


async def probe(origin: str) -> None:
    """Ask our own health page through the public address. Raises ServerStartError when it does not lead here."""
    import httpx2

    nonce, why = secrets.token_hex(8), ""
    async with httpx2.AsyncClient(timeout=PROBE_TIMEOUT_S) as client:
        for attempt in range(PROBE_TRIES):
            if attempt:
                await asyncio.sleep(PROBE_PAUSE_S)
            try:
                answer = await client.get(f"{origin}/healthz", params={"nonce": nonce})
                if answer.json().get("nonce") == nonce:
                    return
                why = "something else answers there"
            except (httpx2.HTTPError, ValueError, AttributeError) as exc:
                why = f"it does not answer ({type(exc).__name__})"
    raise ServerStartError(
        f"the public address {origin} does not lead to this process: {why}",
        fix="check that it forwards to this port, or leave --public-url out to use ngrok",
    )


@contextlib.asynccontextmanager
async def _running(engine: LocalEngine, desk: Desk) -> AsyncIterator[None]:
    """The engine at work. Its failure ends the block; whatever is live at the end is hung up, however it ends."""
    main = asyncio.current_task()
    running = asyncio.create_task(engine.run())

    def failed(task: asyncio.Task[None]) -> None:
        if main is not None and not task.cancelled() and task.exception() is not None:
            main.cancel()

    running.add_done_callback(failed)
    try:
        yield
    finally:
        desk.draining = True
        await engine.hang_up_all("shutdown")
        await asyncio.wait({running}, timeout=LAST_WORK_S)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@contextlib.asynccontextmanager
async def _webhook(
    settings: Settings, store: Store, carrier: Carrier, clock: Clock, origin: str
) -> AsyncIterator[None]:
    """Our number's calls come here. What cannot be given back now stays on record for the next start."""
    await numbers.restore_all(store, carrier)
    try:
        await numbers.take(store, carrier, clock, settings.need_number(), f"{origin}/incoming-call")
        yield
    finally:
        try:
            async with asyncio.timeout(RESTORE_WITHIN_S):
                await numbers.restore_all(store, carrier)
        except TimeoutError:
            logger.warning("number.not_restored", extra={"reason": "the carrier did not answer in time"})
        except (CarrierError, StoreError) as error:
            logger.warning("number.not_restored", extra={"reason": error.message})
