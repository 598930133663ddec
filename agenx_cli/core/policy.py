"""May this number be rung now? Gates, cheapest and most absolute first.

``gate`` is asked inside the transaction that writes the dial intent, so that its answer is still true when the
intent is durable. It answers ``Allow``, ``Defer(until, reason)`` or ``Refuse(reason)``; a reason has a stable code,
a sentence, where the rule comes from, and what would unblock it. No reason names the number.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import phonenumbers
from phonenumbers import PhoneNumberType

from agenx_cli.core.lead import E164


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not. ``citation`` names the law, page or policy of ours; ``fix`` what would unblock it, if anything can."""

    code: str
    sentence: str
    citation: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Allow:
    """Ring."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now: ask again at ``until``."""

    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never, as things are."""

    reason: Reason


Verdict = Allow | Defer | Refuse


@dataclass(frozen=True, slots=True)
class History:
    """What is on record about a number. ``in_flight_until``: a call to it is up, and over by then at the latest."""

    suppressed: bool = False
    in_flight_until: datetime | None = None


INVALID = Reason(
    "num.invalid",
    "this is not a mobile or landline number that can exist",
    "policy: only valid mobile and landline numbers are rung (libphonenumber)",
    "check the country code and the digits",
)
PREMIUM = Reason(
    "num.premium",
    "this is a premium, shared-cost, personal or satellite number: ringing it can cost any amount",
    "policy against toll fraud; it has no override",
    "give an ordinary mobile or landline number of theirs",
)
NANP_OTHER = Reason(
    "num.nanp_other",
    "this +1 number is outside the United States and Canada",
    "policy against toll fraud: +1 numbers of other countries look domestic and are billed as foreign",
    "give a number of theirs in the United States or Canada, or in a country with a code of its own",
)
EXAMPLE = Reason(
    "num.example",
    "this is an example number (555-01xx), which belongs to nobody",
    "reserved for fiction by the North American Numbering Plan",
    "use it with --simulate, or give a real number",
)
EXAMPLE_LEAD = Reason(
    "num.example",
    "this number is kept for the example leads that ship with agenx, which are for rehearsals",
    "policy: example leads are never rung for real; no range of Spanish numbers is reserved for fiction",
    "use it with --simulate, or give a real number",
)
SUPPRESSED = Reason(
    "dnc.internal",
    "this number is on the suppression list: its owner asked not to be called",
    "47 CFR 64.1200(d); LGT art. 66; it has no override",
    "agenx suppress check NUMBER says since when and why",
)
IN_FLIGHT = Reason(
    "freq.inflight",
    "a call to this number is up, or not yet accounted for",
    "policy: nobody is rung twice at once",
    "wait for its end; agenx calls list shows it",
)

_RINGS_A_PERSON = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,
}
"""VOIP is what libphonenumber calls the ordinary office ranges of some countries (09 in France, 050 in Japan)."""
_COSTLY = {
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.UAN,
}
_NOWHERE = "001"
"""libphonenumber's region of networks that belong to no country: satellites, international premium."""
_NANP = 1
_FICTION = re.compile(r"\+1\d{3}55501\d{2}")
_EXAMPLE_LEADS = re.compile(r"\+346009999\d{2}")
"""The numbers of ``campaigns/*/leads.csv``: valid, so that a rehearsal takes them, and given up for real calls."""
_NANP_PREMIUM_EXCHANGE = re.compile(r"\+1\d{3}976\d{4}")


def gate(number: E164, history: History, now: datetime, *, rehearsal: bool = False) -> Verdict:
    """Every gate in order. ``rehearsal``: the carrier is on loopback, so nobody can really be rung."""
    reason = number_reason(number, rehearsal=rehearsal)
    if reason is None and history.suppressed:
        reason = SUPPRESSED
    if reason is not None:
        return Refuse(reason)
    if history.in_flight_until is not None:
        return Defer(max(history.in_flight_until, now), IN_FLIGHT)
    return Allow()


def number_reason(number: E164, *, rehearsal: bool = False) -> Reason | None:
    """What the number itself is against being rung, whatever is on record."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return INVALID
    kind = phonenumbers.number_type(parsed)
    region = phonenumbers.region_code_for_number(parsed)
    if kind in _COSTLY or region == _NOWHERE or _NANP_PREMIUM_EXCHANGE.fullmatch(number):
        return PREMIUM
    if kind not in _RINGS_A_PERSON:
        return INVALID
    if parsed.country_code == _NANP and region not in ("US", "CA"):
        return NANP_OTHER
    return None if rehearsal else _example(number)


def _example(number: E164) -> Reason | None:
    if _FICTION.fullmatch(number):
        return EXAMPLE
    return EXAMPLE_LEAD if _EXAMPLE_LEADS.fullmatch(number) else None
