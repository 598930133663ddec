"""Commands as a user runs them, each a process of its own, against simulators that are a process of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

COMMAND = (sys.executable, "-m", "agenx_cli")
PERSONAS = ("interested", "not_interested", "interrupts", "do_not_call", "voicemail", "silent")
RIGHT = {
    "interested": "meeting_booked",
    "interrupts": "meeting_booked",
    "not_interested": "not_interested",
    "do_not_call": "opted_out",
    "voicemail": "voicemail",
    "silent": "silent",
}
"""How a call with each persona ends when everything works."""

LONGEST_S = 15.0
"""No persona's call lasts longer (but for the tick in which the callee hangs up)."""


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A shell of somebody who has set nothing but this."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AGENX_", "TWILIO_", "OPENAI_", "NGROK_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONUTF8": "1", "TERM": "dumb", "AGENX_HOME": str(home), **settings}


@dataclass(frozen=True)
class Finished:
    """What a command left on the screen."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass
class Running:
    """A command at work. Both of its outputs are read all the time, so that it never waits for us."""

    process: subprocess.Popen
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self):
        pipes = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._readers = [threading.Thread(target=self._read, args=pipe, daemon=True) for pipe in pipes]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe, lines):
        for line in pipe:
            with self.news:
                lines.append(line)
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def said(self, text, seconds=30):
        """Wait until a line of either output holds this text; that line."""

        def found():
            lines = [*self.out, *self.err]
            return next((line for line in lines if text in line), None) or self._ended()

        with self.news:
            line = self.news.wait_for(found, seconds)
        assert isinstance(line, str), f"{text!r} was not said: {''.join(self.err)}"
        return line

    def _ended(self):
        return not any(reader.is_alive() for reader in self._readers)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self, seconds=60):
        """Wait for its end."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for reader in self._readers:
            reader.join(5)
        return Finished(self.process.returncode, "".join(self.out), "".join(self.err))


def start(*arguments, env, cwd, command=COMMAND):
    """A command that goes on while we do other things."""
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    return Running(process)


@dataclass
class World:
    """The outside world in a process of its own, with all that crossed its wires."""

    env: dict[str, str]
    folder: Path

    @property
    def wire(self) -> Path:
        return self.folder / "wire"

    def account(self, home):
        """A shell with the world's accounts set, as a user sets the real ones."""
        return environment(home, **self.env)

    def post(self, path, **body):
        answer = httpx2.post(self.env["AGENX_TWILIO_API_URL"] + path, json=body, trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path):
        answer = httpx2.get(self.env["AGENX_TWILIO_API_URL"] + path, trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def calls(self):
        """The carrier's ledger."""
        return self.get("/ledger")["calls"]

    def crossed(self, wire):
        """Everything that crossed one of the wires."""
        return read_lines(self.wire / f"{wire}.jsonl")


@contextmanager
def simulators(folder, *, seed=1, cps=10.0):
    """The world, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [
            *(*COMMAND, "sim", "serve", "--json", "--with-parent", "--seed", str(seed), "--cps", str(cps)),
            *("--ledger", str(folder / "ledger.jsonl"), "--wire-log", str(folder / "wire")),
        ],
        env=environment(folder / "nowhere"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        line = process.stdout.readline()
        yield World(json.loads(line)["env"], folder)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def read_lines(path):
    """A file of JSON lines; empty when nothing was written."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ledger_of(path):
    """The carrier's ledger as its file has it: the last line about a call is the truth."""
    calls = {}
    for line in read_lines(path):
        if "calls" in line:
            calls[line["calls"]["sid"]] = line["calls"]
    return calls
