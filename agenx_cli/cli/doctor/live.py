"""``--live``: one real call to the operator, and what it shows that nothing offline can show."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agenx_cli.cli.doctor.check import Check, failed, passed, refused
from agenx_cli.cli.doctor.trace import Trace
from agenx_cli.clock import SystemClock
from agenx_cli.errors import AgenxError
from agenx_cli.settings import Settings

LiveCall = Callable[[Settings, str, Trace], Awaitable[str]]
"""Rings a number through the same engine and bridge as ``agenx call``, with ``Trace.observe`` around the public app;
gives the public origin when the call is over. Raises AgenxError."""

_NAME = "live call"
_END = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


async def live_trace(settings: Settings, number: str, call: LiveCall) -> Check:
    """Ring, write the redacted trace under the data directory, and judge it."""
    trace = Trace()
    try:
        origin = await call(settings, number, trace)
    except AgenxError as error:
        return refused(_NAME, error)
    document = trace.document(settings.twilio_auth_token or "", origin)
    path = _write(settings.home / "doctor", document)
    return _judged(document, path)


def _write(folder: Path, document: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"live-{SystemClock().now():%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return path


def _judged(document: dict[str, Any], path: Path) -> Check:
    statuses = [told["CallStatus"] for told in document["callbacks"] if told.get("route") == "/twilio/status"]
    signed = document["upgrade"]["signed_over"]
    if not _END & set(statuses):
        return failed(_NAME, f"the carrier did not tell how it ended; trace: {path}", _reach(statuses))
    if any(told.get("answered", 500) >= 400 for told in document["callbacks"]):
        return failed(_NAME, f"callbacks were refused; trace: {path}", "check that TWILIO_AUTH_TOKEN is the account's")
    if "completed" not in statuses:
        return failed(_NAME, f"nobody answered ({statuses[-1]}); trace: {path}", "run it again and pick up")
    if not signed.startswith("ws"):
        fix = "check TWILIO_AUTH_TOKEN and the public address, and report the trace"
        return failed(_NAME, f"the media stream was not opened as it should be ({signed}); trace: {path}", fix)
    seen = f"{', '.join(statuses)}; stream signed over {signed}; {_interrupted(document['interruption'])}"
    return passed(_NAME, f"{seen}; trace: {path}")


def _interrupted(seen: dict[str, Any]) -> str:
    if not seen["clear_seen"]:
        return "no clear was seen, because nobody talked over the assistant"
    back = seen["marks_back_after_ms"]
    return f"a clear was seen, and {len(back)} of the {seen['marks_waiting']} marks behind it came back"


def _reach(statuses: list[str]) -> str:
    return "report the trace" if statuses else "check the public address: no callback came"
