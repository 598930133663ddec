"""What the queries take and give: frozen records. Numbers never show in a ``repr``."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agenx_cli.core.attempt import Disposition, Facts, Phase


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """A dial that is wanted. ``ticket`` is the secret itself; only its hash is stored. Seconds."""

    uid: str
    phone: str = field(repr=False)
    our_number: str = field(repr=False)
    playbook: str
    ticket: str = field(repr=False)
    owner: str
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    record: bool = False
    ring_s: int = 25
    time_limit_s: int = 660


@dataclass(frozen=True, slots=True)
class NewInbound:
    """A call that rings in. The ticket is bound to ``carrier_call_id`` and lives ``ticket_ttl_s`` seconds."""

    uid: str
    carrier_call_id: str
    phone: str = field(repr=False)
    our_number: str = field(repr=False)
    playbook: str
    ticket: str = field(repr=False)
    owner: str
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    record: bool = False
    time_limit_s: int = 660
    ticket_ttl_s: int = 60


@dataclass(frozen=True, slots=True)
class Figures:
    """What a call took. None leaves what is stored. ``usage`` is the provider's own record, as JSON.

    ``carrier_priced``: whether the carrier's cost is its own word (True) or our estimate; False: it was asked and had
    no price yet. An estimate never replaces the carrier's word.
    """

    usage: dict[str, Any] | None = None
    cost_voice_usd: float | None = None
    cost_carrier_usd: float | None = None
    first_word_ms: int | None = None
    turns: int | None = None
    barge_ins: int | None = None
    recording: str | None = None
    carrier_priced: bool | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row. ``phone`` is the other person's number, ``our_number`` ours, whoever rang whom."""

    uid: str
    direction: str
    phone: str = field(repr=False)
    our_number: str = field(repr=False)
    playbook: str
    variables: dict[str, str] = field(repr=False)
    record: bool
    ring_s: int
    time_limit_s: int
    owner: str
    epoch: int
    dialed_at: datetime | None
    dial_deadline: datetime | None
    carrier_call_id: str | None
    looks: int
    looked_at: datetime | None
    ticket_used_at: datetime | None
    facts: Facts = field(repr=False)
    phase: Phase
    disposition: Disposition | None
    answered_by: str | None
    error_code: str | None
    error: str | None
    created_at: datetime
    changed_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None
    figures: Figures = field(repr=False)

    @property
    def outbound(self) -> bool:
        """Whether we rang them."""
        return self.direction == "outbound"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase is Phase.ENDED

    @property
    def cost_usd(self) -> float | None:
        """All that is known of its price; None when nothing is."""
        parts = [part for part in (self.figures.cost_voice_usd, self.figures.cost_carrier_usd) if part is not None]
        return sum(parts) if parts else None


@dataclass(frozen=True, slots=True)
class Adopted:
    """The carrier's call is this attempt's (now, or before already)."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Conflict:
    """The attempt has another call, ``existing``: the newcomer is a stray and must be hung up."""

    attempt: Attempt
    existing: str


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One report about a call, kept once."""

    key: str
    kind: str
    body: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """What was said. Milliseconds since the media stream began; ``heard_ms`` None: all of it."""

    key: str
    speaker: str
    text: str = field(repr=False)
    at_ms: int
    heard_ms: int | None
    final: bool


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A number that is never rung."""

    number: str = field(repr=False)
    reason: str
    source: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SavedNumber:
    """What a number of ours was set to before we set it."""

    number: str = field(repr=False)
    number_id: str
    old_url: str
    old_method: str
    our_url: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A process that owns, or owned, this database's calls. ``control_url`` is where commands reach it."""

    owner: str
    pid: int
    host: str
    control_url: str | None
    kind: str
    started_at: datetime
    ended_at: datetime | None
