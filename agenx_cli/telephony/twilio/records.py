"""Twilio's records in our words, and what is left when they are not what is documented.

``read`` turns the SDK's instance into a value of ours, or raises CarrierError: the SDK itself takes any JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from twilio.base.exceptions import TwilioException

from agenx_cli.errors import CarrierError
from agenx_cli.ports import CarrierCall, CarrierNumber, Placed
from agenx_cli.telephony.twilio.webhooks import STATUSES, answered_by

NETWORK_FIX = "check the network and https://status.twilio.com"

UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What the SDK raises, undocumented, on JSON of another shape than it expects."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CarrierAccount:
    """The account. ``kind`` is ``trial`` or ``full``; ``status`` is ``active``, ``suspended`` or ``closed``."""

    kind: str
    status: str


@dataclass(frozen=True, slots=True)
class Balance:
    """Money left, in ``currency``. None when the account does not tell (a subaccount has none of its own)."""

    amount: float | None
    currency: str


def unreadable() -> CarrierError:
    """For an answer that is not as documented."""
    return CarrierError("Twilio's answer cannot be read", provider="twilio", code="unreadable", fix=NETWORK_FIX)


def read(reader: Callable[[Any], T], instance: Any) -> T:
    """``reader(instance)``, or CarrierError."""
    try:
        return reader(instance)
    except UNREADABLE as exc:
        raise unreadable() from exc


def placed(call: Any) -> Placed:
    """The answer to a dial. Raises ValueError when it has no call id."""
    if not isinstance(call.sid, str) or not call.sid:
        raise ValueError("no sid")
    return Placed(call.sid, queue_ms=_whole(call.queue_time) or 0)


def carrier_call(call: Any) -> CarrierCall:
    """A Call resource."""
    if call.date_created is None:
        raise ValueError("no date_created")
    return CarrierCall(
        call_id=str(call.sid),
        to=str(call.to or ""),
        from_=str(call._from or ""),  # noqa: SLF001 - the SDK's only name for it
        direction=str(call.direction or ""),
        status=STATUSES[call.status],
        created_at=_utc(call.date_created),
        answered_by=answered_by(str(call.answered_by)) if call.answered_by else None,
        started_at=_utc(call.start_time) if call.start_time else None,
        ended_at=_utc(call.end_time) if call.end_time else None,
        duration_s=_whole(call.duration),
        price_usd=_price(call.price, call.price_unit),
    )


def carrier_number(number: Any) -> CarrierNumber:
    """An IncomingPhoneNumber resource."""
    capabilities = number.capabilities
    return CarrierNumber(
        number_id=str(number.sid),
        number=str(number.phone_number),
        voice=bool(capabilities.get("voice")) if isinstance(capabilities, dict) else False,
        voice_url=number.voice_url or "",
        voice_method=number.voice_method or "POST",
        application=number.voice_application_sid or None,
        trunk=number.trunk_sid or None,
    )


def account(account: Any) -> CarrierAccount:
    """An Account resource."""
    return CarrierAccount(str(account.type or "unknown").lower(), str(account.status or "unknown").lower())


def balance(balance: Any) -> Balance:
    """A Balance resource."""
    return Balance(_decimal(balance.balance), str(balance.currency or "USD"))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _whole(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _decimal(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _price(price: Any, unit: Any) -> float | None:
    """Twilio writes what we owe as a negative number; accounts in other currencies are not converted."""
    amount = _decimal(price)
    return None if amount is None or str(unit).upper() != "USD" else abs(amount)
