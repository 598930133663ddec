"""Playout: what was sent to the callee, what of it was heard, and what is still to come.

A model delivers speech much faster than it can be heard. Whoever sends all of it at once has seconds lying in the
carrier's buffer and does not know what was heard when the callee cuts in. So audio waits here and leaves in chunks of
60 ms, about 200 ms ahead of the ear, with a mark every 240 ms and at the end of each utterance.

How much was heard. Positions count the bytes sent since the last clear. A *run* is a stretch in which the carrier's
buffer never ran dry. Inside a run playback is a straight line, ``position = 8 × (t - base)``. Our own sending gives
the earliest possible ``base``; each mark that comes back gives a latest possible one, ``arrival - end of the mark``,
and the smallest of these is the best. A run ends when the line reaches what was sent: the next chunk begins a new one.
A mark of an older run, or one that was cleared, proves nothing and is ignored.
"""

from collections import deque
from dataclasses import dataclass, field

from agenx_cli.core.signals import Play, PutMark

BYTES_PER_MS = 8
FRAME = 160
CHUNK = 480
LEAD_MS = 200
LEAD_AFTER_UNDERRUNS_MS = 400
UNDERRUNS_TOLERATED = 2
MARK_EVERY = 240 * BYTES_PER_MS
SILENCE = b"\xff"


@dataclass(slots=True)
class _Utterance:
    utterance_id: str
    waiting: bytearray = field(default_factory=bytearray)
    ended: bool = False
    sent: int = 0


@dataclass(frozen=True, slots=True)
class _Span:
    """Where a piece of an utterance lies in the stream of what was sent (bytes)."""

    utterance_id: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class _Mark:
    end: int
    run: int
    finishes: str | None


@dataclass(frozen=True, slots=True)
class Cut:
    """An utterance that was not heard to its end: how much of it was (milliseconds)."""

    utterance_id: str
    heard_ms: int


class Playout:
    """One call's playout. Every method takes the moment in integer milliseconds."""

    def __init__(self) -> None:
        self._queue: deque[_Utterance] = deque()
        self._spans: list[_Span] = []
        self._marks: dict[str, _Mark] = {}
        self._sent = 0
        self._last_mark = 0
        self._run = 0
        self._base_ms: float = 0.0
        self._base_by_mark: float | None = None
        self._marks_put = 0
        self._resumed = False
        self._held = False
        self.underruns = 0

    # --- filling

    def add(self, utterance_id: str, audio: bytes) -> None:
        """More of an utterance; utterances are played in the order in which they began."""
        for utterance in self._queue:
            if utterance.utterance_id == utterance_id:
                utterance.waiting += audio
                return
        self._queue.append(_Utterance(utterance_id, bytearray(audio)))

    def end(self, utterance_id: str) -> None:
        """No more audio of this utterance will come."""
        for utterance in self._queue:
            if utterance.utterance_id == utterance_id:
                utterance.ended = True

    # --- sending

    def hold(self) -> None:
        """Send nothing more until ``resume``; what the carrier has it plays out."""
        self._held = True

    def resume(self) -> None:
        """Go on exactly where sending stopped."""
        self._resumed = self._held
        self._held = False

    def due(self, now: int) -> list[Play | PutMark]:
        """What to send at this moment to stay ahead of the ear."""
        out: list[Play | PutMark] = []
        while not self._held and self._queue and self.ahead_ms(now) < self._lead_ms:
            utterance = self._queue[0]
            chunk = self._take(utterance, now)
            if not chunk:
                if utterance.ended:
                    self._finish(out)
                    continue
                break
            self._send(utterance, chunk, now, out)
        return out

    @property
    def _lead_ms(self) -> int:
        return LEAD_MS if self.underruns < UNDERRUNS_TOLERATED else LEAD_AFTER_UNDERRUNS_MS

    def _take(self, utterance: _Utterance, now: int) -> bytes:
        """A whole chunk; the rest of an utterance that ended; whole frames when the ear is about to starve."""
        have = len(utterance.waiting)
        if have >= CHUNK:
            size = CHUNK
        elif utterance.ended:
            size = have
        else:
            size = have - have % FRAME if self.ahead_ms(now) < CHUNK // BYTES_PER_MS else 0
        chunk = bytes(utterance.waiting[:size])
        del utterance.waiting[:size]
        return chunk

    def _send(self, utterance: _Utterance, chunk: bytes, now: int, out: list[Play | PutMark]) -> None:
        if self._played(now) >= self._sent:
            self._begin_run(now, starved=utterance.sent > 0 and not self._resumed)
        self._resumed = False
        padding = -len(chunk) % FRAME
        out.append(Play(chunk + SILENCE * padding, round(self._base + self._sent / BYTES_PER_MS)))
        self._spans.append(_Span(utterance.utterance_id, self._sent, len(chunk)))
        self._sent += len(chunk) + padding
        utterance.sent += len(chunk)
        if utterance.ended and not utterance.waiting:
            self._finish(out)
        elif self._sent - self._last_mark >= MARK_EVERY:
            self._mark(None, out)

    def _begin_run(self, now: int, *, starved: bool) -> None:
        self.underruns += starved
        self._run += 1
        self._base_ms = now - self._sent / BYTES_PER_MS
        self._base_by_mark = None

    def _finish(self, out: list[Play | PutMark]) -> None:
        utterance = self._queue.popleft()
        self._mark(utterance.utterance_id, out)

    def _mark(self, finishes: str | None, out: list[Play | PutMark]) -> None:
        self._marks_put += 1
        name = f"m{self._marks_put}"
        self._marks[name] = _Mark(self._sent, self._run, finishes)
        self._last_mark = self._sent
        out.append(PutMark(name))

    # --- hearing

    def returned(self, name: str, now: int) -> str | None:
        """A mark came back. Answers the utterance that was thereby heard to its end, if one was."""
        mark = self._marks.pop(name, None)
        if mark is None:
            return None
        if mark.run == self._run:
            base = now - mark.end / BYTES_PER_MS
            self._base_by_mark = base if self._base_by_mark is None else min(self._base_by_mark, base)
        if mark.finishes is not None:
            self._spans = [s for s in self._spans if s.utterance_id != mark.finishes]
        return mark.finishes

    @property
    def _base(self) -> float:
        return self._base_ms if self._base_by_mark is None else max(self._base_ms, self._base_by_mark)

    def _played(self, now: int) -> int:
        """Bytes heard since the last clear."""
        return max(0, min(self._sent, int((now - self._base) * BYTES_PER_MS)))

    def ahead_ms(self, now: int) -> int:
        """How much the carrier still has to play."""
        return (self._sent - self._played(now)) // BYTES_PER_MS

    def remaining_ms(self, now: int) -> int:
        """How much speech is still to be heard, what waits here included."""
        return self.ahead_ms(now) + sum(len(u.waiting) for u in self._queue) // BYTES_PER_MS

    def idle(self, now: int) -> bool:
        """Nothing waits here and the ear has had all that was sent, as far as we can reckon."""
        return not self._queue and self._played(now) >= self._sent

    @property
    def proven(self) -> bool:
        """Nothing waits here and every mark has come back: all of it was heard."""
        return not self._queue and not self._marks

    def heard_ms(self, utterance_id: str, now: int) -> int:
        """How much of an utterance was heard since the last clear."""
        played = self._played(now)
        heard = sum(
            max(0, min(span.length, played - span.start)) for span in self._spans if span.utterance_id == utterance_id
        )
        return heard // BYTES_PER_MS

    def clear(self, now: int) -> list[Cut]:
        """Forget everything that was not heard; the caller tells the carrier to do the same.

        Answers the utterances that lost something, in order; what was heard to its end is not among them.
        """
        played = self._played(now)
        lost = [s.utterance_id for s in self._spans if s.start + s.length > played]
        lost += [u.utterance_id for u in self._queue if u.waiting or not u.ended]
        cuts = [Cut(u, self.heard_ms(u, now)) for u in dict.fromkeys(lost)]
        self._queue.clear()
        self._spans.clear()
        self._marks.clear()
        self._sent = self._last_mark = 0
        self._held = False
        return cuts
