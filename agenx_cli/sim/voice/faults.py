"""Faults on purpose, by a plan that tests and operators may change while the server runs.

Every fault is off by default. A *count* says how many more times it strikes (each time takes one off).
"""

from dataclasses import dataclass, fields
from typing import Any

from agenx_cli.sim.voice.faulty import Refused
from agenx_cli.sim.voice.shape import integer, nullable, one_of, record

FAILURES = {
    "rate_limit_exceeded": (
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached for tokens per min (TPM): Limit 40000, Used 40000. Please try again in 1.2s.",
    ),
    "insufficient_quota": ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "server_error": (
        "server_error",
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
    ),
}


@dataclass(slots=True)
class FaultPlan:
    """What goes wrong. Milliseconds and counts; ``at_event`` counts the server's own events from 1.

    refuse_status     the upgrade is refused with this HTTP status, ``refuse_count`` times
    open_delay_ms     the upgrade waits
    first_audio_ms    every response waits this long before its first item (None: a seeded 40 to 120)
    fail_code         a key of ``FAILURES``: after ``fail_skip`` good responses ``fail_count`` fail with it
    close_code        the connection closes with it after the ``close_at_event``-th event, ``close_count`` times
    expire_after_ms   ``session_expired`` and close 1001
    text_only_count   responses come as text although audio was asked for
    echo_pcm_count    ``session.updated`` shows audio/pcm whatever was asked for
    unknown_tool_count, bad_arguments_count   function calls with a name nobody gave, or with broken JSON
    """

    refuse_status: int | None = None
    refuse_count: int = 0
    open_delay_ms: int = 0
    first_audio_ms: int | None = None
    fail_code: str | None = None
    fail_count: int = 0
    fail_skip: int = 0
    close_code: int | None = None
    close_at_event: int = 1
    close_count: int = 0
    expire_after_ms: int | None = None
    text_only_count: int = 0
    echo_pcm_count: int = 0
    unknown_tool_count: int = 0
    bad_arguments_count: int = 0

    def strikes(self, counter: str) -> bool:
        """Whether the fault with this counter happens now; takes one off."""
        left = int(getattr(self, counter))
        if left > 0:
            setattr(self, counter, left - 1)
        return left > 0

    def failure(self) -> tuple[str, str, str] | None:
        """How the response that begins now fails (type, code, message), or None."""
        if self.fail_code is None or self.fail_count == 0 or self.strikes("fail_skip"):
            return None
        self.fail_count -= 1
        return FAILURES[self.fail_code]

    def change(self, wanted: Any) -> None:
        """Set fields from JSON. Raises ``Refused`` and changes nothing when one of them is wrong."""
        _PLAN(wanted, "")
        for key, value in wanted.items():
            setattr(self, key, value)

    def shown(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


_COUNT = integer(0)
_PLAN = record(
    {
        "refuse_status": nullable(integer(400, 599)),
        "refuse_count": _COUNT,
        "open_delay_ms": integer(0, 60_000),
        "first_audio_ms": nullable(integer(0, 60_000)),
        "fail_code": nullable(one_of(*FAILURES)),
        "fail_count": _COUNT,
        "fail_skip": _COUNT,
        "close_code": nullable(integer(1000, 4999)),
        "close_at_event": integer(1),
        "close_count": _COUNT,
        "expire_after_ms": nullable(integer(0)),
        "text_only_count": _COUNT,
        "echo_pcm_count": _COUNT,
        "unknown_tool_count": _COUNT,
        "bad_arguments_count": _COUNT,
    }
)


def plan_from(wanted: dict[str, Any] | None) -> FaultPlan:
    """A fresh plan. Raises ValueError when it is not one."""
    plan = FaultPlan()
    try:
        plan.change(wanted or {})
    except Refused as exc:
        raise ValueError(exc.message) from exc
    return plan
