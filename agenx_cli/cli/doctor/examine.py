"""All checks, in the order in which a person would mend things."""

from agenx_cli.cli.doctor.carrier import carrier_checks
from agenx_cli.cli.doctor.check import Check, Tell, skipped
from agenx_cli.cli.doctor.live import LiveCall, live_trace
from agenx_cli.cli.doctor.machine import machine_checks
from agenx_cli.cli.doctor.model import model_checks
from agenx_cli.cli.doctor.reach import reach_checks
from agenx_cli.cli.doctor.ring import ring
from agenx_cli.settings import Settings


async def checks(
    settings: Settings,
    *,
    offline: bool = False,
    live: str | None = None,
    tell: Tell = lambda _check: None,
    call: LiveCall = ring,
) -> list[Check]:
    """Look at everything; each result is told at once and given back at the end.

    ``offline`` leaves out what needs a network (a rehearsal has none to look at). ``live`` is a number of the
    operator's, rung by ``call`` when everything before it is well.
    """
    made: list[Check] = []

    def note(check: Check) -> None:
        made.append(check)
        tell(check)

    for check in machine_checks(settings):
        note(check)
    if offline or settings.simulate:
        note(skipped("network", "not looked at" if offline else "a rehearsal needs none"))
        return made
    await carrier_checks(settings, note, callee=live)
    await model_checks(settings, note)
    await reach_checks(settings, note)
    if live is not None:
        if any(check.status == "failed" for check in made):
            note(skipped("live call", "not placed: something above has to be mended first"))
        else:
            note(await live_trace(settings, live, call))
    return made
