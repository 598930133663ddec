"""``agenx call`` at work: placed by a worker of our own or by the one that runs, watched to its end, summed up."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agenx_cli.cli.calls import document
from agenx_cli.cli.meetings import document as meeting_document
from agenx_cli.cli.meetings import when
from agenx_cli.cli.output import Output
from agenx_cli.cli.remote import Remote, address_of, reached
from agenx_cli.cli.running import Interrupts
from agenx_cli.control import happenings
from agenx_cli.core.attempt import Disposition
from agenx_cli.core.booking import Meeting
from agenx_cli.core.lead import E164, mask
from agenx_cli.core.playbook import Playbook
from agenx_cli.core.policy import Defer, Refuse
from agenx_cli.engine.local import NewCall
from agenx_cli.errors import AgenxError, CarrierError, PolicyError, UsageError, VoiceError
from agenx_cli.ports import Assignment
from agenx_cli.rehearsal import simulated
from agenx_cli.settings import Settings
from agenx_cli.store.records import Attempt
from agenx_cli.store.store import Store, open_store
from agenx_cli.wiring import Worker, any_port, working

LEAVE_AFTER_S = 3.0
"""How long the second Ctrl-C waits for the carrier to confirm."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call as it was asked for on the command line."""

    number: E164
    from_: str
    playbook: Playbook
    folder: Path
    assignment: Assignment
    listen: Path | None
    detach: bool


# --- the call


async def place(out: Output, settings: Settings, wanted: Wanted, at: datetime | None, interrupts: Interrupts) -> int:

    address = await asyncio.to_thread(address_of, settings)
    if address is not None:
        async with reached(address) as remote:
            return await _through(out, settings, wanted, remote, interrupts)
    if wanted.detach:
        raise UsageError("--detach leaves the call to a running server, and none runs", fix="start agenx serve first")
    if not settings.simulate:
        async with working(settings, kind="call", playbook=wanted.playbook) as worker:
            return await _here(out, wanted, worker, interrupts)
    out.note("Starting the simulators …")
    zone = wanted.playbook.time_zone or "Europe/Madrid"
    async with simulated(settings, zone, at=at) as world:
        free = any_port(world.settings)
        async with working(free, kind="call", playbook=wanted.playbook, clock=world.clock) as worker:
            return await _here(out, wanted, worker, interrupts)


async def _here(out: Output, wanted: Wanted, worker: Worker, interrupts: Interrupts) -> int:
    """Place it with a worker of our own."""

    number = wanted.from_ or worker.settings.need_number()
    interrupts.ready()
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
    last = await _watch(out, wanted, uid, events, interrupts=interrupts, polite=polite, at_once=at_once)
    if interrupts.stop.is_set():
        worker.desk.end_all("operator", polite=False)
    await worker.desk.left(uid)
    return _report(out, worker.settings, worker.store, wanted, uid, last=last, interrupts=interrupts)


async def _through(out: Output, settings: Settings, wanted: Wanted, remote: Remote, interrupts: Interrupts) -> int:
    """Place it with the worker that runs already."""

    order = {
        "to": str(wanted.number),
        "from_number": wanted.from_,
        "playbook": str(wanted.folder),
        "variables": wanted.assignment.variables,
        "record": wanted.assignment.record,
    }
    interrupts.ready()
    uid = await remote.call(order)
    if wanted.detach:
        out.document({"attempt": uid})
        out.line(f"The running server places the call: agenx calls show {uid}")
        return 0
    last = await _watch(
        out,
        wanted,
        uid,
        remote.events(uid),
        interrupts=interrupts,
        polite=lambda: remote.hang_up(uid, polite=True),
        at_once=lambda: remote.hang_up(uid, polite=False),
    )
    store = open_store(settings.database_url)
    try:
        return _report(out, settings, store, wanted, uid, last=last, interrupts=interrupts)
    finally:
        store.close()


async def _watch(
    out: Output,
    wanted: Wanted,
    uid: str,
    events: AsyncIterator[Mapping[str, Any]],
    *,
    interrupts: Interrupts,
    polite: Callable[[], Awaitable[Any]],
    at_once: Callable[[], Awaitable[Any]],
) -> Mapping[str, Any]:
    """Show what happens until the call is over; Ctrl-C ends it, well at first."""

    out.note(f"Calling {mask(wanted.number)} as {wanted.playbook.assistant} of {wanted.playbook.company} ({uid}).")

    seen: dict[str, Mapping[str, Any]] = {}

    async def see() -> None:
        async for event in events:
            seen[event["event"]] = event
            show(out, event)

    async def end_on_signal() -> None:
        await interrupts.drain.wait()
        out.note("Saying goodbye… (Ctrl-C again hangs up)")
        await _tried(out, polite())
        await interrupts.stop.wait()
        out.note("Hanging up.")
        await _tried(out, at_once())
        await asyncio.sleep(LEAVE_AFTER_S)

    seeing, ending = asyncio.create_task(see()), asyncio.create_task(end_on_signal())
    await asyncio.wait({seeing, ending}, return_when=asyncio.FIRST_COMPLETED)
    left = not seeing.done()
    for task in (seeing, ending):
        task.cancel()
    await asyncio.gather(seeing, ending, return_exceptions=True)
    if left:
        out.warn(f"the end of the call is not confirmed yet; look at it with agenx calls show {uid}")
    else:
        seeing.result()
    return {"trouble": seen.get("trouble"), **seen.get("over", {})}


async def _tried(out: Output, ending: Awaitable[Any]) -> None:
    """Ask for the end of a call; what keeps it from being asked is said, and the next Ctrl-C tries harder."""
    try:
        async with asyncio.timeout(LEAVE_AFTER_S):
            await ending
    except (AgenxError, TimeoutError) as error:
        out.warn(str(error) or "no answer yet")


def show(out: Output, event: Mapping[str, Any]) -> None:
    """One thing that happened, live."""
    fields = {name: value for name, value in event.items() if name != "event"}
    out.event(event["event"], **fields)
    if event["event"] == "line" and event["final"]:
        out.said(event["at_ms"], event["speaker"], event["text"])
    elif event["event"] == "phase" and event["disposition"] is None:
        out.note(f"{event['phase']} …")


# --- after it


def _report(
    out: Output,
    settings: Settings,
    store: Store,
    wanted: Wanted,
    uid: str,
    *,
    last: Mapping[str, Any],
    interrupts: Interrupts,
) -> int:

    attempt = store.attempts.get(uid)
    if attempt is None:
        raise AgenxError("the call is not on record", fix="agenx calls list")
    if last.get("declined"):
        raise _error(last["declined"])
    meetings = [meeting for meeting in store.meetings.of_attempt(uid) if meeting.status == "booked"]
    recording = _recording(attempt.figures.recording, wanted.listen)
    figures = attempt.figures
    lines = store.transcripts.of(uid)
    out.document(
        {
            **document(attempt),
            "cost_usd": {
                "voice_model": figures.cost_voice_usd,
                "carrier": figures.cost_carrier_usd,
                "total": attempt.cost_usd,
            },
            "recording": None if recording is None else str(recording),
            "meetings": [meeting_document(meeting) for meeting in meetings],
            "transcript": [
                {"speaker": line.speaker, "text": line.text, "at_ms": line.at_ms, "heard_ms": line.heard_ms}
                for line in lines
            ],
        }
    )
    _summary(out, settings.home, attempt, recording, meetings=meetings)
    if last.get("trouble"):
        raise _error(last["trouble"])
    if not interrupts.exit_code:
        _complain(attempt)
    return interrupts.exit_code


def _complain(attempt: Attempt) -> None:
    """An end that a provider is to blame for is an error, though all of it is on record. Raises ProviderError."""
    if attempt.disposition is Disposition.LOST:
        raise CarrierError(
            "the carrier never confirmed the call, and knows nothing of it",
            provider="twilio",
            fix="look for it in Twilio's call log; it is not dialed again by itself",
        )
    if "model_failed" in attempt.facts.reasons:
        raise VoiceError(
            "the voice model failed during the call; the callee heard the apology",
            provider="openai",
            fix="see the fault with -v, and check the model with agenx doctor",
        )


def _error(told: Mapping[str, Any]) -> AgenxError:
    """What a worker told of a failure, as the error that it was there."""
    error = AgenxError(told["message"], fix=told["fix"])
    error.exit_code = told["exit_code"]
    return error


def _recording(path: str | None, listen: Path | None) -> Path | None:

    if path is None or listen is None:
        return None if path is None else Path(path)
    listen.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, listen)
    return listen


def _summary(out: Output, home: Path, attempt: Attempt, recording: Path | None, *, meetings: list[Meeting]) -> None:

    out.line()
    ended = attempt.disposition.value if attempt.disposition else attempt.phase.name.lower()
    out.line(
        f"{out.style('ended', 'bold')}      {ended}{f' after {attempt.duration_s} s' if attempt.duration_s else ''}"
    )
    if attempt.error:
        out.labelled(f"{'why':<10}", "bold", attempt.error)
    for meeting in meetings:
        out.line(f"{out.style('meeting', 'bold')}    {when(meeting)}")
        out.line(f"           {home / 'meetings' / f'{meeting.id}.ics'}")
    figures = attempt.figures
    if attempt.answered_at is not None:
        parts = [f"model {_usd(figures.cost_voice_usd)}", f"carrier {_usd(figures.cost_carrier_usd)}"]
        out.labelled(f"{'cost':<10}", "bold", " + ".join(parts))
    if recording is not None:
        out.line(f"{out.style('recording', 'bold')}  {recording}")
    out.line(f"{out.style('call', 'bold')}       {attempt.uid}")


def _usd(amount: float | None) -> str:
    return "unknown (not in the price table)" if amount is None else f"${amount:.4f}"
