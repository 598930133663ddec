"""The carrier's playout buffer: what a bridge sent, what of it the callee has heard, sample by sample.

Pure: moments are milliseconds of the line's own clock, passed in. Bytes are counted over the whole stream, so an
offset names one sample for good. A mark belongs to the offset behind which it was put.

1. Audio is played in order; what is missing is digital silence (0xFF).
2. A mark comes back when the sample before it has been played to its end, at once if it already was.
3. ``clear`` throws out what is not yet played and gives back every pending mark.
"""

from collections import deque
from dataclasses import dataclass, field

SILENCE = b"\xff"
FRAME = 160
FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class Span:
    """``length`` bytes from ``offset`` on began to be heard at ``at_ms``."""

    at_ms: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """At ``at_ms`` a clear threw out ``dropped`` bytes from ``offset`` on."""

    at_ms: int
    offset: int
    dropped: int


@dataclass(slots=True)
class Playout:
    """One stream's buffer. ``written`` bytes came in, ``taken`` left it (played, being played, or cleared)."""

    written: int = 0
    taken: int = 0
    heard: int = 0
    spans: list[Span] = field(default_factory=list)
    clears: list[Cleared] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _marks: deque[tuple[int, str]] = field(default_factory=deque)

    def write(self, audio: bytes) -> None:
        """Queue audio of any length."""
        self._buffer += audio
        self.written += len(audio)

    def mark(self, name: str) -> list[str]:
        """Put a mark behind everything queued so far; the marks to give back now."""
        self._marks.append((self.written, name))
        return self._due()

    def clear(self, at_ms: int) -> list[str]:
        """Throw out what waits; the marks to give back now, in their order: all of them."""
        self.clears.append(Cleared(at_ms, self.taken, len(self._buffer)))
        self.taken = self.heard = self.written
        self._buffer.clear()
        return self._due()

    def take(self, at_ms: int) -> tuple[bytes, list[str]]:
        """The 20 ms that begin at ``at_ms``, and the marks whose audio had ended by then."""
        self.heard = self.taken
        due = self._due()
        audio = bytes(self._buffer[:FRAME])
        del self._buffer[:FRAME]
        if audio:
            self._note(at_ms, len(audio))
            self.taken += len(audio)
        return audio.ljust(FRAME, SILENCE), due

    def _note(self, at_ms: int, length: int) -> None:
        last = self.spans[-1] if self.spans else None
        if last and last.offset + last.length == self.taken and last.at_ms + last.length / 8 == at_ms:
            self.spans[-1] = Span(last.at_ms, last.offset, last.length + length)
        else:
            self.spans.append(Span(at_ms, self.taken, length))

    def _due(self) -> list[str]:
        due: list[str] = []
        while self._marks and self._marks[0][0] <= self.heard:
            due.append(self._marks.popleft()[1])
        return due
