"""The REST API of 2010-04-01, as far as this account uses it."""

import asyncio
import hmac
import json
import secrets
from base64 import b64decode
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agenx_cli.sim.carrier.exchange import Exchange
from agenx_cli.sim.carrier.faults import Fault
from agenx_cli.sim.carrier.forms import E164, Params
from agenx_cli.sim.carrier.lists import LIST_CALLS, LIST_NUMBERS, Paging, select_calls
from agenx_cli.sim.carrier.orders import METHODS, Report, read_order, read_page, read_twiml
from agenx_cli.sim.carrier.records import (
    API,
    Call,
    Number,
    account_json,
    balance_json,
    call_json,
    message_json,
    number_json,
    page_json,
)
from agenx_cli.sim.carrier.refusals import Refusal

Shown = tuple[int, dict[str, Any]]
Handler = Callable[[Request, str], Awaitable[Shown]]

_UPDATE_CALL = frozenset(
    {
        *("FallbackMethod", "FallbackUrl", "Method", "Status", "StatusCallback", "StatusCallbackMethod", "TimeLimit"),
        *("Twiml", "Url"),
    }
)
_CREATE_MESSAGE = frozenset({"Body", "From", "StatusCallback", "To"})
_UPDATE_NUMBER = {
    "FriendlyName": "friendly_name",
    "SmsApplicationSid": "sms_application_sid",
    "SmsFallbackMethod": "sms_fallback_method",
    "SmsFallbackUrl": "sms_fallback_url",
    "SmsMethod": "sms_method",
    "SmsUrl": "sms_url",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
    "TrunkSid": "trunk_sid",
    "VoiceApplicationSid": "voice_application_sid",
    "VoiceFallbackMethod": "voice_fallback_method",
    "VoiceFallbackUrl": "voice_fallback_url",
    "VoiceMethod": "voice_method",
    "VoiceUrl": "voice_url",
}
_MAX_BODY = 1_600


class Rest:
    """Answers REST requests; every one of them and its answer goes into the wire log as it crossed."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._busy = 0

    def routes(self) -> list[Route]:
        """All paths. Anything else under the API is 20404."""
        account = f"{API}/Accounts/{{account}}"
        table: list[tuple[str, dict[str, Handler]]] = [
            (f"{account}/Calls.json", {"GET": self.list_calls, "POST": self.create_call}),
            (f"{account}/Calls/{{sid}}.json", {"GET": self.fetch_call, "POST": self.update_call}),
            (f"{account}/Messages.json", {"POST": self.create_message}),
            (f"{account}/Messages/{{sid}}.json", {"GET": self.fetch_message}),
            (f"{account}/IncomingPhoneNumbers.json", {"GET": self.list_numbers}),
            (f"{account}/IncomingPhoneNumbers/{{sid}}.json", {"GET": self.fetch_number, "POST": self.update_number}),
            (f"{account}/Balance.json", {"GET": self.balance}),
            (f"{account}.json", {"GET": self.fetch_account}),
            (f"{API}/{{rest:path}}", {}),
        ]
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [Route(path, self._endpoint(handlers), methods=methods) for path, handlers in table]

    def _endpoint(self, handlers: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            began = perf_counter()
            self._busy += 1
            try:
                return await self._answer(request, handlers, began)
            finally:
                self._busy -= 1

        return endpoint

    async def _answer(self, request: Request, handlers: dict[str, Handler], began: float) -> Response:
        raw = await request.body()
        headers = {"Twilio-Request-Id": "RQ" + secrets.token_hex(16), "Twilio-Concurrent-Requests": str(self._busy)}
        fault: Fault | None = None
        try:
            self._authenticate(request)
            body = _form(request, raw)
            fault = await self._fault(request, body)
            status, shown = await self._handle(request, handlers, body)
        except Refusal as refusal:
            status, shown = refusal.status, refusal.body()
            if refusal.code == 20003:
                headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
        text = json.dumps(shown, ensure_ascii=False)
        if fault is not None and status < 400:
            status, text = await self._spoil(fault, request, status, text)
        headers["Twilio-Request-Duration"] = f"{perf_counter() - began:.3f}"
        self._log(request, raw, status, text)
        return Response(text, status, headers, media_type="application/json; charset=utf-8")

    async def _handle(self, request: Request, handlers: dict[str, Handler], body: str) -> Shown:
        if not handlers:
            raise Refusal(20404, f"The requested resource {request.url.path} was not found")
        handler = handlers.get(request.method)
        if handler is None:
            raise Refusal(20004)
        return await handler(request, body)

    def _authenticate(self, request: Request) -> None:
        account = self._exchange.account
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = b64decode(encoded, validate=True)
        except ValueError as exc:
            raise Refusal(20003) from exc
        allowed = (f"{account.sid}:{account.token}", f"{account.api_key}:{account.api_secret}")
        matches = [hmac.compare_digest(given, pair.encode()) for pair in allowed]
        asked = request.path_params.get("account", account.sid)
        if scheme.lower() != "basic" or not any(matches) or asked != account.sid:
            raise Refusal(20003)

    # --- faults

    async def _fault(self, request: Request, body: str) -> Fault | None:
        """A fault that strikes this request; one that refuses it raises Refusal, the others spoil its answer."""
        to = dict(parse_qsl(body)).get("To")
        creates = request.method == "POST" and request.url.path.endswith("/Calls.json")
        take = self._exchange.faults.take
        if creates:
            if take("create.too_many", to=to):
                raise Refusal(20429)
            if refused := take("create.refuse", to=to):
                raise Refusal(refused.code or 21215)
            return take("create.hold", "create.reset", "create.error", "create.truncated", to=to)
        if take("rest.too_many"):
            raise Refusal(20429)
        if take("rest.error"):
            raise Refusal(20500)
        return take("rest.hold")

    async def _spoil(self, fault: Fault, request: Request, status: int, text: str) -> tuple[int, str]:
        """What becomes of the answer to a request that was carried out."""
        match fault.kind:
            case "create.reset":
                request.state.transport.abort()
            case "create.error":
                return 500, json.dumps(Refusal(20500).body())
            case "create.truncated":
                return status, text[: len(text) // 2]
            case _:
                await asyncio.sleep(fault.seconds)
        return status, text

    def _log(self, request: Request, raw: bytes, status: int, text: str) -> None:
        if self._exchange.wire.active:
            record = {
                "method": request.method,
                "path": request.url.path,
                "query": request.url.query,
                "body": raw.decode("utf-8", "replace"),
                "status": status,
                "answer": text,
            }
            self._exchange.wire.write("rest", record)

    # --- calls

    async def create_call(self, request: Request, body: str) -> Shown:  # noqa: ARG002 - a handler's shape
        """201: accepted, not ringing."""
        call = self._exchange.place(read_order(body, self._exchange.account))
        return 201, call_json(call, self._exchange.account, self._exchange.now(), fresh=True)

    async def list_calls(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """Newest first, filtered."""
        params = Params(request.url.query, known=LIST_CALLS)
        paging = Paging.of(params)
        now = self._exchange.now()
        found = select_calls(self._exchange.calls.values(), params)
        shown = [call_json(call, self._exchange.account, now) for call in found]
        return self._page("calls", shown, request, params, paging)

    async def fetch_call(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """One call."""
        return 200, call_json(self._call(request), self._exchange.account, self._exchange.now())

    async def update_call(self, request: Request, body: str) -> Shown:
        """End it, redirect it, or change its limit."""
        params = Params(body, known=_UPDATE_CALL)
        call = self._call(request)
        status = params.choice("Status", ("canceled", "completed"), "")
        page = read_page(params, "Url", "Method")
        twiml = read_twiml(params, page, needed=False)
        life = self._exchange.lives.get(call.sid)
        if call.over or life is None:
            raise Refusal(21220)
        if status == "canceled" and call.answered_at:
            raise Refusal(21220, "Call is in-progress. Cannot cancel.")
        if (twiml or page) and not call.answered_at:
            raise Refusal(21220)
        if params.text("TimeLimit") and call.answered_at:
            life.limit(params.whole("TimeLimit", 1, 1, 86_400))
        if status:
            life.hang_up()
        elif twiml or page:
            life.replace(twiml, page)
        return 200, call_json(call, self._exchange.account, self._exchange.now())

    def _call(self, request: Request) -> Call:
        sid = request.path_params["sid"]
        call = self._exchange.calls.get(sid)
        if call is None:
            raise Refusal(20404, f"The requested resource {request.url.path} was not found")
        return call

    # --- messages

    async def create_message(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """201: accepted, not delivered."""
        params = Params(body, known=_CREATE_MESSAGE)
        to, from_, text = params.text("To"), params.text("From"), params.text("Body")
        for value, code in ((to, 21604), (from_, 21603), (text, 21602)):
            if not value:
                raise Refusal(code)
        if not E164.fullmatch(to):
            raise Refusal(21211, "Invalid 'To' Phone Number")
        if self._exchange.account.number(from_) is None:
            raise Refusal(21606)
        if len(text) > _MAX_BODY:
            raise Refusal(21617)
        url = params.url("StatusCallback", code=21609)
        report = Report(url, "POST", frozenset()) if url else None
        return 201, message_json(self._exchange.send_message(to, from_, text, report), self._exchange.account)

    async def fetch_message(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """One message."""
        message = self._exchange.messages.get(request.path_params["sid"])
        if message is None:
            raise Refusal(20404, f"The requested resource {request.url.path} was not found")
        return 200, message_json(message, self._exchange.account)

    # --- numbers and the account

    async def list_numbers(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """The account's numbers; ``PhoneNumber`` may be a part of one."""
        params = Params(request.url.query, known=LIST_NUMBERS)
        paging = Paging.of(params)
        part = params.text("PhoneNumber").replace("*", "")
        name = params.text("FriendlyName")
        found = [
            shown
            for shown in map(number_json, self._exchange.account.numbers)
            if part in shown["phone_number"] and name in ("", shown["friendly_name"])
        ]
        return self._page("incoming_phone_numbers", found, request, params, paging)

    async def fetch_number(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """One number."""
        return 200, number_json(self._number(request))

    async def update_number(self, request: Request, body: str) -> Shown:
        """Change settings; a blank value empties one."""
        params = Params(body, known=_UPDATE_NUMBER)
        number = self._number(request)
        for name in params.names():
            if name.endswith("Url") or name == "StatusCallback":
                params.url(name, code=21502 if name != "StatusCallback" else 21609)
            if name.endswith("Method") or name == "StatusCallbackMethod":
                params.choice(name, METHODS, "POST")
        for name in params.names():
            number.settings[_UPDATE_NUMBER[name]] = params.text(name)
        return 200, number_json(number)

    def _number(self, request: Request) -> Number:
        for number in self._exchange.account.numbers:
            if number.sid == request.path_params["sid"]:
                return number
        raise Refusal(20404, f"The requested resource {request.url.path} was not found")

    async def balance(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """Money left."""
        return 200, balance_json(self._exchange.account)

    async def fetch_account(self, request: Request, body: str) -> Shown:  # noqa: ARG002
        """The account itself."""
        return 200, account_json(self._exchange.account)

    def _page(self, name: str, items: list[dict[str, Any]], request: Request, params: Params, paging: Paging) -> Shown:
        query = urlencode([(key, params.text(key)) for key in params.names() if key not in Paging.NAMES])
        path = request.url.path
        return 200, page_json(name, items, path=path, query=query, page=paging.page, size=paging.size)


def _form(request: Request, raw: bytes) -> str:
    """The body's text. Raises Refusal when it is no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and kind != "application/x-www-form-urlencoded":
        raise Refusal(20001, "The request body is not application/x-www-form-urlencoded UTF-8")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as exc:
        raise Refusal(20001, "The request body is not application/x-www-form-urlencoded UTF-8") from exc
