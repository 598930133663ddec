"""The account at Twilio: who we are there, what it costs, and whether our number leads here."""

from contextlib import AsyncExitStack

import phonenumbers

from agenx_cli.cli.doctor.check import Check, Tell, failed, passed, refused, skipped
from agenx_cli.core.lead import mask
from agenx_cli.errors import CarrierError, SettingsError
from agenx_cli.ports import CarrierNumber
from agenx_cli.settings import Settings, TwilioAccount
from agenx_cli.telephony.twilio.rest import TwilioCarrier

LOW_BALANCE = 1.0
_CONSOLE = "log in to https://console.twilio.com"
AT_ONCE = 1
"""How many calls agenx itself places at once: ``agenx call`` places one, and nothing else dials yet."""
TRIAL_AT_ONCE, UNAPPROVED_AT_ONCE = 5, 2
"""Twilio's limits since February 2026 (https://support.twilio.com/hc/en-us/articles/223180028). An account that is no
trial has 2 until its Primary Customer Profile is approved, then 3 (individual) or none (business)."""


async def carrier_checks(settings: Settings, tell: Tell, *, callee: str | None = None) -> None:
    """Everything about the account. ``callee``, if one is about to be called, is asked permission for."""
    try:
        account = settings.need_twilio()
    except SettingsError as error:
        tell(skipped("Twilio", error.message))
        return
    async with AsyncExitStack() as stack:
        token = _carrier(account, stack)
        kind = await _signs_in(token, tell)
        if kind is None:
            return
        tell(await _money(token))
        tell(concurrency(kind))
        asking = _carrier(account, stack, with_key=True) if account.api_key else token
        phone = settings.twilio_phone_number
        if phone is None:
            tell(skipped("Twilio number", "TWILIO_PHONE_NUMBER is not set"))
        else:
            tell(await _number(asking, phone))
        tell(await _country(asking, callee or phone))


def _carrier(account: TwilioAccount, stack: AsyncExitStack, *, with_key: bool = False) -> TwilioCarrier:
    carrier = TwilioCarrier(
        account_sid=account.account_sid,
        auth_token=account.auth_token,
        api_key=account.api_key if with_key else None,
        api_secret=account.api_secret if with_key else None,
        base_url=account.api_url,
        wait_s=0.1,
    )
    stack.push_async_callback(carrier.close)
    return carrier


async def _signs_in(carrier: TwilioCarrier, tell: Tell) -> str | None:
    """The Auth Token: it signs the webhooks, so it is needed beside an API key. The account's kind, or None."""
    name = "Twilio account"
    try:
        account = await carrier.account()
    except CarrierError as error:
        tell(refused(name, error))
        return None
    detail = f"{account.kind}, {account.status}"
    if account.status != "active":
        tell(failed(name, detail, f"{_CONSOLE}: it says why the account is {account.status}"))
        return None
    tell(passed(name, detail))
    return account.kind


def concurrency(kind: str, cap: int = AT_ONCE) -> Check:
    """Whether ``cap`` calls at once are within the account's limit, as far as that can be known from here."""
    name, ours = "Twilio calls at once", f"agenx dials {cap} at a time"
    if kind == "trial":
        detail = f"a trial account has {TRIAL_AT_ONCE}, to verified numbers only; {ours}"
        fix = f"dial {TRIAL_AT_ONCE} at a time or fewer, or upgrade the account"
        return passed(name, detail) if cap <= TRIAL_AT_ONCE else failed(name, detail, fix)
    detail = f"at least {UNAPPROVED_AT_ONCE}; {ours}"
    if cap <= UNAPPROVED_AT_ONCE:
        return passed(name, detail)
    why = "an approved Primary Customer Profile has 3 (individual) or no limit (business); that cannot be seen here"
    return skipped(name, f"{detail}. {why}", "see Trust Hub > Customer Profiles in the Twilio console")


async def _money(carrier: TwilioCarrier) -> Check:
    name = "Twilio balance"
    try:
        balance = await carrier.balance()
    except CarrierError as error:
        return refused(name, error)
    if balance.amount is None:
        return skipped(name, "the account does not tell (a subaccount uses its parent's)")
    detail = f"{balance.amount:.2f} {balance.currency}"
    if balance.amount < LOW_BALANCE:
        return failed(name, detail, f"{_CONSOLE} and add money: a call in progress is cut off at zero")
    return passed(name, detail)


async def _number(carrier: TwilioCarrier, phone: str) -> Check:
    name = "Twilio number"
    try:
        number = await carrier.number(phone)
    except CarrierError as error:
        return refused(name, error)
    if number is None:
        return failed(
            name,
            f"{mask(phone)} is not a number of this account",
            "set TWILIO_PHONE_NUMBER to one on https://console.twilio.com (Phone Numbers > Active numbers)",
        )
    return _usable(name, number)


def _usable(name: str, number: CarrierNumber) -> Check:
    shown = mask(number.number)
    if not number.voice:
        return failed(name, f"{shown} cannot carry voice", "buy a number with the voice capability, and set it")
    bound = number.bound_to
    if bound is not None:
        return failed(
            name,
            f"{shown} belongs to {bound}: agenx serve cannot receive its calls",
            f"take it off {bound} in the Twilio console, or run agenx serve --no-set-webhook",
        )
    return passed(name, f"{shown}, voice, no TwiML app and no trunk")


async def _country(carrier: TwilioCarrier, phone: str | None) -> Check:
    name = "Twilio geo permission"
    country = None
    if phone is not None:
        country = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    if country is None:
        return skipped(name, "no country to ask for")
    allowed = await carrier.may_call(country)
    if allowed is None:
        return skipped(name, f"{country}: not known from here")
    if allowed:
        return passed(name, f"calls to {country} are allowed")
    return failed(
        name,
        f"calls to {country} are not allowed",
        "enable it on https://console.twilio.com (Voice > Settings > Geo permissions)",
    )
