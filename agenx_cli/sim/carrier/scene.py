"""What a running document works with, and what it leaves behind for whoever asks afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urljoin

from agenx_cli.sim.carrier.callbacks import Callbacks
from agenx_cli.sim.carrier.faults import FaultPlan
from agenx_cli.sim.carrier.line import Line
from agenx_cli.sim.carrier.records import Account, Call
from agenx_cli.sim.carrier.rooms import DialResult, Rooms, SecondCall
from agenx_cli.sim.carrier.stream import MediaStream, StreamRecord
from agenx_cli.sim.carrier.twiml import PARSE, DocumentError, Element, parse
from agenx_cli.sim.carrier.webhooks import FAILED, Pairs, WebhookError, Webhooks
from agenx_cli.sim.wirelog import WireLog

CONTENT_TYPE = 12300
_XML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})
_BLANKS = ("City", "State", "Zip")


@dataclass(slots=True)
class CallLog:
    """What was done to a call, by its line's clock: (ms, verb or event, detail)."""

    entries: list[tuple[int, str, str]] = field(default_factory=list)
    streams: list[StreamRecord] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Scene:
    """One answered call and everything its documents may touch."""

    call: Call
    account: Account
    line: Line
    log: CallLog
    webhooks: Webhooks
    callbacks: Callbacks
    faults: FaultPlan
    wire: WireLog
    rooms: Rooms
    now: Callable[[], datetime]
    new_sid: Callable[[str], str]
    dial: Callable[[SecondCall, Line], Awaitable[DialResult]]
    base_url: str = ""
    stream: MediaStream | None = None
    digits: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def note(self, what: str, detail: str = "") -> None:
        """Log a verb or an event at the line's present moment."""
        self.log.entries.append((self.line.at_ms, what, detail))

    async def fetch(self, url: str, method: str, extra: Pairs = ()) -> tuple[Element, ...]:
        """Ask the customer for the next document. A relative URL belongs to the document before it.

        Raises DocumentError: 11200, 12100, 12200, 12300.
        """
        self.base_url = urljoin(self.base_url, url)
        try:
            answer = await self.webhooks.send(self.base_url, method, [*call_params(self.call, self.account), *extra])
        except WebhookError as exc:
            raise DocumentError(exc.code or FAILED, str(exc)) from exc
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind not in _XML_TYPES:
            raise DocumentError(CONTENT_TYPE, f"the document came as {kind or 'nothing'}")
        return self.read(answer.body)

    def read(self, document: str | bytes) -> tuple[Element, ...]:
        """The verbs of a document, which is kept for the record. Raises DocumentError."""
        text = document if isinstance(document, str) else document.decode("utf-8", "replace")
        self.log.documents.append(text)
        if not text.strip():
            raise DocumentError(PARSE, "an empty document")
        return parse(document)


def call_params(call: Call, account: Account) -> list[tuple[str, str]]:
    """The parameters of every request about a call. Twilio sends, and signs, blank ones too."""
    params = [
        ("AccountSid", account.sid),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", call.sid),
        ("CallStatus", call.status),
        ("Called", call.to),
        ("Caller", call.from_),
        ("Direction", call.direction),
        ("From", call.from_),
        ("To", call.to),
    ]
    for side, number in (("From", call.from_), ("To", call.to), ("Caller", call.from_), ("Called", call.to)):
        params += [(side + blank, "") for blank in _BLANKS]
        params.append((side + "Country", country(number)))
    if call.answered_by and call.answered_at:
        params.append(("AnsweredBy", call.answered_by))
    return params


def country(number: str) -> str:
    """The country Twilio would name, for the few that rehearsals use."""
    prefixes = {"+1": "US", "+34": "ES", "+44": "GB", "+49": "DE", "+33": "FR", "+39": "IT", "+52": "MX", "+351": "PT"}
    return next((name for prefix, name in prefixes.items() if number.startswith(prefix)), "")
