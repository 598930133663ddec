"""One dial: the fence, one request, and what its answer, or the lack of one, proves.

``dial`` is the only place that places calls. Before it asks, ``begin_dial`` has committed that a call may exist; an
attempt is begun at most once, so there is never a second request for it, by any process, whatever happens.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from agenx_cli.core.attempt import HungUpByUs, NotPlaced, Uncertain
from agenx_cli.core.policy import Refuse
from agenx_cli.engine.looking import end, end_stray
from agenx_cli.engine.records import Ledger
from agenx_cli.errors import CarrierError
from agenx_cli.ports import CallPlan, DialRequest, MaybePlaced, Placed
from agenx_cli.ports import NotPlaced as Declined
from agenx_cli.store.records import Attempt, Conflict

logger = logging.getLogger(__name__)

STALE_S = 30.0
"""An intent that waited longer (a suspended machine, a stalled loop) is not dialed: its gates are old.

Both clocks are asked: the monotonic one may stand still while a machine is suspended, the other may be set back.
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """An admitted attempt and what the carrier will be given. ``admitted_at`` is on the monotonic clock."""

    attempt: Attempt
    plan: CallPlan
    admitted_at: float


async def dial(ledger: Ledger, intent: Intent) -> Declined | None:
    """Place the call of an intent. The answer is the carrier's refusal, if it refused. Raises StoreError."""
    attempt = intent.attempt
    if _stale(ledger, intent):
        await withdraw(ledger, attempt, "stale", "the machine slept between the decision and the dial")
        return None
    now = ledger.now()
    begun = await ledger.ask(lambda attempts: attempts.begin_dial(attempt, now))
    if begun is None or isinstance(begun, Refuse):
        await ledger.reread(attempt.uid)
        return None
    answer = await ledger.carrier.place(_request(begun, intent.plan))
    match answer:
        case Placed(call_id, queue_ms):
            logger.info("dial.placed", extra={"attempt": begun.uid, "queue_ms": queue_ms})
            await _placed(ledger, begun, call_id)
        case MaybePlaced(why):
            logger.warning("dial.uncertain", extra={"attempt": begun.uid, "reason": why})
            await ledger.fold(begun, Uncertain(why), "uncertain")
        case Declined():
            logger.warning("dial.declined", extra={"attempt": begun.uid, "code": answer.code})
            await ledger.fold(begun, NotPlaced(answer.code), "not_placed", error=answer.message)
            return answer
    return None


def _stale(ledger: Ledger, intent: Intent) -> bool:
    waited_s = ledger.clock.monotonic() - intent.admitted_at
    return waited_s > STALE_S or ledger.now() - intent.attempt.created_at > timedelta(seconds=STALE_S)


async def withdraw(ledger: Ledger, attempt: Attempt, code: str, why: str) -> None:
    """End an attempt that was never begun."""
    await ledger.fold(attempt, HungUpByUs(code), f"hung_up_by_us:{code}")
    await ledger.fold(attempt, NotPlaced(code), "not_placed", error=why)


def _request(attempt: Attempt, plan: CallPlan) -> DialRequest:
    return DialRequest(
        attempt_uid=attempt.uid,
        to=attempt.phone,
        from_=attempt.our_number,
        twiml=plan.twiml,
        status_url=plan.status_url,
        amd_url=plan.amd_url,
        ring_s=attempt.ring_s,
        time_limit_s=attempt.time_limit_s,
    )


async def _placed(ledger: Ledger, attempt: Attempt, call_id: str) -> None:
    now = ledger.now()
    outcome = await ledger.ask(lambda attempts: attempts.adopt(attempt.uid, call_id, now))
    if isinstance(outcome, Conflict):
        await end_stray(ledger, attempt, call_id)
    elif outcome is not None:
        await _unless_unwanted(ledger, ledger.changed(outcome.attempt), call_id)


async def _unless_unwanted(ledger: Ledger, attempt: Attempt, call_id: str) -> None:
    """Somebody may have asked for its end while the request was on its way."""
    if not attempt.facts.hung_up_by_us:
        return
    try:
        await end(ledger, attempt, call_id, min(attempt.facts.hung_up_by_us))
    except CarrierError as exc:
        reason = exc.message
        logger.warning("dial.not_ended", extra={"attempt": attempt.uid, "reason": reason})
