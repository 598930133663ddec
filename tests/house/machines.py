"""Draws the machines from the machines: every state is reached by running the real code, no arrow is written by hand.

``python -m tests.house.machines`` writes ``docs/machines.md``; ``test_machines`` compares.
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from agenx_cli.core import attempt
from agenx_cli.core.attempt import CarrierProgress, CarrierStatus, Facts, Phase
from agenx_cli.core.bargein import FRAME_MS, BargeIn, Verdict
from agenx_cli.core.writer import ANSWER, UNKNOWN, Writer

PAGE = Path(__file__).parents[2] / "docs/machines.md"
T0 = datetime(2026, 11, 24, tzinfo=UTC)

Arrows = dict[tuple[str, str], list[str]]


def drawn(first: str, arrows: Arrows) -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {start} --> {end}: {' · '.join(labels)}" for (start, end), labels in arrows.items()]
    return [*lines, "```"]


# --- the writer


def writer_state(writer: Writer) -> str:
    if writer.idle:
        return "idle"
    if writer.reply_id == UNKNOWN:
        return "waiting_for_an_unknown_reply" + ("_unwanted" if writer.discarded else "")
    return ("asked" if writer.reply_id is None else "active") + ("_unwanted" if writer.discarded else "")


WRITER: dict[str, tuple[Callable[[Writer], bool], Callable[[Writer], object]]] = {
    "ask": (lambda w: w.due(0), lambda w: w.ask("c", 0)),
    "started": (lambda w: w.command_id is not None, lambda w: w.started("r", 0)),
    "ended": (lambda w: bool(w.reply_id), lambda w: w.ended("r")),
    "another ended": (lambda _: True, lambda w: w.ended("another")),
    "stop": (lambda _: True, lambda w: w.stop()),
    "refused, another is active": (lambda w: w.command_id is not None and not w.discarded, lambda w: w.blocked(0)),
    "refused or silent for 10 s": (lambda w: not w.idle, lambda w: w.release()),
}
"""Operation → when the conversation uses it, and what it does."""


def writer_arrows() -> Arrows:
    arrows: Arrows = defaultdict(list)
    start = Writer(wish=ANSWER)
    seen, todo = {"idle"}, [start]
    while todo:
        writer = todo.pop(0)
        for name, (allowed, act) in WRITER.items():
            after = copy.copy(writer)
            if not allowed(after):
                continue
            act(after)
            after.wish = ANSWER
            before, now = writer_state(writer), writer_state(after)
            if now != before:
                arrows[before, now].append(name)
            if now not in seen:
                seen.add(now)
                todo.append(after)
    return arrows


# --- the phases of an attempt


def reports() -> Iterable[tuple[str, attempt.CallEvent]]:
    for status in CarrierStatus:
        yield status.value, CarrierProgress(status, T0)
    yield "Uncertain", attempt.Uncertain("timeout")
    yield "Accepted", attempt.Accepted()
    yield "NotPlaced", attempt.NotPlaced("x")
    yield "Lost", attempt.Lost()
    yield "StreamStarted", attempt.StreamStarted(T0)


def phase_arrows() -> Arrows:
    known = {Phase.DIALING: Facts()}
    for _ in Phase:
        for facts in list(known.values()):
            for _, event in reports():
                after = attempt.fold(facts, event)
                known.setdefault(attempt.phase(after), after)
    arrows: Arrows = {}
    for before in sorted(known):
        for name, event in reports():
            after = attempt.phase(attempt.fold(known[before], event))
            if after != before:
                arrows.setdefault((before.name.lower(), after.name.lower()), []).append(name)
    return dict(sorted(arrows.items(), key=lambda arrow: (Phase[arrow[0][0].upper()], Phase[arrow[0][1].upper()])))


# --- barge-in


def barge_in_table() -> list[str]:
    lines = ["| sound while the assistant has the floor | brings, after |", "|---|---|"]
    for name, frames in (
        ("60 ms of voice", "V" * 3 + "-" * 60),
        ("80 ms of voice, then quiet", "V" * 4 + "-" * 60),
        ("440 ms of voice, then quiet", "V" * 22 + "-" * 60),
        ("voice without end", "V" * 60),
        ("voice in fits and starts", "VVVV" + "----V" * 20),
    ):
        barge = BargeIn()
        verdicts = []
        for n, frame in enumerate(frames):
            verdict = barge.frame(voiced=frame == "V", floor=True, now=n * FRAME_MS)
            if verdict is not None:
                verdicts.append(f"{verdict.name} {(n + 1) * FRAME_MS} ms")
            if verdict not in (None, Verdict.HOLD):
                break
        lines.append(f"| {name} | {', '.join(verdicts) or 'nothing'} |")
    return lines


def page() -> str:
    return "\n".join(
        [
            "# The machines, drawn from the code",
            "",
            "Made by `python -m tests.house.machines`; a test compares. Do not edit by hand.",
            "",
            "## The single writer (`core.writer`): one reply at a time",
            "",
            "`stop` is a barge-in. What is not wanted any more is cancelled once it has an id, and still waited for.",
            "",
            *drawn("idle", writer_arrows()),
            "",
            "## How far an attempt got (`core.attempt`)",
            "",
            "Reports in any order, any number of times; it only rises. Lower-case words are the carrier's statuses.",
            "",
            *drawn("dialing", phase_arrows()),
            "",
            "## Hold, then decide (`core.bargein`)",
            "",
            *barge_in_table(),
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
