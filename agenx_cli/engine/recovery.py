"""The first thing a worker does: settle what dead ones left. On one machine every owner but me is dead.

Nothing is ever dialed here. An intent that was not begun was not dialed, which its fence proves; a begun one is
looked up; a call that is up has no bridge any more and is hung up; what was promised to a person (a meeting without
its file) is repaired by whoever knows how.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from agenx_cli.core.attempt import Interrupted, NotPlaced, StreamEnded
from agenx_cli.engine.looking import end, look
from agenx_cli.engine.records import Ledger
from agenx_cli.errors import AgenxError, CarrierError
from agenx_cli.store.records import Attempt

logger = logging.getLogger(__name__)

AT_ONCE = 8
Repair = Callable[[], object]


async def recover(ledger: Ledger, repairs: Sequence[Repair]) -> int:
    """Settle every orphan as far as possible now; the sweep goes on with the rest. The count of orphans.

    Raises StoreError: without the tables nothing may be dialed.
    """
    orphans = await ledger.ask(lambda attempts: attempts.orphans(ledger.owner))
    seats = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        for orphan in orphans:
            tasks.create_task(_seated(seats, ledger, orphan))
    for repair in repairs:
        await _repair(repair)
    return len(orphans)


async def _repair(repair: Repair) -> None:
    try:
        await asyncio.to_thread(repair)
    except AgenxError as exc:
        logger.error("recovery.repair_failed", extra={"reason": exc.message})  # noqa: TRY400  the message says it all


async def _seated(seats: asyncio.Semaphore, ledger: Ledger, orphan: Attempt) -> None:
    async with seats:
        now = ledger.now()
        mine = await ledger.ask(lambda attempts: attempts.take_over(orphan, ledger.owner, now))
        if mine is None:
            return
        try:
            settled = await _settle(ledger, mine)
        except CarrierError as exc:
            logger.warning("recovery.postponed", extra={"attempt": mine.uid, "reason": exc.message})
            return
        logger.info("recovery.settled", extra={"attempt": settled.uid, "phase": settled.phase.name})


async def _settle(ledger: Ledger, attempt: Attempt) -> Attempt:
    """What the death of its process means for an attempt is saved first; then the carrier is asked.

    So if the carrier cannot be reached now, the sweep knows what to do with what it finds later.
    """
    facts = attempt.facts
    if facts.stream_started_at is not None and facts.stream_ended_at is None:
        attempt = await ledger.fold(attempt, StreamEnded(ledger.now()), "stream_ended:takeover")
    if not (facts.reasons or facts.hung_up_by_us):
        attempt = await ledger.fold(attempt, Interrupted(), "interrupted")
    if attempt.outbound and attempt.dialed_at is None:
        return await ledger.fold(
            attempt, NotPlaced("never_dialed"), "not_placed", error="the process ended before it dialed"
        )
    seen = await look(ledger, attempt)
    if seen.over or seen.carrier_call_id is None:
        return seen
    return await end(ledger, seen, seen.carrier_call_id, "interrupted")
