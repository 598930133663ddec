"""Twilio's REST API as ``ports.Carrier``.

``place`` sends one POST and never a second one: Twilio has no idempotency key, so a lost answer is ``MaybePlaced``
and is looked up later. Everything else is idempotent and is repeated on 429, 5xx and network failures. Importing
this module costs half a second (the SDK); wiring imports it only for who calls Twilio. Phone numbers and secrets
stay out of errors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import stamina
from twilio.rest import Client

from agenx_cli.errors import CarrierError
from agenx_cli.ports import CarrierCall, CarrierNumber, DialRequest, MaybePlaced, NotPlaced, Placed
from agenx_cli.telephony.twilio import records
from agenx_cli.telephony.twilio.dial import dial_parameters
from agenx_cli.telephony.twilio.http import DEFAULT_BASE, AnswerLost, NotSent, Refused, Requests
from agenx_cli.telephony.twilio.records import NETWORK_FIX, UNREADABLE, Balance, CarrierAccount
from agenx_cli.telephony.twilio.verdicts import OVER, verdict

PLACE_S = 10.0
"""A dial whose answer takes longer is looked up instead of waited for."""

_ASK_S = 10.0


class TwilioCarrier:
    """One account at Twilio, or at whatever answers like it at ``base_url``.

    ``api_key`` and ``api_secret`` sign in instead of the Auth Token when both are given. ``place_s`` is the longest
    a dial may take; ``wait_s`` the first pause before an idempotent request is repeated (then twice that, and so on).
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        api_key: str | None = None,
        api_secret: str | None = None,
        base_url: str = DEFAULT_BASE,
        place_s: float = PLACE_S,
        wait_s: float = 0.5,
    ) -> None:
        username, password = (api_key, api_secret) if api_key and api_secret else (account_sid, auth_token)
        self._account_sid = account_sid
        self._place_s = place_s
        self._wait_s = wait_s
        self._dial_http = Requests(base_url, timeout_s=place_s, reuse=False)
        self._http = Requests(base_url, timeout_s=_ASK_S, reuse=True)
        self._dial = Client(username, password, account_sid, http_client=self._dial_http).calls
        self._client = Client(username, password, account_sid, http_client=self._http)

    # --- ports.Carrier

    async def place(self, request: DialRequest) -> Placed | NotPlaced | MaybePlaced:
        """Exactly one POST, ``place_s`` at most. Expected failures are values; it raises nothing."""
        try:
            async with asyncio.timeout(self._place_s):
                return records.placed(await self._dial.create_async(**dial_parameters(request)))
        except NotSent as exc:
            return NotPlaced("network", f"Twilio cannot be reached: {exc}", "retry", fix=NETWORK_FIX)
        except Refused as exc:
            return _refusal(exc)
        except AnswerLost as exc:
            return MaybePlaced(str(exc))
        except TimeoutError:
            return MaybePlaced(f"no answer within {self._place_s:g} s")
        except UNREADABLE:
            return MaybePlaced("an answer that is no call")

    async def fetch(self, call_id: str) -> CarrierCall | None:
        """One call, or None when Twilio does not know it. Raises CarrierError."""
        try:
            call = await self._again(self._client.calls(call_id).fetch_async)
        except CarrierError as exc:
            if exc.code in {"404", "20404"}:
                return None
            raise
        return records.read(records.carrier_call, call)

    async def find(self, *, to: str, from_: str, limit: int = 20) -> Sequence[CarrierCall]:
        """The newest calls between two numbers, newest first, queued ones included. Raises CarrierError."""
        found = await self._again(partial(self._client.calls.list_async, to=to, from_=from_, limit=limit))
        calls = [records.read(records.carrier_call, call) for call in found]
        return sorted(calls, key=lambda call: call.created_at, reverse=True)

    async def hang_up(self, call_id: str) -> None:
        """End a call, also one that is only queued; fine when it is over already. Raises CarrierError."""
        update = self._client.calls(call_id).update_async
        try:
            await self._again(partial(update, status="completed"))
        except CarrierError as exc:
            if exc.code in OVER:
                return
            if exc.retryable or exc.exit_code == 4:
                raise
        else:
            return
        try:  # queued and ringing calls may take only this one
            await self._again(partial(update, status="canceled"))
        except CarrierError as exc:
            if exc.code not in OVER:
                raise

    async def number(self, phone: str) -> CarrierNumber | None:
        """Our own number's settings, or None when the account does not own it. Raises CarrierError."""
        listed = self._client.incoming_phone_numbers.list_async
        numbers = await self._again(partial(listed, phone_number=phone, limit=20))
        return next(
            (records.read(records.carrier_number, each) for each in numbers if each.phone_number == phone), None
        )

    async def set_voice_url(self, number_id: str, url: str, method: str) -> None:
        """Where inbound calls of a number go. Raises CarrierError."""
        update = self._client.incoming_phone_numbers(number_id).update_async
        await self._again(partial(update, voice_url=url, voice_method=method))

    async def close(self) -> None:
        """Let go of connections."""
        await self._dial_http.close()
        await self._http.close()

    # --- for agenx doctor

    async def account(self) -> CarrierAccount:
        """What kind of account this is and whether it works. Raises CarrierError."""
        account = await self._again(self._client.api.v2010.accounts(self._account_sid).fetch_async)
        return records.account(account)

    async def balance(self) -> Balance:
        """What money is left. Raises CarrierError."""
        balance = await self._again(self._client.api.v2010.accounts(self._account_sid).balance.fetch_async)
        return records.balance(balance)

    async def may_call(self, country: str) -> bool | None:
        """Whether ordinary numbers of a country (ISO code) may be called; None when Twilio does not tell."""
        try:
            told = await self._again(self._client.voice.v1.dialing_permissions.countries(country).fetch_async)
        except CarrierError:
            return None
        enabled = told.low_risk_numbers_enabled
        return enabled if isinstance(enabled, bool) else None

    async def _again(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask, and ask again where that can help: idempotent requests only."""
        retries = stamina.retry_context(
            on=_pause, attempts=4, timeout=30.0, wait_initial=self._wait_s, wait_max=5.0, wait_jitter=self._wait_s
        )
        async for attempt in retries:
            with attempt:
                return await _translated(ask)
        raise AssertionError("stamina gives the last failure back")


async def _translated(ask: Callable[[], Awaitable[Any]]) -> Any:
    """One request; whatever goes wrong is a CarrierError."""
    try:
        async with asyncio.timeout(_ASK_S + 1):
            return await ask()
    except (NotSent, AnswerLost, TimeoutError) as exc:
        message = f"Twilio cannot be reached: {str(exc) or 'no answer in time'}"
        raise CarrierError(message, provider="twilio", code="network", retryable=True, fix=NETWORK_FIX) from exc
    except Refused as exc:
        raise _error(exc) from exc
    except UNREADABLE as exc:
        raise records.unreadable() from exc


def _pause(exc: Exception) -> bool | float:
    """Whether to ask again, and when Twilio said so, after how many seconds."""
    if not (isinstance(exc, CarrierError) and exc.retryable):
        return False
    return exc.retry_after or True


def _refusal(exc: Refused) -> NotPlaced | MaybePlaced:
    """A dial's refusal: certain when Twilio itself says so, uncertain for anything a broken path may have said."""
    certain = exc.code is not None or exc.status in {401, 403, 407, 429}
    if _broken(exc) or not certain:
        return MaybePlaced(f"Twilio answers with {exc.status}")
    told = verdict(exc.status, exc.code, exc.words)
    return NotPlaced(
        str(exc.code or exc.status),
        told.message,
        told.action,
        fix=told.fix,
        credentials=told.credentials,
        retry_after=exc.retry_after,
    )


def _error(exc: Refused) -> CarrierError:
    """A refusal of anything but a dial."""
    code = str(exc.code or exc.status)
    if _broken(exc):
        message = f"Twilio fails with {exc.status}"
        return CarrierError(message, provider="twilio", code=code, retryable=True, fix=NETWORK_FIX)
    told = verdict(exc.status, exc.code, exc.words)
    return CarrierError(
        told.message,
        provider="twilio",
        code=code,
        retryable=told.action == "retry",
        retry_after=exc.retry_after,
        credentials=told.credentials,
        fix=told.fix,
    )


def _broken(exc: Refused) -> bool:
    """The server, or something before it, failed: what became of the request is not known."""
    return exc.status >= 500 or exc.status == 408
