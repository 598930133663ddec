"""What is reported about a call: carrier-neutral events, each true whenever it arrives and however often.

``core.attempt`` folds them. Adapters translate their vendor's words into these.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CarrierStatus(StrEnum):
    """What a carrier says about a call, in our words, in the order in which they can follow each other."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    ANSWERED = "answered"
    CANCELED = "canceled"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"
    COMPLETED = "completed"

    @property
    def rank(self) -> int:
        """Place in the order; a later status replaces an earlier one, never the other way round."""
        return _RANK[self]

    @property
    def terminal(self) -> bool:
        """Whether the call is over."""
        return self.rank >= _RANK[CarrierStatus.CANCELED]


_RANK = {status: rank for rank, status in enumerate(CarrierStatus)}


class AnsweredBy(StrEnum):
    """Who picked up, weakest proof first: a person who was recognised outweighs every other guess."""

    UNKNOWN = "unknown"
    FAX = "fax"
    MACHINE = "machine"
    HUMAN = "human"

    @property
    def rank(self) -> int:
        """How much this kind outweighs the others."""
        return _PROOF[self]


_PROOF = {kind: rank for rank, kind in enumerate(AnsweredBy)}


@dataclass(frozen=True, slots=True)
class CarrierProgress:
    """The carrier tells how far a call is. ``at`` is the carrier's moment; ``sequence`` its own counter, if any.

    ``duration_s`` and the codes come with terminal statuses; ``answered_by`` may ride along.
    """

    status: CarrierStatus
    at: datetime | None = None
    sequence: int | None = None
    sip_code: int | None = None
    error_code: str | None = None
    duration_s: int | None = None
    answered_by: AnsweredBy | None = None


@dataclass(frozen=True, slots=True)
class MachineVerdict:
    """Who picked up: the carrier's detection has decided, or the conversation knows better.

    A detector that was wrong is overruled by folding ``HUMAN``, which outweighs every other kind.
    """

    kind: AnsweredBy


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The answer to the dial was lost: the call may exist."""

    why: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The carrier took the call: it has an id there. It does not ring yet."""


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """Definitely no call exists. ``code`` is the carrier's or our own."""

    code: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The carrier was asked and knows of no such call."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The media stream is up: somebody answered, and we are talking."""

    at: datetime


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The media stream is down. The telephone call may still be up."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ConversationEnded:
    """The conversation machine is done. ``reason`` is one of ``REASONS`` or any other word (a plain goodbye)."""

    reason: str
    callee_spoke: bool


@dataclass(frozen=True, slots=True)
class MeetingBooked:
    """A meeting was committed."""

    meeting_id: str


@dataclass(frozen=True, slots=True)
class MeetingCancelled:
    """A meeting of this very call was taken back."""

    meeting_id: str


@dataclass(frozen=True, slots=True)
class OptedOut:
    """They asked not to be called; the suppression is committed."""


@dataclass(frozen=True, slots=True)
class CallbackAgreed:
    """Another moment was agreed and committed."""


@dataclass(frozen=True, slots=True)
class HungUpByUs:
    """We asked the carrier to end the call outside of a conversation: ``operator``, ``drain``, ``bridge_gone``…"""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The process that served this call died before the conversation was over."""


CallEvent = (
    CarrierProgress
    | MachineVerdict
    | Uncertain
    | Accepted
    | NotPlaced
    | Lost
    | StreamStarted
    | StreamEnded
    | ConversationEnded
    | MeetingBooked
    | MeetingCancelled
    | OptedOut
    | CallbackAgreed
    | HungUpByUs
    | Interrupted
)
