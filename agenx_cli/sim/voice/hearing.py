"""The input audio buffer: what was appended, where speech begins and ends in it, and what a commit takes."""

from dataclasses import dataclass
from typing import Any

from agenx_cli.sim.voice.detector import Detector, Started, Stopped
from agenx_cli.sim.voice.faulty import Refused

_PER_MS = 8
_LEAST_MS = 100
_KEPT_IDLE_MS = 30_000


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of the buffer that was committed."""

    item_id: str
    ulaw: bytes


class InputBuffer:
    """μ-law since the last commit. Positions are milliseconds of all audio ever appended."""

    def __init__(self) -> None:
        self._detector = Detector()
        self._data = bytearray()
        self._begin = 0
        self._turn: tuple[int, str] | None = None

    @property
    def end_ms(self) -> int:
        """How much audio was ever appended."""
        return (self._begin + len(self._data)) // _PER_MS

    def feed(self, ulaw: bytes, detection: dict[str, Any] | None) -> list[Started | Stopped]:
        """Append; the changes that the detector saw (none in manual mode)."""
        self._data.extend(ulaw)
        if detection is None:
            self._turn = None
            self._detector.reset(self.end_ms)
            return []
        changes = self._detector.feed(ulaw, detection)
        if not changes and self._turn is None:
            self._drop(len(self._data) - _KEPT_IDLE_MS * _PER_MS)
        return changes

    def start(self, begin_ms: int, item_id: str) -> None:
        """Speech began: everything before it will not be committed."""
        self._turn = (begin_ms * _PER_MS, item_id)

    def stop(self, end_ms: int) -> Turn:
        """The speech that ``start`` told of ended: take the turn out of the buffer."""
        begin, item_id = self._turn or (self._begin, "")
        self._drop(begin - self._begin)
        length = end_ms * _PER_MS - self._begin
        turn = Turn(item_id, bytes(self._data[:length]))
        self._drop(length)
        self._turn = None
        return turn

    def commit(self, fresh_id: str) -> Turn:
        """Everything appended since the last commit; during speech from its beginning, under its own id."""
        begin, item_id = self._turn or (self._begin, fresh_id)
        self._drop(begin - self._begin)
        length_ms = len(self._data) / _PER_MS
        if length_ms < _LEAST_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least {_LEAST_MS}ms of audio, "
                f"but buffer only has {length_ms:.2f}ms of audio.",
            )
        turn = Turn(item_id, bytes(self._data))
        self.clear()
        return turn

    def clear(self) -> None:
        """Throw the buffer away; a turn that is going on is forgotten."""
        self._drop(len(self._data))
        self._turn = None
        self._detector.reset(self.end_ms)

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._data[:count]
            self._begin += count
