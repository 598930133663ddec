"""The words of one conversation: what the machine is told (events) and what it answers (commands).

Vendor-neutral on purpose. A *turn* is what the callee says between two silences, an *utterance* is one stretch of
assistant speech, a *reply* is one generation of the model (it may hold utterances and tool calls). Ids are the
model's own, opaque to us. Audio is raw G.711 μ-law at 8,000 Hz: one byte is 1/8 ms. Moments are integer
milliseconds since the media stream began and are passed beside the event, never inside it; a field that ends in
``_ms`` and belongs to an event is on the clock of whoever sent it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

ReplyStatus = Literal["completed", "cancelled", "incomplete", "failed"]
Speaker = Literal["assistant", "callee"]

# --- from the callee's side


@dataclass(frozen=True, slots=True)
class CalleeFrame:
    """20 ms of the callee were heard. ``energy_db`` is their level in dBFS (-127.0 for digital silence)."""

    energy_db: float


@dataclass(frozen=True, slots=True)
class MarkReturned:
    """The carrier gives a mark back: it was played, or a clear threw it out."""

    name: str


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A key on the callee's telephone."""

    digit: str


@dataclass(frozen=True, slots=True)
class CalleeGone:
    """The media stream ended from the other side: properly (``clean``), or it broke and nobody knows why."""

    clean: bool = True


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """The carrier's verdict on who answered, in the carrier-neutral words of ``core.attempt``."""

    kind: Literal["human", "machine", "fax", "unknown"]


# --- from the voice model


@dataclass(frozen=True, slots=True)
class ModelReady:
    """The session is configured and speaks our audio format: callee audio may flow."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The model's voice detector hears the callee."""

    turn_id: str
    audio_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The model's voice detector hears the end of a turn."""

    turn_id: str
    audio_ms: int


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The callee's turn is in the model's history."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class CalleeText:
    """What the callee said, as transcribed. Often later than the reply to it."""

    turn_id: str
    text: str
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The model began to generate."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """A piece of an utterance, any length, much faster than it can be played."""

    reply_id: str
    utterance_id: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of the utterance's transcript: generated, not necessarily heard."""

    reply_id: str
    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """All audio of this utterance was delivered."""

    reply_id: str
    utterance_id: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A completed function call of the model. ``arguments`` is its JSON text, unchecked."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """A generation is over. ``tool_calls`` holds only completed calls; ``usage`` is the provider's own record."""

    reply_id: str
    status: ReplyStatus
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UtteranceTruncated:
    """The model's history now holds only what was heard of an utterance (asked for, or unasked)."""

    utterance_id: str
    audio_ms: int


@dataclass(frozen=True, slots=True)
class ModelFault:
    """The model refused something. ``command_id`` is the id of our command, when it is known."""

    code: str | None
    message: str
    command_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelLost:
    """The session with the model is over and was not ended by us, or could not be opened."""

    reason: str


# --- from our shells


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool has run (and committed). ``output`` is JSON text for the model; ``facts`` are codes such as
    ``opted_out`` or ``meeting_booked`` that change how the call may end."""

    call_id: str
    output: str
    facts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EndRequested:
    """Somebody outside the conversation wants it over: with a goodbye, or at once."""

    reason: str
    polite: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """20 ms passed."""


Event = (
    CalleeFrame
    | MarkReturned
    | DigitPressed
    | CalleeGone
    | AnsweredBy
    | ModelReady
    | SpeechStarted
    | SpeechStopped
    | TurnCommitted
    | CalleeText
    | ReplyStarted
    | ReplyAudio
    | ReplyText
    | UtteranceEnded
    | ReplyEnded
    | UtteranceTruncated
    | ModelFault
    | ModelLost
    | ToolAnswered
    | EndRequested
    | Tick
)

# --- commands: to the callee


@dataclass(frozen=True, slots=True)
class Play:
    """Send this audio; it will be heard from ``at_ms`` on, as far as we can know."""

    audio: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class PutMark:
    """Ask to be told when everything sent so far was played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearPlayout:
    """Throw away what the carrier has not played yet."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the telephone call at the carrier."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaveStream:
    """Close our side of the stream: the carrier goes on with the fallback that follows it."""

    reason: str


# --- commands: to the model


@dataclass(frozen=True, slots=True)
class AskReply:
    """Generate one reply. ``instructions`` replaces the session's for this reply; ``tools`` False forbids them."""

    command_id: str
    instructions: str | None = None
    tools: bool = True


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop generating this reply."""

    command_id: str
    reply_id: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Keep only the first ``heard_ms`` of an utterance in the model's history."""

    command_id: str
    utterance_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete an utterance or a turn from the model's history."""

    command_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class TellModel:
    """Add a message to the model's history: what *we* said (``assistant``), or a fact (``system``)."""

    command_id: str
    role: Literal["assistant", "system"]
    text: str


@dataclass(frozen=True, slots=True)
class AnswerTool:
    """Give the model the output of a tool call. Asking for a reply is a separate command."""

    command_id: str
    call_id: str
    output: str


# --- commands: to our shells


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool and come back with ``ToolAnswered``."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript, new or better known: the same ``key`` replaces the earlier one.

    ``at_ms`` is when it began to be heard; ``heard_ms`` how much of it was (None: all of it, or not applicable);
    ``final`` says that nothing about it will change.
    """

    key: str
    speaker: Speaker
    text: str
    at_ms: int
    heard_ms: int | None = None
    final: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure about this call: ``first_word_ms``, ``turn_ms``, ``barge_in``, ``resumed``, ``underrun``, ``fault``."""

    name: str
    value: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """Usage to be priced: the provider's own record, of a ``reply`` or of a ``transcription``."""

    kind: Literal["reply", "transcription"]
    usage: dict[str, Any]


ModelCommand = AskReply | CancelReply | Truncate | Forget | TellModel | AnswerTool
Command = Play | PutMark | ClearPlayout | HangUp | LeaveStream | ModelCommand | RunTool | Line | Measured | Used
