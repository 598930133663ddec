"""``agenx doctor``: would a call work, and if not, what mends it?"""

from typing import Annotated

import typer

from agenx_cli.cli.frame import Simulate, frame
from agenx_cli.errors import UsageError


def doctor(
    ctx: typer.Context,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Only what needs no network.")] = False,
    live: Annotated[
        str | None,
        typer.Option(metavar="+OWN_NUMBER", help="Also place one real call to this number of yours, and trace it."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the live call.")] = False,
    simulate: Simulate = False,
) -> int:
    """Look at every account, permission and address that a call needs. ✗ comes with its fix.

    Exit code 1 when something failed, 4 when credentials were refused. With --simulate the accounts are the
    simulators'.
    """
    from agenx_cli.core.lead import BadNumber, parse_number

    out = frame(ctx).out
    settings = frame(ctx).settings(simulate=simulate)
    callee = None if live is None else parse_number(live, None)
    if isinstance(callee, BadNumber):
        raise UsageError(f"--live: {callee.reason}", fix=callee.fix)
    if callee is not None:
        if offline:
            raise UsageError("--live and --offline contradict each other", fix="leave one of them out")
        question = "--live rings that number now, at the cost of a call. Go on?"
        if not settings.simulate and not out.confirm(question, given=yes):
            raise UsageError("the live call was not confirmed", fix="pass --yes, or leave --live out")

    from agenx_cli.cli.doctor import report
    from agenx_cli.cli.doctor.examine import checks
    from agenx_cli.cli.doctor.ring import Ring
    from agenx_cli.cli.running import Interrupts, run

    async def look(interrupts: Interrupts) -> int:
        made = await checks(
            settings,
            call=Ring(interrupts, out.note),
            offline=offline,
            live=callee,
            tell=lambda check: report.one(out, check),
        )
        report.whole(out, made)
        return interrupts.exit_code or report.exit_code(made)

    return run(look)
