"""``agenx calls``: what was rung, what was said, how it ended."""

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from agenx_cli.cli.frame import frame
from agenx_cli.cli.state import SIMULATE, iso, opened, place_of, zone_of
from agenx_cli.errors import AgenxError, UsageError

if TYPE_CHECKING:
    from agenx_cli.control import Address
    from agenx_cli.store.records import Attempt
    from agenx_cli.store.store import Store

app = typer.Typer(help="Calls that were placed or answered.", no_args_is_help=True)
ID = Annotated[str, typer.Argument(metavar="ID", help="As `calls list` shows it, or its beginning.")]
SEARCHED = 10_000
SHOWN = 8


@app.command("list")
def list_calls(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=SEARCHED, help="How many.")] = 50,
    simulate: SIMULATE = False,
) -> int:
    """List the calls, newest first."""
    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        attempts = store.attempts.list(limit)
    zone = zone_of(settings)
    out.document([document(attempt) for attempt in attempts])
    rows = [
        (
            a.uid[:SHOWN],
            f"{a.created_at.astimezone(ZoneInfo(zone)):%m-%d %H:%M}",
            f"{'→' if a.outbound else '←'} {a.phone}",
            ended(a),
            "–" if a.duration_s is None else f"{a.duration_s} s",
            "–" if a.cost_usd is None else f"${a.cost_usd:.4f}",
        )
        for a in attempts
    ]
    out.table(("id", f"when ({place_of(zone)})", "phone", "ended", "took", "cost"), rows, empty="No calls yet.")
    return 0


@app.command()
def show(ctx: typer.Context, call: ID, *, simulate: SIMULATE = False) -> int:
    """Show one call: its facts, what was said, what was booked, and every report of the carrier."""
    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        attempt = find(store, call)
        transcript = store.transcripts.of(attempt.uid)
        events = store.attempts.events(attempt.uid)
        meetings = [meeting.id for meeting in store.meetings.of_attempt(attempt.uid)]
        answers = store.answers.of(attempt.uid)
        callback = store.callbacks.of(attempt.uid)
    out.document(
        {
            **document(attempt),
            "direction": attempt.direction,
            "playbook": attempt.playbook,
            "recording": attempt.figures.recording,
            "error_code": attempt.error_code,
            "error": attempt.error,
            "meetings": meetings,
            "answers": answers,
            "callback_at": iso(callback.due_at) if callback else None,
            "transcript": [
                {"speaker": line.speaker, "text": line.text, "at_ms": line.at_ms, "heard_ms": line.heard_ms}
                for line in transcript
            ],
            "events": [{"key": e.key, "kind": e.kind, "body": e.body, "at": iso(e.at)} for e in events],
        }
    )
    facts = {name: value for name, value in document(attempt).items() if value is not None}
    moments = {"created_at": attempt.created_at, "answered_at": attempt.answered_at, "ended_at": attempt.ended_at}
    facts |= {name: iso(moment, zone_of(settings)) for name, moment in moments.items() if moment is not None}
    facts |= {f"answer {field}": value for field, value in answers.items()} | {"meetings": ", ".join(meetings)}
    for name, value in facts.items():
        if value != "":
            out.labelled(f"{name:>16} ", "bold", str(value))
    out.line()
    for line in transcript:
        out.said(line.at_ms, line.speaker, line.text)
    if not transcript:
        out.line("Nothing was said.")
    return 0


@app.command()
def hangup(
    ctx: typer.Context,
    call: ID,
    *,
    polite: Annotated[bool, typer.Option("--polite", help="Let the assistant say goodbye first.")] = False,
    simulate: SIMULATE = False,
) -> int:
    """End a live call of the running `agenx serve`."""
    from agenx_cli.cli.remote import address_of

    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        attempt = find(store, call)
    if attempt.over:
        out.document({"attempt": attempt.uid, "hung_up": False, "disposition": attempt.disposition})
        out.line(f"The call is over already: {ended(attempt)}.")
        return 0
    address = address_of(settings)
    if address is None:
        raise AgenxError(
            "no running agenx serve has this call",
            fix="stop the agenx call that has it with Ctrl-C, or start agenx serve: it settles what was left behind",
        )
    order_hang_up(address, attempt.uid, polite=polite)
    out.document({"attempt": attempt.uid, "hung_up": True})
    out.line("The call is being ended.")
    return 0


def order_hang_up(address: "Address", attempt_uid: str, *, polite: bool) -> None:
    """Tell the process that has the call. Raises AgenxError when it does not answer."""
    import asyncio

    from agenx_cli.cli.remote import reached

    async def tell() -> None:
        async with reached(address) as remote:
            await remote.hang_up(attempt_uid, polite=polite)

    asyncio.run(tell())


def find(store: "Store", call: str) -> "Attempt":
    """The attempt with this id, or the only recent one whose id begins so. Raises UsageError."""
    exact = store.attempts.get(call)
    if exact is not None:
        return exact
    near = [attempt for attempt in store.attempts.list(SEARCHED) if call and attempt.uid.startswith(call)]
    if len(near) != 1:
        what = "no call has this id" if not near else f"{len(near)} calls have an id that begins so"
        raise UsageError(what, fix="agenx calls list")
    return near[0]


def ended(attempt: "Attempt") -> str:
    """How it ended, or how far it has got."""
    return attempt.disposition.value if attempt.disposition else attempt.phase.name.lower()


def document(attempt: "Attempt") -> dict[str, Any]:
    """A call as JSON documents have it."""
    cost = attempt.cost_usd
    return {
        "attempt": attempt.uid,
        "campaign": None,
        "phone": attempt.phone,
        "n": 1,
        "phase": attempt.phase.name.lower(),
        "disposition": attempt.disposition.value if attempt.disposition else None,
        "answered_by": attempt.answered_by,
        "carrier_call_id": attempt.carrier_call_id,
        "created_at": iso(attempt.created_at),
        "answered_at": iso(attempt.answered_at),
        "ended_at": iso(attempt.ended_at),
        "duration_s": attempt.duration_s,
        "cost_usd": None if cost is None else round(cost, 6),
        "first_word_ms": attempt.figures.first_word_ms,
        "turns": attempt.figures.turns,
        "barge_ins": attempt.figures.barge_ins,
    }
