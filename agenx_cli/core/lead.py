"""Who is called: telephone numbers, read strictly and never guessed.

A number is either fully international (``+`` or ``00``) or is read by a region that somebody stated. Anything that
two people could read differently is a ``BadNumber`` with a sentence and a fix. Numbers hide in every ``repr``.
"""

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers


def mask(number: str) -> str:
    """A number as logs may have it: the country, and the last two digits."""
    digits = sum(character.isdigit() for character in number)
    if digits < 7:
        return "•" * len(number)
    return f"{number[:3]}{'•' * (len(number) - 5)}{number[-2:]}"


class E164(str):
    """A valid number in E.164 form. It is text wherever it is needed, and masked wherever it is shown by accident."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Masked."""
        return f"E164({mask(self)})"


@dataclass(frozen=True, slots=True)
class BadNumber:
    """Why a text is no number that we would dial. It never holds the text itself."""

    code: str
    reason: str
    fix: str


_SEPARATORS = re.compile(r"[\s().\-‐-―/·]+")
_EXTENSION = re.compile(
    r"(?:\bext(?:ension|n)?\b|(?<![a-z])x|\banexo\b|\bint(?:erno)?\b|#|;ext=|[,;pw])[\s.:=]*\d+\s*$",
    re.IGNORECASE,
)
_DECIMAL = re.compile(r"\d{6,}\.0+$")
_SCIENTIFIC = re.compile(r"^\d+(?:[.,]\d+)?e\+?\d+$", re.IGNORECASE)

_UNREADABLE = BadNumber(
    "num.invalid", "this is not a telephone number", "write it as +34 600 000 000: plus, country, number"
)
_NO_REGION = BadNumber(
    "num.no_region",
    "the number has no country code and no region was given",
    "write it with + and its country code, or pass --region (for instance --region ES)",
)
_BAD_REGION = BadNumber(
    "num.bad_region", "the region is not a country", "use a two-letter country code, for instance --region ES"
)
_HAS_EXTENSION = BadNumber(
    "num.extension",
    "a number with an extension cannot be dialed: it would switch answering-machine detection off",
    "give a direct number without an extension",
)
_SPREADSHEET = BadNumber(
    "num.spreadsheet",
    "a spreadsheet turned this number into a decimal or rounded it",
    "format the column as text and export again",
)
_NOT_VALID = BadNumber(
    "num.invalid", "no such number can exist in its country", "check the country code and count the digits"
)

LONGEST = 100


def parse_number(text: str, region: str | None) -> E164 | BadNumber:
    """Read one number. ``region`` (two letters) is used only for a number without ``+`` or ``00``."""
    if len(text) > LONGEST:  # what is longer is no number, and not worth a regular expression's time
        return _UNREADABLE
    cleaned = _clean(text)
    complaint = _complaint(cleaned)
    if complaint is not None:
        return complaint
    digits = _SEPARATORS.sub("", cleaned)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if not digits.startswith("+"):
        if region is None:
            return _NO_REGION
        region = region.upper()
        if region not in phonenumbers.SUPPORTED_REGIONS:
            return _BAD_REGION
    return _parsed(digits, None if digits.startswith("+") else region)


def _clean(text: str) -> str:
    """Full-width and foreign digits become plain ones; invisible characters and a spreadsheet's quote go."""
    normal = unicodedata.normalize("NFKC", text)
    visible = "".join(character for character in normal if unicodedata.category(character) != "Cf")
    plain = "".join(str(unicodedata.digit(character)) if character.isdigit() else character for character in visible)
    return plain.strip().removeprefix("'").removeprefix("tel:").strip()


def _complaint(cleaned: str) -> BadNumber | None:
    if _SCIENTIFIC.match(cleaned) or _DECIMAL.search(cleaned):
        return _SPREADSHEET
    if _EXTENSION.search(cleaned):
        return _HAS_EXTENSION
    rest = _SEPARATORS.sub("", cleaned)
    if not re.fullmatch(r"\+?[0-9]{3,20}", rest, re.ASCII):
        return _UNREADABLE
    return None


def _parsed(digits: str, region: str | None) -> E164 | BadNumber:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return _NOT_VALID
    if not phonenumbers.is_valid_number(number):
        return _NOT_VALID
    return E164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def region_of(number: str) -> str | None:
    """The country a number in E.164 belongs to (``ES``), None when it has none (``+1`` alone is no country)."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
