"""What a callee makes of the sound on its line: turns, their ends, and damage.

The only way in is ``sim.sound.Listener``. A *turn* is all that the other side said since the callee last spoke.
"""

from agenx_cli.sim.sound import FRAME, SILENCE, Garbled, Heard, Listener, Said

STEP_MS = 20
PATIENCE_MS = 1_200
"""Silence inside an unfinished utterance after which it is taken for cut off: longer than a polite pause."""


class Ears:
    """Follows one line, 20 ms at a time."""

    __slots__ = ("_listener", "_overlapped", "_voiced_ms", "finished", "garbled", "last_sound_ms", "texts")

    def __init__(self) -> None:
        self._listener = Listener()
        self._overlapped = False
        self._voiced_ms = 0
        self.last_sound_ms: int | None = None
        self.texts: list[str] = []
        """The whole utterances of this turn."""
        self.garbled = False
        """Whether the latest of this turn was sound that could not be understood."""
        self.finished = 0
        """Whole utterances heard since the call began."""

    @property
    def utterance_ms(self) -> int:
        """How long the utterance that goes on right now has been sounding; 0 when none does."""
        return self._voiced_ms if self._listener.listening else 0

    def hear(self, frame: bytes, at_ms: int, *, speaking: bool) -> list[str]:
        """Take 20 ms; answer what was understood to its end by them. ``speaking``: the callee talks itself."""
        heard = []
        if frame.count(SILENCE) < FRAME:
            self.last_sound_ms = at_ms + STEP_MS
            self._voiced_ms += STEP_MS
            self._overlapped |= speaking
            heard = self._take(self._listener.hear(frame))
        elif self._waited(at_ms) >= PATIENCE_MS and self._voiced_ms:
            heard = self._take(self._listener.flush())
            self._voiced_ms, self._overlapped = 0, False
        return heard

    def turn_over(self, at_ms: int, gap_ms: int) -> bool:
        """Whether the other side has said something, to its end, and has been silent for ``gap_ms``."""
        return bool(self.texts or self.garbled) and not self._listener.listening and self._waited(at_ms) >= gap_ms

    def turn(self) -> str:
        """What was said in this turn, which is thereby over."""
        text = " ".join(self.texts)
        self.texts, self.garbled = [], False
        return text

    def _waited(self, at_ms: int) -> int:
        return 0 if self.last_sound_ms is None else at_ms - self.last_sound_ms

    def _take(self, heard: list[Heard]) -> list[str]:
        understood = []
        for each in heard:
            if isinstance(each, Said) and each.complete:
                self.texts.append(each.text)
                self.finished += 1
                self.garbled = False
                understood.append(each.text)
            elif isinstance(each, Said | Garbled):
                text = each.text if isinstance(each, Said) else each.text_before
                self.garbled = not self._overlapped
                understood.append(f"{text} …".lstrip())
            else:
                continue
            self._voiced_ms, self._overlapped = 0, False
        return understood
