"""Callbacks about calls and messages: fired without waiting, in no promised order, and mistreated by the fault plan."""

import asyncio
from dataclasses import dataclass

from agenx_cli.sim.carrier.crew import Crew
from agenx_cli.sim.carrier.faults import FaultPlan
from agenx_cli.sim.carrier.webhooks import Pairs, WebhookError, Webhooks

_SWAP_S = 2.0
_KINDS = ("callback.double", "callback.drop", "callback.delay", "callback.swap")


@dataclass(frozen=True, slots=True)
class Callback:
    """One report about ``sid``. ``party`` is the number on the other side, by which faults are aimed."""

    sid: str
    party: str
    event: str
    url: str
    method: str
    params: Pairs


class Callbacks:
    """Sends what nobody waits for. ``failed`` lists (sid, event, error code) of those that did not get through."""

    def __init__(self, webhooks: Webhooks, faults: FaultPlan, crew: Crew) -> None:
        self._webhooks = webhooks
        self._faults = faults
        self._crew = crew
        self._held_back: dict[str, asyncio.Event] = {}
        self.failed: list[tuple[str, str, int]] = []

    def fire(self, callback: Callback) -> None:
        """Send one; what the fault plan held back before it follows it."""
        follower = self._held_back.pop(callback.sid, None)
        fault = self._faults.take(*_KINDS, to=callback.party, event=callback.event)
        kind, seconds = (fault.kind, fault.seconds) if fault else ("", 0.0)
        if kind == "callback.swap":
            turn = self._held_back[callback.sid] = asyncio.Event()
            self._crew.spawn(self._swap(callback, turn, seconds or _SWAP_S))
        elif kind == "callback.delay":
            self._crew.spawn(self._send(callback, wait_s=seconds))
        elif kind != "callback.drop":
            self._crew.spawn(self._send(callback, times=2 if kind == "callback.double" else 1, follower=follower))
            return
        if follower is not None:
            follower.set()

    async def _send(
        self, callback: Callback, *, wait_s: float = 0.0, times: int = 1, follower: asyncio.Event | None = None
    ) -> None:
        await asyncio.sleep(wait_s)
        try:
            for _ in range(times):
                await self._webhooks.send(callback.url, callback.method, callback.params)
        except WebhookError as exc:
            self.failed.append((callback.sid, callback.event, exc.code))
        finally:
            if follower is not None:
                follower.set()

    async def _swap(self, callback: Callback, turn: asyncio.Event, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await turn.wait()
        except TimeoutError:
            self._held_back.pop(callback.sid, None)
        await self._send(callback)
