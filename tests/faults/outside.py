"""The outside of our processes in these tests: the simulated world as a process that outlives them, and themselves.

What happened is judged by the simulated carrier's ledger and by what a fresh look into the database finds, never by
what a process said of itself.
"""

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from agenx_cli.store.records import Attempt
from agenx_cli.store.store import open_store

Json = dict[str, Any]
DOOMED = Path(__file__).with_name("doomed.py")
_FOREIGN = ("AGENX_", "OPENAI_", "TWILIO_", "NGROK_", "HOST", "PORT", "HTTP_", "HTTPS_", "ALL_", "NO_PROXY", "PYTEST")
_numbers = itertools.count(1)
PATIENCE_S = 150.0
"""Until a test gives up. Only a failing one takes that long; a busy machine may."""


def bare_environment() -> dict[str, str]:
    """This machine's environment without a setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}


async def until(what: Callable[[], Any], within_s: float = PATIENCE_S, every_s: float = 0.05) -> Any:
    """Ask until the answer is truthy, and give it; AssertionError when it never is."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        answer = what()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert loop.time() < deadline, f"not within {within_s:g} s"
        await asyncio.sleep(every_s)


@dataclass
class World:
    """The simulated carrier, callees and voice model on one port."""

    env: dict[str, str]
    folder: Path
    homes: Iterator[int] = field(default_factory=itertools.count)
    runs: "list[Run]" = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.env["AGENX_TWILIO_API_URL"]

    async def tell(self, path: str, **body: Any) -> None:
        """Arrange something (``/sim/faults``, ``/sim/persona``, ``/sim/voice/faults``)."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            (await client.post(self.url + path, json=body)).raise_for_status()

    async def ask(self, path: str) -> Json:
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            return (await client.get(self.url + path)).raise_for_status().json()

    async def callee(self, persona: str, *faults: Json) -> str:
        """A number nobody has called yet, who answers it, and what goes wrong with it."""
        number = f"+34600{next(_numbers):06d}"
        await self.tell("/sim/persona", number=number, persona=persona)
        await self.tell("/sim/faults", faults=[{"to": number, **fault} for fault in faults])
        return number

    async def calls(self, number: str) -> list[Json]:
        """What the carrier's ledger has of a number."""
        return [call for call in (await self.ask("/ledger"))["calls"] if call["to"] == number]

    async def call(self, number: str, *statuses: str) -> Json | None:
        """The one call to a number, once it is in one of these states (any without)."""
        found = await self.calls(number)
        return found[0] if found and (not statuses or found[0]["status"] in statuses) else None

    async def heard(self, number: str) -> list[str]:
        """What the callee of a number has heard, utterance by utterance."""
        call = await self.call(number)
        heard = [] if call is None else (await self.ask(f"/sim/calls/{call['sid']}"))["heard"]
        return [text for _, kind, text in heard if kind == "heard"]

    async def said(self, number: str) -> list[str]:
        """What the carrier itself has spoken to a number (its documents' Say)."""
        call = await self.call(number)
        log = [] if call is None else (await self.ask(f"/sim/calls/{call['sid']}"))["log"]
        return [text for _, verb, text in log if verb == "Say"]

    async def clear(self) -> None:
        """No process of a test outlives it."""
        runs, self.runs = self.runs, []
        for run in runs:
            run.kill()
            await run.ended()

    def home(self) -> "Home":
        """A fresh data directory."""
        path = self.folder / f"home-{next(self.homes)}"
        path.mkdir()
        return Home(self, path)


@contextlib.contextmanager
def a_world(folder: Path, *, seed: int = 7) -> Iterator[World]:
    """The simulators as a process of their own, ended with the block."""
    command = [sys.executable, "-m", "agenx_cli", "sim", "serve", "--with-parent", "--json"]
    command += ["--seed", str(seed), "--cps", "50", "--ledger", str(folder / "ledger.jsonl")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=bare_environment(), cwd=folder
    ) as process:
        try:
            yield World(json.loads(process.stdout.readline())["env"], folder)
            assert process.poll() is None, "the simulators died"
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class Home:
    """One data directory and the processes that work on it. ``later_s`` puts their clock that far ahead."""

    world: World
    path: Path
    later_s: float = 0.0

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path / 'agenx.db'}"

    def env(self, **more: str) -> dict[str, str]:
        clock = float(self.world.env["AGENX_SIM_CLOCK"]) + self.later_s
        ours = {"AGENX_HOME": str(self.path), "AGENX_SIM_CLOCK": str(clock), "PORT": "0", "TERM": "dumb"}
        return {**bare_environment(), **self.world.env, **ours, **more}

    async def run(self, *arguments: str, doom: tuple[str, int] | None = None, **env: str) -> "Run":
        """Start ``agenx`` with these arguments, for ``doom`` (point, ms) to kill it there."""
        by = ("-m", "agenx_cli") if doom is None else (str(DOOMED), doom[0], str(doom[1]))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *by, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.env(**env),
            cwd=self.path,
        )
        run = Run(process)
        self.world.runs.append(run)
        return run

    async def dial(self, number: str, *more: str, doom: tuple[str, int] | None = None, **env: str) -> "Run":
        """``agenx call``, telling what happens line by line."""
        return await self.run("call", number, "--yes", "-o", "jsonl", *more, doom=doom, **env)

    @contextlib.contextmanager
    def store(self):
        """What is on record, read by somebody else than its worker."""
        store = open_store(self.url)
        try:
            yield store
        finally:
            store.close()

    def attempts(self) -> tuple[Attempt, ...]:
        with self.store() as store:
            return store.attempts.list()

    @property
    def attempt(self) -> Attempt:
        """The only attempt of this home."""
        (attempt,) = self.attempts()
        return attempt

    def over(self) -> bool:
        return all(attempt.over for attempt in self.attempts())

    async def restart(self) -> None:
        """Bring up a worker, which settles what it can before it is ready, and end it as a service manager would.

        One that has still something to find out would wait for it: that one is killed again.
        """
        worker = await self.run("serve", "--no-set-webhook", "-o", "jsonl")
        await worker.until(lambda event: event.get("event") == "ready")
        if self.over():
            worker.signal("SIGTERM")
            code = await worker.ended()
            assert code == 0, worker.errors
        else:
            worker.kill()
            await worker.ended()


class Run:
    """A process of ours and what it has told so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[Json] = []
        self.errors = ""
        self._news = asyncio.Event()
        self._readers = [asyncio.create_task(self._listen()), asyncio.create_task(self._complaints())]

    async def _listen(self) -> None:
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self.events.append(json.loads(line))
            self._news.set()
        self._news.set()

    async def _complaints(self) -> None:
        async for line in self.process.stderr:
            self.errors += line.decode(errors="replace")

    async def until(self, told: Callable[[Json], bool], within_s: float = PATIENCE_S) -> Json:
        """The first event of this kind, told already or to come. AssertionError when the process ends without."""
        seen = 0
        async with asyncio.timeout(within_s):
            while True:
                self._news.clear()
                for event in self.events[seen:]:
                    if told(event):
                        return event
                seen = len(self.events)
                assert not self._readers[0].done(), f"ended without telling it: {self.errors}"
                await self._news.wait()

    async def talking(self) -> None:
        """The stream stands; the model may still be on its way."""
        await self.until(lambda event: event.get("phase") == "talking")

    async def speaking(self) -> None:
        """The model is there: it has been told what the callee heard before."""
        await self.until(lambda event: event.get("event") == "line")

    def signal(self, name: str) -> None:
        import signal

        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(getattr(signal, name))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """The exit code, everything it said having been read."""
        try:
            async with asyncio.timeout(within_s):
                code = await self.process.wait()
                await asyncio.gather(*self._readers)
        except TimeoutError:
            self.kill()
            await self.process.wait()
            raise AssertionError(f"it does not end within {within_s:g} s: {self.errors}") from None
        return code

    @property
    def document(self) -> Json:
        """The last thing told: the command's document."""
        return self.events[-1]
