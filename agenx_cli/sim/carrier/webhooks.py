"""How Twilio calls the customer: signed, with connection overrides in the URL's fragment, and its retries.

https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides : ``#rc=3&rp=4xx,5xx,ct,rt&ct=2000&rt=5000``.
By default one retry, of failed connections only: a 500 is not repeated.
"""

import asyncio
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit, urlunsplit

import httpx2

from agenx_cli.sim.carrier.signature import HEADER, signature
from agenx_cli.sim.wirelog import WireLog

Pairs = Sequence[tuple[str, str]]
FAILED, BAD_GATEWAY = 11200, 11205
_RANGES = {"ct": (100, 10_000, 5_000), "rt": (100, 15_000, 15_000), "tt": (100, 15_000, 15_000), "rc": (0, 5, 1)}
_POLICIES = frozenset({"4xx", "5xx", "ct", "rt", "all"})


@dataclass(frozen=True, slots=True)
class Overrides:
    """Timeouts in ms, the number of retries, and what is retried."""

    ct: int = 5_000
    rt: int = 15_000
    tt: int = 15_000
    rc: int = 1
    rp: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, fragment: str) -> "Overrides":
        """Read a fragment; a value out of range counts as its nearest bound, an unknown word as absent."""
        given = dict(parse_qsl(fragment))
        numbers = {
            name: min(high, max(low, int(given[name]))) if given.get(name, "").isdigit() else default
            for name, (low, high, default) in _RANGES.items()
        }
        policy = frozenset(given["rp"].split(",")) & _POLICIES if "rp" in given else frozenset({"ct"})
        return cls(**numbers, rp=policy)

    def repeats(self, kind: str) -> bool:
        """Whether this failure (``ct``, ``rt``, ``4xx``, ``5xx``) is tried again."""
        return kind in self.rp or "all" in self.rp


@dataclass(frozen=True, slots=True)
class Answer:
    """What the customer's server said."""

    status: int
    content_type: str
    body: bytes


class WebhookError(Exception):
    """The customer's server could not be reached or refused. ``code`` is Twilio's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@cache
def _trust() -> ssl.SSLContext:
    """The machine's certificates, read once."""
    return ssl.create_default_context()


class Webhooks:
    """Sends one account's webhooks."""

    def __init__(self, token: str, wire: WireLog) -> None:
        self._token = token
        self._wire = wire
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        self._client = httpx2.AsyncClient(trust_env=False, follow_redirects=False, limits=limits, verify=_trust())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def send(self, url: str, method: str, params: Pairs) -> Answer:
        """One webhook with its retries; every try carries the same idempotency token. Raises WebhookError."""
        target, fragment = urldefrag(url)
        rules = Overrides.of(fragment)
        token = secrets.token_hex(16)
        answer: Answer | None = None
        try:
            async with asyncio.timeout(rules.tt / 1000):
                for tries_left in range(rules.rc, -1, -1):
                    answer, trouble = await self._try(target, method, params, rules, token)
                    if trouble is None or tries_left == 0 or not rules.repeats(trouble):
                        break
        except TimeoutError:
            answer = None
        if answer is None:
            raise WebhookError(BAD_GATEWAY, "the connection to the customer's server failed")
        if answer.status >= 400:
            raise WebhookError(FAILED, f"the customer's server answered {answer.status}")
        return answer

    async def _try(
        self, url: str, method: str, params: Pairs, rules: Overrides, token: str
    ) -> tuple[Answer | None, str | None]:
        get = method.upper() == "GET"
        if get:
            parts = urlsplit(url)
            query = "&".join(part for part in (parts.query, urlencode(list(params))) if part)
            url = urlunsplit(parts._replace(query=query))
        body = "" if get else urlencode(list(params))
        headers = {
            HEADER: signature(self._token, url, () if get else params),
            "I-Twilio-Idempotency-Token": token,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        if not get:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        timeout = httpx2.Timeout(rules.rt / 1000, connect=rules.ct / 1000)
        record = {"url": url, "method": method.upper(), "headers": headers, "body": body}
        try:
            response = await self._client.request(
                method.upper(), url, content=body.encode(), headers=headers, timeout=timeout
            )
        except httpx2.TransportError as exc:
            self._wire.write("webhooks", {**record, "failure": type(exc).__name__})
            return None, "ct" if isinstance(exc, httpx2.ConnectError | httpx2.ConnectTimeout) else "rt"
        self._wire.write("webhooks", {**record, "status": response.status_code, "answer": response.text})
        trouble = f"{response.status_code // 100}xx" if response.status_code >= 400 else None
        return Answer(response.status_code, response.headers.get("content-type", ""), response.content), trouble
