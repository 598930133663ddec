"""Does the callee's line give back what it is played? Told from levels alone: no audio is kept.

What is sent is laid out in time as the carrier plays it, what comes in as it arrives, both as levels of 20 ms. An echo
makes the second rise and fall like the first, a little later; two people who take turns do the opposite.
"""

from statistics import StatisticsError, correlation
from typing import Any

from agenx_cli.core.ears import level_db

STEP_MS = 20
STEP_BYTES = 160
LONGEST_LAG = 30
LONGEST_SPAN = 3_000
LEAST_STEPS = 100
ALIKE = 0.6
QUIET_DB = -60.0


class Echo:
    """Levels of both directions of one call. Moments are milliseconds of one clock."""

    def __init__(self) -> None:
        self._played: dict[int, float] = {}
        self._heard: dict[int, float] = {}
        self._plays_until = 0

    def sent(self, at_ms: int, ulaw: bytes) -> None:
        """Audio for the callee: it is played behind what was sent before."""
        begin = max(at_ms, self._plays_until)
        self._plays_until = begin + len(ulaw) // 8
        for start in range(0, len(ulaw), STEP_BYTES):
            self._played[(begin + start // 8) // STEP_MS] = _level(ulaw[start : start + STEP_BYTES])

    def cleared(self, at_ms: int) -> None:
        """What was not played yet never will be."""
        self._plays_until = min(self._plays_until, at_ms)
        self._played = {step: level for step, level in self._played.items() if step * STEP_MS < at_ms}

    def came(self, at_ms: int, ulaw: bytes) -> None:
        """Audio of the callee."""
        step = at_ms // STEP_MS
        self._heard[step] = max(_level(ulaw), self._heard.get(step, QUIET_DB))

    def measured(self) -> dict[str, Any]:
        """``likeness`` is the highest correlation at any delay below 600 ms; None when too little was said."""
        found = max((self._likeness(lag), -lag) for lag in range(LONGEST_LAG)) if self._played else (-1.0, 0)
        if found[0] <= -1.0:
            return {"heard": None, "likeness": None, "delay_ms": None}
        return {"heard": found[0] > ALIKE, "likeness": round(found[0], 2), "delay_ms": -found[1] * STEP_MS}

    def _likeness(self, lag: int) -> float:
        first, last = min(self._played), max(self._played)
        steps = [step for step in range(first, min(last + 1, first + LONGEST_SPAN)) if step + lag in self._heard]
        if len(steps) < LEAST_STEPS:
            return -1.0
        try:
            return correlation(
                [self._played.get(step, QUIET_DB) for step in steps], [self._heard[step + lag] for step in steps]
            )
        except StatisticsError:  # one of them never changes: silence is nobody's echo
            return 0.0


def _level(ulaw: bytes) -> float:
    return max(QUIET_DB, level_db(ulaw))
