"""One thing that was looked at, and what came out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agenx_cli.errors import AgenxError

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """``detail`` says what was found, ``fix`` what mends it; ``credentials``: an account was refused.

    ``skipped`` is for what could not be looked at, or cannot be known from here; it fails nothing.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None
    credentials: bool = False


Tell = Callable[[Check], None]
"""Where checks are told as they are made."""


def passed(name: str, detail: str) -> Check:
    """All is well."""
    return Check(name, "ok", detail)


def failed(name: str, detail: str, fix: str) -> Check:
    """Calls would fail."""
    return Check(name, "failed", detail, fix)


def skipped(name: str, detail: str, fix: str | None = None) -> Check:
    """Not looked at."""
    return Check(name, "skipped", detail, fix)


def refused(name: str, error: AgenxError) -> Check:
    """What the error says."""
    return Check(name, "failed", error.message, error.fix, credentials=error.exit_code == 4)
