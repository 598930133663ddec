"""Clocks: the real one, and the one a rehearsal runs on. Nothing else reads the moment."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agenx_cli.errors import StoreError, UsageError

START_HOUR = 11
_WORKDAY = range(10, 17)


class SystemClock:
    """The machine's own clock, in UTC."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is its one place

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(0.0, seconds))


class RehearsalClock(SystemClock):
    """Real time, moved by ``offset_s`` seconds. Only ``jump`` moves it again, and only forward."""

    def __init__(self, offset_s: float) -> None:
        self.offset_s = offset_s

    def now(self) -> datetime:
        """The rehearsal's moment, aware, in UTC."""
        return super().now() + timedelta(seconds=self.offset_s)

    def jump(self, to: datetime) -> None:
        """Be at ``to`` now; a moment in the past changes nothing."""
        self.offset_s += max(0.0, (to - self.now()).total_seconds())


def moment(text: str, flag: str) -> datetime:
    """An ISO 8601 moment with its offset, in UTC. Raises UsageError that names ``flag``."""
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{flag} is not a moment with its offset from UTC", fix=f"for instance {flag} 2026-11-24T11:00:00+01:00"
    )


def system_zone() -> str | None:
    """The machine's own time zone; None when it is UTC, which says nothing about where people are."""
    from tzlocal import get_localzone_name  # noqa: PLC0415 - only who offers meetings pays for it

    zone = get_localzone_name()
    return None if zone in {"UTC", "Etc/UTC", "GMT", "Etc/GMT"} else zone


def next_tuesday(after: datetime, zone: str) -> datetime:
    """The first Tuesday 11:00 in ``zone`` that is later than ``after``; in UTC."""
    local = after.astimezone(ZoneInfo(zone))
    day = local.date() + timedelta(days=(1 - local.weekday()) % 7)
    while True:
        start = datetime(day.year, day.month, day.day, START_HOUR, tzinfo=ZoneInfo(zone))
        if start > after:
            return start.astimezone(UTC)
        day += timedelta(days=7)


def rehearsal_start(now: datetime, reached: datetime | None, zone: str) -> datetime:
    """Where a rehearsal begins: never before ``reached`` (where the last one ended), and in working hours.

    It goes on where it was while that is a working hour of a weekday, so that a rehearsal of many commands is one
    story; otherwise it moves to the next Tuesday 11:00.
    """
    planned = next_tuesday(now, zone)
    if reached is None or reached <= planned:
        return planned
    local = reached.astimezone(ZoneInfo(zone))
    if local.weekday() < 5 and local.hour in _WORKDAY:
        return reached
    return next_tuesday(reached, zone)


class RehearsalState:
    """``clock.json`` beside the simulated state: where the rehearsal clock has got to.

    ``reached`` is written at the start (null: running) and at the end. After a crash it is not known; then the clock
    is taken to have run on until now, which is never too early.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "clock.json"

    def reached(self, now: datetime) -> datetime | None:
        """Where the last rehearsal got to, or None when there was none. Raises StoreError when it is unreadable."""
        try:
            saved = json.loads(self._path.read_text("utf-8"))
            if saved["reached"] is not None:
                return datetime.fromisoformat(saved["reached"])
            return now + timedelta(seconds=float(saved["offset_s"]))
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._unusable(exc) from exc
        except (ValueError, KeyError, TypeError, OverflowError) as exc:
            raise StoreError(
                f"the rehearsal's clock {self._path} is not readable", fix=f"delete {self._path.parent} to start anew"
            ) from exc

    def start(self, system: SystemClock, zone: str, at: datetime | None = None) -> RehearsalClock:
        """The clock of this run, already on record. ``at`` must not lie before what was reached: UsageError."""
        now = system.now()
        reached = self.reached(now)
        if at is not None and reached is not None and at < reached:
            raise UsageError(
                f"--at lies before {reached.isoformat(timespec='minutes')}, which the rehearsal has reached",
                fix=f"take a later moment, or delete {self._path.parent} to start anew",
            )
        start = at or rehearsal_start(now, reached, zone)
        clock = RehearsalClock((start - now).total_seconds())
        self._write(clock.offset_s, None)
        return clock

    def finish(self, clock: RehearsalClock) -> None:
        """Write where the clock has got to."""
        self._write(clock.offset_s, clock.now())

    def _write(self, offset_s: float, reached: datetime | None) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"offset_s": offset_s, "reached": reached.isoformat() if reached else None}))
            fresh.replace(self._path)
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _unusable(self, exc: OSError) -> StoreError:
        return StoreError(
            f"the rehearsal's clock {self._path} cannot be kept: {exc.strerror}",
            fix="check the folder's permissions and free space, or point AGENX_HOME elsewhere",
        )


def clock_of(home: Path, *, simulate: bool, offset_s: float = 0.0) -> SystemClock:
    """The clock of a command that starts no world of its own: in a rehearsal, where that has got to."""
    system = SystemClock()
    if not simulate:
        return RehearsalClock(offset_s) if offset_s else system
    now = system.now()
    reached = RehearsalState(home).reached(now)
    return RehearsalClock((reached - now).total_seconds()) if reached else system
