"""The two runs that the acceptance tests look at. Each leaves everything it saw in a folder.

*twenty* is the command of the issue as it stands. *captured* is a world with a wire log: a server that answers calls
and takes orders, and commands of the same user beside it.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from agenx_cli.cli.remote import reached
from agenx_cli.control import Address
from agenx_cli.store.store import open_store
from tests.acceptance import playbooks, renaming
from tests.acceptance.world import PERSONAS, World, environment, simulators, start

SPANISH = {persona: f"+3460000010{n}" for n, persona in enumerate(PERSONAS, 1)}
ENGLISH = {persona: f"+3460000020{n}" for n, persona in enumerate(PERSONAS, 1)}
BUSY, NO_ANSWER, FAILED = "+34600000301", "+34600000302", "+34600000303"
SUPPRESSED, DETACHED, ALONE, RENAMED = "+34600000401", "+34600000402", "+34600000403", "+34600000404"
NO_BOOKING, NO_TIME = "+34600000501", "+34600000502"
ORDERED = {
    **{f"english-{persona}": number for persona, number in ENGLISH.items()},
    "no-booking": NO_BOOKING,
    "no-time": NO_TIME,
    "no-answer": NO_ANSWER,
    "failed": FAILED,
}
LISTENED = "+34600000003"
START_EVERY_S = 1.3
"""Between two calls, or two processes that start: a machine of two cores is busy for a while with one."""

Results = dict[str, tuple[int, str, str]]

WATCHED = """
import os, sys
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname",):
        sys.stderr.write("opened " + event)
        os._exit(99)
sys.addaudithook(watch)
from agenx_cli.__main__ import main
main()
"""
"""The command, ended with 99 by whatever touches a socket."""


def twenty(folder: Path) -> Results:
    """``agenx serve --simulate --calls 20 --json``, and beside it one call with its sound kept."""
    folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        serve = pool.submit(_run, folder, "serve", "serve", "--simulate", "--calls", "20", "--json")
        sound = folder / "sound" / "call.wav"
        call = ("call", LISTENED, "--simulate", "--yes", "--json", "--listen", sound)
        listened = pool.submit(_run, folder, "listen", *call)
        results = {"serve": serve.result(), "listen": listened.result()}
    for what in ("meetings", "suppress"):
        results[what] = _run(folder, "serve", what, "list", "--simulate", "--json")
    return results


def _run(folder: Path, home: str, *arguments: object) -> tuple[int, str, str]:
    (folder / home).mkdir(parents=True, exist_ok=True)
    return _finished(start(*arguments, env=environment(folder / home), cwd=folder))


def _finished(running, seconds: float = 120) -> tuple[int, str, str]:
    done = running.finish(seconds)
    return done.code, done.out, done.err


def captured(folder: Path) -> Results:
    """A server, orders to it and commands beside it, in one world whose wires are recorded."""
    with simulators(folder / "world", seed=3) as world:
        pinned = {number: persona for numbers in (SPANISH, ENGLISH) for persona, number in numbers.items()}
        for number in (SUPPRESSED, DETACHED, ALONE, RENAMED, NO_BOOKING, NO_TIME):
            pinned[number] = "interested"
        for number, persona in pinned.items():
            world.post("/sim/persona", number=number, persona=persona)
        faults = (("call.busy", BUSY), ("call.no_answer", NO_ANSWER), ("call.failed", FAILED))
        world.post("/sim/faults", faults=[{"kind": kind, "to": number} for kind, number in faults])
        results = Served(folder, world).results()
        (folder / "ledger.json").write_text(json.dumps(world.get("/ledger")), encoding="utf-8")
        (folder / "env.json").write_text(json.dumps(world.env), encoding="utf-8")
    return results


class Served:
    """What happens at one server."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self.world = world
        self.home = folder / "home"
        self.shell = world.account(self.home)
        self.spanish = playbooks.shipped(folder)
        self._results: Results = {}
        self._pool = ThreadPoolExecutor(24)

    def results(self) -> Results:
        serve = start("serve", "--playbook", self.spanish, "--port", "0", "--json", env=self.shell, cwd=self.folder)
        serve.said("Ctrl-C")
        self.world.post("/sim/inbound", calls=6, every_s=1.0, personas=list(PERSONAS))
        with self._pool:
            jobs = [self._pool.submit(lambda: asyncio.run(self._orders()))]
            jobs += self._commands()
            for job in jobs:
                job.result()
        serve.interrupt()
        self._results["serve"] = _finished(serve)
        self._read()
        return self._results

    # --- commands, each a process

    def _commands(self) -> list[Future[None]]:
        spanish = ("--playbook", self.spanish, "--yes")
        commands: list[tuple[str, tuple[object, ...]]] = [
            ("second", ("serve", "--playbook", self.spanish, "--port", "0")),
            ("suppress", ("suppress", "add", SUPPRESSED)),
            *((f"spanish-{persona}", ("call", number, *spanish)) for persona, number in SPANISH.items()),
            ("busy", ("call", BUSY, *spanish)),
            ("detached", ("call", DETACHED, *spanish, "--detach")),
            ("refused", ("call", SUPPRESSED, *spanish)),
        ]
        jobs = [self._pool.submit(self._renamed), self._pool.submit(self._dry_run)]
        jobs.append(self._pool.submit(self._command, "alone", ("call", ALONE, *spanish, "--port", "0"), "home-alone"))
        for name, arguments in commands:
            time.sleep(START_EVERY_S)
            jobs.append(self._pool.submit(self._command, name, arguments))
        return jobs

    def _command(self, name: str, arguments: tuple[object, ...], home: str = "home") -> None:
        env = self.world.account(self.folder / home)
        self._results[name] = _finished(start(*arguments, "--json", env=env, cwd=self.folder))

    def _dry_run(self) -> None:
        arguments = ("call", ALONE, "--playbook", self.spanish, "--dry-run", "--json")
        command = (sys.executable, "-c", WATCHED)
        env = self.world.account(self.folder / "home-dry")
        self._results["dry"] = _finished(start(*arguments, env=env, cwd=self.folder, command=command))

    def _renamed(self) -> None:
        asyncio.run(renaming.call(self.world, self.folder, RENAMED, self.spanish))

    # --- orders, as the command gives them to the server

    async def _orders(self) -> None:
        address = Address.load(self.home)
        assert address is not None
        books = {
            "no-booking": playbooks.without_booking(self.folder),
            "no-time": playbooks.without_free_time(self.folder),
            "english": playbooks.english(self.folder),
        }
        placed: dict[str, str] = {}
        async with reached(address) as remote:
            for name, number in ORDERED.items():
                book = books.get(name) or books.get(name.partition("-")[0]) or self.spanish
                order = {"to": number, "from_number": "", "playbook": str(book), "variables": {}, "record": False}
                placed[name] = await remote.call(order)
                await asyncio.sleep(START_EVERY_S)
            await asyncio.gather(*(self._followed(remote, uid) for uid in placed.values()))

    @staticmethod
    async def _followed(remote, uid: str) -> None:
        async for _ in remote.events(uid):
            pass

    # --- what the store has in the end

    def _read(self) -> None:
        """Every attempt with its transcript, meetings and answers, by number."""
        calls = {}
        for home in ("home", "home-alone", "home-renamed"):
            store = open_store(f"sqlite:///{self.folder / home / 'agenx.db'}")
            for attempt in store.attempts.list():
                calls[attempt.phone] = {
                    "call": attempt.carrier_call_id,
                    "disposition": attempt.disposition and attempt.disposition.value,
                    "barge_ins": attempt.figures.barge_ins,
                    "transcript": [(line.speaker, line.text) for line in store.transcripts.of(attempt.uid)],
                    "meetings": [meeting.id for meeting in store.meetings.of_attempt(attempt.uid)],
                    "suppressed": store.suppression.has(attempt.phone),
                    "answers": dict(store.answers.of(attempt.uid)),
                    "home": home,
                }
            store.close()
        (self.folder / "calls.json").write_text(json.dumps(calls), encoding="utf-8")
