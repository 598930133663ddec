"""Where lines meet: a dialed second phone, and conference rooms.

Minimal and honest: two are joined sample by sample; of several others in a room, the first one who is not silent is
heard, because mixing would change every sample.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from agenx_cli.sim.carrier.line import QUIET, Line, Phone

_KEPT = 10


@dataclass(frozen=True, slots=True)
class DialResult:
    """How ``<Dial>`` ended: DialCallStatus in Twilio's words, the second call's sid, seconds talked."""

    status: str
    sid: str
    duration_s: int


@dataclass(frozen=True, slots=True)
class SecondCall:
    """What ``<Dial>`` asks for. Seconds."""

    parent_sid: str
    number: str
    caller: str
    ring_s: float
    limit_s: float


class Pair:
    """A line joined with a second phone, which steps to the line's clock."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._said = QUIET
        self._at_ms = 0
        self.over = asyncio.Event()

    def take(self, at_ms: int) -> bytes:  # noqa: ARG002 - the second phone has a clock of its own, from its answer
        """What the second phone says."""
        if self.over.is_set():
            return QUIET
        said = self._phone.step(self._said, self._at_ms)
        self._at_ms += 20
        if isinstance(said, bytes):
            return said
        self.over.set()
        return QUIET

    def said(self, audio: bytes, at_ms: int) -> None:  # noqa: ARG002 - the line's shape
        """What the line carries away goes to the second phone."""
        self._said = audio


@dataclass(slots=True)
class Seat:
    """One line in a room."""

    muted: bool
    inbox: dict[int, deque[bytes]] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, at_ms: int) -> bytes:  # noqa: ARG002 - the line's shape
        """The next 20 ms of whoever speaks."""
        heard = QUIET
        for waiting in self.inbox.values():
            frame = waiting.popleft() if waiting else QUIET
            if heard == QUIET:
                heard = frame
        return heard


class Rooms:
    """Conferences by name."""

    def __init__(self) -> None:
        self._rooms: dict[str, list[Seat]] = {}

    async def stay(self, name: str, line: Line, *, muted: bool, ends_it: bool) -> None:
        """Sit in a room until it ends (or the task is cancelled)."""
        seat = Seat(muted)
        room = self._rooms.setdefault(name, [])
        room.append(seat)

        def said(audio: bytes, at_ms: int) -> None:  # noqa: ARG001 - the line's shape
            for other in room:
                if other is not seat and not seat.muted:
                    other.inbox.setdefault(id(seat), deque(maxlen=_KEPT)).append(audio)

        line.source, line.sink = seat, said
        try:
            await seat.over.wait()
        finally:
            line.source = line.sink = None
            room.remove(seat)
            for other in room:
                other.inbox.pop(id(seat), None)
                if ends_it:
                    other.over.set()
            if not room:
                self._rooms.pop(name, None)
