"""How a conversation ends: when ``end_call`` is refused, and the moments between the last word and the hang-up.

The last word is drained (its mark came back), then 700 ms of listening follow; real speech in them cancels the hang-up
once. A deadline of the remaining audio + 2 s (and the listening) stands over all of it, because a mark may never come.
"""

import json
from dataclasses import dataclass
from typing import get_args

from agenx_cli.core.playbook import EndReason

FRAME_MS = 20
LISTEN_MS = 700
SPEECH_MS = 450
SLACK_MS = 2_000

REASONS: tuple[EndReason, ...] = get_args(EndReason)
MACHINE = "voicemail"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a conversation ended, and who ended it: ``assistant``, ``callee``, ``operator`` or ``trouble``."""

    reason: str
    by: str


def refusal(
    arguments: str,
    *,
    callee_spoke: bool,
    callee_speaks: bool,
    said_goodbye: bool,
    last_said: str,
    facts: frozenset[str],
) -> tuple[str, str | None]:
    """The reason the model gives for ``end_call``, and the JSON output that refuses it (None: it may end).

    Refused unless the callee has spoken, no question is pending and a goodbye exists. A verdict that this is a machine
    and an opt-out that was saved pass, because there is nobody to be polite to, or nobody who wants to hear more.
    """
    reason = _reason(arguments)
    if reason is None:
        return "", _error(f"reason must be one of {', '.join(REASONS)}")
    nobody_to_please = reason == MACHINE or (reason == "opted_out" and "opted_out" in facts)
    rules = (
        (callee_speaks and reason != MACHINE, "the callee is speaking; listen first"),
        (reason == "opted_out" and "opted_out" not in facts, "save the opt-out with its tool first"),
        (not callee_spoke and not nobody_to_please, "the callee has not spoken yet"),
        (not said_goodbye and not nobody_to_please, "say goodbye first, then end the call"),
        (
            last_said.rstrip().endswith("?") and not nobody_to_please,
            "your question is not answered yet; wait for the answer",
        ),
    )
    complaint = next((text for broken, text in rules if broken), None)
    return reason, None if complaint is None else _error(complaint)


def _reason(arguments: str) -> str | None:
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    reason = parsed.get("reason") if isinstance(parsed, dict) else None
    return reason if reason in REASONS else None


def _error(text: str) -> str:
    return json.dumps({"error": text})


@dataclass(slots=True)
class Closing:
    """The time from the last word to the hang-up. Milliseconds."""

    reason: str
    deadline: int
    may_cancel: bool
    drained_at: int | None = None
    voiced_ms: int = 0

    @classmethod
    def begin(cls, reason: str, now: int, remaining_ms: int, *, may_cancel: bool) -> "Closing":
        """The goodbye has ``remaining_ms`` still to be heard."""
        return cls(reason, now + remaining_ms + SLACK_MS + LISTEN_MS, may_cancel)

    def done(self, now: int, *, proven: bool) -> bool:
        """Whether to hang up now. ``proven``: every mark came back. A sound that may yet stop it is heard out."""
        if self.drained_at is None and proven:
            self.drained_at = now
        listened = self.drained_at is not None and now - self.drained_at >= LISTEN_MS
        undecided = self.may_cancel and self.voiced_ms > 0
        return now >= self.deadline or (listened and not undecided)

    def spoken_over(self, *, voiced: bool) -> bool:
        """20 ms of the callee: whether they really speak and may stop the hang-up."""
        self.voiced_ms = self.voiced_ms + FRAME_MS if voiced else 0
        return self.may_cancel and self.drained_at is not None and self.voiced_ms >= SPEECH_MS
