"""What is happening right now, for whoever watches: the terminal, another process through the control port."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agenx_cli.core.signals import Line


@dataclass(frozen=True, slots=True)
class Progressed:
    """A call got further. ``phase`` and ``disposition`` in the words of ``core.attempt``."""

    attempt_uid: str
    direction: str
    phase: str
    disposition: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a call's transcript, new or better known."""

    attempt_uid: str
    line: Line


@dataclass(frozen=True, slots=True)
class Troubled:
    """A call could not be held, and what mends that. ``exit_code`` is what a command that placed it ends with."""

    attempt_uid: str
    message: str
    fix: str | None
    exit_code: int


Happening = Progressed | Said | Troubled

BACKLOG = 1_000
"""A watcher that does not read loses the oldest; the tables have them all."""


class Live:
    """Hands every happening to every watcher. Never waits for one."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[Happening]] = set()

    def publish(self, happening: Happening) -> None:
        """Tell everybody; call it on the event loop."""
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(happening)

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Happening]]:
        """A queue of all that happens while the block runs."""
        queue: asyncio.Queue[Happening] = asyncio.Queue(BACKLOG)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)
