"""The server: OpenAI's Realtime endpoint and the two model routes, as a Starlette application.

``WS /v1/realtime?model=…`` · ``GET /v1/models`` · ``GET /v1/models/{id}`` · and, not OpenAI's,
``GET|POST /sim/voice/faults`` (see ``faults.FaultPlan``).
"""

import asyncio
import hmac
import json
import time
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agenx_cli.sim.voice.faults import FaultPlan, plan_from
from agenx_cli.sim.voice.faulty import Close, Refused
from agenx_cli.sim.voice.session import Session

Log = Callable[[dict[str, Any]], None]

MODELS = (
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-2",
    "gpt-realtime-1.5",
    "gpt-realtime",
    "gpt-realtime-2025-08-28",
    "gpt-realtime-mini",
    "gpt-realtime-mini-2025-12-15",
)
_BETA_CODE = "beta_api_shape_disabled"
_BETA_TEXT = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."


def voice_app(
    *,
    api_key: str,
    seed: int = 0,
    faults: dict[str, Any] | None = None,
    log: Log | None = None,
    now: Callable[[], float] = time.time,  # noqa: TID251 - the outside world keeps its own clock; epoch seconds
) -> Starlette:
    """The application. ``log`` gets ``{"dir": "client"|"server", "session": id, "event": {...}}`` for every event.

    Raises ValueError for an impossible fault plan. The websocket server in front must take 16 MiB messages.
    """
    return _Server(api_key, seed, plan_from(faults), log, now).app()


class _Server:
    def __init__(self, api_key: str, seed: int, plan: FaultPlan, log: Log | None, now: Callable[[], float]) -> None:
        self._api_key = api_key
        self._seed = seed
        self._plan = plan
        self._log = log
        self._now = now
        self._count = count()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/v1/realtime", self.realtime),
                Route("/v1/models", self.models),
                Route("/v1/models/{model}", self.model),
                Route("/sim/voice/faults", self.faults, methods=["GET", "POST"]),
            ]
        )

    # --- HTTP

    async def models(self, request: Request) -> JSONResponse:
        refusal = self._unauthorized(request.headers.get("authorization"))
        return refusal or JSONResponse({"object": "list", "data": [_model(name) for name in MODELS]})

    async def model(self, request: Request) -> JSONResponse:
        name = request.path_params["model"]
        refusal = self._unauthorized(request.headers.get("authorization"))
        if refusal is not None:
            return refusal
        if name not in MODELS:
            message = f"The model '{name}' does not exist or you do not have access to it."
            return _problem(404, "model_not_found", message, "model")
        return JSONResponse(_model(name))

    async def faults(self, request: Request) -> JSONResponse:
        if request.method == "POST":
            try:
                self._plan.change(json.loads(await request.body()))
            except ValueError:
                return _problem(400, "invalid_json", "The fault plan is a JSON object.", None)
            except Refused as refused:
                return _problem(400, refused.code, refused.message, refused.param)
        return JSONResponse(self._plan.shown())

    def _unauthorized(self, header: str | None) -> JSONResponse | None:
        if header is None:
            return _problem(401, None, "Missing bearer or basic authentication in header", None)
        if not hmac.compare_digest(header.encode(), f"Bearer {self._api_key}".encode()):
            return _problem(401, "invalid_api_key", "Incorrect API key provided.", None)
        return None

    # --- the socket

    async def realtime(self, socket: WebSocket) -> None:
        """One connection, from the upgrade to the end."""
        if self._plan.open_delay_ms:
            await asyncio.sleep(self._plan.open_delay_ms / 1000)
        refusal = self._refusal(socket)
        if refusal is not None:
            await socket.send_denial_response(refusal)
            return
        offered: list[str] = socket.scope["subprotocols"]
        await socket.accept(subprotocol="realtime" if "realtime" in offered else None)
        try:
            if "openai-beta" in socket.headers or any(name.startswith("openai-beta.") for name in offered):
                await self._turn_away(socket, _BETA_CODE, _BETA_TEXT)
            elif socket.query_params["model"] not in MODELS:
                message = f"The model `{socket.query_params['model']}` does not exist or you do not have access to it."
                await self._turn_away(socket, "model_not_found", message)
            else:
                await self._converse(socket)
        except WebSocketDisconnect:
            return

    def _refusal(self, socket: WebSocket) -> JSONResponse | None:
        plan = self._plan
        if plan.refuse_status is not None and plan.strikes("refuse_count"):
            return _problem(plan.refuse_status, None, "The server refuses on purpose.", None)
        refusal = self._unauthorized(socket.headers.get("authorization"))
        if refusal is None and set(socket.query_params) != {"model"}:
            return _problem(400, "missing_model", "You must provide a model parameter, and only that.", "model")
        return refusal

    async def _turn_away(self, socket: WebSocket, code: str, message: str) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": None}
        await self._send(
            socket, "none", {"type": "error", "event_id": f"event_{next(self._count):024x}", "error": error}
        )
        await socket.close(4000, f"invalid_request_error.{code}")

    async def _converse(self, socket: WebSocket) -> None:
        loop = asyncio.get_running_loop()
        rng = Random(f"{self._seed}:{next(self._count)}")  # noqa: S311 - chance that can be repeated, no secret
        model = socket.query_params["model"]
        session = Session(model, epoch_s=self._now(), now=loop.time(), rng=rng, faults=self._plan)
        receiving = asyncio.ensure_future(socket.receive())
        try:
            while await self._deliver(socket, session, session.wake(loop.time())):
                due = session.due()
                wait = None if due is None else max(0.0, due - loop.time())
                done, _ = await asyncio.wait({receiving}, timeout=wait)
                if not done:
                    continue
                message = receiving.result()
                if message["type"] != "websocket.receive":
                    return
                raw = message.get("text") or message.get("bytes") or b""
                self._note("client", session.id, raw)
                answers = session.receive(raw, loop.time())
                receiving = asyncio.ensure_future(socket.receive())
                if not await self._deliver(socket, session, answers):
                    return
        finally:
            receiving.cancel()
            await asyncio.wait({receiving})

    async def _deliver(self, socket: WebSocket, session: Session, out: list[dict[str, Any] | Close]) -> bool:
        for event in out:
            if isinstance(event, Close):
                await socket.close(event.code, event.reason)
                return False
            await self._send(socket, session.id, event)
        return True

    async def _send(self, socket: WebSocket, session_id: str, event: dict[str, Any]) -> None:
        if self._log is not None:
            self._log({"dir": "server", "session": session_id, "event": event})
        await socket.send_text(json.dumps(event, ensure_ascii=False, separators=(",", ":")))

    def _note(self, direction: str, session_id: str, raw: str | bytes) -> None:
        if self._log is None:
            return
        try:
            event = json.loads(raw)
        except ValueError:
            event = {"unreadable": len(raw)}
        self._log({"dir": direction, "session": session_id, "event": event})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_756_339_200, "owned_by": "system"}


def _problem(status: int, code: str | None, message: str, param: str | None) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return JSONResponse({"error": error}, status_code=status)
