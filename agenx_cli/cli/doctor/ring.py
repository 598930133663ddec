"""The live call itself: a worker as ``agenx call`` has one, watched by a trace."""

from fastapi import FastAPI

from agenx_cli.cli.doctor.trace import Trace
from agenx_cli.control import happenings
from agenx_cli.core.lead import E164
from agenx_cli.core.policy import Defer, Refuse
from agenx_cli.engine.local import NewCall
from agenx_cli.errors import PolicyError
from agenx_cli.ports import Assignment
from agenx_cli.settings import Settings
from agenx_cli.wiring import playbook_named, working


async def ring(settings: Settings, number: str, trace: Trace) -> str:
    """Call ``number`` (E.164) with the default playbook until the call is over. Raises AgenxError."""
    playbook = playbook_named(settings, None)

    def watch(app: FastAPI) -> None:
        app.add_middleware(trace.observe)

    async with working(settings, kind="doctor", playbook=playbook, watch=watch) as worker:
        wanted = NewCall(E164(number), settings.need_number(), Assignment(playbook))
        admitted = await worker.engine.submit(wanted)
        if isinstance(admitted, Defer | Refuse):
            raise PolicyError(admitted.reason.sentence, code=admitted.reason.code, fix=admitted.reason.fix)
        async for _ in happenings(worker.desk, worker.engine, admitted.uid):
            pass
        await worker.desk.left(admitted.uid)
        return worker.origin
