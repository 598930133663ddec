"""``agenx call``: one outbound call, its words as they are said, its end and its cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agenx_cli.cli.frame import frame
from agenx_cli.errors import AgenxError, PolicyError, UsageError

if TYPE_CHECKING:
    from agenx_cli.cli.calling import Wanted
    from agenx_cli.cli.output import Output
    from agenx_cli.ports import Assignment
    from agenx_cli.settings import Settings

DRY_ORIGIN = "https://your-address.example"
HIDDEN = "•" * 8


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
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Where our own server listens.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", min=0, max=65535, help="0: any free port.")] = None,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="An address that leads here.")] = None,
    tunnel: Annotated[str, typer.Option(metavar="NAME", help="How to get an address without --public-url.")] = "ngrok",
) -> int:
    """Call one number and watch the conversation.

    Ctrl-C asks the assistant to say goodbye; a second one hangs up.
    """
    check_tunnel(tunnel)
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
    from agenx_cli.cli.calling import place
    from agenx_cli.cli.running import run

    return run(lambda interrupts: place(shown.out, settings, wanted, moment, interrupts))


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
) -> "Wanted":
    from agenx_cli.cli.calling import Wanted
    from agenx_cli.cli.state import number_of
    from agenx_cli.core.lead import E164
    from agenx_cli.core.playbook import render_opening
    from agenx_cli.core.policy import number_reason
    from agenx_cli.intake.playbook_files import find_playbook
    from agenx_cli.ports import Assignment
    from agenx_cli.wiring import playbook_named

    if listen is not None and not settings.simulate:
        raise UsageError("--listen is for rehearsals", fix="add --simulate, or keep a recording with --record")
    if listen is not None and listen.suffix.lower() != ".wav":
        raise UsageError("--listen writes a WAV file", fix="name it something.wav")
    folder = find_playbook(playbook or settings.playbook)
    loaded = playbook_named(settings, playbook)
    given = _variables(variables)
    assignment = Assignment(loaded, given, record or listen is not None)
    render_opening(loaded, given)  # a variable that is missing or unknown is said before anything is opened
    if record and not settings.simulate:
        check_notice(assignment)
    to = E164(number_of(number, region or loaded.region))
    reason = number_reason(to, rehearsal=settings.simulate or settings.carrier_on_loopback)
    if reason is not None:  # the gate will say so too, but only when a server and its tunnel are up
        raise PolicyError(reason.sentence, code=reason.code, fix=reason.fix)
    ours = number_of(from_, region or loaded.region) if from_ else ""
    return Wanted(to, ours, loaded, folder.resolve(), assignment, listen, detach)


def check_tunnel(name: str) -> None:
    """The one tunnel there is. Raises UsageError for another."""
    if name != "ngrok":
        raise UsageError(f"there is no tunnel named {name!r}", fix="--tunnel ngrok, or --public-url https://…")


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


def _confirm(out: "Output", wanted: "Wanted", *, yes: bool) -> None:
    from agenx_cli.core.lead import mask

    question = f"Call {mask(wanted.number)} as {wanted.playbook.assistant} of {wanted.playbook.company}?"
    if not out.confirm(question, given=yes):
        raise AgenxError("nobody was called")


def _dry_run(out: "Output", settings: "Settings", wanted: "Wanted") -> int:
    """What would be sent, with numbers and the ticket hidden; nothing is opened, asked or written."""
    from agenx_cli.bridge.documents import plan
    from agenx_cli.clock import SystemClock
    from agenx_cli.core.lead import mask
    from agenx_cli.core.limits import time_limit_s
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
        time_limit_s=time_limit_s(limits.max_call),
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
