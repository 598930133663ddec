"""The fault plan: what the carrier does wrong on purpose, named and counted.

==================  =================================================================================
create.hold         the call is accepted, the answer comes ``seconds`` later
create.reset        the call is accepted, the connection is reset without an answer
create.error        the call is accepted, the answer is 500
create.truncated    the call is accepted, the answer's JSON ends in the middle
create.too_many     429, 20429, nothing accepted
create.refuse       400 with ``code`` (21215 by default), nothing accepted
rest.hold           any other REST answer comes ``seconds`` later
rest.error          any other REST request is answered with 500
rest.too_many       any other REST request is answered with 429
call.busy           the callee is busy (486)
call.no_answer      rings until the request's Timeout (487)
call.failed         fails with SIP ``code`` (404 by default)
call.ring           rings for ``seconds`` before it is answered
call.hang_up        the callee hangs up ``seconds`` after answering
callback.double     the callback is sent twice
callback.drop       the callback is never sent
callback.delay      the callback is sent ``seconds`` later
callback.swap       the callback is sent after the next one of the same call (or after ``seconds``, 2 by default)
amd.none            no verdict ever comes
amd.late            the verdict comes ``seconds`` later than it would
stream.cut          the media socket is cut without ``stop`` ``seconds`` after it opened
==================  =================================================================================

``to`` limits a fault to one number, ``event`` a callback fault to one event (initiated, ringing, answered,
completed, amd, stream-started, …); ``times`` is how often it strikes (1), 0 means always.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = frozenset(
    {
        *(f"create.{kind}" for kind in ("hold", "reset", "error", "truncated", "too_many", "refuse")),
        *(f"rest.{kind}" for kind in ("hold", "error", "too_many")),
        *(f"call.{kind}" for kind in ("busy", "no_answer", "failed", "ring", "hang_up")),
        *(f"callback.{kind}" for kind in ("double", "drop", "delay", "swap")),
        *("amd.none", "amd.late", "stream.cut"),
    }
)


@dataclass(slots=True)
class Fault:
    """One planned misbehaviour. ``left`` is None when it strikes every time."""

    kind: str
    to: str | None = None
    event: str | None = None
    seconds: float = 0.0
    code: int | None = None
    left: int | None = 1

    def strikes(self, to: str | None, event: str | None) -> bool:
        """Whether it is meant for this number and event."""
        return self.to in (None, to) and self.event in (None, event) and self.left != 0


def parse_fault(raw: object) -> Fault:
    """One fault from JSON. Raises ValueError with the reason."""
    if not isinstance(raw, Mapping):
        raise ValueError("a fault is an object with a kind")  # noqa: TRY004 - one error for every bad plan
    known = {"kind", "to", "event", "seconds", "code", "times"}
    if unknown := sorted(set(raw) - known):
        raise ValueError(f"a fault has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    if raw.get("kind") not in KINDS:
        raise ValueError(f"no fault is called {raw.get('kind')!r}; the kinds are {', '.join(sorted(KINDS))}")
    times = raw.get("times", 1)
    seconds = raw.get("seconds", 0.0)
    code = raw.get("code")
    if not isinstance(times, int) or times < 0:
        raise ValueError("times is a whole number, 0 for always")
    if not isinstance(seconds, int | float) or seconds < 0:
        raise ValueError("seconds is a number from 0")
    if code is not None and not isinstance(code, int):
        raise ValueError("code is a whole number")
    return Fault(
        kind=str(raw["kind"]),
        to=_text(raw, "to"),
        event=_text(raw, "event"),
        seconds=float(seconds),
        code=code,
        left=times or None,
    )


def _text(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is text")
    return value


class FaultPlan:
    """The faults still to come, in the order in which they were planned."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.struck: dict[str, int] = {}

    def add(self, fault: Fault) -> None:
        """Plan one more."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Plan nothing any more."""
        self._faults.clear()

    def take(self, *kinds: str, to: str | None = None, event: str | None = None) -> Fault | None:
        """The first fault of these kinds that is meant for this, used up once."""
        for fault in self._faults:
            if fault.kind in kinds and fault.strikes(to, event):
                if fault.left is not None:
                    fault.left -= 1
                self.struck[fault.kind] = self.struck.get(fault.kind, 0) + 1
                return fault
        return None
