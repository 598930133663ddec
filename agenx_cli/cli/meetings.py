"""``agenx meetings``: what was booked."""

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from agenx_cli.cli.frame import frame
from agenx_cli.cli.state import SIMULATE, iso, now_of, opened, place_of
from agenx_cli.errors import UsageError

if TYPE_CHECKING:
    from agenx_cli.core.booking import Meeting
    from agenx_cli.store.store import Store

SHOWN = 8
app = typer.Typer(help="Meetings that were booked.", no_args_is_help=True)


@app.command("list")
def list_meetings(
    ctx: typer.Context,
    *,
    every: Annotated[bool, typer.Option("--all", help="Cancelled ones too.")] = False,
    simulate: SIMULATE = False,
) -> int:
    """List the meetings, soonest first."""
    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (_, store):
        meetings = [meeting for meeting in store.meetings.list() if every or meeting.status == "booked"]
    out.document([document(meeting) for meeting in meetings])
    zones = {meeting.zone for meeting in meetings}
    zone = zones.pop() if len(zones) == 1 else None
    columns = ["id", f"when ({place_of(zone)})" if zone else "when", "phone", "name", "status"]
    rows = [(m.id[:SHOWN], moment(m) if zone else when(m), m.phone, m.name, m.status) for m in meetings]
    out.table(columns if every else columns[:4], [row if every else row[:4] for row in rows], empty="No meetings yet.")
    return 0


@app.command()
def show(
    ctx: typer.Context,
    meeting_id: Annotated[str, typer.Argument(metavar="ID", help="As `meetings list` shows it, or its beginning.")],
    *,
    simulate: SIMULATE = False,
) -> int:
    """Show one meeting and where its calendar file lies."""
    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        meeting = find(store, meeting_id)
    file = settings.home / "meetings" / f"{meeting.id}.ics"
    details = {"title": meeting.title, "name": meeting.name, "email": meeting.email, "notes": meeting.notes}
    whole = {**document(meeting), **details, "file": str(file) if file.exists() else None}
    out.document(whole)
    for name, value in whole.items():
        if value:
            out.labelled(f"{name:>10} ", "bold", str(value))
    return 0


@app.command()
def cancel(
    ctx: typer.Context,
    meeting_id: Annotated[str, typer.Argument(metavar="ID", help="As `meetings list` shows it, or its beginning.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    simulate: SIMULATE = False,
) -> int:
    """Cancel a meeting and free its time. Nobody is told: that is yours to do."""
    from agenx_cli.calendars.builtin import BuiltinCalendar

    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        meeting = find(store, meeting_id)
        already = meeting.status == "cancelled"
        if not already and not out.confirm(f"Cancel the meeting of {when(meeting)}?", given=yes):
            out.note("Nothing was changed.")
            return 0
        cancelled = store.meetings.cancel(meeting.id, now_of(settings)) or meeting
        BuiltinCalendar(settings.home / "meetings").put(cancelled)
    out.document(document(cancelled))
    out.line(f"Meeting {cancelled.id} {'was cancelled already' if already else 'is cancelled'}.")
    return 0


def find(store: "Store", meeting_id: str) -> "Meeting":
    """The meeting with this id, or the only one whose id begins so. Raises UsageError."""
    exact = store.meetings.get(meeting_id)
    if exact is not None:
        return exact
    near = [meeting for meeting in store.meetings.list() if meeting_id and meeting.id.startswith(meeting_id)]
    if len(near) != 1:
        what = "no meeting has this id" if not near else f"{len(near)} meetings have an id that begins so"
        raise UsageError(what, fix="agenx meetings list --all")
    return near[0]


def when(meeting: "Meeting") -> str:
    """Start of a meeting for people, in the zone in which it was agreed."""
    return f"{moment(meeting)} {meeting.zone}"


def moment(meeting: "Meeting") -> str:
    """As ``when``, where the zone is said elsewhere."""
    return f"{meeting.starts_at.astimezone(ZoneInfo(meeting.zone)):%a %Y-%m-%d %H:%M}"


def document(meeting: "Meeting") -> dict[str, Any]:
    """A meeting as JSON documents have it."""
    return {
        "id": meeting.id,
        "phone": meeting.phone,
        "starts_at": iso(meeting.starts_at, meeting.zone),
        "ends_at": iso(meeting.ends_at, meeting.zone),
        "calendar": meeting.calendar,
        "host": meeting.host,
        "attempt": meeting.attempt_uid,
        "status": meeting.status,
    }
