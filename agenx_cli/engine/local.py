"""The local engine: one process, one SQLite file, a loop over what is due under the Clock port.

It is only the alarm clock. What may be dialed, what was, and how it ended is in the tables; this object can be lost
at any moment and be rebuilt from them (``recover``). Four verbs: ``submit`` an intent, ``run`` the loop, ``wake`` it
with a hint, ``drain`` it.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agenx_cli.core.attempt import HungUpByUs
from agenx_cli.core.lead import E164
from agenx_cli.core.limits import time_limit_s
from agenx_cli.core.policy import Defer, Reason, Refuse
from agenx_cli.engine.dialing import Intent, dial, withdraw
from agenx_cli.engine.looking import ask_price, end, look
from agenx_cli.engine.records import Ledger
from agenx_cli.engine.recovery import Repair, recover
from agenx_cli.engine.schedule import PRICE_RECENT, PRICED_AFTER, RESURFACED_LOOKS, next_look
from agenx_cli.errors import AgenxError, CarrierError, StoreError
from agenx_cli.ports import Assignment, CallDesk, Carrier, Clock, NotPlaced
from agenx_cli.store.records import Attempt, NewAttempt
from agenx_cli.store.store import Store

logger = logging.getLogger(__name__)

POLL_S = 2.0
"""The sweep's own pace, for what nobody gave a hint about."""
LOOK_REST_S = 5.0
"""Between two looks at one attempt, at least: a carrier that fails is not hammered."""
PRICE_REST_S = 60.0
"""After a look for a price that failed."""
GOODBYE_S = 10.0
HANG_UP_WITHIN_S = 2.0

DRAINING = Reason(
    "engine.draining", "this process is about to end and starts no calls", "policy", "start it again and repeat"
)


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call that is wanted: whom, from which of our numbers, what about."""

    to: E164
    from_: str = field(repr=False)
    assignment: Assignment


class LocalEngine:
    """See the module. ``owner`` is this process's id, new at every start; ``rehearsal``: the carrier is on loopback.

    ``told`` hears of every change of an attempt. ``apart`` says what the carrier bills for a call apart from its own
    price, in USD. ``repairs`` are run by ``recover`` in threads: whatever was
    committed but not carried out before a crash.
    """

    def __init__(
        self,
        store: Store,
        carrier: Carrier,
        desk: CallDesk,
        clock: Clock,
        owner: str,
        *,
        rehearsal: bool = False,
        repairs: Sequence[Repair] = (),
        told: Callable[[Attempt], None] = lambda _attempt: None,
        apart: Callable[[Attempt], float] = lambda _attempt: 0.0,
        new_uid: Callable[[], str] = lambda: secrets.token_hex(10),
        new_ticket: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._ledger = Ledger(store, carrier, clock, owner)
        self._ledger.told = told
        self._ledger.apart = apart
        self._desk = desk
        self._rehearsal = rehearsal
        self._repairs = tuple(repairs)
        self._new_uid = new_uid
        self._new_ticket = new_ticket
        self._queue: deque[Intent] = deque()
        self._at_work: set[str] = set()
        self._declined: dict[str, NotPlaced] = {}
        self._rested_at: dict[str, float] = {}
        self._prices_at = 0.0
        self._hint = asyncio.Event()
        self._draining = False
        self._stopped = False

    # --- the four verbs

    async def submit(self, call: NewCall) -> Attempt | Defer | Refuse:
        """Ask the gates and commit the intent in one transaction; the loop then dials it, exactly once.

        Raises StoreError (nothing was committed) and what the desk raises when it cannot prepare the call (the
        attempt is then on record as not placed).
        """
        if self._draining:
            return Refuse(DRAINING)
        ledger, ticket = self._ledger, self._new_ticket()
        limits = call.assignment.playbook.limits
        new = NewAttempt(
            uid=self._new_uid(),
            phone=call.to,
            our_number=call.from_,
            playbook=call.assignment.playbook.name,
            ticket=ticket,
            owner=ledger.owner,
            variables=call.assignment.variables,
            record=call.assignment.record,
            ring_s=limits.ring,
            time_limit_s=time_limit_s(limits.max_call),
        )
        now = ledger.now()
        admitted = await ledger.ask(lambda attempts: attempts.admit(new, now, rehearsal=self._rehearsal))
        if isinstance(admitted, Defer | Refuse):
            return admitted
        try:
            plan = self._desk.prepare(admitted.uid, ticket, call.assignment)
        except AgenxError as exc:
            await withdraw(ledger, admitted, "unprepared", exc.message)
            raise
        self._queue.append(Intent(admitted, plan, ledger.clock.monotonic()))
        self.wake()
        return admitted

    async def run(self) -> None:
        """Dial what is admitted and watch what was dialed, until ``drain`` or ``stop`` is through."""
        async with asyncio.TaskGroup() as tasks:
            pricing = tasks.create_task(self._ask_prices())
            while not self._stopped:
                self._hint.clear()
                for work in await self._due():
                    tasks.create_task(work)
                if pricing.done():
                    pricing = tasks.create_task(self._ask_prices())
                await self._wait(POLL_S)
            pricing.cancel()  # nobody waits for a price: the next start asks again

    def wake(self) -> None:
        """A hint that something may be due. Lost hints are made up for by the loop's own pace."""
        self._hint.set()

    async def drain(self, cap_s: float) -> None:
        """Start no more calls, let the live ones finish for ``cap_s`` seconds, then end them with a goodbye.

        Returns when none is live, and ``run`` ends. ``hang_up_all`` from elsewhere cuts it short. A database that
        fails meanwhile delays it, and what was known of the calls before still holds.
        """
        clock = self._ledger.clock
        self._draining = True
        cap, asked = clock.monotonic() + cap_s, False
        while not self._stopped:
            await self._withdraw_queued()
            live = await self._live()
            if not live:
                break
            if clock.monotonic() >= cap and not asked:
                asked = True
                for attempt in live:
                    await self._desk.hang_up(attempt.uid, "drain", polite=True)
            if clock.monotonic() >= cap + GOODBYE_S:
                await self.hang_up_all("drain")
                break
            await clock.sleep(POLL_S / 4)
        self.stop()

    # --- around them

    async def recover(self) -> int:
        """Before ``run``: settle what dead owners left. The count of attempts found. Raises StoreError."""
        since = self._ledger.now() - PRICE_RECENT
        await self._ledger.ask(lambda attempts: attempts.ask_prices_again(since))
        return await recover(self._ledger, self._repairs)

    async def turn(self) -> None:
        """One pass of the loop, waited for: everything that is due now."""
        async with asyncio.TaskGroup() as tasks:
            for work in await self._due():
                tasks.create_task(work)
        await self._ask_prices()

    def stop(self) -> None:
        """End ``run`` after the work at hand. What is live stays on record for the next start."""
        self._draining = self._stopped = True
        self.wake()

    async def hang_up_all(self, reason: str) -> None:
        """End every live call of this process now; at most ``HANG_UP_WITHIN_S``. Repeatable; raises nothing."""
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_WITHIN_S):
                live = await self._live()
                await asyncio.gather(*(self._hang_up_whatever(attempt, reason) for attempt in live))
        self.stop()

    async def _hang_up_whatever(self, attempt: Attempt, reason: str) -> None:
        """A database that fails or stalls keeps no call up: then the carrier is told without it."""
        try:
            async with asyncio.timeout(HANG_UP_WITHIN_S / 2):
                await self.hang_up(attempt.uid, reason)
        except (StoreError, TimeoutError) as exc:
            logger.error("hang_up.unrecorded", extra={"attempt": attempt.uid, "reason": str(exc)})  # noqa: TRY400  the message says it all
            await self._desk.hang_up(attempt.uid, reason, polite=False)
            if attempt.carrier_call_id is not None:
                with suppress(CarrierError):
                    await self._ledger.carrier.hang_up(attempt.carrier_call_id)

    async def hang_up(self, uid: str, reason: str) -> bool:
        """End one attempt at once, whatever it is doing. False when there is no such live attempt."""
        attempt = await self._ledger.ask(lambda attempts: attempts.get(uid))
        if attempt is None or attempt.over:
            return False
        queued = next((intent for intent in self._queue if intent.attempt.uid == uid), None)
        if queued is not None:
            self._queue.remove(queued)
            await withdraw(self._ledger, attempt, reason, "ended before it was dialed")
            return True
        await self._desk.hang_up(uid, reason, polite=False)
        with suppress(CarrierError):  # on record as wanted: the next look, or the next start, goes on
            if attempt.carrier_call_id is None:
                await self._ledger.fold(attempt, HungUpByUs(reason), f"hung_up_by_us:{reason}")
            else:
                await end(self._ledger, attempt, attempt.carrier_call_id, reason)
        return True

    def changed(self, attempt: Attempt) -> None:
        """The bridge saw an attempt change; whoever waits for its end hears of it."""
        self._ledger.changed(attempt)
        self.wake()

    async def over(self, uid: str) -> Attempt:
        """Wait until an attempt is over. Needs ``run``."""
        return await self._ledger.over(uid)

    def declined(self, uid: str) -> NotPlaced | None:
        """Why the carrier refused to place a call of this process, with its fix."""
        return self._declined.get(uid)

    # --- the loop's inside

    async def _live(self) -> tuple[Attempt, ...]:
        """The live attempts of this process, as last known when the tables cannot be read."""
        try:
            return await self._ledger.mine()
        except StoreError as exc:
            logger.error("engine.store", extra={"reason": exc.message})  # noqa: TRY400  the message says it all
            return self._ledger.last_known

    async def _withdraw_queued(self) -> None:
        """End what was admitted and not begun; what cannot be ended now stays in the queue."""
        while self._queue:
            intent = self._queue.popleft()
            try:
                await withdraw(self._ledger, intent.attempt, "drain", "the process was ended")
            except StoreError as exc:
                self._queue.append(intent)
                logger.error("drain.store", extra={"reason": exc.message})  # noqa: TRY400  the message says it all
                return

    async def _due(self) -> list[Coroutine[Any, Any, None]]:
        """Work to start now, each piece marked as being at work until it is done."""
        work: list[Coroutine[Any, Any, None]] = []
        while self._queue:
            intent = self._queue.popleft()
            self._at_work.add(intent.attempt.uid)
            work.append(self._dial(intent))
        try:
            for attempt in await self._to_look_at():
                self._at_work.add(attempt.uid)
                work.append(self._look(attempt))
        except StoreError as exc:
            logger.error("engine.store", extra={"reason": exc.message})  # noqa: TRY400  the message says it all
        return work

    async def _to_look_at(self) -> list[Attempt]:
        live = await self._ledger.mine()
        for uid in set(self._ledger.watched) - {attempt.uid for attempt in live}:
            await self._ledger.reread(uid)
        now = self._ledger.now()
        due = [attempt for attempt in live if (at := next_look(attempt)) is not None and at <= now]
        due += await self._ledger.ask(lambda attempts: attempts.resurfaced(RESURFACED_LOOKS))
        known = {attempt.uid for attempt in due}
        self._rested_at = {uid: at for uid, at in self._rested_at.items() if uid in known}
        return [attempt for attempt in due if attempt.uid not in self._at_work and not self._resting(attempt.uid)]

    async def _dial(self, intent: Intent) -> None:
        uid = intent.attempt.uid
        try:
            if self._draining:
                await withdraw(self._ledger, intent.attempt, "drain", "the process was ended")
                return
            declined = await dial(self._ledger, intent)
            if declined is not None:
                self._declined[uid] = declined
        except StoreError as exc:
            # Safe to try again: the fence lets an attempt through once, and an old intent, or one that comes back
            # while we drain, is withdrawn. If the loop has ended by then, the next start settles it.
            logger.error("dial.store", extra={"attempt": uid, "reason": exc.message})  # noqa: TRY400  as above
            await self._ledger.clock.sleep(POLL_S)
            self._queue.append(intent)
        finally:
            self._done(uid)

    async def _look(self, attempt: Attempt) -> None:
        try:
            await look(self._ledger, attempt)
        except (CarrierError, StoreError) as exc:
            reason = exc.message
            logger.warning("look.failed", extra={"attempt": attempt.uid, "reason": reason})
        finally:
            self._rested_at[attempt.uid] = self._ledger.clock.monotonic() + LOOK_REST_S
            self._done(attempt.uid)

    async def _ask_prices(self) -> None:
        """What calls cost that ended a while ago: one after the other, as the carrier has nothing to hurry for."""
        clock = self._ledger.clock
        if clock.monotonic() < self._prices_at:
            return
        now = self._ledger.now()
        try:
            ended = await self._ledger.ask(lambda attempts: attempts.unpriced(now - PRICE_RECENT, now - PRICED_AFTER))
            for attempt in ended:
                await ask_price(self._ledger, attempt)
        except (CarrierError, StoreError) as exc:
            self._prices_at = clock.monotonic() + PRICE_REST_S
            logger.warning("price.postponed", extra={"reason": exc.message})

    def _resting(self, uid: str) -> bool:
        """Whether it was looked at a moment ago, whatever came of it."""
        return self._rested_at.get(uid, 0.0) > self._ledger.clock.monotonic()

    def _done(self, uid: str) -> None:
        self._at_work.discard(uid)
        self.wake()

    async def _wait(self, seconds: float) -> None:
        """Until a hint, or for so long."""
        hint = asyncio.ensure_future(self._hint.wait())
        pause = asyncio.ensure_future(self._ledger.clock.sleep(seconds))
        await asyncio.wait({hint, pause}, return_when=asyncio.FIRST_COMPLETED)
        for task in (hint, pause):
            task.cancel()
        await asyncio.gather(hint, pause, return_exceptions=True)
