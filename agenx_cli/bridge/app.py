"""The public routes: what the carrier may reach through the tunnel, and nothing else.

Every POST and the stream's upgrade are checked for the carrier's signature against the *configured* public origin,
before anything is looked up; a bad one gets 403 and learns nothing. Callbacks come any number of times in any order:
each is folded (``core.attempt``), none is believed to be the only one.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.requests import HTTPConnection

from agenx_cli.bridge.desk import Desk
from agenx_cli.bridge.sockets import CallSocket
from agenx_cli.core.attempt import MachineVerdict
from agenx_cli.core.limits import time_limit_s
from agenx_cli.errors import AgenxError, RemoteProtocolError, StoreError
from agenx_cli.ports import Assignment, Clock
from agenx_cli.store.records import NewInbound
from agenx_cli.store.store import Store
from agenx_cli.telephony.twilio import twiml, webhooks

logger = logging.getLogger(__name__)

NONCE_MAX = 64
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "BAJA", "ALTO", "PARAR"})


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need besides the desk. ``inbound`` None: calls that ring in are rejected."""

    token: str = field(repr=False)
    store: Store
    clock: Clock
    owner: str
    inbound: Assignment | None = None
    new_uid: Callable[[], str] = lambda: secrets.token_hex(10)


def public_app(desk: Desk, door: Door) -> FastAPI:
    """The application behind the tunnel."""
    app = FastAPI(title="agenx", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(AgenxError, _trouble)
    routes = _Routes(desk, door)
    app.add_api_route("/", routes.root)
    app.add_api_route("/healthz", routes.healthz)
    app.add_api_route("/readyz", routes.readyz)
    app.add_api_websocket_route("/media-stream", routes.media_stream)
    for path, endpoint in (
        ("/incoming-call", routes.incoming_call),
        ("/twilio/status/{attempt_uid}", routes.status),
        ("/twilio/amd/{attempt_uid}", routes.amd),
        ("/twilio/stream/{attempt_uid}", routes.stream),
        ("/twilio/after/{attempt_uid}", routes.after),
        ("/twilio/sms", routes.sms),
    ):
        app.add_api_route(path, endpoint, methods=["POST"])
    return app


async def _trouble(request: Request, error: Exception) -> Response:
    """Something of ours failed: a line in the log, and nothing about it for the other side."""
    route = request.scope.get("route")
    logger.error("route.failed", extra={"path": getattr(route, "path", ""), "reason": str(error)})
    return Response(status_code=503)


def _xml(document: str) -> Response:
    return Response(document, media_type="application/xml")


async def _body(request: Request) -> bytes:
    """The body, no longer than a form may be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > webhooks.MAX_FORM_BYTES:
            raise HTTPException(413)
    return body


Body = Annotated[bytes, Depends(_body)]


Read = TypeVar("Read")


def _asked_for(asked: HTTPConnection) -> str:
    """Path and query as they were sent. Starlette's own URL is put together with the Host header, a stranger's word."""
    path, query = asked.scope["raw_path"].decode("latin-1"), asked.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _readable(read: Callable[[webhooks.Form], Read], form: webhooks.Form) -> Read:
    """What a signed form says; 400 for one that says nothing we know."""
    try:
        return read(form)
    except RemoteProtocolError as error:
        logger.warning("webhook.unreadable", extra={"reason": error.message})
        raise HTTPException(400) from error


class _Routes:
    def __init__(self, desk: Desk, door: Door) -> None:
        self._desk = desk
        self._door = door

    # --- for anybody

    async def root(self) -> dict[str, str]:
        """Says only that something of ours is here."""
        return {"service": "agenx"}

    async def healthz(self, nonce: str = "") -> dict[str, str]:
        """Alive. Whoever sends a nonce gets it back, which proves that an address leads here."""
        return {"status": "ok", "nonce": nonce[:NONCE_MAX]}

    async def readyz(self, response: Response) -> dict[str, str]:
        """Whether new calls are taken."""
        if self._desk.draining:
            response.status_code = 503
        return {"status": "draining" if self._desk.draining else "ready"}

    # --- for the carrier

    def _form(self, request: Request, body: bytes) -> webhooks.Form:
        """The signed form. 403 unless the carrier signed it for our own address."""
        url = self._desk.origin + _asked_for(request)
        headers = request.headers
        try:
            form = webhooks.read_form(body)
        except RemoteProtocolError as error:
            raise HTTPException(403) from error
        signature = headers.get("x-twilio-signature")
        settings = headers.get("x-twilio-webhooks-signature-settings")
        if not webhooks.signature_ok(self._door.token, url, form, signature, settings):
            raise HTTPException(403)
        return form

    async def incoming_call(self, request: Request, body: Body) -> Response:
        """Somebody rings our number: the assistant answers."""
        call = _readable(webhooks.incoming_call, self._form(request, body))
        door, assignment = self._door, self._door.inbound
        if assignment is None or self._desk.draining:
            return _xml(twiml.reject_document(busy=True))
        uid, ticket = door.new_uid(), secrets.token_urlsafe(24)
        new = NewInbound(
            uid=uid,
            carrier_call_id=call.call_id,
            phone=call.caller or "",
            our_number=call.called,
            playbook=assignment.playbook.name,
            ticket=ticket,
            owner=door.owner,
            variables=assignment.variables,
            record=assignment.record,
            time_limit_s=time_limit_s(assignment.playbook.limits.max_call),
        )
        now = door.clock.now()
        try:
            attempt = await self._desk.journal.write(lambda: door.store.attempts.open_inbound(new, now))
        except StoreError:  # the journal has said so; the caller hears a busy tone, not the carrier's error message
            return _xml(twiml.reject_document(busy=True))
        self._desk.changed(attempt)
        return _xml(self._desk.answer(attempt.uid, ticket, assignment))

    async def status(self, request: Request, attempt_uid: str, body: Body) -> Response:
        """How far a call is."""
        report = _readable(webhooks.status_report, self._form(request, body))
        await self._desk.report(attempt_uid, report.call_id, report.event, report.dedup_key)
        return Response(status_code=204)

    async def amd(self, request: Request, attempt_uid: str, body: Body) -> Response:
        """Who answered."""
        report = _readable(webhooks.machine_report, self._form(request, body))
        known = await self._desk.report(attempt_uid, report.call_id, report.event, report.dedup_key)
        if known is not None and isinstance(report.event, MachineVerdict):
            self._desk.machine_verdict(attempt_uid, report.event.kind)
        return Response(status_code=204)

    async def stream(self, request: Request, attempt_uid: str, body: Body) -> Response:
        """The carrier's own word on a media stream."""
        form = self._form(request, body)
        report = _readable(lambda f: webhooks.stream_report(f, self._door.clock.now()), form)
        broken = webhooks.stream_error(form)
        if broken is not None:
            logger.error("stream.error", extra={"attempt": attempt_uid, "code": broken})
        if report is not None:
            await self._desk.report(attempt_uid, report.call_id, report.event, report.dedup_key)
        return Response(status_code=204)

    async def after(self, request: Request, attempt_uid: str, body: Body) -> Response:
        """Where a document with an ``action`` goes on. Ours have none (docs/decisions/0009): the call ends."""
        self._form(request, body)
        logger.info("stream.after", extra={"attempt": attempt_uid})
        return _xml(twiml.hangup_document())

    async def sms(self, request: Request, body: Body) -> Response:
        """A text message to our number: a word like STOP is an opt-out from calls too."""
        form = self._form(request, body)
        word = form.get("Body", "").strip().upper()
        sender = form.get("From", "")
        if sender.startswith("+") and (form.get("OptOutType") == "STOP" or word in STOP_WORDS):
            now = self._door.clock.now()
            await self._desk.journal.write(
                lambda: self._door.store.suppression.add(sender, "opted out by text message", "sms", now)
            )
        return _xml(twiml.empty_document())

    async def media_stream(self, socket: WebSocket) -> None:
        """A call's audio. Refused before it is accepted unless the carrier signed the upgrade."""
        signature = socket.headers.get("x-twilio-signature")
        settings = socket.headers.get("x-twilio-webhooks-signature-settings")
        if not webhooks.upgrade_ok(self._door.token, self._desk.origin, _asked_for(socket), signature, settings):
            await socket.close()
            return
        await socket.accept()
        call = CallSocket(socket)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(call.run())
                await self._desk.serve(call)
                await call.close()
        except* AgenxError as errors:
            for error in errors.exceptions:
                logger.warning("stream.ended_by_error", extra={"reason": str(error)})
