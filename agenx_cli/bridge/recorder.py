"""One call as a stereo WAV: the callee on the left, the assistant on the right, 8,000 Hz, 16-bit linear.

Each side is placed by its own truth: the callee by the carrier's media timestamps, the assistant by the moment at
which its audio is heard. Both count milliseconds since the media stream began. What is missing is silence; a piece
that comes later for the same moment replaces the earlier one; ``cleared`` takes back what was never heard.

While the call lasts, each side is a file of its own beside the WAV to be (``NAME.callee.part``,
``NAME.assistant.part``: raw native-endian 16-bit samples, holes are silence), written every few seconds. So memory
is bounded, and a recording whose process died is not lost: ``assemble`` makes the WAV from what is there. A disk
that fails ends the recording, never the call.
"""

import audioop
import logging
import os
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from agenx_cli.errors import StoreError

logger = logging.getLogger(__name__)

RATE = 8_000
SAMPLES_PER_MS = 8
WIDTH = 2
LONGEST_MS = 4 * 3_600_000
"""No carrier lets a call last longer; what claims to be later is not believed."""
SPOOL_BYTES = 64 * 1024
"""Four seconds of one side."""
PIECES = 256
BLOCK = 64 * 1024
FIX = "free some space on the disk, or choose another directory with AGENX_HOME"


class Recorder:
    """The recording of one call. ``callee``, ``assistant`` and ``cleared`` never raise and never wait for long."""

    def __init__(self, path: Path) -> None:
        """Begin a recording that will lie at ``path``. Raises StoreError."""
        self.dropped = 0
        self._path = path
        self._fault: OSError | None = None
        self._closed = False
        self._assembled = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._left = _Spool(_part(path, "callee"))
            try:
                self._right = _Spool(_part(path, "assistant"))
            except OSError:
                self._left.close()
                _part(path, "callee").unlink()
                raise
        except OSError as exc:
            raise _failed(path, "cannot be made", exc) from exc

    def callee(self, timestamp_ms: int, ulaw: bytes) -> None:
        """A piece of the callee's audio that began at this moment."""
        self._place(self._left, timestamp_ms, ulaw)

    def assistant(self, at_ms: int, ulaw: bytes) -> None:
        """A piece of the assistant's audio that will be heard from this moment on (``signals.Play``)."""
        self._place(self._right, at_ms, ulaw)

    def cleared(self, at_ms: int) -> None:
        """What the assistant was to say from this moment on was thrown away before it was heard."""
        if self._recording:
            self._guarded(lambda: self._right.cut(max(0, at_ms) * SAMPLES_PER_MS * WIDTH))

    def close(self) -> Path:
        """Write the WAV and say where it lies; again the same the second time. Raises StoreError.

        Takes about 0.1 s for ten minutes of call: call it in a thread. After an error the parts stay where they are.
        """
        if not self._closed:
            self._closed = True
            for spool in (self._left, self._right):
                self._guarded(spool.close)
        if self._fault is not None:
            raise _failed(self._path, "is not complete", self._fault) from self._fault
        if not self._assembled:
            assemble(self._path)
            self._assembled = True
        return self._path

    @property
    def _recording(self) -> bool:
        return not self._closed and self._fault is None

    def _place(self, spool: "_Spool", at_ms: int, ulaw: bytes) -> None:
        if not self._recording or not 0 <= at_ms <= LONGEST_MS:
            self.dropped += 1
            return
        linear = audioop.ulaw2lin(ulaw, WIDTH)
        self._guarded(lambda: spool.put(at_ms * SAMPLES_PER_MS * WIDTH, linear))

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as exc:
            self._fault = self._fault or exc


class _Spool:
    """One side on its way to the disk: pieces at byte offsets, the last one wins, holes are zero."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = os.fdopen(_create(path), "wb", buffering=0)
        self._pieces: list[tuple[int, bytearray]] = []
        self._waiting = 0

    def put(self, offset: int, samples: bytes) -> None:
        if self._pieces and self._pieces[-1][0] + len(self._pieces[-1][1]) == offset:
            self._pieces[-1][1].extend(samples)
        else:
            self._pieces.append((offset, bytearray(samples)))
        self._waiting += len(samples)
        if self._waiting >= SPOOL_BYTES or len(self._pieces) >= PIECES:
            self.flush()

    def cut(self, offset: int) -> None:
        self.flush()
        if self._file.seek(0, os.SEEK_END) > offset:
            self._file.truncate(offset)

    def flush(self) -> None:
        for offset, samples in self._pieces:
            self._file.seek(offset)
            rest = memoryview(samples)
            while rest:
                rest = rest[self._file.write(rest) :]
        self._pieces.clear()
        self._waiting = 0

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()


def assemble_left(folder: Path) -> int:
    """Make the recordings whose process died before it could; how many that were."""
    left = sorted(folder.glob("*.callee.part"))
    made = 0
    for part in left:
        try:
            assemble(part.with_name(part.name.removesuffix(".callee.part")))
            made += 1
        except StoreError as error:  # one that cannot be made keeps no other from being made
            logger.warning("recording.not_made", extra={"reason": error.message})
    return made


def assemble(path: Path) -> Path:
    """Make the WAV at ``path`` from the parts that a recorder left beside it. Raises StoreError.

    The WAV appears whole or not at all, readable by its owner only; then the parts are deleted.
    """
    left, right, draft = (_part(path, side) for side in ("callee", "assistant", "wav"))
    try:
        draft.unlink(missing_ok=True)
        with left.open("rb") as a, right.open("rb") as b, os.fdopen(_create(draft), "wb") as out:
            _interleave(a, b, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
        left.unlink()
        right.unlink()
    except OSError as exc:
        raise _failed(path, "cannot be written", exc) from exc
    return path


def _interleave(left: BinaryIO, right: BinaryIO, out: BinaryIO) -> None:
    with wave.open(out, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(WIDTH)
        wav.setframerate(RATE)
        while True:
            sides = _whole(left.read(BLOCK)), _whole(right.read(BLOCK))
            samples = max(map(len, sides)) // WIDTH
            if not samples:
                return
            both = array("h", bytes(2 * WIDTH * samples))
            for channel, side in enumerate(sides):
                both[channel::2] = array("h", side.ljust(WIDTH * samples, b"\0"))
            wav.writeframes(both)


def _whole(block: bytes) -> bytes:
    """Without half a sample, which a process that died may have left at the end."""
    return block[: len(block) - len(block) % WIDTH]


def _part(path: Path, side: str) -> Path:
    return path.with_name(f"{path.name}.{side}.part")


def _create(path: Path) -> int:
    """A new file that only its owner may read; FileExistsError when there is one already."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def _failed(path: Path, what: str, exc: OSError) -> StoreError:
    return StoreError(f"the recording {path.name} {what}: {exc.strerror or exc}", fix=FIX)
