"""The HTTP client that Twilio's SDK is given: one request is one request, and it is known whether it was sent.

The SDK has no base URL, its own asynchronous client ignores its timeout (twilio-python #925), repeats POSTs when
told to retry, and logs the numbers it asks for. So this one carries the requests over httpx2. It raises three
things, and nothing else for a network's or a server's sake:

- ``NotSent``: no connection, so nothing can have happened;
- ``AnswerLost``: sent, but whether it was done is not known;
- ``Refused``: an answer that says no, with its code.
"""

import json
import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

DEFAULT_BASE = "https://api.twilio.com"
_CONNECT_S = 5.0


class NotSent(Exception):  # noqa: N818 - a fact about a request, translated before it leaves this folder
    """There was no connection."""


class AnswerLost(Exception):  # noqa: N818 - as above
    """The request may have been carried out. The message says how its answer was lost."""


class Refused(Exception):  # noqa: N818 - as above
    """An answer of 300 or more. ``code`` is Twilio's, None when the body has none."""

    def __init__(self, status: int, code: int | None, words: str, retry_after: float | None) -> None:
        super().__init__(f"{status}/{code}")
        self.status = status
        self.code = code
        self.words = words
        self.retry_after = retry_after


class Requests(AsyncHttpClient):
    """Requests to ``base`` (another host than Twilio's replaces scheme and host of every URL).

    ``reuse`` keeps connections. A dial wants a fresh one: on a kept connection that the other side is just closing,
    its answer would be lost without need.
    """

    def __init__(self, base: str, *, timeout_s: float, reuse: bool) -> None:
        for name in ("httpx2", "httpcore2", "twilio"):
            logging.getLogger(name).setLevel(logging.WARNING)  # they log URLs, and URLs have phone numbers
        super().__init__(logging.getLogger("twilio"), is_async=True, timeout=timeout_s)
        self._base = None if base.rstrip("/") == DEFAULT_BASE else urlsplit(base)
        loopback = self._base is not None and self._base.hostname in {"127.0.0.1", "::1", "localhost"}
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
            limits=httpx2.Limits(max_keepalive_connections=10 if reuse else 0),
            trust_env=not loopback,
        )

    async def request(  # type: ignore[override]  # noqa: PLR0917 - as the SDK's own asynchronous client
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the SDK's signature; the client has its own
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - the SDK's signature
    ) -> Response:
        """Send once. Raises NotSent, AnswerLost or Refused; a redirect is a refusal."""
        del timeout, allow_redirects
        query: Any = params
        form: Any = data
        try:
            answer = await self._client.request(
                method, self._url(uri), params=query, data=form, headers=headers, auth=auth, follow_redirects=False
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as exc:
            raise NotSent(_why(exc)) from exc
        except httpx2.RequestError as exc:
            raise AnswerLost(_why(exc)) from exc
        return _checked(answer)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    def _url(self, uri: str) -> str:
        if self._base is None:
            return uri
        asked = urlsplit(uri)
        path = self._base.path.rstrip("/") + asked.path
        return urlunsplit((self._base.scheme, self._base.netloc, path, asked.query, ""))


def _why(exc: Exception) -> str:
    """A cause in words, without the URL that httpx2's own text may have."""
    words = {"ReadTimeout": "no answer in time", "ConnectTimeout": "no connection in time"}
    name = type(exc).__name__
    return words.get(name, name)


def _checked(answer: httpx2.Response) -> Response:
    body = _object(answer.text)
    if answer.status_code >= 300:
        code = body.get("code") if body else None
        words = body.get("message") or body.get("detail") or body.get("title") if body else None
        raise Refused(
            answer.status_code,
            code if isinstance(code, int) else None,
            words if isinstance(words, str) else "",
            _seconds(answer.headers.get("retry-after")),
        )
    if body is None:
        raise AnswerLost("an answer that cannot be read")
    return Response(answer.status_code, answer.text, answer.headers)


def _object(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds, 60 at most; its form with a date is not used by Twilio."""
    return min(float(header), 60.0) if header and len(header) < 9 and header.isascii() and header.isdigit() else None
