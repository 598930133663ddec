"""The live call itself: a worker as ``agenx call`` has one, watched by a trace."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI

from agenx_cli.cli.doctor.trace import Trace
from agenx_cli.cli.running import Interrupts
from agenx_cli.control import happenings
from agenx_cli.core.lead import E164
from agenx_cli.core.policy import Defer, Refuse
from agenx_cli.engine.local import NewCall
from agenx_cli.errors import AgenxError, PolicyError
from agenx_cli.ports import Assignment
from agenx_cli.settings import Settings
from agenx_cli.wiring import Worker, playbook_named, working

LEAVE_AFTER_S = 2.0
"""How long the end of a call may take to be told after it was asked for the second time."""

WHAT_TO_DO = "Pick up, let the assistant begin, and talk over it once: a clear shows only then. Ctrl-C ends the call."


class Ring:
    """A ``LiveCall`` to an operator who may press Ctrl-C: once for a goodbye, twice to hang up."""

    def __init__(self, interrupts: Interrupts, say: Callable[[str], None]) -> None:
        self._interrupts = interrupts
        self._say = say

    async def __call__(self, settings: Settings, number: str, trace: Trace) -> str:
        """Call ``number`` (E.164) with the default playbook until the call is over. Raises AgenxError."""
        playbook = playbook_named(settings, None)

        def watch(app: FastAPI) -> None:
            app.add_middleware(trace.observe)

        async with working(settings, kind="doctor", playbook=playbook, watch=watch) as worker:
            self._interrupts.ready()
            wanted = NewCall(E164(number), settings.need_number(), Assignment(playbook))
            admitted = await worker.engine.submit(wanted)
            if isinstance(admitted, Defer | Refuse):
                raise PolicyError(admitted.reason.sentence, code=admitted.reason.code, fix=admitted.reason.fix)
            self._say(WHAT_TO_DO)
            await self._until_over(worker, admitted.uid)
            return worker.origin

    async def _until_over(self, worker: Worker, uid: str) -> None:
        """Until the call is over, or was hung up and does not tell of it."""

        async def seen() -> None:
            async for _ in happenings(worker.desk, worker.engine, uid):
                pass
            await worker.desk.left(uid)

        seeing, ending = asyncio.create_task(seen()), asyncio.create_task(self._end_on_signal(worker, uid))
        try:
            await asyncio.wait({seeing, ending}, return_when=asyncio.FIRST_COMPLETED)
            if seeing.done():
                seeing.result()
        finally:
            seeing.cancel()
            ending.cancel()
            await asyncio.gather(seeing, ending, return_exceptions=True)

    async def _end_on_signal(self, worker: Worker, uid: str) -> None:
        async def politely() -> Any:
            return await worker.desk.hang_up(uid, "operator", polite=True) or await worker.engine.hang_up(
                uid, "operator"
            )

        await self._interrupts.drain.wait()
        self._say("Saying goodbye… (Ctrl-C again hangs up)")
        await self._tried(politely())
        await self._interrupts.stop.wait()
        self._say("Hanging up.")
        await self._tried(worker.engine.hang_up(uid, "operator"))
        await asyncio.sleep(LEAVE_AFTER_S)

    async def _tried(self, asking: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(LEAVE_AFTER_S):
                await asking
        except (AgenxError, TimeoutError) as error:
            self._say(str(error) or "no answer yet")
