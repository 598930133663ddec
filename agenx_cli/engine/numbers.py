"""Our number's inbound setting: saved before it is changed, restored when we leave, and only if it is still ours."""

import logging

from agenx_cli.errors import CarrierError
from agenx_cli.ports import Carrier, CarrierNumber, Clock
from agenx_cli.store.store import Store

logger = logging.getLogger(__name__)


async def restore_all(store: Store, carrier: Carrier) -> int:
    """Give back what an earlier process took and could not give back. The number of settings restored.

    Raises CarrierError; what was not restored stays on record.
    """
    restored = 0
    for saved in store.numbers.all():
        number = await carrier.number(saved.number)
        if number is not None and number.voice_url == saved.our_url:
            await carrier.set_voice_url(saved.number_id, saved.old_url, saved.old_method)
            restored += 1
        store.numbers.forget(saved.number)
    return restored


async def take(store: Store, carrier: Carrier, clock: Clock, phone: str, url: str) -> None:
    """Let our number's inbound calls come to ``url``. Raises CarrierError with a fix when they cannot."""
    number = _usable(await carrier.number(phone))
    store.numbers.save(
        phone,
        number.number_id,
        old_url=number.voice_url,
        old_method=number.voice_method,
        our_url=url,
        now=clock.now(),
    )
    await carrier.set_voice_url(number.number_id, url, "POST")
    logger.info("number.webhook_set")


def _usable(number: CarrierNumber | None) -> CarrierNumber:
    if number is None:
        raise CarrierError(
            "the account does not own TWILIO_PHONE_NUMBER",
            provider="twilio",
            fix="set it to a number of this account in E.164 (+34…), or start with --no-set-webhook",
        )
    if not number.voice:
        raise CarrierError(
            "TWILIO_PHONE_NUMBER cannot carry voice", provider="twilio", fix="choose a voice-capable number"
        )
    bound = "a TwiML app" if number.application else "a SIP trunk" if number.trunk else None
    if bound is not None:
        raise CarrierError(
            f"calls to TWILIO_PHONE_NUMBER go to {bound}, whatever its webhook says",
            provider="twilio",
            fix="take the number out of it in Twilio's console, or start with --no-set-webhook",
        )
    return number
