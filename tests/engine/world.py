"""The outside of the engine in a test: a clock that moves when told, a carrier that is as unkind as told, a desk.

The carrier is a small real one: it keeps its calls whatever its answers were, so a test can compare what it rang
with what the engine believes.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from agenx_cli.core.lead import E164
from agenx_cli.core.playbook import Playbook
from agenx_cli.engine.local import NewCall
from agenx_cli.errors import CarrierError, RemoteProtocolError
from agenx_cli.ports import (
    Assignment,
    CallPlan,
    CarrierCall,
    CarrierNumber,
    DialRequest,
    MaybePlaced,
    NotPlaced,
    Placed,
)

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
OUR_NUMBER = "+34910000000"

PLAYBOOK = Playbook(
    name="agenx-ai",
    company="Agenx AI",
    assistant="Clara",
    purpose="p",
    language="es",
    locale="es-ES",
    time_zone="Europe/Madrid",
    voice="marin",
    model=None,
    opening="Hola",
    apology="Perdón",
    instructions="",
    tools=(),
)


def new_call(to: str = "+34600000011", **variables: str) -> NewCall:
    """A call that is wanted, about the only playbook there is here."""
    return NewCall(E164(to), OUR_NUMBER, Assignment(PLAYBOOK, variables))


class HandClock:
    """Time that a test moves. Sleeping takes no real time, only turns of the loop."""

    def __init__(self) -> None:
        self.at = NOW
        self.suspended_s = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOW).total_seconds() + 1000.0 - self.suspended_s

    async def sleep(self, seconds: float) -> None:
        """Time passes by itself only for those who wait."""
        await asyncio.sleep(0.001)
        self.at += timedelta(seconds=seconds)

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: its monotonic clock does too."""
        self.forward(seconds)
        self.suspended_s += seconds


@dataclass
class SmallCarrier:
    """Calls by id, as the carrier knows them. ``answers``: what the next dials get, else every one is placed."""

    clock: HandClock
    answers: list[str] = field(default_factory=list)
    calls: dict[str, CarrierCall] = field(default_factory=dict)
    requests: list[DialRequest] = field(default_factory=list)
    hung_up: Counter[str] = field(default_factory=Counter)
    down: bool = False
    rang: asyncio.Event = field(default_factory=asyncio.Event)
    lingering: bool = False
    """A call that was hung up goes on for a while."""
    numbers: dict[str, CarrierNumber] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    """Ids of numbers that cannot be set."""
    fetched: Counter[str] = field(default_factory=Counter)

    async def place(self, request: DialRequest) -> Placed | NotPlaced | MaybePlaced:
        self.requests.append(request)
        await asyncio.sleep(0)
        match self.answers.pop(0) if self.answers else "ok":
            case "ok":
                return Placed(self.accept(request))
            case "lost answer":
                self.accept(request)
                return MaybePlaced("timeout")
            case "twice":
                self.accept(request)
                self.clock.forward(1)
                self.accept(request)
                return MaybePlaced("reset")
            case "never came":
                return MaybePlaced("timeout")
            case "crash":
                self.accept(request)
                raise asyncio.CancelledError
            case "credentials":
                return NotPlaced("20003", "the account was refused", "stop", fix="check it", credentials=True)
            case other:
                return NotPlaced(other, "no", "retry")

    def accept(self, request: DialRequest) -> str:
        call_id = f"CA{len(self.calls) + 1:04d}"
        self.calls[call_id] = CarrierCall(
            call_id, request.to, request.from_, "outbound-api", "queued", self.clock.now()
        )
        self.rang.set()
        return call_id

    def becomes(self, call_id: str, status: str, **more) -> None:
        self.calls[call_id] = replace(self.calls[call_id], status=status, **more)

    async def fetch(self, call_id: str) -> CarrierCall | None:
        self.fetched[call_id] += 1
        self._up()
        return self.calls.get(call_id)

    async def find(self, *, to: str, from_: str, limit: int = 20) -> Sequence[CarrierCall]:
        self._up()
        found = [call for call in self.calls.values() if (call.to, call.from_) == (to, from_)]
        return found[::-1][:limit]

    async def hang_up(self, call_id: str) -> None:
        self._up()
        self.hung_up[call_id] += 1
        call = self.calls.get(call_id)
        if call is None or self.lingering or call.status not in ("queued", "ringing", "answered"):
            return
        over = "completed" if call.status == "answered" else "canceled"
        self.becomes(call_id, over, ended_at=self.clock.now())

    def _up(self) -> None:
        if self.down:
            raise CarrierError("the carrier cannot be reached", provider="small", retryable=True)

    @property
    def up(self) -> list[str]:
        return [call.call_id for call in self.calls.values() if call.status in ("queued", "ringing", "answered")]

    async def number(self, phone: str) -> CarrierNumber | None:
        self._up()
        return self.numbers.get(phone)

    async def set_voice_url(self, number_id: str, url: str, method: str) -> None:
        self._up()
        if number_id in self.stubborn:
            raise CarrierError("the number cannot be set", provider="small")
        (phone,) = (number.number for number in self.numbers.values() if number.number_id == number_id)
        self.numbers[phone] = replace(self.numbers[phone], voice_url=url, voice_method=method)

    async def close(self) -> None:
        return None


@dataclass
class SmallDesk:
    """A bridge of which only the addresses matter."""

    broken: bool = False
    ended: list[tuple[str, str, bool]] = field(default_factory=list)
    tickets: dict[str, str] = field(default_factory=dict)

    def prepare(self, attempt_uid: str, ticket: str, assignment: Assignment) -> CallPlan:
        if self.broken:
            raise RemoteProtocolError("the opening is too long")
        self.tickets[attempt_uid] = ticket
        return CallPlan(f"<Response>{assignment.playbook.opening}</Response>", f"https://h/{attempt_uid}", None)

    async def hang_up(self, attempt_uid: str, reason: str, *, polite: bool) -> bool:
        self.ended.append((attempt_uid, reason, polite))
        return False
