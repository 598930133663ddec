"""Who is at the other end: persons, an answering machine, nobody. They decide what to say next; ``callee`` says it.

A person, in words:

1. Called, it says hello after 200 to 500 ms, unless it already hears somebody. Having called itself, it waits for ours.
2. When the other side has said something to its end and is silent for 250 to 450 ms, it answers by its script.
3. What it could not understand it asks to have repeated, twice at most; the third time it says so and hangs up.
   An utterance broken off while it talked itself is no damage: it was the cause.
4. If nobody speaks for 6 s it asks once whether somebody is there.
5. One that cuts in has heard one whole utterance before; then it talks into any that has sounded for 0.8 to 1.4 s, once
   or twice in the call, for more than half a second.
6. It answers in the language it hears.
7. A goodbye, its own or the answer to ours, is followed by 600 ms and the end of the call.
"""

import zlib
from dataclasses import dataclass
from typing import Protocol

from agenx_cli.sim.callees.books import BOOKS, GREETINGS, choice, phrase
from agenx_cli.sim.callees.ears import Ears
from agenx_cli.sim.callees.phrases import Intent, Language, intent_of, language_of
from agenx_cli.sim.callees.scripts import LEAVING, Script

ANYBODY_MS = 6_000
BEEP = "(beep)"


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say now. ``leave`` hangs up after it; ``quiet_ms`` is silence to keep before the next one."""

    text: str
    leave: bool = False
    quiet_ms: int = 0


class Who(Protocol):
    """One who may have something to say."""

    def next(self, ears: Ears, at_ms: int, *, speaking: bool) -> Line | None:
        """What to say at this moment, or nothing."""
        ...


class Chance:
    """Numbers that look like chance and are always the same for the same seed and question."""

    def __init__(self, persona: str, seed: int) -> None:
        self._salt = f"{persona}/{seed}"

    def number(self, question: str) -> int:
        """Any natural number."""
        return zlib.crc32(f"{self._salt}/{question}".encode()) >> 3

    def between(self, low: int, high: int, question: str) -> int:
        """A number of a closed range."""
        return low + self.number(question) % (high - low + 1)


class Person:
    """One of the personas that talk (rules above)."""

    def __init__(self, script: Script, chance: Chance, language: Language, *, calling: bool) -> None:
        self._script = script
        self._chance = chance
        self._language = language
        self._turns = 0
        self._times: dict[Intent, int] = {}
        self._last = ""
        self._sorries = 0
        self._asked = False
        self._cuts = 0
        self._cuts_most = min(script.cuts_in, chance.between(1, 2, "cuts"))
        self._armed = True
        self.hello_at: int | None = None if calling else chance.between(200, 500, "hello")
        self._waiting_since = 0

    def next(self, ears: Ears, at_ms: int, *, speaking: bool) -> Line | None:
        """The first of the rules that applies."""
        if ears.last_sound_ms is not None:
            self.hello_at = None
            self._waiting_since = max(self._waiting_since, ears.last_sound_ms)
        if not ears.utterance_ms:
            self._armed = True
        if speaking:
            self._waiting_since = at_ms
            return None
        if self.hello_at is not None and at_ms >= self.hello_at:
            self.hello_at = None
            return self._say("hello")
        if self._wants_in(ears):
            return self._cut_in(ears)
        if ears.turn_over(at_ms, self._chance.between(250, 450, f"gap{self._turns}")):
            self._turns += 1
            return self._sorry(ears) if ears.garbled else self._answer(ears.turn())
        if at_ms - self._waiting_since >= ANYBODY_MS and not self._asked:
            self._asked = True
            return self._say("anybody")
        return None

    def _wants_in(self, ears: Ears) -> bool:
        due = self._chance.between(800, 1_400, f"cut{self._cuts}")
        return self._cuts < self._cuts_most and self._armed and ears.finished > 0 and ears.utterance_ms >= due

    def _cut_in(self, ears: Ears) -> Line:
        self._language = language_of(ears.turn(), self._language)
        self._armed = False
        self._cuts += 1
        return self._say("cut_in" if self._cuts == 1 else "cut_in_again")

    def _sorry(self, ears: Ears) -> Line:
        self._language = language_of(ears.turn(), self._language)
        self._sorries += 1
        return self._say("sorry" if self._sorries <= 2 else "no_use")

    def _answer(self, heard: str) -> Line | None:
        self._language = language_of(heard, self._language)
        intent = intent_of(heard)
        cells = self._script.answers[intent]
        times = self._times.get(intent, 0)
        self._times[intent] = times + 1
        key = cells[min(times, len(cells) - 1)]
        if key == "quiet":
            return None
        if key == "choose":
            self._last = choice(BOOKS[self._language], heard, self._chance.number("choice"))
            return Line(self._last)
        return Line(self._last) if key == "again" and self._last else self._say(key)

    def _say(self, key: str) -> Line:
        self._last = phrase(self._language, key, self._chance.number(key))
        return Line(self._last, leave=key in LEAVING)


class Machine:
    """A mailbox: plays its greeting in sentences, beeps, and records in silence.

    Called, it starts at once; one that has called somebody itself (a robot's call) first waits for the end of what it
    hears, or 6 s.
    """

    def __init__(self, chance: Chance, language: Language, *, calling: bool) -> None:
        greetings = GREETINGS[language]
        greeting = greetings[chance.number("greeting") % len(greetings)]
        self.lines = [*(Line(sentence, quiet_ms=140) for sentence in greeting), Line(BEEP)]
        """What it is going to say, without a pause but those of the lines."""
        self.starts_at = ANYBODY_MS if calling else chance.between(300, 600, "greeting starts")
        self._calling = calling

    def next(self, ears: Ears, at_ms: int, *, speaking: bool) -> Line | None:
        """The next sentence when the last one is over."""
        if self._calling and ears.turn_over(at_ms, 400):
            self.starts_at = min(self.starts_at, at_ms)
        if speaking or not self.lines or at_ms < self.starts_at:
            return None
        return self.lines.pop(0)


class Nobody:
    """The line is open and nobody speaks."""

    def next(self, ears: Ears, at_ms: int, *, speaking: bool) -> Line | None:  # noqa: ARG002 - the shape of Who
        """Nothing, ever."""
        return None
