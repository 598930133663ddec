"""The simulated outside as a process of its own, in which everybody who answers is somebody that interrupts.

Run as a script: ``interrupting.py FOLDER POINTS WITHIN_MS``. The first line on stdout is the environment to reach it
with, as of ``agenx sim serve``; it ends with its stdin. Only the people are other ones: carrier, model and sound are
the shipped simulators. What crossed their wires is in FOLDER (``media.jsonl``, ``voice.jsonl``).
"""

import json
import os
import sys
import threading
from pathlib import Path
from random import Random

import uvicorn

from agenx_cli.sim.babble import babble
from agenx_cli.sim.carrier.clock import CarrierClock
from agenx_cli.sim.carrier.exchange import Exchange
from agenx_cli.sim.ledger import Ledger
from agenx_cli.sim.server import api_key, bind, build_app, environment, server_config
from agenx_cli.sim.sound import FRAME, SILENCE, speak
from agenx_cli.sim.wirelog import WireLog

SEED = 5
QUESTION = "Perdone, ¿quién es usted y para qué me llama?"
NEXT_QUESTION_MS = 900
"""Silence on both sides after which the callee takes its turn: longer than any pause that a short sound makes."""
QUIET = SILENCE * FRAME


class Interrupter:
    """Asks who we are, again and again, and makes ``points`` sounds while it is answered.

    Each comes within ``within_ms`` of the answer, counted from the last one. Short sounds (60 to 380 ms) are an "ajá"
    or a noise; long ones (560 to 950 ms) are the question once more; some lie between. After the last one it hears the
    answer out, or hangs up in the middle. It knows nothing but what it hears. ``log`` says when it began a sound:
    (ms, "short" | "long" | "between" | "asked", its length).
    """

    answers = True
    ring_ms = 60
    answered_by = "human"
    machine_verdict_ms = 700
    end_of_greeting_ms = 200

    def __init__(self, seed: int, points: int, within_ms: int) -> None:
        self.log: list[tuple[int, str, str]] = []
        self._random = Random(seed)
        self._points = points
        self._within_ms = within_ms
        self._mouth = b""
        self._heard_ms = 0
        self._quiet_ms = 0
        self._patience_ms = self._random.choice((1_500, 1_000_000))
        self._next: tuple[int, str] | None = None

    def step(self, heard: bytes, at_ms: int) -> bytes | None:
        sounding = heard.count(SILENCE) < FRAME
        if sounding and not self._mouth:
            self._heard_ms += 20
        self._quiet_ms = 0 if sounding or self._mouth else self._quiet_ms + 20
        if not self._mouth and self._next is not None and self._heard_ms >= self._next[0]:
            self._interrupt(at_ms)
        elif self._quiet_ms >= NEXT_QUESTION_MS:
            if self._points <= 0:
                return None
            self._quiet_ms = 0
            self._say("asked", speak(QUESTION), at_ms)
            self._plan(early=self._random.random() < 0.4)
        elif self._points <= 0 and self._heard_ms >= self._patience_ms:
            return None
        said, self._mouth = self._mouth[:FRAME], self._mouth[FRAME:]
        return said.ljust(FRAME, SILENCE)

    def _plan(self, *, early: bool) -> None:
        """When, in ms of the answer heard from now on, and how."""
        kind = self._random.choices(("short", "long", "between"), (42, 48, 10))[0]
        after = self._random.randint(20, 300) if early else self._random.randint(300, self._within_ms)
        self._heard_ms = 0
        self._next = (after, kind) if self._points > 0 else None

    def _interrupt(self, at_ms: int) -> None:
        _, kind = self._next
        low, high = {"short": (60, 380), "between": (380, 560), "long": (560, 950)}[kind]
        ms = self._random.randint(low, high)
        self._points -= 1
        if kind == "short" and self._random.random() < 0.5:
            sound = babble("mmm", ms * 8, voice=2, nth=0, rising=False)
        else:
            text = QUESTION if kind != "short" else "ajá"
            sound = speak(text, voice=2, chars_per_second=min(1000, (len(text) + 1) * 1000 / ms))
        self._say(kind, sound, at_ms)
        self._plan(early=kind != "short" and self._random.random() < 0.4)

    def _say(self, kind: str, sound: bytes, at_ms: int) -> None:
        self._mouth = sound
        self.log.append((at_ms, kind, str(len(sound) // 8)))


def main(folder: Path, points: int, within_ms: int) -> None:
    exchange = Exchange(
        phones=lambda _persona, seed, _calling: Interrupter(seed, points, within_ms),
        personas=("interrupter",),
        ledger=Ledger(None),
        wire=WireLog(folder),
        clock=CarrierClock(0.0),
        seed=SEED,
        cps=50.0,
    )
    listener, key = bind(0), api_key(SEED)
    server = uvicorn.Server(server_config(build_app(exchange, key=key, seed=SEED)))
    threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    sys.stdout.write(json.dumps({"env": environment(exchange, listener.getsockname()[1], key)}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def _end_with_stdin(server: uvicorn.Server) -> None:
    while os.read(0, 4096):
        pass
    server.should_exit = True


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
