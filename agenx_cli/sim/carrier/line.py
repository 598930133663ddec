"""The telephone line of one answered call: 20 ms at a time, against absolute deadlines.

Each step the line plays 20 ms to the person, and carries away what the person said meanwhile. ``at_ms`` counts from
the answer. A line that the machine kept waiting catches up step by step: nothing is skipped, and time is not stretched.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from agenx_cli.sim.carrier.playout import FRAME, FRAME_MS, SILENCE

QUIET = SILENCE * FRAME


class Phone(Protocol):
    """A person or a machine at the other end (agenx_cli.sim.callees). Times in ms from the answer."""

    answers: bool
    ring_ms: int
    answered_by: str
    machine_verdict_ms: int
    end_of_greeting_ms: int

    def step(self, heard: bytes, at_ms: int) -> object:
        """20 ms heard, 20 ms said: 160 bytes, or anything else for hanging up."""
        ...


class Source(Protocol):
    """What the line plays."""

    def take(self, at_ms: int) -> bytes:
        """The 20 ms that begin at ``at_ms``: 160 bytes."""
        ...


class Clip:
    """Audio that is played once. ``over`` is set when its last sample has been heard."""

    def __init__(self, audio: bytes) -> None:
        self._audio = audio
        self._position = 0
        self.over = asyncio.Event()

    def take(self, at_ms: int) -> bytes:  # noqa: ARG002 - the line's shape: a clip goes by its own position
        """The next 20 ms, padded with silence."""
        if self._position >= len(self._audio):
            self.over.set()
            return QUIET
        piece = self._audio[self._position : self._position + FRAME]
        self._position += FRAME
        return piece.ljust(FRAME, SILENCE)


class Line:
    """Plays ``source`` to the phone and hands what it says to ``sink``; ``hung_up`` is called once, at its end."""

    def __init__(self, phone: Phone, hung_up: Callable[[], None]) -> None:
        self._phone = phone
        self._hung_up = hung_up
        self.at_ms = 0
        self.source: Source | None = None
        self.sink: Callable[[bytes, int], None] | None = None

    async def run(self) -> None:
        """Until the phone hangs up or the call is over (then the task is cancelled)."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.step():  # noqa: ASYNC110 - a clock's tick, not a wait for something to become true
            await asyncio.sleep(max(0.0, began + self.at_ms / 1000 - loop.time()))
        self._hung_up()

    def step(self) -> bool:
        """20 ms; False when the phone hung up."""
        heard = self.source.take(self.at_ms) if self.source else QUIET
        said = self._phone.step(heard, self.at_ms)
        if not isinstance(said, bytes):
            return False
        if self.sink:
            self.sink(said, self.at_ms)
        self.at_ms += FRAME_MS
        return True

    async def play(self, audio: bytes) -> None:
        """Let the phone hear this; returns when it was heard, or stops it when cancelled."""
        if not audio:
            return
        clip = Clip(audio)
        self.source = clip
        try:
            await clip.over.wait()
        finally:
            if self.source is clip:
                self.source = None


def tone(seconds: float, hz: float = 440.0, level: float = 0.1) -> bytes:
    """A tone in μ-law: what ``<Play>`` of a file sounds like here. Never 0xFF."""
    count = int(seconds * 8000)
    return bytes(min(_ulaw(round(32_767 * level * math.sin(2 * math.pi * hz * n / 8000))), 0xFE) for n in range(count))


def _ulaw(sample: int) -> int:
    """G.711: sign, exponent, mantissa, all inverted."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF
