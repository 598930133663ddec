"""Which free times are being offered in which live call, so that two callees at once are not offered the same ones.

It is courtesy, not a lock: a callee may name any free time, and who is first in the store has it. When nothing is left
but what others are being offered, that is offered too.
"""

import threading
from collections.abc import Callable, Iterable

from agenx_cli.core.booking import Span

Pick = Callable[[Iterable[Span]], tuple[Span, ...]]


class OnOffer:
    """The offers of one process's live calls. Tools run in threads: one call at a time chooses."""

    def __init__(self) -> None:
        self._offered: dict[tuple[str, str], tuple[Span, ...]] = {}
        self._choosing = threading.Lock()

    def choose(self, host: str, attempt_uid: str, free: Callable[[], Iterable[Span]], pick: Pick) -> tuple[Span, ...]:
        """What ``pick`` takes of the host's free times, those first that no other live call is being offered."""
        with self._choosing:
            others = [
                span
                for (other_host, uid), spans in self._offered.items()
                if other_host == host and uid != attempt_uid
                for span in spans
            ]
            chosen = pick(slot for slot in free() if not any(slot.overlaps(span) for span in others)) or pick(free())
            self._offered[host, attempt_uid] = chosen
            return chosen

    def forget(self, attempt_uid: str) -> None:
        """That call is over."""
        with self._choosing:
            self._offered = {key: spans for key, spans in self._offered.items() if key[1] != attempt_uid}
