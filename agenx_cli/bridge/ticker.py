"""One 20 ms tick for all calls of a process, against absolute deadlines so that lateness never adds up."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TICK_S = 0.02


class Ticker:
    """Calls every attached function each 20 ms; sleeps while there is none."""

    def __init__(self) -> None:
        self._attached: set[Callable[[], None]] = set()
        self._wanted = asyncio.Event()

    @contextmanager
    def attach(self, tick: Callable[[], None]) -> Iterator[None]:
        """Tick this function for as long as the block runs."""
        self._attached.add(tick)
        self._wanted.set()
        try:
            yield
        finally:
            self._attached.discard(tick)
            if not self._attached:
                self._wanted.clear()

    async def run(self) -> None:
        """The loop; its owner cancels it."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            due = loop.time()
            while self._attached:
                for tick in tuple(self._attached):
                    tick()
                due = max(due + TICK_S, loop.time() - TICK_S)
                await asyncio.sleep(max(0.0, due - loop.time()))
