"""What Twilio tells us by HTTP: forms in, ``core.attempt`` events out; and whether it was Twilio at all.

Order and exactly-once are not promised, and unknown fields come at any time
(https://www.twilio.com/docs/voice/api/call-resource#statuscallback). So every report carries a key that is equal
when the same report comes again, and nothing here depends on what came before. Forms have no secrets of ours, but
they have phone numbers: errors and reprs name fields, never values.

Signatures (https://www.twilio.com/docs/usage/webhooks/webhooks-security) are made with the account's Auth Token over
the public URL that Twilio was given, so that URL must come from our configuration, never from a request's headers.
They have no timestamp: replays are stopped by single-use ids elsewhere.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from twilio.request_validator import RequestValidator, get_signature_algorithm

from agenx_cli.core.attempt import (
    AnsweredBy,
    CallEvent,
    CarrierProgress,
    CarrierStatus,
    MachineVerdict,
    StreamEnded,
    StreamStarted,
)
from agenx_cli.errors import RemoteProtocolError

MAX_FORM_BYTES = 64 * 1024
_MAX_FIELDS = 200
_MAX_ID = 64

STATUSES: Mapping[str, CarrierStatus] = {
    "queued": CarrierStatus.QUEUED,
    "initiated": CarrierStatus.INITIATED,
    "ringing": CarrierStatus.RINGING,
    "in-progress": CarrierStatus.ANSWERED,
    "completed": CarrierStatus.COMPLETED,
    "busy": CarrierStatus.BUSY,
    "failed": CarrierStatus.FAILED,
    "no-answer": CarrierStatus.NO_ANSWER,
    "canceled": CarrierStatus.CANCELED,
}
"""Twilio's statuses in our words."""


class Form(Mapping[str, str]):
    """A form as it was posted: the first value of each name, and all of them for the signature."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getlist(self, name: str) -> list[str]:
        """All values of a name, as Twilio's validator asks for them."""
        return self._values[name]

    def __repr__(self) -> str:
        return f"Form({', '.join(sorted(self._values))})"


def read_form(body: bytes) -> Form:
    """A form-encoded body, empty values kept (they are signed too). Raises RemoteProtocolError."""
    if len(body) > MAX_FORM_BYTES:
        raise RemoteProtocolError(f"a form of {len(body)} bytes; {MAX_FORM_BYTES} is the most we take")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as exc:
        raise RemoteProtocolError("a form that cannot be read") from exc
    return Form(pairs)


# --- is it Twilio?


def signature_ok(
    token: str, url: str, form: Mapping[str, str], signature: str | None, settings_header: str | None = None
) -> bool:
    """Whether ``signature`` (X-Twilio-Signature) is right for a POST to ``url``, in constant time.

    ``url`` is public origin + path + query, without fragment. ``settings_header`` is
    X-Twilio-Webhooks-Signature-Settings, which names another algorithm for webhooks signed with a shared key
    (``token`` is then that key's secret).
    """
    return _signed(token, _with_and_without_port(url), form, signature, settings_header)


def upgrade_ok(token: str, origin: str, path: str, signature: str | None, settings_header: str | None = None) -> bool:
    """Whether the handshake of a media stream at ``origin`` + ``path`` is signed, over its wss (or ws) URL.

    ``origin`` is the public one (https, or http on loopback). Twilio's own samples disagree on a trailing slash and
    on the default port, so these forms of the same address are all tried.
    """
    return _signed(token, upgrade_urls(origin, path), {}, signature, settings_header)


def signed_as(token: str, url: str, signature: str | None, settings_header: str | None = None) -> bool:
    """Whether an upgrade was signed over exactly this form of its address."""
    return _signed(token, [url], {}, signature, settings_header)


def upgrade_urls(origin: str, path: str) -> list[str]:
    """The forms of a media stream's address that a signature may have been made over."""
    scheme = "ws" if origin.startswith("http:") else "wss"
    url = f"{scheme}://{urlsplit(origin).netloc}{path}"
    return [*_with_and_without_port(url), *_with_and_without_port(url.rstrip("/") + "/")]


def _signed(
    token: str, urls: list[str], form: Mapping[str, str], signature: str | None, settings_header: str | None
) -> bool:
    if not (token and signature):
        return False
    validator = RequestValidator(token)
    algorithm = get_signature_algorithm(settings_header)
    given = signature.encode(errors="replace")
    right = False
    for url in urls:
        try:
            expected = validator.compute_signature(url, form, algorithm)
        except ValueError:  # an algorithm that does not exist, or a URL that is not text
            return False
        right |= hmac.compare_digest(expected.encode(), given)
    return right


def _with_and_without_port(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return []
    default = 443 if parts.scheme in {"https", "wss"} else 80
    bare = parts.netloc.removesuffix(f":{default}")
    if port not in {None, default}:
        return [url]
    return [urlunsplit(parts._replace(netloc=netloc)) for netloc in (bare, f"{bare}:{default}")]


# --- what it says


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that Twilio told. ``dedup_key`` is the same when the same thing is told again."""

    call_id: str
    dedup_key: str
    event: CallEvent


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Somebody rings one of our numbers. ``caller`` is None when it is withheld."""

    call_id: str
    account_id: str
    called: str = field(repr=False)
    caller: str | None = field(repr=False)


def status_report(form: Mapping[str, str]) -> Report:
    """A status callback. Raises RemoteProtocolError when it has no call or a status that does not exist."""
    call_id = _id(form, "CallSid")
    word = form.get("CallStatus", "")
    status = STATUSES.get(word)
    if status is None:
        raise RemoteProtocolError("a status callback with an unknown CallStatus")
    sequence = _number(form, "SequenceNumber")
    event = CarrierProgress(
        status,
        at=_moment(form),
        sequence=sequence,
        sip_code=_number(form, "SipResponseCode"),
        error_code=_code(form, "ErrorCode"),
        duration_s=_number(form, "CallDuration"),
        answered_by=answered_by(form["AnsweredBy"]) if form.get("AnsweredBy") else None,
    )
    return Report(call_id, f"{call_id}/{'' if sequence is None else sequence}/{word}", event)


def machine_report(form: Mapping[str, str]) -> Report:
    """The verdict of answering-machine detection. Raises RemoteProtocolError when there is no call."""
    call_id = _id(form, "CallSid")
    kind = answered_by(form.get("AnsweredBy", ""))
    return Report(call_id, f"{call_id}/amd/{kind}", MachineVerdict(kind))


def stream_report(form: Mapping[str, str], now: datetime) -> Report | None:
    """The carrier's own word on a media stream; None for events that change nothing.

    ``now`` stands in when the form has no readable Timestamp.
    """
    call_id = _id(form, "CallSid")
    at = _moment(form) or now
    match form.get("StreamEvent"):
        case "stream-started":
            event: CallEvent = StreamStarted(at)
        case "stream-stopped" | "stream-error":
            event = StreamEnded(at)
        case _:
            return None
    return Report(call_id, f"{call_id}/stream/{form.get('StreamSid', '')[:_MAX_ID]}/{type(event).__name__}", event)


def stream_error(form: Mapping[str, str]) -> str | None:
    """Twilio's code for why a stream broke (31920, 31924, …), or None when it did not."""
    if form.get("StreamEvent") != "stream-error":
        return None
    return _code(form, "StreamErrorCode") or _code(form, "StreamError") or "unknown"


def incoming_call(form: Mapping[str, str]) -> IncomingCall:
    """Somebody rings. Raises RemoteProtocolError when the form does not say which of our numbers."""
    called = form.get("To", "")
    if not _e164(called):
        raise RemoteProtocolError("an incoming call without our number")
    caller = form.get("From", "")
    return IncomingCall(_id(form, "CallSid"), _id(form, "AccountSid"), called, caller if _e164(caller) else None)


def answered_by(word: str) -> AnsweredBy:
    """Twilio's AnsweredBy (machine_start, machine_end_beep, …) in our words; what we do not know is unknown."""
    if word.startswith("machine"):
        return AnsweredBy.MACHINE
    return AnsweredBy(word) if word in {"human", "fax"} else AnsweredBy.UNKNOWN


def _id(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not (0 < len(value) <= _MAX_ID and value.isascii() and value.isalnum()):
        raise RemoteProtocolError(f"a webhook without {name}")
    return value


def _number(form: Mapping[str, str], name: str) -> int | None:
    value = form.get(name, "")
    return int(value) if len(value) <= 9 and value.isascii() and value.isdigit() else None


def _code(form: Mapping[str, str], name: str) -> str | None:
    number = _number(form, name)
    return None if number is None else str(number)


def _e164(value: str) -> bool:
    digits = value[1:]
    return value[:1] == "+" and 7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit()


def _moment(form: Mapping[str, str]) -> datetime | None:
    try:
        moment = parsedate_to_datetime(form.get("Timestamp", ""))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
