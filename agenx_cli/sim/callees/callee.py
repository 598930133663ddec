"""One simulated person or machine on a telephone line, driven 20 ms at a time.

A callee knows only what it hears: what it is played goes through ``sim.sound``, and nothing else reaches it.
"""

import math

from agenx_cli.sim.babble import RATE_HZ, ulaw
from agenx_cli.sim.callees.ears import Ears
from agenx_cli.sim.callees.people import BEEP, Chance, Line, Machine, Nobody, Person, Who
from agenx_cli.sim.callees.phrases import Language
from agenx_cli.sim.callees.scripts import SCRIPTS
from agenx_cli.sim.sound import FRAME, SILENCE, speak

PERSONAS: tuple[str, ...] = ("interested", "not_interested", "interrupts", "do_not_call", "voicemail", "silent")

LONGEST_MS = 15_000
"""No persona's call lasts longer."""
_RECORDS_UNTIL_MS = 12_000
_BYE_MS = 600
_HELLO_MS, _HELLO_IS_OVER_MS = 200, 500
_GREETING_IS_LONG_MS, _NOBODY_SPEAKS_MS = 2_400, 5_000
_VOICES = (0, 2, 3)
_PER_MS = RATE_HZ // 1_000


class HangUp:
    """The callee ends the call."""


class Callee:
    """A persona at the other end of one call.

    The times are in ms from the answer: ``machine_verdict_ms`` is when an answering-machine detector would know
    ``answered_by``; ``end_of_greeting_ms`` is when the first thing that is said is over (a mailbox: its beep).
    ``calling``: it is the one who rang; ``language``: its mother tongue, until it hears the other one.
    ``log`` holds (at_ms, "heard" or "said", text) of the call so far.
    Raises ValueError for an unknown persona.
    """

    def __init__(
        self,
        persona: str,
        seed: int,
        *,
        calling: bool = False,
        language: Language | None = None,
        chars_per_second: float = 90.0,
    ) -> None:
        if persona not in PERSONAS:
            raise ValueError(f"unknown persona {persona!r}: one of {', '.join(PERSONAS)}")
        chance = Chance(persona, seed)
        self.persona = persona
        self.answers = True
        self.ring_ms = chance.between(400, 1_400, "ring")
        self.answered_by = "machine" if persona == "voicemail" else "human"
        self.log: list[tuple[int, str, str]] = []
        self._speed = chars_per_second
        self._voice = _VOICES[chance.number("voice") % len(_VOICES)]
        self._ears = Ears()
        self._who = _who(persona, chance, language, calling=calling)
        self._leaves_at = _RECORDS_UNTIL_MS if persona == "voicemail" else LONGEST_MS
        self._mouth = b""
        self.end_of_greeting_ms, self.machine_verdict_ms = self._verdict()

    def step(self, heard: bytes, at_ms: int) -> bytes | HangUp:
        """20 ms on the line: what it plays to the callee, for what the callee says, 160 bytes of μ-law each.

        0xFF is silence. Once it answers HangUp, the call is over for it.
        """
        speaking = bool(self._mouth)
        self.log += [(at_ms, "heard", text) for text in self._ears.hear(heard, at_ms, speaking=speaking)]
        if at_ms >= self._leaves_at:
            return HangUp()
        line = self._who.next(self._ears, at_ms, speaking=speaking)
        if line is not None:
            self._say(line, at_ms)
        frame, self._mouth = self._mouth[:FRAME], self._mouth[FRAME:]
        return frame.ljust(FRAME, SILENCE)

    def _verdict(self) -> tuple[int, int]:
        """End of greeting and moment of the verdict: after 2.4 s of a machine, 0.5 s after a hello, 5 s of nothing."""
        who = self._who
        if isinstance(who, Machine):
            end = who.starts_at + sum(len(self._sound(line)) for line in who.lines) // _PER_MS
            return end, min(end, who.starts_at + _GREETING_IS_LONG_MS)
        if isinstance(who, Person) and who.hello_at is not None:
            end = who.hello_at + _HELLO_MS
            return end, end + _HELLO_IS_OVER_MS
        return 0, _NOBODY_SPEAKS_MS

    def _say(self, line: Line, at_ms: int) -> None:
        self.log.append((at_ms, "said", line.text))
        self._mouth = self._sound(line)
        if line.leave:
            self._leaves_at = min(self._leaves_at, at_ms + len(self._mouth) // _PER_MS + _BYE_MS)

    def _sound(self, line: Line) -> bytes:
        words = beep() if line.text == BEEP else speak(line.text, voice=self._voice, chars_per_second=self._speed)
        return words + SILENCE * (line.quiet_ms * _PER_MS)


def beep(ms: int = 400, hertz: int = 1_000) -> bytes:
    """A mailbox's tone in μ-law, about -14 dBFS, without a sample of digital silence and without words."""
    step = 2 * math.pi * hertz / RATE_HZ
    return bytes(min(ulaw(9_000 * math.sin(step * (n + 0.5))), 0xFE) for n in range(ms * _PER_MS))


def _who(persona: str, chance: Chance, language: Language | None, *, calling: bool) -> Who:
    if persona == "silent":
        return Nobody()
    if persona == "voicemail":
        return Machine(chance, language or ("es", "en")[chance.number("language") % 2], calling=calling)
    return Person(SCRIPTS[persona], chance, language or "es", calling=calling)
