"""Lists: filters and pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from agenx_cli.sim.carrier.forms import Params
from agenx_cli.sim.carrier.records import OVER, Call
from agenx_cli.sim.carrier.refusals import Refusal

_TIMES = ("StartTime", "StartTime<", "StartTime>", "EndTime", "EndTime<", "EndTime>")
_PAGES = ("PageSize", "Page", "PageToken")
LIST_CALLS = frozenset({"To", "From", "ParentCallSid", "Status", *_TIMES, *_PAGES})
LIST_NUMBERS = frozenset({"Beta", "FriendlyName", "PhoneNumber", "Origin", *_PAGES})
_STATUSES = ("queued", "ringing", "in-progress", *sorted(OVER))


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page, of what size."""

    NAMES: ClassVar[frozenset[str]] = frozenset(_PAGES)
    page: int
    size: int

    @classmethod
    def of(cls, params: Params) -> "Paging":
        """Read from a list request. Raises Refusal."""
        return cls(params.whole("Page", 0, 0, 100_000), params.whole("PageSize", 50, 1, 1_000))


def select_calls(calls: Iterable[Call], params: Params) -> list[Call]:
    """The calls that a list request asks for, newest first. A call without a start has no StartTime to match."""
    status = params.choice("Status", _STATUSES, "")
    wanted = {"to": params.text("To"), "from_": params.text("From"), "parent_sid": params.text("ParentCallSid")}
    spans = [(name, *_span(params.text(name))) for name in _TIMES if params.text(name)]
    found = [
        call
        for call in calls
        if status in ("", call.status)
        and all(not value or getattr(call, name) == value for name, value in wanted.items())
        and all(_within(call, *span) for span in spans)
    ]
    found.reverse()
    return found


def _within(call: Call, name: str, begin: datetime, end: datetime) -> bool:
    moment = call.started_at if name.startswith("Start") else call.ended_at
    if moment is None:
        return False
    if name.endswith("<"):
        return moment < end
    if name.endswith(">"):
        return moment >= begin
    return begin <= moment < end


def _span(value: str) -> tuple[datetime, datetime]:
    """A day, or a second, as [begin, end)."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as exc:
        raise Refusal(20001, "A date is YYYY-MM-DD or an ISO 8601 moment") from exc
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return moment, moment + (timedelta(days=1) if len(value) == 10 else timedelta(seconds=1))
