"""What the assistant said: generated text beside what of it was heard."""

import re
from dataclasses import dataclass

from agenx_cli.core.playout import BYTES_PER_MS
from agenx_cli.core.signals import Line

SENTENCE = re.compile(r"[^.!?…]*[.!?…]+\s*|[^.!?…]+$")
CUT = "—"
"""Ends a line that was not heard to its end."""


@dataclass(slots=True)
class Utterance:
    """One stretch of speech. ``received`` is its audio in bytes, ``final`` says that its line is settled."""

    reply_id: str
    at_ms: int
    received: int = 0
    text: str = ""
    final: bool = False

    @property
    def total_ms(self) -> int:
        """How long it is, as far as it was received."""
        return self.received // BYTES_PER_MS


class Spoken:
    """Every utterance of a call, by id, in the order in which they began."""

    def __init__(self) -> None:
        self._utterances: dict[str, Utterance] = {}

    def begin(self, utterance_id: str, reply_id: str, at_ms: int) -> Utterance:
        """The utterance of that id; a new one is expected to be heard from ``at_ms`` on."""
        return self._utterances.setdefault(utterance_id, Utterance(reply_id, at_ms))

    def __getitem__(self, utterance_id: str) -> Utterance:
        return self._utterances[utterance_id]

    def write(self, utterance_id: str, text: str) -> Line | None:
        """More text of a wanted utterance. One that was heard already gets its line anew."""
        utterance = self._utterances[utterance_id]
        utterance.text += text
        return _line(utterance_id, utterance, utterance.total_ms) if utterance.final else None

    def of_reply(self, reply_id: str) -> dict[str, Utterance]:
        """The utterances of one reply."""
        return {key: found for key, found in self._utterances.items() if found.reply_id == reply_id}

    def is_silent(self, utterance_id: str) -> bool:
        """Whether nothing of an utterance was ever received to be played."""
        utterance = self._utterances.get(utterance_id)
        return utterance is None or not utterance.received

    def drop_silent(self, reply_id: str) -> list[str]:
        """Forget the utterances of a reply that never had a sound; answers which they were."""
        silent = [key for key, found in self.of_reply(reply_id).items() if not found.received]
        for key in silent:
            del self._utterances[key]
        return silent

    def question_ms(self) -> int:
        """How long before the end of what was said last the question in it began (an estimate); 0: it asked nothing."""
        if not self._utterances:
            return 0
        last = next(reversed(self._utterances.values()))
        return last.total_ms * questions_at_end(last.text) // max(1, len(last.text))

    def open(self) -> list[str]:
        """The utterances whose line is not settled."""
        return [key for key, found in self._utterances.items() if not found.final]

    def settle(self, utterance_id: str, heard_ms: int | None = None) -> Line | None:
        """The final line of an utterance of which ``heard_ms`` were heard (None: all).

        None if it has one, or if nothing of it was heard: it was never said.
        """
        utterance = self._utterances[utterance_id]
        if utterance.final:
            return None
        utterance.final = True
        if heard_ms == 0:
            return None
        return _line(utterance_id, utterance, utterance.total_ms if heard_ms is None else heard_ms)


def _line(utterance_id: str, utterance: Utterance, heard_ms: int) -> Line:
    text = heard_text(utterance.text, heard_ms, utterance.total_ms)
    if heard_ms < utterance.total_ms:
        text = f"{text} {CUT}".lstrip()
    return Line(utterance_id, "assistant", text, utterance.at_ms, heard_ms)


def questions_at_end(text: str) -> int:
    """How many characters the questions take with which a text ends."""
    length = 0
    for sentence in reversed(SENTENCE.findall(text)):
        if not sentence.rstrip().endswith("?"):
            break
        length += len(sentence)
    return length


def heard_text(text: str, heard_ms: int, total_ms: int) -> str:
    """The part of a text that was heard, by proportion, cut at the previous word (an estimate)."""
    if heard_ms == 0:
        return ""
    if heard_ms >= total_ms:
        return text.strip()
    upto = text[: len(text) * heard_ms // total_ms]
    return upto.rpartition(" ")[0].strip()
