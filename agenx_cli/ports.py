"""The plug points. An adapter is a class with these methods; ``wiring`` chooses it by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from agenx_cli.core.booking import Meeting
from agenx_cli.core.playbook import Playbook, VoiceDetection
from agenx_cli.core.signals import Event, ModelCommand


class Clock(Protocol):
    """The only source of the moment."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock."""
        ...


# --- the carrier


@dataclass(frozen=True, slots=True)
class DialRequest:
    """One call to place. Seconds; ``twiml`` is the whole document that runs when somebody answers."""

    attempt_uid: str
    to: str
    from_: str
    twiml: str
    status_url: str
    amd_url: str | None
    ring_s: int
    time_limit_s: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The carrier took the call (it does not ring yet)."""

    call_id: str
    queue_ms: int = 0


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """Definitely not placed. ``action`` is what to do about it (protocol table *Retry classification*):
    ``retry`` | ``slow_down`` | ``give_up_lead`` | ``give_up_country`` | ``stop``."""

    code: str
    message: str
    action: str
    fix: str | None = None
    credentials: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class MaybePlaced:
    """Nobody knows: the answer was lost. Never ask again; look the call up."""

    why: str


@dataclass(frozen=True, slots=True)
class CarrierCall:
    """A call as the carrier records it. ``status`` in the words of ``core.attempt`` (queued, ringing, …)."""

    call_id: str
    to: str
    from_: str
    direction: str
    status: str
    created_at: datetime
    answered_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    price_usd: float | None = None


@dataclass(frozen=True, slots=True)
class CarrierNumber:
    """A number of ours. ``voice_url`` is where its inbound calls go; ``application`` or ``trunk`` override it."""

    number_id: str
    number: str
    voice: bool
    voice_url: str
    voice_method: str
    application: str | None = None
    trunk: str | None = None

    @property
    def bound_to(self) -> str | None:
        """What takes the number's calls whatever ``voice_url`` says, in words; None when nothing does."""
        return "a TwiML app" if self.application else "a SIP trunk" if self.trunk else None


class Carrier(Protocol):
    """The telephone network. Every method but ``place`` may be repeated freely and retries by itself."""

    async def place(self, request: DialRequest) -> Placed | NotPlaced | MaybePlaced:
        """Exactly one request, no retry, 10 s at most. Expected failures are values; it raises nothing."""
        ...

    async def fetch(self, call_id: str) -> CarrierCall | None:
        """One call, or None when the carrier does not know it. Raises CarrierError."""
        ...

    async def find(self, *, to: str, from_: str, limit: int = 20) -> Sequence[CarrierCall]:
        """The newest calls between two numbers, newest first, queued ones included. Raises CarrierError."""
        ...

    async def hang_up(self, call_id: str) -> None:
        """End a call, also one that is only queued; fine when it is already over. Raises CarrierError."""
        ...

    async def number(self, phone: str) -> CarrierNumber | None:
        """Our own number's settings, or None when the account does not own it. Raises CarrierError."""
        ...

    async def set_voice_url(self, number_id: str, url: str, method: str) -> None:
        """Where inbound calls of a number go. Raises CarrierError."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


# --- the voice model


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """All that a model session is told before the first word. ``tools``: name, description, JSON schema."""

    instructions: str
    language: str
    voice: str
    model: str
    detection: VoiceDetection
    tools: tuple[dict[str, Any], ...]
    keywords: tuple[str, ...] = ()
    max_output_tokens: int = 1024


class VoiceLeg(Protocol):
    """One open session with the model. Nothing here waits; order is kept."""

    def hear(self, payload: str) -> None:
        """Base64 μ-law of the callee, forwarded as it came."""
        ...

    def send(self, command: ModelCommand) -> None:
        """Carry out a command of the conversation machine."""
        ...

    async def close(self) -> None:
        """End the session. Safe to call twice; no event follows."""
        ...


class VoiceModel(Protocol):
    """Where sessions come from."""

    async def connect(self, config: SessionConfig, receive: Callable[[Event], None]) -> VoiceLeg:
        """Open a session and return once it has confirmed μ-law both ways. Raises VoiceError.

        ``receive`` is called on the event loop for every event from then on; the last one is ``ModelLost`` unless
        we closed the session ourselves.
        """
        ...


# --- the rest


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What the carrier is given for one attempt."""

    twiml: str
    status_url: str
    amd_url: str | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a call is about: the playbook and the values of its variables."""

    playbook: Playbook
    variables: dict[str, str] = field(default_factory=dict)
    record: bool = False


class CallDesk(Protocol):
    """How the engine talks with the bridge of its own process."""

    def prepare(self, attempt_uid: str, ticket: str, assignment: Assignment) -> CallPlan:
        """The documents and addresses for an attempt that is about to be dialed."""
        ...

    async def hang_up(self, attempt_uid: str, reason: str, *, polite: bool) -> bool:
        """End a live call of this process. False when it has none of that attempt."""
        ...


class Calendar(Protocol):
    """Where committed meetings are written down for people. The store is the truth; this is told of it."""

    @property
    def name(self) -> str:
        """The word for it in a meeting's row."""
        ...

    def put(self, meeting: Meeting) -> None:
        """Write the meeting down as it now is, booked or cancelled. May be repeated. Raises CalendarError."""
        ...

    def repair(self, meetings: Sequence[Meeting]) -> int:
        """Write down what a crash kept from it; says how many that were. Raises CalendarError."""
        ...


class Tunnel(Protocol):
    """A public address for a local port."""

    async def open(self, port: int) -> str:
        """The public origin, for instance ``https://name.example``. Raises ServerStartError."""
        ...

    async def close(self) -> None:
        """Take the address down."""
        ...
