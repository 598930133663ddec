"""What is still to happen in a session, by moment. The moments are whatever clock the owner counts on."""

import heapq
from collections.abc import Callable
from itertools import count


class Timeline:
    """Actions in the order of their moments; equal moments in the order they were put in."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = count()

    def at(self, moment: float, action: Callable[[float], None]) -> None:
        """Do this then. The action is given the moment it was put in for."""
        heapq.heappush(self._heap, (moment, next(self._count), action))

    def next(self) -> float | None:
        """When the next action is due."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Do everything that is due, including what those actions put in."""
        while self._heap and self._heap[0][0] <= now:
            moment, _, action = heapq.heappop(self._heap)
            action(moment)
