"""Request parameters, read as strictly as the OpenAPI description has them."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from agenx_cli.sim.carrier.refusals import Refusal

E164 = re.compile(r"\+[1-9]\d{6,14}")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")


class Params:
    """Form or query parameters. An unknown or doubled one is refused: it would be ignored in silence otherwise."""

    def __init__(self, encoded: str, *, known: Iterable[str], repeated: Iterable[str] = ()) -> None:
        try:
            pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded), errors="strict")
        except ValueError as exc:
            raise Refusal(20001, "The request body is not application/x-www-form-urlencoded UTF-8") from exc
        names = frozenset(known) | frozenset(repeated)
        many = frozenset(repeated)
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in names:
                raise Refusal(20001, f"Unknown parameter {name}")
            if name in self._values and name not in many:
                raise Refusal(20001, f"Parameter {name} was given more than once")
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        """The parameters that were given, in order."""
        return list(self._values)

    def text(self, name: str, default: str = "") -> str:
        """A parameter as it was given; blank counts as absent."""
        return self._values.get(name, [default])[0] or default

    def all(self, name: str) -> list[str]:
        """Every value of a repeated parameter."""
        return self._values.get(name, [])

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """One of a few words, any case, as Twilio has them."""
        value = self.text(name, default)
        for word in choices:
            if word.lower() == value.lower():
                return word
        if value == default:
            return default
        raise Refusal(20001, f"Parameter {name} is not one of {', '.join(choices)}")

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within its documented range."""
        value = self.text(name)
        if not value:
            return default
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not low <= int(value) <= high:
            raise Refusal(20001, f"Parameter {name} is not a whole number from {low} to {high}")
        return int(value)

    def flag(self, name: str) -> bool:
        """``true`` or ``false``."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def url(self, name: str, *, code: int) -> str | None:
        """An absolute http(s) URL, or the refusal with this code. Blank counts as absent."""
        value = self.text(name)
        if value and not is_url(value):
            raise Refusal(code, f"{name} is not a valid URL")
        return value or None


def is_url(value: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Whether Twilio would take it: absolute, right scheme, a host without underscores, no user name."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    host_ok = bool(parts.hostname) and _HOST.fullmatch(parts.netloc) is not None
    return parts.scheme in schemes and host_ok and port != 0 and not re.search(r"\s", value)
