"""What the carrier knows of an account, its numbers, calls and messages, and how REST and the ledger show them."""

import math
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from agenx_cli.sim.carrier.clock import rfc2822

API = "/2010-04-01"
OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
PRICE_PER_MINUTE = 0.014
PRICED_AFTER = timedelta(seconds=2)
"""Twilio prices a call some time after its end; until then ``price`` is null."""

_CALL_PARTS = (
    *("events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions"),
    *("user_defined_message_subscriptions", "user_defined_messages"),
)


@dataclass(slots=True)
class Number:
    """A number of the account. ``voice_application_sid`` or ``trunk_sid`` override ``voice_url``."""

    sid: str
    phone_number: str
    account_sid: str
    created_at: datetime
    voice: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """One setting, by its REST field name."""
        return self.settings.get(name) or default


@dataclass(slots=True)
class Account:
    """One account with its secrets and numbers. ``concurrency`` None means no cap on live calls."""

    sid: str
    token: str
    numbers: list[Number]
    created_at: datetime
    balance: str = "25.00"
    concurrency: int | None = None
    api_key: str = ""
    api_secret: str = ""

    def number(self, phone: str) -> Number | None:
        """The account's own number, if it is one."""
        return next((number for number in self.numbers if number.phone_number == phone), None)


@dataclass(slots=True)
class Call:
    """A call from acceptance to its end. ``status`` in Twilio's words; ``persona`` is who answers or rings in."""

    sid: str
    to: str
    from_: str
    direction: str
    accepted_at: datetime
    persona: str
    status: str = "queued"
    attempt: str | None = None
    queue_ms: int = 0
    parent_sid: str | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    answered_by: str | None = None
    sip_code: int | None = None
    error_codes: list[int] = field(default_factory=list)

    @property
    def party(self) -> str:
        """The number on the other side."""
        return self.from_ if self.direction == "inbound" else self.to

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status in OVER

    @property
    def duration_s(self) -> int:
        """Whole seconds between answer and end, rounded up; 0 without an answer."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return math.ceil((self.ended_at - self.answered_at).total_seconds())

    @property
    def billed_minutes(self) -> int:
        """Begun minutes."""
        return math.ceil(self.duration_s / 60)

    def record(self) -> dict[str, Any]:
        """The ledger's record. ``from`` is the name there, moments are ISO 8601 with offset."""
        shown = {name: _iso(value) for name, value in asdict(self).items()}
        shown["from"] = shown.pop("from_")
        return shown

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Call":
        """The call that a ledger's record is about."""
        names = [(part.name, "from" if part.name == "from_" else part.name) for part in fields(cls)]
        values: dict[str, Any] = {name: record.get(shown) for name, shown in names}
        for name in ("accepted_at", "started_at", "answered_at", "ended_at", "updated_at"):
            values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
        return cls(**values)


@dataclass(slots=True)
class Message:
    """An SMS."""

    sid: str
    to: str
    from_: str
    body: str
    created_at: datetime
    status: str = "queued"
    sent_at: datetime | None = None


def _iso(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def call_json(call: Call, account: Account, now: datetime, *, fresh: bool = False) -> dict[str, Any]:
    """The Call resource. In the answer to a create (``fresh``) its dates are still null, as with Twilio."""
    uri = f"{API}/Accounts/{account.sid}/Calls/{call.sid}"
    own = account.number(call.to if call.direction == "inbound" else call.from_)
    priced = call.ended_at is not None and call.billed_minutes > 0 and now - call.ended_at >= PRICED_AFTER
    return {
        "account_sid": account.sid,
        "answered_by": call.answered_by,
        "api_version": "2010-04-01",
        "caller_name": None,
        "date_created": None if fresh else rfc2822(call.accepted_at),
        "date_updated": None if fresh else rfc2822(call.updated_at or call.accepted_at),
        "direction": call.direction,
        "duration": str(call.duration_s) if call.over else None,
        "end_time": rfc2822(call.ended_at),
        "forwarded_from": None,
        "from": call.from_,
        "from_formatted": formatted(call.from_),
        "group_sid": None,
        "parent_call_sid": call.parent_sid,
        "phone_number_sid": own.sid if own else None,
        "price": f"{-call.billed_minutes * PRICE_PER_MINUTE:.5f}" if priced else None,
        "price_unit": "USD",
        "queue_time": str(call.queue_ms),
        "sid": call.sid,
        "start_time": rfc2822(call.started_at),
        "status": call.status,
        "subresource_uris": {part: f"{uri}/{_camel(part)}.json" for part in _CALL_PARTS},
        "to": call.to,
        "to_formatted": formatted(call.to),
        "trunk_sid": None,
        "uri": f"{uri}.json",
    }


def message_json(message: Message, account: Account) -> dict[str, Any]:
    """The Message resource."""
    uri = f"{API}/Accounts/{account.sid}/Messages/{message.sid}"
    return {
        "account_sid": account.sid,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": rfc2822(message.created_at),
        "date_sent": rfc2822(message.sent_at),
        "date_updated": rfc2822(message.sent_at or message.created_at),
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": message.from_,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(max(1, math.ceil(len(message.body) / 153))),
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def number_json(number: Number) -> dict[str, Any]:
    """The IncomingPhoneNumber resource."""
    return {
        "account_sid": number.account_sid,
        "address_requirements": "none",
        "address_sid": None,
        "api_version": "2010-04-01",
        "beta": False,
        "bundle_sid": None,
        "capabilities": {"fax": False, "mms": False, "sms": True, "voice": number.voice},
        "date_created": rfc2822(number.created_at),
        "date_updated": rfc2822(number.created_at),
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": number.get("friendly_name", formatted(number.phone_number)),
        "identity_sid": None,
        "origin": "twilio",
        "phone_number": number.phone_number,
        "sid": number.sid,
        "sms_application_sid": number.get("sms_application_sid") or None,
        "sms_fallback_method": number.get("sms_fallback_method", "POST"),
        "sms_fallback_url": number.get("sms_fallback_url"),
        "sms_method": number.get("sms_method", "POST"),
        "sms_url": number.get("sms_url"),
        "status": "in-use",
        "status_callback": number.get("status_callback"),
        "status_callback_method": number.get("status_callback_method", "POST"),
        "trunk_sid": number.settings.get("trunk_sid") or None,
        "type": "local",
        "uri": f"{API}/Accounts/{number.account_sid}/IncomingPhoneNumbers/{number.sid}.json",
        "voice_application_sid": number.get("voice_application_sid") or None,
        "voice_caller_id_lookup": False,
        "voice_fallback_method": number.get("voice_fallback_method", "POST"),
        "voice_fallback_url": number.get("voice_fallback_url"),
        "voice_method": number.get("voice_method", "POST"),
        "voice_receive_mode": "voice",
        "voice_url": number.get("voice_url"),
    }


_ACCOUNT_PARTS = (
    *("addresses", "applications", "authorized_connect_apps", "available_phone_numbers", "balance", "calls"),
    *("conferences", "connect_apps", "incoming_phone_numbers", "keys", "messages", "notifications"),
    *("outgoing_caller_ids", "queues", "recordings", "signing_keys", "transcriptions", "usage"),
)


def account_json(account: Account) -> dict[str, Any]:
    """The Account resource. The auth token is not in it: Twilio shows it, a log of ours shall not hold it."""
    uri = f"{API}/Accounts/{account.sid}"
    return {
        "auth_token": None,
        "date_created": rfc2822(account.created_at),
        "date_updated": rfc2822(account.created_at),
        "friendly_name": "The simulated account",
        "owner_account_sid": account.sid,
        "sid": account.sid,
        "status": "active",
        "subresource_uris": {part: f"{uri}/{_camel(part)}.json" for part in _ACCOUNT_PARTS},
        "type": "Full",
        "uri": f"{uri}.json",
    }


def balance_json(account: Account) -> dict[str, Any]:
    """The Balance resource."""
    return {"account_sid": account.sid, "balance": account.balance, "currency": "USD"}


def page_json(name: str, items: list[dict[str, Any]], *, path: str, query: str, page: int, size: int) -> dict[str, Any]:
    """One page of a list, with the links that Twilio gives to the others. ``query`` without paging parameters."""

    def link(number: int, token: str = "") -> str:
        parts = [part for part in (query, f"PageSize={size}", f"Page={number}", token) if part]
        return f"{path}?{'&'.join(parts)}"

    shown = items[page * size : (page + 1) * size]
    more = len(items) > (page + 1) * size
    return {
        name: shown,
        "end": page * size + max(0, len(shown) - 1),
        "first_page_uri": link(0),
        "next_page_uri": link(page + 1, f"PageToken=PA{shown[-1]['sid']}") if more else None,
        "page": page,
        "page_size": size,
        "previous_page_uri": link(page - 1, "PageToken=PB") if page else None,
        "start": page * size,
        "uri": link(page),
    }


def formatted(number: str) -> str:
    """``(415) 867-5308`` for a North American number, any other as it is."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


def _camel(part: str) -> str:
    return "".join(word.capitalize() for word in part.split("_"))
