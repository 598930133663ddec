"""Asking the carrier about one attempt, and acting on what it says.

Everything here may be repeated: reports fold, hanging up twice is once. Failures of the carrier or the store are
logged and leave the attempt as it is; the next look comes.
"""

import logging

from agenx_cli.core.attempt import CarrierStatus, HungUpByUs, Lost, Uncertain
from agenx_cli.engine.reconcile import match, progress_of
from agenx_cli.engine.records import Ledger
from agenx_cli.engine.schedule import LOOKS_UNTIL_LOST, overdue
from agenx_cli.errors import CarrierError
from agenx_cli.ports import CarrierCall
from agenx_cli.store.records import Attempt, Figures

logger = logging.getLogger(__name__)


async def look(ledger: Ledger, attempt: Attempt) -> Attempt:
    """Settle an attempt as far as the carrier's record allows. Raises CarrierError and StoreError."""
    if attempt.carrier_call_id is None:
        return await reconcile(ledger, attempt)
    call = await ledger.carrier.fetch(attempt.carrier_call_id)
    if call is None:
        return await _unknown_there(ledger, attempt)
    seen = await _record(ledger, attempt, call)
    if seen.over and CarrierStatus(call.status).terminal:
        return seen
    return await _still_up(ledger, seen, call.call_id)


async def _still_up(ledger: Ledger, attempt: Attempt, call_id: str) -> Attempt:
    """A call that the carrier says is up: fine, or to be ended."""
    excess = overdue(attempt, ledger.now())
    if excess is not None:
        return await end(ledger, attempt, call_id, excess.reason)
    if attempt.over:  # given up as lost, and here it is: nobody waits for it any more
        return await end(ledger, attempt, call_id, "lost")
    if attempt.facts.interrupted:
        return await end(ledger, attempt, call_id, "interrupted")
    if attempt.facts.hung_up_by_us:  # wanted before, and it did not work or was not possible yet
        return await end(ledger, attempt, call_id, min(attempt.facts.hung_up_by_us))
    return attempt


async def end(ledger: Ledger, attempt: Attempt, call_id: str, reason: str) -> Attempt:
    """Hang up at the carrier, and take over what it then says of the call."""
    logger.info("call.ended_by_engine", extra={"attempt": attempt.uid, "reason": reason})
    await ledger.fold(attempt, HungUpByUs(reason), f"hung_up_by_us:{reason}")
    await ledger.carrier.hang_up(call_id)
    call = await ledger.carrier.fetch(call_id)
    return attempt if call is None else await _record(ledger, attempt, call)


async def reconcile(ledger: Ledger, attempt: Attempt) -> Attempt:
    """Look for the call whose id we never learned: adopt it, or at last give it up. Never dial again."""
    calls = await ledger.carrier.find(to=attempt.phone, from_=attempt.our_number)
    taken = await _taken(ledger, attempt, [call.call_id for call in calls])
    found = match(attempt, calls, taken)
    if not found:
        return await _not_found(ledger, attempt)
    now = ledger.now()
    outcome = await ledger.ask(lambda attempts: attempts.adopt(attempt.uid, found[0].call_id, now))
    if outcome is None:
        return attempt
    # A callback may have been faster, with another of the calls: then that one is ours.
    ours = outcome.attempt.carrier_call_id
    for stray in found:
        if stray.call_id != ours:
            await end_stray(ledger, attempt, stray.call_id)
    return await look(ledger, outcome.attempt)


async def end_stray(ledger: Ledger, attempt: Attempt, call_id: str) -> None:
    """A second call of one attempt: end it before a word, and say so. A failure is logged; TimeLimit is the net."""
    logger.error("call.stray", extra={"attempt": attempt.uid})
    try:
        await ledger.carrier.hang_up(call_id)
    except CarrierError as exc:
        logger.error("call.stray_not_ended", extra={"attempt": attempt.uid, "reason": exc.message})  # noqa: TRY400  the message says it all


async def _unknown_there(ledger: Ledger, attempt: Attempt) -> Attempt:
    """The carrier denies a call whose id it gave us. A stream that is up proves it wrong; else twice is the truth."""
    streaming = attempt.facts.stream_started_at is not None and attempt.facts.stream_ended_at is None
    if streaming or attempt.looks + 1 < LOOKS_UNTIL_LOST:
        now = ledger.now()
        await ledger.ask(lambda attempts: attempts.looked(attempt.uid, now))
        return attempt
    return await ledger.fold(attempt, Lost(), "lost", error="the carrier does not know the call any more")


async def _taken(ledger: Ledger, attempt: Attempt, call_ids: list[str]) -> set[str]:
    owners = await ledger.ask(lambda attempts: [attempts.of_call(call_id) for call_id in call_ids])
    return {owner.carrier_call_id or "" for owner in owners if owner is not None and owner.uid != attempt.uid}


async def _not_found(ledger: Ledger, attempt: Attempt) -> Attempt:
    now = ledger.now()
    if attempt.looks + 1 >= LOOKS_UNTIL_LOST:
        return await ledger.fold(attempt, Lost(), "lost", error="the carrier knows of no such call")
    unknown = await ledger.fold(attempt, Uncertain("no answer to the dial"), "uncertain")
    await ledger.ask(lambda attempts: attempts.looked(attempt.uid, now))
    return unknown


async def _record(ledger: Ledger, attempt: Attempt, call: CarrierCall) -> Attempt:
    """Fold the carrier's record, keep its price, note the look."""
    for report in progress_of(call):
        attempt = await ledger.fold(attempt, report, f"record:{report.status}")
    now = ledger.now()
    await ledger.ask(lambda attempts: attempts.looked(attempt.uid, now))
    if call.price_usd is not None:
        await _priced(ledger, attempt, call.price_usd)
    return attempt


async def ask_price(ledger: Ledger, attempt: Attempt) -> None:
    """One late look for what the carrier took for a call that is over. Raises CarrierError and StoreError."""
    call = await ledger.carrier.fetch(attempt.carrier_call_id or "")
    if call is not None and call.price_usd is not None:
        await _priced(ledger, attempt, call.price_usd)
        return
    now = ledger.now()
    await ledger.ask(lambda attempts: attempts.finish(attempt.uid, Figures(carrier_priced=False), now))


async def _priced(ledger: Ledger, attempt: Attempt, price_usd: float) -> None:
    """The carrier's own price, and what it bills apart from it, instead of our estimate."""
    now = ledger.now()
    figures = Figures(cost_carrier_usd=price_usd + ledger.apart(attempt), carrier_priced=True)
    await ledger.ask(lambda attempts: attempts.finish(attempt.uid, figures, now))
