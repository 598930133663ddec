"""What a rehearsal and its tests may do to the simulated carrier. None of this is Twilio's."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agenx_cli.sim.carrier.exchange import NETWORK_PERSONAS, Exchange
from agenx_cli.sim.carrier.faults import parse_fault
from agenx_cli.sim.carrier.forms import E164
from agenx_cli.sim.carrier.life import CallLife

Json = dict[str, Any]


class Control:
    """The routes outside the API: ``/ledger`` and ``/sim/…``. A bad request gets 400 with its reason."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """All of them."""
        posts: list[tuple[str, Callable[[Json, Request], Json]]] = [
            ("/sim/inbound", self.inbound),
            ("/sim/faults", self.faults),
            ("/sim/persona", self.persona),
            ("/sim/account", self.account),
            ("/sim/clock", self.clock),
            ("/sim/calls/{sid}/digits", self.digits),
            ("/sim/calls/{sid}/hangup", self.hang_up),
        ]
        return [
            Route("/ledger", self.ledger, methods=["GET"]),
            Route("/sim/calls/{sid}", self.call, methods=["GET"]),
            *(Route(path, _posted(act), methods=["POST"]) for path, act in posts),
        ]

    async def ledger(self, request: Request) -> Response:  # noqa: ARG002 - a route's shape
        """Every call ever accepted, oldest first, and every message."""
        kinds = ("calls", "messages")
        failed = [{"sid": sid, "event": event, "code": code} for sid, event, code in self._exchange.callbacks.failed]
        document: Json = {kind: self._exchange.ledger.of(kind) for kind in kinds}
        document["failed_callbacks"] = failed
        document["faults_struck"] = self._exchange.faults.struck
        return JSONResponse(document)

    async def call(self, request: Request) -> Response:
        """One call with its logs. Moments are ms since the answer."""
        call = self._exchange.calls.get(request.path_params["sid"])
        life = self._exchange.lives.get(request.path_params["sid"])
        if call is None:
            return JSONResponse({"error": "no such call"}, 404)
        return JSONResponse({"call": call.record(), **(shown_log(life) if life else {})})

    def inbound(self, given: Json, request: Request) -> Json:  # noqa: ARG002
        """Let ``calls`` people ring in, one every ``every_s`` seconds."""
        _only(given, "calls", "every_s", "personas")
        calls, every_s, personas = given.get("calls", 1), given.get("every_s", 1.0), given.get("personas")
        if not isinstance(calls, int) or not 0 <= calls <= 100_000:
            raise ValueError("calls is a whole number up to 100,000")
        if not isinstance(every_s, int | float) or every_s < 0:
            raise ValueError("every_s is a number of seconds")
        if personas is not None:
            if not isinstance(personas, list) or not personas:
                raise ValueError("personas is a list of names, or null")
            for persona in personas:
                self._check_persona(persona, self._exchange.personas)
        self._exchange.ring_in(calls, float(every_s), personas)
        return {"accepted": calls}

    def faults(self, given: Json, request: Request) -> Json:  # noqa: ARG002
        """Plan faults: ``{"clear": true}``, one fault, or ``{"faults": [...]}``."""
        listed = given.get("faults", [given] if "kind" in given else [])
        if not isinstance(listed, list):
            raise ValueError("faults is a list")  # noqa: TRY004 - as _posted says
        if "kind" not in given:
            _only(given, "clear", "faults")
        planned = [parse_fault(raw) for raw in listed]
        if given.get("clear") is True:
            self._exchange.faults.clear()
        for fault in planned:
            self._exchange.faults.add(fault)
        return {"planned": len(planned)}

    def persona(self, given: Json, request: Request) -> Json:  # noqa: ARG002
        """Pin who answers a number: a callee's persona, or busy, no_answer, failed."""
        _only(given, "number", "persona")
        number = given.get("number")
        if not isinstance(number, str) or not E164.fullmatch(number):
            raise ValueError("number is an E.164 number")
        self._check_persona(given.get("persona"), (*self._exchange.personas, *NETWORK_PERSONAS))
        self._exchange.pin(number, given["persona"])
        return {}

    def account(self, given: Json, request: Request) -> Json:  # noqa: ARG002
        """Change the account: ``balance`` (text), ``concurrency`` (number or null), ``cps``, ``voice`` (flag)."""
        _only(given, "balance", "concurrency", "cps", "voice")
        concurrency, cps = given.get("concurrency"), given.get("cps", self._exchange.cps)
        if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 0):
            raise ValueError("concurrency is a whole number or null")
        if not isinstance(cps, int | float) or cps <= 0:
            raise ValueError("cps is a number above 0")
        account = self._exchange.account
        self._exchange.cps = float(cps)
        account.balance = str(given.get("balance", account.balance))
        if "concurrency" in given:
            account.concurrency = concurrency
        if "voice" in given:
            account.numbers[0].voice = bool(given["voice"])
        return {}

    def clock(self, given: Json, request: Request) -> Json:  # noqa: ARG002
        """Move the carrier's moment on: ``offset_s`` is added to real UTC from now on; never back."""
        _only(given, "offset_s")
        offset_s = given.get("offset_s")
        if not isinstance(offset_s, int | float):
            raise ValueError("offset_s is a number of seconds")  # noqa: TRY004 - as _posted says
        self._exchange.clock.advance_to(float(offset_s))
        return {"now": self._exchange.now().isoformat()}

    def digits(self, given: Json, request: Request) -> Json:
        """The callee presses keys."""
        _only(given, "digits")
        digits = given.get("digits")
        if not isinstance(digits, str) or not digits or set(digits) - set("0123456789*#ABCD"):
            raise ValueError("digits is a text of 0-9, *, #, A-D")
        life = self._life(request)
        for digit in digits:
            life.press(digit)
        return {}

    def hang_up(self, given: Json, request: Request) -> Json:
        """The callee hangs up."""
        _only(given)
        life = self._life(request)
        if not life.call.answered_at:
            raise ValueError("nobody has answered yet")
        life.hang_up()
        return {}

    def _life(self, request: Request) -> CallLife:
        life = self._exchange.lives.get(request.path_params["sid"])
        if life is None or life.call.over:
            raise ValueError("no such call, or it is over")
        return life

    def _check_persona(self, persona: object, known: tuple[str, ...]) -> None:
        if persona not in known:
            raise ValueError(f"a persona is one of {', '.join(known)}")


def shown_log(life: CallLife) -> Json:
    """What a call leaves behind: what was done, the documents, the streams' playout, what the callee heard."""
    log = life.log
    return {
        "log": [list(entry) for entry in log.entries],
        "documents": log.documents,
        "heard": [list(entry) for entry in life.heard()],
        "streams": [
            {
                "sid": record.stream_sid,
                "began_ms": record.began_ms,
                "error_code": record.error_code,
                "error": record.error,
                "closed_by": record.closed_by,
                "written": record.playout.written,
                "played": [asdict(span) for span in record.playout.spans],
                "cleared": [asdict(clear) for clear in record.playout.clears],
            }
            for record in log.streams
        ],
    }


def _json_object(raw: bytes) -> Json:
    given = json.loads(raw or b"{}")
    if not isinstance(given, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004 - as _posted says
    return given


def _posted(act: Callable[[Json, Request], Json]) -> Callable[[Request], Awaitable[Response]]:
    """A route for an act that raises ValueError for whatever is wrong with what it was given: 400."""

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(act(_json_object(await request.body()), request))
        except (ValueError, RecursionError) as exc:
            return JSONResponse({"error": str(exc)}, 400)

    return endpoint


def _only(given: Json, *known: str) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(known) or 'nothing'}")
