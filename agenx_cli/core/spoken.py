"""What the assistant said: generated text beside what of it was heard."""

from dataclasses import dataclass

from agenx_cli.core.playout import BYTES_PER_MS
from agenx_cli.core.signals import Line


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

    def of_reply(self, reply_id: str) -> dict[str, Utterance]:
        """The utterances of one reply."""
        return {key: found for key, found in self._utterances.items() if found.reply_id == reply_id}

    def open(self) -> list[str]:
        """The utterances whose line is not settled."""
        return [key for key, found in self._utterances.items() if not found.final]

    def settle(self, utterance_id: str, heard_ms: int | None = None) -> Line | None:
        """The final line of an utterance of which ``heard_ms`` were heard (None: all), or None if it has one."""
        utterance = self._utterances[utterance_id]
        if utterance.final:
            return None
        utterance.final = True
        heard = utterance.total_ms if heard_ms is None else heard_ms
        text = heard_text(utterance.text, heard, utterance.total_ms)
        return Line(utterance_id, "assistant", text, utterance.at_ms, heard)


def heard_text(text: str, heard_ms: int, total_ms: int) -> str:
    """The part of a text that was heard, by proportion, cut at the previous word (an estimate)."""
    if heard_ms >= total_ms:
        return text.strip()
    upto = text[: len(text) * heard_ms // total_ms]
    return upto.rpartition(" ")[0].strip()
