"""The conversation so far, as it bears on the next sentence. Everything here is read from the items, nothing is kept.

*Fresh* is what came after the assistant's last words: tool outputs not yet spoken of, and what the callee said.
"""

from dataclasses import dataclass
from typing import Any

from agenx_cli.sim.mind.briefing import Language
from agenx_cli.sim.mind.sentences import starts_like
from agenx_cli.sim.mind.times import Slot, parsed, slots_in
from agenx_cli.sim.mind.tools import Purpose, Tools
from agenx_cli.sim.mind.view import Memory


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool's output. ``purpose`` is None when the tool called does not exist."""

    purpose: Purpose | None
    name: str
    arguments: str
    output: str

    @property
    def error(self) -> str | None:
        """The complaint in it, if it is one."""
        value = parsed(self.output)
        complaint: Any = value.get("error") if isinstance(value, dict) else None
        return None if complaint is None else str(complaint)


class Tape:
    """Memories with their meaning."""

    def __init__(self, memories: tuple[Memory, ...], tools: Tools, language: Language) -> None:
        self._language = language
        self._calls = {memory.call_id: memory for memory in memories if memory.kind == "call"}
        spoke = [index for index, memory in enumerate(memories) if memory.kind == "assistant" and memory.text]
        fresh = memories[spoke[-1] + 1 :] if spoke else memories
        last_output = max((i for i, memory in enumerate(fresh) if memory.kind == "output"), default=-1)
        self.said = [memory.text for memory in memories if memory.kind == "assistant" and memory.text]
        self.heard = " ".join(memory.text for memory in memories if memory.kind == "callee")
        self.turn = [memory for memory in fresh[last_output + 1 :] if memory.kind == "callee"]
        self.before_output = [memory for memory in fresh[: last_output + 1] if memory.kind == "callee"]
        self.answers = [self._answer(memory, tools) for memory in memories if memory.kind == "output"]
        self.fresh_answers = [self._answer(memory, tools) for memory in fresh if memory.kind == "output"]

    def _answer(self, memory: Memory, tools: Tools) -> Answer:
        call = self._calls.get(memory.call_id, Memory("call"))
        return Answer(tools.purpose_of(call.name), call.name, call.arguments, memory.text)

    @property
    def asked(self) -> str:
        """The assistant's last words that moved the talk on: no "are you still there", no "say that again"."""
        aside = ("there", "repeat")
        told = [text for text in self.said if not any(starts_like(text, key, self._language) for key in aside)]
        return told[-1] if told else ""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The free times that a tool told of last; empty when none did."""
        for answer in reversed(self.answers):
            slots = slots_in(answer.output, self._language) if answer.purpose in _TELL_SLOTS else None
            if slots is not None:
                return slots
        return ()

    @property
    def offered(self) -> tuple[Slot, ...]:
        """The free times in the assistant's last words."""
        return tuple(slot for slot in self.slots if slot.spoken in self.asked)

    @property
    def refused(self) -> tuple[Slot, ...]:
        """The free times that were offered at any moment."""
        return tuple(slot for slot in self.slots if any(slot.spoken in text for text in self.said))

    @property
    def outcome(self) -> str | None:
        """How the call stands, by the tools that succeeded."""
        done = [answer.purpose for answer in self.answers if answer.error is None]
        for purpose, outcome in _OUTCOMES:
            if purpose in done:
                return outcome
        return None

    def failures(self, purpose: Purpose | None) -> int:
        """How often a tool of this purpose complained."""
        return sum(answer.purpose == purpose and answer.error is not None for answer in self.answers)


_TELL_SLOTS = (Purpose.AVAILABILITY, Purpose.BOOK)
_OUTCOMES = (
    (Purpose.OPT_OUT, "opted_out"),
    (Purpose.CANCEL, "goodbye"),
    (Purpose.BOOK, "booked"),
    (Purpose.CALLBACK, "callback"),
)
