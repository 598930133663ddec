"""Our number's inbound setting: saved before it is changed, restored when we leave, and only if it is still ours."""

import asyncio
import logging

from agenx_cli.errors import CarrierError
from agenx_cli.ports import Carrier, CarrierNumber, Clock
from agenx_cli.store.records import SavedNumber
from agenx_cli.store.store import Store

logger = logging.getLogger(__name__)


async def restore_all(store: Store, carrier: Carrier) -> int:
    """Give back what we took, or what an earlier process took and could not give back. The count of settings restored.

    Raises StoreError. What the carrier did not let us restore is logged, stays on record for the next start, and keeps
    no other number from being restored.
    """
    restored = 0
    for saved in await asyncio.to_thread(store.numbers.all):
        try:
            restored += await _give_back(store, carrier, saved)
        except CarrierError as exc:
            logger.warning("number.not_restored", extra={"number_id": saved.number_id, "reason": exc.message})
    return restored


async def take(store: Store, carrier: Carrier, clock: Clock, phone: str, url: str) -> None:
    """Let our number's inbound calls come to ``url``. Raises StoreError, and CarrierError with a fix when they cannot.

    An earlier setting that is still to be given back is given back first, so that what is saved is never our own.
    """
    for saved in await asyncio.to_thread(store.numbers.all):
        if saved.number == phone:
            await _give_back(store, carrier, saved)
    number = _usable(await carrier.number(phone))
    await asyncio.to_thread(
        lambda: store.numbers.save(
            phone,
            number.number_id,
            old_url=number.voice_url,
            old_method=number.voice_method,
            our_url=url,
            now=clock.now(),
        )
    )
    await carrier.set_voice_url(number.number_id, url, "POST")
    logger.info("number.webhook_set")


async def _give_back(store: Store, carrier: Carrier, saved: SavedNumber) -> bool:
    """Restore one setting if it is still ours. False: somebody changed it since, or the account does not own it.

    A number of another account stays on record: the next start may be with its own account again.
    """
    number = await carrier.number(saved.number)
    if number is None:
        logger.info("number.elsewhere", extra={"number_id": saved.number_id})
        return False
    ours = number.voice_url == saved.our_url
    if ours:
        await carrier.set_voice_url(saved.number_id, saved.old_url, saved.old_method)
    await asyncio.to_thread(store.numbers.forget, saved.number)
    return ours


def _usable(number: CarrierNumber | None) -> CarrierNumber:
    if number is None:
        raise CarrierError(
            "the account does not own TWILIO_PHONE_NUMBER",
            provider="twilio",
            fix="set it to a number of this account in E.164 (+34…), or start with --no-set-webhook",
        )
    if not number.voice:
        raise CarrierError(
            "TWILIO_PHONE_NUMBER cannot carry voice",
            provider="twilio",
            fix="set it to a voice-capable number, or start with --no-set-webhook",
        )
    bound = number.bound_to
    if bound is not None:
        raise CarrierError(
            f"calls to TWILIO_PHONE_NUMBER go to {bound}, whatever its webhook says",
            provider="twilio",
            fix="take the number out of it in Twilio's console, or start with --no-set-webhook",
        )
    return number
