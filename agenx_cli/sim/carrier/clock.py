"""The simulated carrier's moment: real UTC moved by an offset, so that a rehearsal may be next Tuesday."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class CarrierClock:
    """Real time plus ``offset_s`` seconds. The offset may grow, never shrink: records never go back."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def now(self) -> datetime:
        """The carrier's moment, aware, in UTC."""
        real = datetime.now(UTC)  # noqa: TID251 - a simulator may not import our clock; this is its only reading
        return real + timedelta(seconds=self.offset_s)

    def advance_to(self, offset_s: float) -> None:
        """Move on to a larger offset. Raises ValueError when it would go back."""
        if offset_s < self.offset_s:
            raise ValueError("the carrier's clock never goes back")
        self.offset_s = offset_s


def rfc2822(moment: datetime | None) -> str | None:
    """``Tue, 31 Aug 2010 20:36:28 +0000``, the only date format of the 2010-04-01 API."""
    return None if moment is None else format_datetime(moment.astimezone(UTC).replace(microsecond=0))
