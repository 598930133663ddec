"""Logging: fixed event names with fields, on stderr, and nothing private in it.

``logging.getLogger(__name__).info("call.placed", extra={"attempt": uid})``. Whatever a record brings (arguments,
fields, an exception's text, somebody else's library) passes the ``Redactor`` on its way out.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

_PHONE = re.compile(r"(\+|%2B)[1-9][0-9]{6,14}(?![0-9])", re.IGNORECASE)
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_KEY = re.compile(r"\b(sk|ek|rk)[-_][A-Za-z0-9_-]{8,}")
_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
HIDDEN = "[hidden]"


class Redactor:
    """Masks phone numbers, credentials, and the secret values it was made with."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_first = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, long_first))) if long_first else None

    def __call__(self, text: str) -> str:
        """``text`` as it may be shown."""
        if self._secrets:
            text = self._secrets.sub(HIDDEN, text)
        text = _CREDENTIALS.sub(rf"\1 {HIDDEN}", text)
        text = _KEY.sub(HIDDEN, text)
        return _PHONE.sub(_mask_phone, text)


def mask_phone(number: str) -> str:
    """``+34*******01``: enough to recognise one's own, not enough to ring it."""
    return f"{number[:3]}{'*' * max(0, len(number) - 5)}{number[-2:]}"


def _mask_phone(match: re.Match[str]) -> str:
    prefix = match[1]
    return prefix + mask_phone("+" + match[0][len(prefix) :])[1:]


class Lines(logging.Formatter):
    """One line for people: time, level, event, fields; then the traceback where there is one."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record, redacted."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%SZ")
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{moment} {record.levelname.lower()} {record.getMessage()}{fields}"
        return self._redact(line + _trace(self, record))


class JsonLines(logging.Formatter):
    """One JSON object a record: ``at``, ``level``, ``event``, ``logger``, its fields, ``exception``."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record, redacted before it is quoted, so that it stays JSON."""
        shown = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": self._redact(record.getMessage()),
            "logger": record.name,
            **{name: self._shown(value) for name, value in _fields(record).items()},
        }
        if trace := _trace(self, record):
            shown["exception"] = self._redact(trace.strip())
        return json.dumps(shown, ensure_ascii=False)

    def _shown(self, value: object) -> object:
        return value if isinstance(value, int | float | None) else self._redact(str(value))


def start_logging(
    verbose: int, secrets: Iterable[str] = (), *, as_json: bool = False, stream: TextIO | None = None
) -> Redactor:
    """Log to ``stream`` (stderr): warnings, with 1 also events, with 2 everything. Replaces what was set before.

    That a question to the carrier is being asked again is shown from 1 on: it is no trouble until it was in vain.
    """
    redact = Redactor(secrets)
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(JsonLines(redact) if as_json else Lines(redact))
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if getattr(handler, "agenx", False)]:
        root.removeHandler(old)
    target.agenx = True  # type: ignore[attr-defined]
    root.addHandler(target)
    root.setLevel(_LEVELS[min(verbose, 2)])
    logging.getLogger("stamina").setLevel(logging.WARNING if verbose else logging.ERROR)
    return redact


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    parts += [formatter.formatStack(record.stack_info)] if record.stack_info else []
    return "".join(f"\n{part}" for part in parts)
