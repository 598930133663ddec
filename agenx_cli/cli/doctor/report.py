"""How checks are shown, and the exit code that they add up to."""

from collections.abc import Sequence
from typing import Any

from agenx_cli.cli.doctor.check import Check
from agenx_cli.cli.output import Output

_TICKS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("–", "dim")}


def one(out: Output, check: Check) -> None:
    """A check as it is made: a line with its tick, and its fix below."""
    out.event("check", **document(check))
    tick, colour = _TICKS[check.status]
    out.labelled(tick, colour, f"{check.name}: {check.detail}")
    if check.fix and check.status != "ok":
        out.labelled("fix:", "cyan", check.fix, indent=4)


def whole(out: Output, checks: Sequence[Check]) -> None:
    """All of them: the JSON document, or the last line for people."""
    failures = sum(check.status == "failed" for check in checks)
    if out.mode == "json":
        out.document({"ok": not failures, "checks": [document(check) for check in checks]})
    out.line()
    out.line(f"{failures} of {len(checks)} checks failed." if failures else "Ready.")


def document(check: Check) -> dict[str, Any]:
    """A check as JSON."""
    return {"check": check.name, "status": check.status, "detail": check.detail, "fix": check.fix}


def exit_code(checks: Sequence[Check]) -> int:
    """0, 1 when any check failed, 4 when an account was refused."""
    if any(check.credentials and check.status == "failed" for check in checks):
        return 4
    return 1 if any(check.status == "failed" for check in checks) else 0
