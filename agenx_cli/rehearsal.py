"""A world to rehearse in: the simulators as a child process, its accounts as our settings, its clock as ours."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agenx_cli.clock import RehearsalClock, RehearsalState, SystemClock
from agenx_cli.errors import ServerStartError
from agenx_cli.settings import Settings, child_environment

START_WITHIN_S = 20.0
STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """Running simulators: the settings to reach them with, and the moment they live in."""

    settings: Settings
    clock: RehearsalClock

    async def tell(self, path: str, body: Mapping[str, Any]) -> None:
        """Arrange something in the simulated world (``/sim/inbound``, ``/sim/persona``). Raises ServerStartError."""
        import httpx2  # noqa: PLC0415 - only who rehearses pays for it

        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
                answer = await client.post(f"{self.settings.twilio_api_url}{path}", json=dict(body))
                answer.raise_for_status()
        except httpx2.HTTPError as exc:
            raise ServerStartError("the simulators did not take an order", fix="start again with -vv") from exc


@contextlib.asynccontextmanager
async def simulated(
    settings: Settings, zone: str, *, at: datetime | None = None, seed: int = 1, cps: float = 5.0
) -> AsyncIterator[World]:
    """Start the simulators and end them with the block, or with our process, however it ends."""
    state = RehearsalState(settings.home)
    clock = state.start(SystemClock(), zone, at)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "agenx_cli", "sim", "serve", "--json", "--with-parent"),
        *("--at", clock.now().isoformat(), "--seed", str(seed), "--cps", str(cps)),
        *("--ledger", str(settings.home / "ledger.json")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(settings),
        **_apart(),
    )
    complaints = asyncio.create_task(_last_words(child))
    try:
        told = settings.overlay(await _first_line(child, complaints))
        clock.offset_s = told.sim_clock
        yield World(told, clock)
    finally:
        state.finish(clock)
        await _end(child)
        complaints.cancel()


def _apart() -> dict[str, Any]:
    """Ctrl-C is for us alone: the simulated carrier must live until our calls have ended."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


async def _first_line(child: asyncio.subprocess.Process, complaints: "asyncio.Task[str]") -> Mapping[str, str]:
    if child.stdout is None:
        raise AssertionError("the child's stdout is a pipe")
    try:
        async with asyncio.timeout(START_WITHIN_S):
            line = await child.stdout.readline()
            env: Mapping[str, str] = json.loads(line)["env"]
    except (TimeoutError, ValueError, KeyError, TypeError) as exc:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        said = await complaints
        raise ServerStartError(
            f"the simulators did not start: {said or 'no answer'}", fix="try it alone: agenx sim serve --json"
        ) from exc
    return env


async def _last_words(child: asyncio.subprocess.Process) -> str:
    """Read what the child complains of, so that its pipe never fills up; the last line is what matters."""
    last = ""
    if child.stderr is not None:
        async for line in child.stderr:
            last = line.decode(errors="replace").strip() or last
    return last


async def _end(child: asyncio.subprocess.Process) -> None:
    """Closing its stdin asks it to end; a child that does not is ended."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
