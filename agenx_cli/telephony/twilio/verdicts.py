"""What each of Twilio's refusals means for us: a table, and the sentence a person is told.

Source: https://www.twilio.com/docs/api/errors/twilio-error-codes.json, sorted into what to do about a *dial*
(``ports.NotPlaced.action``). Twilio's own words are not passed on where ours exist: they name phone numbers. A code
that is not in the table stops the campaign: an unknown refusal of every dial must not burn a whole list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Action = Literal["retry", "slow_down", "give_up_lead", "give_up_country", "stop"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, what happened in words, and what mends it. ``credentials``: the account itself is refused."""

    action: Action
    message: str
    fix: str | None = None
    credentials: bool = False


_CREDENTIALS = "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or TWILIO_API_KEY and TWILIO_API_SECRET)"
_NUMBER = (
    "set TWILIO_PHONE_NUMBER (or --from) to a voice number of this account, "
    "in E.164: + and the country code, digits only"
)
_TRIAL = "verify the number under Phone Numbers > Verified Caller IDs in the Twilio console, or upgrade the account"
_GEO = "enable the country under Voice > Settings > Geo permissions in the Twilio console"
_DIALED = "check the number: country code and all its digits, as in +34600000000"
_REPORT = "this is a mistake in agenx's request; please report it with the code"

_BUSY = Verdict("retry", "Twilio is asked too much at once (429)", "wait a minute and try again")
_REFUSED_KEY = Verdict("stop", "Twilio refuses the credentials", _CREDENTIALS, credentials=True)
_FORBIDDEN = Verdict("stop", "Twilio forbids this account to do that", _CREDENTIALS, credentials=True)
_INACTIVE = Verdict("stop", "the Twilio account is not active", "log in to the Twilio console: it says what is missing")
_FROM = Verdict("stop", "Twilio does not let this account call from that number", _NUMBER)
_REQUEST = Verdict("stop", "Twilio refuses an address or a parameter of the request", _REPORT)
_INVALID = Verdict("give_up_lead", "Twilio says that this is not a telephone number that can be called", _DIALED)
_UNREACHABLE = Verdict("give_up_lead", "Twilio cannot reach this number", _DIALED)
_FORBIDDEN_NUMBER = Verdict(
    "give_up_lead", "Twilio does not allow calls to this number", "call another number of that person"
)
_UNVERIFIED = Verdict("give_up_lead", "a trial account only calls verified numbers, each from its assigned one", _TRIAL)
_COUNTRY = Verdict("give_up_country", "calls to this country are not enabled for the account", _GEO)
_TOO_MANY = Verdict(
    "slow_down",
    "Twilio's limit of simultaneous calls is reached",
    "wait until a call has ended, or have the account's Primary Customer Profile approved",
)

CODES: Mapping[int, Verdict] = {
    20429: _BUSY,
    10004: _TOO_MANY,
    86008: _TOO_MANY,
    20003: _REFUSED_KEY,
    20008: Verdict("stop", "these are Twilio test credentials, which cannot do that", _CREDENTIALS, credentials=True),
    10001: _INACTIVE,
    10002: Verdict("stop", "a trial account cannot do that", "upgrade the account in the Twilio console"),
    10003: Verdict("stop", "Twilio refuses calls for this account", "log in to the Twilio console: it says why"),
    20005: _INACTIVE,
    20404: Verdict("stop", "Twilio does not know this account or address", _CREDENTIALS),
    21201: _REQUEST,
    21205: _REQUEST,
    21218: _REQUEST,
    21210: _FROM,
    21212: _FROM,
    21213: _FROM,
    32018: Verdict("stop", "the call's document is too long for Twilio", "shorten the playbook's opening"),
    13224: _UNREACHABLE,
    21214: _UNREACHABLE,
    21211: _INVALID,
    21217: _INVALID,
    13225: _FORBIDDEN_NUMBER,
    21216: _FORBIDDEN_NUMBER,
    14111: _UNVERIFIED,
    21219: _UNVERIFIED,
    21608: _UNVERIFIED,
    573002: _UNVERIFIED,
    573005: _UNVERIFIED,
    13227: _COUNTRY,
    21215: _COUNTRY,
    32205: _COUNTRY,
    32224: _COUNTRY,
}

STATUSES: Mapping[int, Verdict] = {
    401: _REFUSED_KEY,
    402: Verdict("stop", "Twilio asks for payment", "add money to the account in the Twilio console"),
    403: _FORBIDDEN,
    407: Verdict("stop", "a proxy between us and Twilio asks for credentials", "check HTTPS_PROXY"),
    429: _BUSY,
}
"""For answers whose body has no code that we know."""

OVER = frozenset({"404", "20404", "21220"})
"""Of hanging up: the call is over already, which is what we wanted."""

_DIGITS = re.compile(r"\+?\d[\d\s().-]{4,}\d")


def verdict(status: int, code: int | None, words: str = "") -> Verdict:
    """What a 4xx means. ``words`` are Twilio's, used for codes without words of ours, with long numbers masked."""
    known = CODES.get(code or 0) or STATUSES.get(status)
    if known is not None:
        return known
    told = _DIGITS.sub("…", words).strip()[:200]
    return Verdict("stop", f"Twilio refuses the request: {told}" if told else "Twilio refuses the request", _more(code))


def _more(code: int | None) -> str | None:
    return None if code is None else f"see https://www.twilio.com/docs/api/errors/{code}"
