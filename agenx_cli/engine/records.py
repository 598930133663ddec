"""What every part of the engine shares: the store off the loop, the clock, the carrier, and who waits for what."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from agenx_cli.core.attempt import CallEvent
from agenx_cli.ports import Carrier, Clock
from agenx_cli.store.attempts import Attempts
from agenx_cli.store.records import Attempt
from agenx_cli.store.store import Store

T = TypeVar("T")


class Ledger:
    """The engine's hand on the tables. The event loop never waits for the database; watchers hear of every change."""

    def __init__(self, store: Store, carrier: Carrier, clock: Clock, owner: str) -> None:
        self.told: Callable[[Attempt], None] = lambda _attempt: None
        self.store = store
        self.carrier = carrier
        self.clock = clock
        self.owner = owner
        self.apart: Callable[[Attempt], float] = lambda _attempt: 0.0
        self._live: dict[str, Attempt] = {}
        self._watchers: dict[str, set[asyncio.Future[Attempt]]] = {}

    def now(self) -> datetime:
        """The moment."""
        return self.clock.now()

    async def ask(self, query: Callable[[Attempts], T]) -> T:
        """Run a query on attempts in a thread. Raises StoreError."""
        return await asyncio.to_thread(query, self.store.attempts)

    async def fold(self, attempt: Attempt, event: CallEvent, key: str, *, error: str | None = None) -> Attempt:
        """Save a report, and tell whoever waits for the attempt's end."""
        now = self.now()
        folded = await self.ask(lambda attempts: attempts.fold(attempt.uid, event, key, now, error=error))
        return self.changed(folded or attempt)

    def changed(self, attempt: Attempt) -> Attempt:
        """An attempt is known to be like this now: everybody who watches hears of it."""
        self.told(attempt)
        if attempt.owner == self.owner and not attempt.over:
            self._live[attempt.uid] = attempt
        else:
            self._live.pop(attempt.uid, None)
        if attempt.over:
            for future in self._watchers.pop(attempt.uid, set()):
                if not future.done():
                    future.set_result(attempt)
        return attempt

    async def mine(self) -> tuple[Attempt, ...]:
        """The live attempts of this process. Raises StoreError."""
        live = await self.ask(lambda attempts: attempts.live(self.owner))
        self._live = {attempt.uid: attempt for attempt in live}
        return live

    @property
    def last_known(self) -> tuple[Attempt, ...]:
        """The live attempts of this process as they were last seen, for when the tables cannot be read."""
        return tuple(self._live.values())

    @property
    def watched(self) -> tuple[str, ...]:
        """The attempts whose end somebody waits for."""
        return tuple(self._watchers)

    async def over(self, uid: str) -> Attempt:
        """Wait for the end of an attempt."""
        future: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(uid, set()).add(future)
        try:
            await self.reread(uid)
            return await future
        finally:
            self._unwatch(uid, future)

    def _unwatch(self, uid: str, future: "asyncio.Future[Attempt]") -> None:
        waiting = self._watchers.get(uid, set())
        waiting.discard(future)
        if not waiting:
            self._watchers.pop(uid, None)

    async def reread(self, uid: str) -> None:
        """See whether an attempt ended behind our back."""
        attempt = await self.ask(lambda attempts: attempts.get(uid))
        if attempt is not None:
            self.changed(attempt)
