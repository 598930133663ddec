"""Barge-in: hold, then decide.

When the callee makes a sound while the assistant has the floor we send nothing more (HOLD). The carrier plays out its
200 ms: to the callee a natural pause, and nothing is lost. Then

- they go on for 450 ms (voiced time)         → YIELD: the floor is theirs, what they did not hear is taken back;
- they are quiet for 200 ms before that       → RESUME: it was an "ajá" or a noise, we go on where we stopped;
- 900 ms passed and it is still neither       → YIELD.

The model's detector may hear the same sound later than we do: what it reports up to 500 ms after RESUME, in silence, is
what was resumed from, and holds nobody again.

Starting values with reasons in the shared design of the call; each is a named constant.
"""

from dataclasses import dataclass
from enum import Enum

FRAME_MS = 20
ONSET_MS = 80
YIELD_VOICED_MS = 450
RESUME_QUIET_MS = 200
HOLD_MAX_MS = 900
LATE_MS = 500


class Verdict(Enum):
    """What to do with the floor."""

    HOLD = "hold"
    YIELD = "yield"
    RESUME = "resume"


@dataclass(slots=True)
class BargeIn:
    """The callee's sound while the assistant has the floor. Moments in milliseconds."""

    voiced_ms: int = 0
    quiet_ms: int = 0
    held_since: int | None = None
    resumed_at: int | None = None

    def frame(self, *, voiced: bool, floor: bool, now: int) -> Verdict | None:
        """20 ms of the callee. ``floor``: the assistant speaks or is about to."""
        if voiced:
            self.voiced_ms += FRAME_MS
            self.quiet_ms = 0
        else:
            self.quiet_ms += FRAME_MS
            if self.held_since is None:
                self.voiced_ms = 0
        if self.held_since is None:
            return self._begin(now) if floor and self.voiced_ms >= ONSET_MS else None
        if self.voiced_ms >= YIELD_VOICED_MS:
            return self._decide(Verdict.YIELD)
        if self.quiet_ms >= RESUME_QUIET_MS:
            self.resumed_at = now
            return self._decide(Verdict.RESUME)
        return self.tick(now)

    def heard_by_model(self, *, floor: bool, now: int) -> Verdict | None:
        """The model's detector hears speech; it may be earlier than ours."""
        return self._begin(now) if floor and self.held_since is None else None

    def late(self, now: int) -> bool:
        """Whether what the model's detector hears at this moment is the sound that was just resumed from."""
        return self.voiced_ms == 0 and self.resumed_at is not None and now - self.resumed_at <= LATE_MS

    def tick(self, now: int) -> Verdict | None:
        """Time passed, perhaps without frames."""
        if self.held_since is not None and now - self.held_since > HOLD_MAX_MS:
            return self._decide(Verdict.YIELD)
        return None

    def committed(self) -> Verdict | None:
        """The model says that the turn is over: whoever still holds gives way to it."""
        return self._decide(Verdict.YIELD) if self.held_since is not None else None

    def _begin(self, now: int) -> Verdict:
        self.held_since = now
        self.quiet_ms = 0
        return Verdict.HOLD

    def _decide(self, verdict: Verdict) -> Verdict:
        self.held_since = None
        self.voiced_ms = 0
        return verdict
