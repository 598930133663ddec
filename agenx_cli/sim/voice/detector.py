"""Voice activity: when speech starts and stops, by the energy of what was appended, on audio time.

The level of each 20 ms hop in dBFS becomes a likelihood of speech (-60 dBFS is 0, -20 dBFS is 1). Speech starts
after 60 ms in a row at or above the threshold and is dated ``prefix_padding_ms`` before the first of them; it
stops after ``silence_duration_ms`` in a row below. Wall time plays no part: audio may arrive at any speed.
"""

import math
from dataclasses import dataclass
from typing import Any

HOP = 160
HOP_MS = 20
_START_HOPS = 3
_PATIENCE_MS = {"high": 400, "medium": 700, "auto": 700, "low": 1200}


@dataclass(frozen=True, slots=True)
class Started:
    """Speech began: ``start_ms`` includes the padding before it."""

    start_ms: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Speech ended: ``end_ms`` includes the silence that proved it."""

    end_ms: int


def _linear(code: int) -> int:
    """G.711 μ-law to 16 bit linear (ITU-T G.711, table 2)."""
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)
    return (0x84 - magnitude) if inverted & 0x80 else (magnitude - 0x84)


_POWER = tuple(_linear(code) ** 2 for code in range(256))


def likelihood(ulaw: bytes) -> float:
    """How much a stretch of μ-law sounds like speech, 0 to 1."""
    power = sum(map(_POWER.__getitem__, ulaw)) / max(1, len(ulaw))
    if power <= 0:
        return 0.0
    return min(1.0, max(0.0, (10 * math.log10(power / 32768**2) + 60) / 40))


class Detector:
    """One session's detector; hops go in, starts and stops come out."""

    def __init__(self) -> None:
        self.speaking = False
        self._at_ms = 0
        self._row_ms = 0
        self._waiting = b""

    def reset(self, at_ms: int) -> None:
        """Forget speech and silence so far: the next hop begins at ``at_ms``."""
        self.speaking = False
        self._row_ms = 0
        self._waiting = b""
        self._at_ms = at_ms

    def feed(self, ulaw: bytes, settings: dict[str, Any]) -> list[Started | Stopped]:
        """The changes within this audio, under the session's ``turn_detection``."""
        changes: list[Started | Stopped] = []
        data = self._waiting + ulaw
        whole = len(data) - len(data) % HOP
        for offset in range(0, whole, HOP):
            self._at_ms += HOP_MS
            change = self._hop(likelihood(data[offset : offset + HOP]), settings)
            if change is not None:
                changes.append(change)
        self._waiting = data[whole:]
        return changes

    def _hop(self, speech: float, settings: dict[str, Any]) -> Started | Stopped | None:
        voiced = speech >= settings.get("threshold", 0.5) and speech > 0.0
        self._row_ms = self._row_ms + HOP_MS if voiced != self.speaking else 0
        if not self.speaking and self._row_ms >= _START_HOPS * HOP_MS:
            begin = self._at_ms - self._row_ms - int(settings.get("prefix_padding_ms", 300))
            self.speaking, self._row_ms = True, 0
            return Started(max(0, begin))
        if self.speaking and self._row_ms >= max(HOP_MS, _patience(settings)):
            self.speaking, self._row_ms = False, 0
            return Stopped(self._at_ms)
        return None


def _patience(settings: dict[str, Any]) -> int:
    if settings["type"] == "semantic_vad":
        return _PATIENCE_MS[settings["eagerness"]]
    return int(settings["silence_duration_ms"])
