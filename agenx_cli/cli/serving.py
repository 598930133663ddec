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
from agenx_cli.ports import Assignment
from agenx_cli.rehearsal import World, simulated
from agenx_cli.settings import Settings
from agenx_cli.wiring import Worker, any_port, assignment_of, working

DRAIN_S = 600.0
RING_EVERY_S = 1.5


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
        self._enough = asyncio.Event()

    async def main(self, settings: Settings, at: datetime | None, interrupts: Interrupts) -> int:
        """Bring everything up, serve, take everything down."""

        if not settings.simulate:
            return await self._serve(settings, None, interrupts)
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
                await world.tell("/sim/inbound", {"calls": self._calls, "every_s": RING_EVERY_S})
            watching = asyncio.create_task(self._watch(worker))
            try:
                await self._until_done(worker, interrupts)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            self._report(worker)
        return interrupts.exit_code

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
        if self._enough.is_set() and not interrupts.drain.is_set():
            return
        self._out.note(f"Draining: {len(worker.desk.calls)} live calls may finish. Ctrl-C again hangs up.")
        await _first_of(worker.engine.drain(DRAIN_S), interrupts.stop.wait())
        if interrupts.stop.is_set():
            self._out.note("Hanging up.")
            worker.desk.end_all("drain", polite=False)
            await worker.engine.hang_up_all("drain")
        await worker.desk.emptied()

    async def _watch(self, worker: Worker) -> None:
        """Show what happens, and count the calls that ended."""

        with Board(self._out) as board, worker.desk.live.watch() as queue:
            while True:
                happening = await queue.get()
                event = as_event(happening)
                if isinstance(happening, Progressed) and happening.disposition is not None:
                    if happening.attempt_uid in self._ended:
                        continue
                    await worker.desk.left(happening.attempt_uid)
                    event = self._settled(worker, happening.attempt_uid)
                    self._ended.append(happening.attempt_uid)
                board.show(event)
                if self._calls is not None and len(self._ended) >= self._calls:
                    self._enough.set()

    @staticmethod
    def _settled(worker: Worker, uid: str) -> dict[str, Any]:

        attempt = worker.store.attempts.get(uid)
        if attempt is None:
            raise AssertionError("attempts are never deleted")
        return {"event": "ended", **document(attempt)}

    def _report(self, worker: Worker) -> None:

        attempts = [attempt for uid in self._ended if (attempt := worker.store.attempts.get(uid)) is not None]
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
        self._out.line(f"{len(attempts)} calls, ${sum(costs):.4f}")


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
        address.save(worker.settings.home)
        worker.store.worker.announce(address.url)
        try:
            yield
        finally:
            Address.forget(worker.settings.home)
