"""The built-in calendar: one iCalendar file per meeting (RFC 5545), to be opened with any calendar program.

Times are written in UTC. The UID is the meeting's own and stable, the SEQUENCE grows with every change, and a
cancelled meeting says so, so that importing a file again changes the same entry.
"""

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from icalendar import Calendar, Event, vCalAddress, vText

from agenx_cli.core.booking import Meeting
from agenx_cli.errors import CalendarError

PRODUCT = "-//agenx//agenx//EN"


class BuiltinCalendar:
    """Writes ``<folder>/<meeting id>.ics``."""

    name = "local"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, meeting_id: str) -> Path:
        """Where a meeting's file lies, or will lie."""
        return self._folder / f"{meeting_id}.ics"

    def put(self, meeting: Meeting) -> None:
        """Write the file whole or not at all. Raises CalendarError."""
        try:
            _write(self.path(meeting.id), ics(meeting))
        except OSError as exc:
            raise CalendarError(
                f"the meeting is booked, but its file could not be written: {exc.strerror}",
                provider="local",
                retryable=True,
                fix=f"make room or mend the permissions of {self._folder}; the next start writes it",
            ) from exc

    def repair(self, meetings: Sequence[Meeting]) -> int:
        """Write the files that a crash left unwritten or old; says how many that were. Raises CalendarError."""
        written = 0
        for meeting in meetings:
            if meeting.status != "held" and not self._is_current(meeting):
                self.put(meeting)
                written += 1
        return written

    def _is_current(self, meeting: Meeting) -> bool:
        try:
            return self.path(meeting.id).read_bytes() == ics(meeting)
        except OSError:
            return meeting.status == "cancelled"


def ics(meeting: Meeting) -> bytes:
    """The file's content: the same meeting gives the same bytes."""
    event = Event()
    event.add("uid", f"{meeting.id}@agenx")
    event.add("dtstamp", meeting.updated_at.astimezone(UTC).replace(microsecond=0))
    event.add("created", meeting.created_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", meeting.starts_at.astimezone(UTC))
    event.add("dtend", meeting.ends_at.astimezone(UTC))
    event.add("summary", meeting.title)
    event.add("status", "CANCELLED" if meeting.status == "cancelled" else "CONFIRMED")
    event.add("sequence", 1 if meeting.status == "cancelled" else 0)
    lines = [line for line in (meeting.name, meeting.phone, meeting.notes) if line]
    event.add("description", "\n".join(lines))
    if meeting.email is not None:
        attendee = vCalAddress(f"mailto:{meeting.email}")
        if meeting.name is not None:
            attendee.params["CN"] = vText(meeting.name.replace('"', "'"))
        event.add("attendee", attendee, encode=False)
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if meeting.status == "cancelled" else "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _write(path: Path, content: bytes) -> None:
    """Beside, flushed, then renamed over: a reader sees the old file or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
