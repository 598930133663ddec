"""The attempt machine: what is known about one dialing of one person, and how it ended.

Theory
------
Reports about a call come from several mouths (the carrier's callbacks, its REST record, the media stream, the
conversation, our own engine), each any number of times, in any order, or never. So nothing here is a transition:
every event *adds knowledge*, and knowledge is a join-semilattice. For each field of ``Facts`` there is one join
(the later status, the larger duration, the earlier moment, the union of sets), all of them commutative,
associative and idempotent; ``fold(facts, event)`` joins the facts with what the event alone proves. From this
follows, without looking at any order of events:

1. doubled, late and reordered reports converge to the same facts;
2. a missing report costs only what it alone would have proved;
3. ``phase`` never goes back, and an attempt that ended stays ended.

``phase`` and ``disposition`` are *derived* from the facts by the two tables below, never stored as truth.

What ends an attempt: the carrier says so (a terminal status), it was never placed, or it is lost (nobody knows of
such a call). Nothing else does: a stream that closed or a conversation that said goodbye leaves a telephone call
that is still up and billed, and the engine must see its end. If the carrier speaks of a call that was given up as
lost, the attempt stays ended but its disposition becomes the true one.

Statuses of the carrier are ranked as they can follow each other; among contradicting terminal ones the one that
proves most wins (``completed`` means somebody or something picked up).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from agenx_cli.core.call_events import (
    Accepted,
    AnsweredBy,
    CallbackAgreed,
    CallEvent,
    CarrierProgress,
    CarrierStatus,
    ConversationEnded,
    HungUpByUs,
    Interrupted,
    Lost,
    MachineVerdict,
    MeetingBooked,
    MeetingCancelled,
    NotPlaced,
    OptedOut,
    StreamEnded,
    StreamStarted,
    Uncertain,
)

__all__ = [
    "REASONS",
    "WEAK_REASONS",
    "Accepted",
    "AnsweredBy",
    "CallEvent",
    "CallbackAgreed",
    "CarrierProgress",
    "CarrierStatus",
    "ConversationEnded",
    "Disposition",
    "Facts",
    "HungUpByUs",
    "Interrupted",
    "Lost",
    "MachineVerdict",
    "MeetingBooked",
    "MeetingCancelled",
    "NotPlaced",
    "OptedOut",
    "Phase",
    "StreamEnded",
    "StreamStarted",
    "Uncertain",
    "disposition",
    "fold",
    "join",
    "phase",
    "proved_by",
]


class Phase(IntEnum):
    """How far an attempt got."""

    DIALING = 0
    UNKNOWN = 1
    QUEUED = 2
    RINGING = 3
    ANSWERED = 4
    TALKING = 5
    ENDED = 6


class Disposition(StrEnum):
    """How an attempt ended."""

    MEETING_BOOKED = "meeting_booked"
    NOT_INTERESTED = "not_interested"
    OPTED_OUT = "opted_out"
    CALLBACK = "callback"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"
    HUNG_UP = "hung_up"
    SILENT = "silent"
    COMPLETED = "completed"
    CANCELED = "canceled"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    WRONG_PERSON = "wrong_person"


# --- facts


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known. The default knows nothing: a dial that is intended."""

    status: CarrierStatus | None = None
    accepted: bool = False
    uncertain: bool = False
    lost: bool = False
    interrupted: bool = False
    opted_out: bool = False
    callback: bool = False
    callee_spoke: bool = False
    answered_by: AnsweredBy | None = None
    sip_code: int | None = None
    error_code: str | None = None
    not_placed: str | None = None
    duration_s: int | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    stream_started_at: datetime | None = None
    stream_ended_at: datetime | None = None
    reasons: frozenset[str] = frozenset()
    hung_up_by_us: frozenset[str] = frozenset()
    booked: frozenset[str] = frozenset()
    cancelled: frozenset[str] = frozenset()

    @property
    def meetings(self) -> frozenset[str]:
        """Meetings that stand."""
        return self.booked - self.cancelled


def join(one: Facts, other: Facts) -> Facts:
    """All that either knows: the least upper bound."""
    return Facts(
        status=_later(one.status, other.status),
        accepted=one.accepted or other.accepted,
        uncertain=one.uncertain or other.uncertain,
        lost=one.lost or other.lost,
        interrupted=one.interrupted or other.interrupted,
        opted_out=one.opted_out or other.opted_out,
        callback=one.callback or other.callback,
        callee_spoke=one.callee_spoke or other.callee_spoke,
        answered_by=_surer(one.answered_by, other.answered_by),
        sip_code=_most(one.sip_code, other.sip_code),
        error_code=_greatest(one.error_code, other.error_code),
        not_placed=_greatest(one.not_placed, other.not_placed),
        duration_s=_most(one.duration_s, other.duration_s),
        answered_at=_earliest(one.answered_at, other.answered_at),
        ended_at=_earliest(one.ended_at, other.ended_at),
        stream_started_at=_earliest(one.stream_started_at, other.stream_started_at),
        stream_ended_at=_earliest(one.stream_ended_at, other.stream_ended_at),
        reasons=one.reasons | other.reasons,
        hung_up_by_us=one.hung_up_by_us | other.hung_up_by_us,
        booked=one.booked | other.booked,
        cancelled=one.cancelled | other.cancelled,
    )


def fold(facts: Facts, event: CallEvent) -> Facts:
    """The facts, and what this event proves. Commutative, idempotent, never less than before."""
    return join(facts, proved_by(event))


def proved_by(event: CallEvent) -> Facts:
    """What one event proves on its own."""
    return _PROVES[type(event)](event)


def _progress(event: CarrierProgress) -> Facts:
    facts = Facts(
        status=event.status,
        accepted=True,
        sip_code=event.sip_code,
        error_code=event.error_code,
        duration_s=event.duration_s,
        answered_by=event.answered_by,
    )
    if event.status is CarrierStatus.ANSWERED:
        return replace(facts, answered_at=event.at)
    if event.status.terminal:
        return replace(facts, ended_at=event.at)
    return facts


_PROVES: dict[type, Callable[[Any], Facts]] = {
    CarrierProgress: _progress,
    MachineVerdict: lambda event: Facts(answered_by=event.kind),
    Uncertain: lambda _: Facts(uncertain=True),
    Accepted: lambda _: Facts(accepted=True),
    NotPlaced: lambda event: Facts(not_placed=event.code),
    Lost: lambda _: Facts(lost=True),
    StreamStarted: lambda event: Facts(stream_started_at=event.at, answered_at=event.at),
    StreamEnded: lambda event: Facts(stream_ended_at=event.at),
    ConversationEnded: lambda event: Facts(reasons=frozenset({event.reason}), callee_spoke=event.callee_spoke),
    MeetingBooked: lambda event: Facts(booked=frozenset({event.meeting_id})),
    MeetingCancelled: lambda event: Facts(cancelled=frozenset({event.meeting_id})),
    OptedOut: lambda _: Facts(opted_out=True),
    CallbackAgreed: lambda _: Facts(callback=True),
    HungUpByUs: lambda event: Facts(hung_up_by_us=frozenset({event.reason})),
    Interrupted: lambda _: Facts(interrupted=True),
}


# --- what follows from the facts

_PHASES: dict[CarrierStatus | None, Phase] = {
    None: Phase.DIALING,
    CarrierStatus.QUEUED: Phase.QUEUED,
    CarrierStatus.INITIATED: Phase.QUEUED,
    CarrierStatus.RINGING: Phase.RINGING,
    CarrierStatus.ANSWERED: Phase.ANSWERED,
}


def phase(facts: Facts) -> Phase:
    """How far the attempt got: the furthest that anything proves."""
    if facts.lost or facts.not_placed is not None:
        return Phase.ENDED
    reached = [_PHASES.get(facts.status, Phase.ENDED)]
    if facts.uncertain:
        reached.append(Phase.UNKNOWN)
    if facts.accepted:
        reached.append(Phase.QUEUED)
    if facts.answered_at is not None:
        reached.append(Phase.ANSWERED)
    if facts.stream_started_at is not None:
        reached.append(Phase.TALKING)
    return max(reached)


REASONS: dict[str, Disposition] = {
    "opted_out": Disposition.OPTED_OUT,
    "wrong_person": Disposition.WRONG_PERSON,
    "not_interested": Disposition.NOT_INTERESTED,
    "voicemail": Disposition.VOICEMAIL,
}
"""Reasons a conversation may end for that outweigh a detector's verdict, strongest first. A *claimed* opt-out
counts, because believing it is the safe side; a claimed meeting or callback does not: only what was committed is."""

WEAK_REASONS: dict[str, Disposition] = {
    "model_failed": Disposition.FAILED,
    "stream_lost": Disposition.INTERRUPTED,
    "silent": Disposition.SILENT,
    "hung_up": Disposition.HUNG_UP,
}
"""Reasons that a machine at the other end would explain as well."""

OPERATORS = frozenset({"operator", "drain", "shutdown"})
"""Reasons that say nothing about the callee: somebody on our side ended the conversation."""

_UNANSWERED = {
    CarrierStatus.NO_ANSWER: Disposition.NO_ANSWER,
    CarrierStatus.BUSY: Disposition.BUSY,
    CarrierStatus.FAILED: Disposition.FAILED,
}


def disposition(facts: Facts) -> Disposition | None:
    """How the attempt ended, or None while it has not.

    First match wins: what was agreed (opt-out before meeting before callback) · what the carrier says of a call
    that nobody answered · our own death · what the conversation ended for · lost or never placed · canceled ·
    hung up before the stream stood · nobody spoke · completed.
    """
    if phase(facts) is not Phase.ENDED:
        return None
    return _agreed(facts) or _cut_off(facts) or _conversations_word(facts) or _what_remains(facts)


def _agreed(facts: Facts) -> Disposition | None:
    if facts.opted_out or "opted_out" in facts.reasons:
        return Disposition.OPTED_OUT
    if facts.meetings:
        return Disposition.MEETING_BOOKED
    return Disposition.CALLBACK if facts.callback else None


def _cut_off(facts: Facts) -> Disposition | None:
    if facts.status in _UNANSWERED:
        return _UNANSWERED[facts.status]
    given_up = facts.lost and not _told_over(facts)
    return Disposition.INTERRUPTED if facts.interrupted and not given_up else None


def _conversations_word(facts: Facts) -> Disposition | None:
    strong = next((ending for reason, ending in REASONS.items() if reason in facts.reasons), None)
    if strong is None and facts.answered_by in (AnsweredBy.MACHINE, AnsweredBy.FAX):
        return Disposition.VOICEMAIL
    return strong or next((ending for reason, ending in WEAK_REASONS.items() if reason in facts.reasons), None)


def _what_remains(facts: Facts) -> Disposition:
    if not _told_over(facts):
        return _never_placed(facts)
    if facts.status is CarrierStatus.CANCELED:
        return Disposition.CANCELED
    if facts.stream_started_at is None and not facts.hung_up_by_us:
        return Disposition.HUNG_UP
    if facts.reasons and not facts.callee_spoke:
        return Disposition.CANCELED if facts.reasons & OPERATORS else Disposition.SILENT
    return Disposition.COMPLETED


def _never_placed(facts: Facts) -> Disposition:
    if facts.not_placed is None:
        return Disposition.LOST
    return Disposition.CANCELED if facts.hung_up_by_us else Disposition.FAILED


def _told_over(facts: Facts) -> bool:
    return facts.status is not None and facts.status.terminal


# --- joins


def _later(one: CarrierStatus | None, other: CarrierStatus | None) -> CarrierStatus | None:
    if one is None or other is None:
        return other if one is None else one
    return one if one.rank >= other.rank else other


def _surer(one: AnsweredBy | None, other: AnsweredBy | None) -> AnsweredBy | None:
    if one is None or other is None:
        return other if one is None else one
    return one if one.rank >= other.rank else other


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _greatest(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
