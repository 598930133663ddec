"""``agenx call``: one outbound call, its words as they are said, its end and its cost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agenx_cli.cli.frame import Frame, frame
from agenx_cli.cli.running import Interrupts, run
from agenx_cli.errors import AgenxError, PolicyError, UsageError

if TYPE_CHECKING:
    from agenx_cli.cli.output import Output
    from agenx_cli.core.lead import E164
    from agenx_cli.core.playbook import Playbook
    from agenx_cli.ports import Assignment
    from agenx_cli.settings import Settings
    from agenx_cli.store.records import Attempt
    from agenx_cli.store.store import Store
    from agenx_cli.wiring import Worker

DRY_ORIGIN = "https://your-address.example"
HIDDEN = "•" * 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call as it was asked for on the command line."""

    number: "E164"
    from_: str
    playbook: "Playbook"
    folder: Path
    assignment: "Assignment"
    listen: Path | None
    detach: bool


def call(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Whom to call: +34 600 000 000.")],
    *,
    playbook: Annotated[str | None, typer.Option(metavar="DIR", help="What the assistant is and says.")] = None,
    var: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable of the playbook.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="NUMBER", help="Which of our numbers calls.")] = None,
    region: Annotated[str | None, typer.Option(metavar="CC", help="Country of a NUMBER without +.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; call nobody.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before calling.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Watch the call, or leave it to the server.")] = True,
    record: Annotated[bool, typer.Option("--record", help="Keep a stereo recording.")] = False,
    listen: Annotated[
        Path | None, typer.Option(metavar="FILE.wav", help="Write a rehearsal's conversation as stereo audio.")
    ] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Rehearse: nothing leaves this machine.")] = False,
    at: Annotated[str | None, typer.Option(metavar="ISO", help="The rehearsal's moment.")] = None,
    host: Annotated[str | None, typer.Option(help="Where our own server listens.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free port.")] = None,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="An address that leads here.")] = None,
) -> int:
    """Call one number and watch the conversation.

    Ctrl-C asks the assistant to say goodbye; a second one hangs up.
    """
    shown = frame(ctx)
    settings = shown.settings(simulate=simulate, host=host, port=port, public_url=public_url)
    wanted = _wanted(
        settings,
        number,
        playbook=playbook,
        variables=var or [],
        from_=from_,
        region=region,
        listen=listen,
        record=record,
        detach=not wait,
    )
    if dry_run:
        return _dry_run(shown.out, settings, wanted)
    if not settings.simulate:
        _check_accounts(settings)
        _confirm(shown.out, wanted, yes=yes)
    moment = None
    if at is not None:
        from agenx_cli.clock import moment as read_moment

        moment = read_moment(at, "--at")
    return run(lambda interrupts: _call(shown, settings, wanted, moment, interrupts))


# --- before anything is done


def _wanted(
    settings: "Settings",
    number: str,
    *,
    playbook: str | None,
    variables: list[str],
    from_: str | None,
    region: str | None,
    listen: Path | None,
    record: bool,
    detach: bool,
) -> Wanted:
    from agenx_cli.cli.state import number_of
    from agenx_cli.core.lead import E164
    from agenx_cli.intake.playbook_files import find_playbook, load_playbook
    from agenx_cli.ports import Assignment

    if listen is not None and not settings.simulate:
        raise UsageError("--listen is for rehearsals", fix="add --simulate, or keep a recording with --record")
    if listen is not None and listen.suffix.lower() != ".wav":
        raise UsageError("--listen writes a WAV file", fix="name it something.wav")
    folder = find_playbook(playbook or settings.playbook)
    loaded = load_playbook(folder)
    given = _variables(variables)
    assignment = Assignment(loaded, given, record or listen is not None)
    if record and not settings.simulate:
        check_notice(assignment)
    to = E164(number_of(number, region or loaded.region))
    ours = number_of(from_, region or loaded.region) if from_ else ""
    return Wanted(to, ours, loaded, folder.resolve(), assignment, listen, detach)


def check_notice(assignment: "Assignment") -> None:
    """A recording needs its notice before it begins. Raises PolicyError."""
    from agenx_cli.core.playbook import render_opening

    opening = render_opening(assignment.playbook, assignment.variables).lower()
    if not any(word in opening for word in ("grab", "record", "gravad")):
        raise PolicyError(
            "a recording needs its notice in the opening, and this playbook's has none",
            code="rec.no_notice",
            fix="say in the opening that the call is recorded, or leave --record out",
        )


def _variables(given: list[str]) -> dict[str, str]:
    variables = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError("--var takes NAME=VALUE", fix='for instance --var company="Talleres Soto"')
        variables[name.strip()] = value
    return variables


def _check_accounts(settings: "Settings") -> None:
    settings.need("openai_api_key", "twilio_account_sid", "twilio_auth_token", "twilio_phone_number")


def _confirm(out: "Output", wanted: Wanted, *, yes: bool) -> None:
    from agenx_cli.core.lead import mask

    question = f"Call {mask(wanted.number)} as {wanted.playbook.assistant} of {wanted.playbook.company}?"
    if not out.confirm(question, given=yes):
        raise AgenxError("nobody was called")


def _dry_run(out: "Output", settings: "Settings", wanted: Wanted) -> int:
    """What would be sent, with numbers and the ticket hidden; nothing is opened, asked or written."""
    from agenx_cli.bridge.documents import plan
    from agenx_cli.clock import SystemClock
    from agenx_cli.core.lead import mask
    from agenx_cli.core.playbook import render_instructions
    from agenx_cli.ports import DialRequest
    from agenx_cli.telephony.twilio.dial import dial_form

    limits = wanted.playbook.limits
    planned = plan(settings.public_url or DRY_ORIGIN, "ATTEMPT", HIDDEN, wanted.assignment)
    request = DialRequest(
        attempt_uid="ATTEMPT",
        to=mask(wanted.number),
        from_=mask(wanted.from_ or settings.twilio_phone_number or "+10000000000"),
        twiml=planned.twiml,
        status_url=planned.status_url,
        amd_url=planned.amd_url,
        ring_s=limits.ring,
        time_limit_s=limits.max_call + 30,
    )
    url = f"{settings.twilio_api_url}/2010-04-01/Accounts/AC{HIDDEN}/Calls.json"
    form = [(name, value) for name, value in dial_form(request) if name != "Twiml"]
    instructions = render_instructions(wanted.playbook, wanted.assignment.variables, SystemClock().now())
    out.document(
        {
            "request": {"method": "POST", "url": url, "form": [list(pair) for pair in form]},
            "twiml": planned.twiml,
            "instructions": instructions,
        }
    )
    out.line(out.style(f"POST {url}", "bold"))
    for name, value in form:
        out.line(f"  {name}={value}")
    out.line(out.style("\nTwiml", "bold"))
    out.line(planned.twiml)
    out.line(out.style("\nInstructions", "bold"))
    out.line(instructions)
    out.note("Dry run: nobody was called.")
    return 0


# --- the call


async def _call(shown: Frame, settings: "Settings", wanted: Wanted, at: Any, interrupts: Interrupts) -> int:
    from agenx_cli.cli.remote import address_of, reached
    from agenx_cli.rehearsal import simulated
    from agenx_cli.wiring import any_port, working

    address = await asyncio.to_thread(address_of, settings)
    if address is not None:
        async with reached(address) as remote:
            return await _through(shown, settings, wanted, remote, interrupts)
    if wanted.detach:
        raise UsageError("--detach leaves the call to a running server, and none runs", fix="start agenx serve first")
    if not settings.simulate:
        async with working(settings, kind="call", playbook=wanted.playbook) as worker:
            return await _here(shown, wanted, worker, interrupts)
    zone = wanted.playbook.time_zone or "Europe/Madrid"
    async with simulated(settings, zone, at=at) as world:
        free = any_port(world.settings)
        async with working(free, kind="call", playbook=wanted.playbook, clock=world.clock) as worker:
            return await _here(shown, wanted, worker, interrupts)


async def _here(shown: Frame, wanted: Wanted, worker: "Worker", interrupts: Interrupts) -> int:
    """Place it with a worker of our own."""
    from agenx_cli.control import happenings
    from agenx_cli.core.policy import Defer, Refuse
    from agenx_cli.engine.local import NewCall

    number = wanted.from_ or worker.settings.need_number()
    admitted = await worker.engine.submit(NewCall(wanted.number, number, wanted.assignment))
    if isinstance(admitted, Defer | Refuse):
        raise PolicyError(admitted.reason.sentence, code=admitted.reason.code, fix=admitted.reason.fix)
    uid = admitted.uid

    async def polite() -> None:
        if not await worker.desk.hang_up(uid, "operator", polite=True):
            await worker.engine.hang_up(uid, "operator")

    async def at_once() -> None:
        await worker.engine.hang_up(uid, "operator")

    events = happenings(worker.desk, worker.engine, uid)
    last = await _watch(shown.out, wanted, uid, events, interrupts=interrupts, polite=polite, at_once=at_once)
    await worker.desk.left(uid)
    return _report(shown, worker.settings, worker.store, wanted, uid, last=last, interrupts=interrupts)


async def _through(shown: Frame, settings: "Settings", wanted: Wanted, remote: Any, interrupts: Interrupts) -> int:
    """Place it with the worker that runs already."""
    from agenx_cli.store.store import open_store

    order = {
        "to": str(wanted.number),
        "from_number": wanted.from_,
        "playbook": str(wanted.folder),
        "variables": wanted.assignment.variables,
        "record": wanted.assignment.record,
    }
    uid = await remote.call(order)
    if wanted.detach:
        shown.out.document({"attempt": uid})
        shown.out.line(f"The running server places the call: agenx calls show {uid}")
        return 0
    last = await _watch(
        shown.out,
        wanted,
        uid,
        remote.events(uid),
        interrupts=interrupts,
        polite=lambda: remote.hang_up(uid, polite=True),
        at_once=lambda: remote.hang_up(uid, polite=False),
    )
    store = open_store(settings.database_url)
    try:
        return _report(shown, settings, store, wanted, uid, last=last, interrupts=interrupts)
    finally:
        store.close()


async def _watch(
    out: "Output",
    wanted: Wanted,
    uid: str,
    events: AsyncIterator[Mapping[str, Any]],
    *,
    interrupts: Interrupts,
    polite: Callable[[], Awaitable[Any]],
    at_once: Callable[[], Awaitable[Any]],
) -> Mapping[str, Any]:
    """Show what happens until the call is over; Ctrl-C ends it, well at first."""
    from agenx_cli.core.lead import mask

    out.note(f"Calling {mask(wanted.number)} as {wanted.playbook.assistant} of {wanted.playbook.company} ({uid}).")

    async def end_on_signal() -> None:
        await interrupts.drain.wait()
        out.note("Saying goodbye… (Ctrl-C again hangs up)")
        await polite()
        await interrupts.stop.wait()
        out.note("Hanging up.")
        await at_once()

    ending = asyncio.create_task(end_on_signal())
    last: Mapping[str, Any] = {}
    try:
        async for event in events:
            last = event
            show(out, event)
    finally:
        ending.cancel()
    return last


def show(out: "Output", event: Mapping[str, Any]) -> None:
    """One thing that happened, live."""
    fields = {name: value for name, value in event.items() if name != "event"}
    out.event(event["event"], **fields)
    if event["event"] == "line" and event["final"]:
        out.line(spoken(out, event["speaker"], event["text"], event["at_ms"]))
    elif event["event"] == "phase" and event["disposition"] is None:
        out.note(f"{event['phase']} …")


def spoken(out: "Output", speaker: str, text: str, at_ms: int) -> str:
    """A line of the transcript."""
    minutes, seconds = divmod(max(0, at_ms) // 1000, 60)
    who = out.style(f"{speaker:>9}", "cyan" if speaker == "assistant" else "green")
    return f"{minutes:02d}:{seconds:02d}  {who}  {text}"


# --- after it


def _report(
    shown: Frame,
    settings: "Settings",
    store: "Store",
    wanted: Wanted,
    uid: str,
    *,
    last: Mapping[str, Any],
    interrupts: Interrupts,
) -> int:
    from agenx_cli.cli.calls import document

    attempt = store.attempts.get(uid)
    if attempt is None:
        raise AgenxError("the call is not on record", fix="agenx calls list")
    declined = last.get("declined")
    if declined:
        error = AgenxError(declined["message"], fix=declined["fix"])
        error.exit_code = declined["exit_code"]
        raise error
    meetings = [meeting for meeting in store.meetings.of_attempt(uid) if meeting.status == "booked"]
    recording = _recording(attempt.figures.recording, wanted.listen)
    figures = attempt.figures
    lines = store.transcripts.of(uid)
    shown.out.document(
        {
            **document(attempt),
            "cost_usd": {
                "voice_model": figures.cost_voice_usd,
                "carrier": figures.cost_carrier_usd,
                "total": attempt.cost_usd,
            },
            "recording": None if recording is None else str(recording),
            "meetings": [{"id": m.id, "starts_at": m.starts_at, "ends_at": m.ends_at} for m in meetings],
            "transcript": [
                {"speaker": line.speaker, "text": line.text, "at_ms": line.at_ms, "heard_ms": line.heard_ms}
                for line in lines
            ],
        }
    )
    _summary(shown.out, settings.home, wanted.playbook, attempt, recording, meetings=meetings)
    return interrupts.exit_code


def _recording(path: str | None, listen: Path | None) -> Path | None:
    import shutil

    if path is None or listen is None:
        return None if path is None else Path(path)
    listen.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, listen)
    return listen


def _summary(
    out: "Output", home: Path, playbook: "Playbook", attempt: "Attempt", recording: Path | None, *, meetings: Any
) -> None:
    from zoneinfo import ZoneInfo

    from agenx_cli.core.phrases import spoken as spoken_time

    zone = ZoneInfo(playbook.time_zone or "UTC")
    out.line()
    ended = attempt.disposition.value if attempt.disposition else attempt.phase.name.lower()
    out.line(
        f"{out.style('ended', 'bold')}      {ended}{f' after {attempt.duration_s} s' if attempt.duration_s else ''}"
    )
    if attempt.error:
        out.line(f"{out.style('why', 'bold')}        {attempt.error}")
    for meeting in meetings:
        when = spoken_time(meeting.starts_at.astimezone(zone), playbook.language)
        out.line(f"{out.style('meeting', 'bold')}    {when} ({zone.key})")
        out.line(f"           {home / 'meetings' / f'{meeting.id}.ics'}")
    voice, carrier = attempt.figures.cost_voice_usd, attempt.figures.cost_carrier_usd
    parts = [
        f"{name} {'unknown' if usd is None else f'${usd:.4f}'}"
        for name, usd in (("model", voice), ("carrier", carrier))
    ]
    out.line(f"{out.style('cost', 'bold')}       {' + '.join(parts)}")
    if recording is not None:
        out.line(f"{out.style('recording', 'bold')}  {recording}")
    out.line(f"{out.style('call', 'bold')}       {attempt.uid}")
