"""``agenx serve`` at work: calls ring in, orders come through the control port, the board shows what happens."""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from agenx_cli.bridge.live import Progressed
from agenx_cli.bridge.server import bind, serving
from agenx_cli.cli.board import Board
from agenx_cli.cli.calls import document
from agenx_cli.cli.output import Output
from agenx_cli.cli.running import Interrupts
from agenx_cli.control import Address, Order, as_event, control_app
from agenx_cli.core.playbook import Playbook
from agenx_cli.errors import StoreError
from agenx_cli.ports import Assignment
from agenx_cli.rehearsal import World, simulated
from agenx_cli.settings import Settings
from agenx_cli.wiring import Worker, any_port, assignment_of, working

DRAIN_S = 600.0
RING_EVERY_S = 1.5
ENDLESS = 100_000
"""How many people ring in where ``--calls`` sets no end: as many as the simulated carrier takes in one order."""


class Serving:
    """One run of ``agenx serve``."""

    def __init__(
        self, out: Output, playbook: Playbook, assignment: Assignment, calls: int | None, *, webhook: bool
    ) -> None:
        self._out = out
        self._playbook = playbook
        self._assignment = assignment
        self._calls = calls
        self._webhook = webhook
        self._ended: list[str] = []
        self._shown = 0
        self._enough = asyncio.Event()

    async def main(self, settings: Settings, at: datetime | None, interrupts: Interrupts) -> int:
        """Bring everything up, serve, take everything down. Drained is done: 0; cut short by a second signal is not."""
        if not settings.simulate:
            return await self._serve(settings, None, interrupts)
        self._out.note("Starting the simulators …")
        zone = self._playbook.time_zone or "Europe/Madrid"
        async with simulated(settings, zone, at=at) as world:
            return await self._serve(any_port(world.settings), world, interrupts)

    async def _serve(self, settings: Settings, world: World | None, interrupts: Interrupts) -> int:
        clock = None if world is None else world.clock
        async with (
            working(
                settings,
                kind="serve",
                playbook=self._playbook,
                clock=clock,
                inbound=self._assignment,
                webhook=self._webhook,
            ) as worker,
            _control(worker),
        ):
            self._say_ready(worker)
            if world is not None:
                await world.tell("/sim/inbound", {"calls": self._calls or ENDLESS, "every_s": RING_EVERY_S})
            interrupts.ready()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(worker, group))
                await self._until_done(worker, interrupts)
                watching.cancel()
            await self._report(worker)
        return interrupts.exit_code if interrupts.stop.is_set() else 0

    def _say_ready(self, worker: Worker) -> None:
        playbook = self._playbook
        self._out.event("ready", origin=worker.origin, playbook=playbook.name)
        self._out.note(f"{playbook.assistant} of {playbook.company} answers at {worker.origin} ({playbook.name}).")
        if not self._webhook:
            self._out.note(f"The number's webhook is as it was; point it to {worker.origin}/incoming-call.")
        self._out.note("Ctrl-C takes no new calls and lets live ones finish.")

    async def _until_done(self, worker: Worker, interrupts: Interrupts) -> None:
        await _first_of(self._enough.wait(), interrupts.drain.wait())
        worker.desk.draining = True
        if worker.desk.calls:
            live = len(worker.desk.calls)
            calls = "1 live call" if live == 1 else f"{live} live calls"
            self._out.note(f"Draining: {calls} may finish. Ctrl-C again hangs up.")
        await _first_of(worker.engine.drain(DRAIN_S), interrupts.stop.wait())
        if interrupts.stop.is_set():
            self._out.note("Hanging up.")
            worker.desk.end_all("drain", polite=False)
            await worker.engine.hang_up_all("drain")
        await worker.desk.emptied()

    async def _watch(self, worker: Worker, group: asyncio.TaskGroup) -> None:
        """Show what happens; a call that ended is shown when all about it is written down."""
        with Board(self._out) as board, worker.desk.live.watch() as queue:
            while True:
                happening = await queue.get()
                if not isinstance(happening, Progressed) or happening.disposition is None:
                    board.show(as_event(happening))
                elif happening.attempt_uid not in self._ended:
                    self._ended.append(happening.attempt_uid)
                    group.create_task(self._show_end(worker, board, happening.attempt_uid))

    async def _show_end(self, worker: Worker, board: Board, uid: str) -> None:
        await worker.desk.left(uid)
        try:
            attempt = await asyncio.to_thread(worker.store.attempts.get, uid)
        except StoreError as error:  # a line less on the screen; the live calls go on
            self._out.warn(error.message)
            attempt = None
        if attempt is not None:
            board.show({"event": "ended", **document(attempt)})
        self._shown += 1
        if self._calls is not None and self._shown >= self._calls:
            self._enough.set()

    async def _report(self, worker: Worker) -> None:
        rows = [await asyncio.to_thread(worker.store.attempts.get, uid) for uid in self._ended]
        attempts = [attempt for attempt in rows if attempt is not None]
        endings = Counter(attempt.disposition.value for attempt in attempts if attempt.disposition)
        costs = [attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None]
        self._out.document(
            {
                "calls": [document(attempt) for attempt in attempts],
                "by_disposition": dict(sorted(endings.items())),
                "cost_usd": round(sum(costs), 6),
            }
        )
        if not attempts:
            self._out.line("No calls.")
            return
        self._out.line()
        self._out.table(("ended", "calls"), sorted(endings.items()))
        self._out.line(f"{len(attempts)} {'call' if len(attempts) == 1 else 'calls'}, ${sum(costs):.4f}")


async def _first_of(*waits: Any) -> None:
    """Until one of them is done; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _control(worker: Worker) -> AsyncIterator[None]:
    """Take orders of this user's other commands, on loopback."""
    key = secrets.token_urlsafe(24)

    async def assignment(order: Order) -> Assignment:
        return await asyncio.to_thread(assignment_of, worker.settings, order)

    app = control_app(worker.desk, worker.engine, key, assignment, worker.settings.twilio_phone_number or "")
    async with serving(app, bind("127.0.0.1", 0)) as port:
        address = Address(f"http://127.0.0.1:{port}", key)
        await asyncio.to_thread(address.save, worker.settings.home)
        await asyncio.to_thread(worker.store.worker.announce, address.url)
        try:
            yield
        finally:
            Address.forget(worker.settings.home)
