"""All checks, in the order in which a person would mend things."""

from agenx_cli.cli.doctor.carrier import carrier_checks
from agenx_cli.cli.doctor.check import Check, Tell, passed, refused, skipped
from agenx_cli.cli.doctor.live import LiveCall, live_trace
from agenx_cli.cli.doctor.machine import machine_checks
from agenx_cli.cli.doctor.model import model_checks
from agenx_cli.cli.doctor.reach import reach_checks
from agenx_cli.core.playbook import Playbook
from agenx_cli.errors import AgenxError
from agenx_cli.rehearsal import simulated
from agenx_cli.settings import Settings
from agenx_cli.store.store import open_store
from agenx_cli.wiring import any_port, playbook_named


async def checks(
    settings: Settings,
    *,
    call: LiveCall,
    offline: bool = False,
    live: str | None = None,
    tell: Tell = lambda _check: None,
) -> list[Check]:
    """Look at everything; each result is told at once and given back at the end.

    ``offline`` leaves out what needs a network. ``live`` is a number of the operator's, rung by ``call`` when
    everything before it is well. In a rehearsal the accounts are the simulators', which are started for it.
    """
    if offline or not settings.simulate:
        return await _checks(settings, call=call, offline=offline, live=live, tell=tell)
    playbook = _playbook(settings)
    zone = None if playbook is None else playbook.time_zone
    name = "simulators"
    try:
        if _at_work(settings):
            check = skipped(name, "a rehearsal is running in this state, with simulators of its own")
        else:
            async with simulated(settings, zone or "Europe/Madrid") as world:
                check = passed(name, "the carrier and the voice model run on this machine")
                tell(check)
                looked = _checks(any_port(world.settings), call=call, offline=False, live=live, tell=tell)
                return [check, *await looked]
    except AgenxError as error:
        check = refused(name, error)
    tell(check)
    return [check, *await _checks(settings, call=call, offline=True, live=None, tell=tell)]


def _at_work(settings: Settings) -> bool:
    """Whether a worker has this state. Raises StoreError."""
    store = open_store(settings.database_url)
    try:
        return store.worker.holder() is not None
    finally:
        store.close()


def _playbook(settings: Settings) -> Playbook | None:
    """The playbook that calls would use; what is wrong with it has a check of its own."""
    try:
        return playbook_named(settings, None)
    except AgenxError:
        return None


async def _checks(settings: Settings, *, call: LiveCall, offline: bool, live: str | None, tell: Tell) -> list[Check]:
    made: list[Check] = []

    def note(check: Check) -> None:
        made.append(check)
        tell(check)

    for check in machine_checks(settings):
        note(check)
    if offline:
        note(skipped("network", "not looked at"))
        return made
    await carrier_checks(settings, note, callee=live)
    await model_checks(settings, _playbook(settings), note)
    await reach_checks(settings, note)
    if live is not None:
        if any(check.status == "failed" for check in made):
            note(skipped("live call", "not placed: something above has to be mended first"))
        else:
            note(await live_trace(settings, live, call))
    return made
