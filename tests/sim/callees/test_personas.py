"""Scripted assistants talk with every persona through real audio, in 20 ms steps of virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agenx_cli.sim.callees import PERSONAS, Callee, HangUp
from agenx_cli.sim.callees.books import BOOKS
from agenx_cli.sim.callees.callee import LONGEST_MS
from agenx_cli.sim.sound import FRAME, SILENCE, Garbled, Listener, Said, speak

QUIET = SILENCE * FRAME
SEEDS = range(51)
PITCH = (
    "Le cuento: en Agenx AI automatizamos procesos con inteligencia artificial, desde la atención telefónica hasta la "
    "facturación, y las empresas como la suya ahorran muchas horas cada semana. ¿Le interesa?"
)
SPANISH = {
    "opening": "Hola, soy Clara, asistente de inteligencia artificial de Agenx AI. ¿Tiene un minuto?",
    "pitch": PITCH,
    "offer": "¿Le viene bien el martes 24 a las 10:00 o el miércoles 25 a las 11:30?",
    "confirm": "Entonces el {slot}. ¿Lo confirmo?",
    "booked": "Queda reservada la reunión. Gracias, adiós.",
    "removed": "Entendido, no volveremos a llamarle. Disculpe. Adiós.",
    "sorry": "Gracias por su tiempo. Adiós.",
    "idle": "¿Sigue ahí?",
}
ENGLISH = {
    "opening": "Hello, this is Clara, an artificial intelligence assistant of Agenx AI. Do you have a minute?",
    "pitch": "At Agenx AI we automate processes with artificial intelligence, from answering the phone to sending the "
    "invoices, and companies like yours save many hours every week with it. Are you interested?",
    "offer": "Does Tuesday the 24th at 10:00 am or Wednesday the 25th at 11:30 am work for you?",
    "confirm": "So {slot}. Shall I book it?",
    "booked": "The meeting is booked. Thank you, goodbye.",
    "removed": "I understand, we won't call you again. Goodbye.",
    "sorry": "Thank you for your time. Goodbye.",
    "idle": "Are you still there?",
}
SLOTS = {"es": ("martes 24 a las 10:00", "miércoles 25 a las 11:30"), "en": ("Tuesday", "Wednesday")}


@dataclass
class Assistant:
    """A scripted one: answers 300 ms after the callee has stopped; stops talking when talked to for 460 ms."""

    lines: dict[str, str]
    opens: bool = True
    chosen: str | None = None
    confirmed: bool = False
    ended: str | None = None
    heard: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def answer(self, text: str) -> str | None:
        low = text.lower()

        def has(*words: str) -> bool:
            return any(word in low for word in words)

        if has("vuelvan a llamar", "llamen más", "call me again", "calling me"):
            return self.end("opted_out", "removed")
        if has("no me interesa", "no nos interesa", "not interested"):
            return self.end("not_interested", "sorry")
        if has("señal", "tone", "beep"):
            self.ended = "voicemail"
        if has("señal", "tone", "beep", "adiós", "luego", "bye"):
            return None
        return self.sell(low, wants=has("reunión", "meeting"))

    def sell(self, low: str, *, wants: bool) -> str | None:
        if self.chosen is None and "offer" in self.said:
            return self.choose(low)
        if self.chosen is not None and not self.confirmed:
            self.confirmed = True
            return self.end("meeting_booked", "booked")
        return self.say("offer" if wants or "pitch" in self.said else "pitch")

    def choose(self, low: str) -> str | None:
        places = (
            ("10", "martes", "tuesday", "primera", "first"),
            ("11", "miércoles", "wednesday", "segunda", "second"),
        )
        for place, words in enumerate(places):
            if any(word in low for word in words):
                slots = SLOTS["es" if self.lines is SPANISH else "en"]
                self.chosen = slots[place]
                return self.say("confirm").format(slot=self.chosen)
        return self.say("offer")

    def end(self, ended: str, line: str) -> str:
        self.ended = ended
        return self.say(line)

    def say(self, line: str) -> str:
        self.said.append(line)
        return self.lines[line]


@dataclass
class Line:
    """A telephone line between the two; ``spoil`` may change what the callee is played."""

    callee: Callee
    assistant: Assistant
    spoil: Callable[[bytes, int], bytes] = lambda frame, _at: frame
    at_ms: int = 0
    cleared: int = 0
    voiced: list[bytes] = field(default_factory=list)

    def run(self) -> int:
        """Until the callee hangs up; answers when that was."""
        ears, mouth, turn = Listener(), b"", []
        silent_ms, talked_ms, idle_ms = 0, 0, 0
        if self.assistant.opens:
            mouth = speak(self.assistant.say("opening"), voice=1)
        while True:
            frame, mouth = mouth[:FRAME].ljust(FRAME, SILENCE), mouth[FRAME:]
            said = self.callee.step(self.spoil(frame, self.at_ms), self.at_ms)
            if isinstance(said, HangUp):
                return self.at_ms
            assert len(said) == FRAME
            self.at_ms += 20
            if said != QUIET:
                self.voiced.append(said)
                turn += [each for each in ears.hear(said) if isinstance(each, Said | Garbled)]
                silent_ms, talked_ms, idle_ms = 0, talked_ms + 20, 0
                if mouth and talked_ms > 460:
                    mouth, self.cleared = b"", self.cleared + 1
                continue
            silent_ms, talked_ms, idle_ms = silent_ms + 20, 0, 0 if mouth else idle_ms + 20
            if silent_ms == 300:
                turn += ears.flush()
                text = " ".join(each.text for each in turn if isinstance(each, Said))
                turn = []
                if text:
                    self.assistant.heard.append(text)
                    if (answer := self.assistant.answer(text)) is not None:
                        mouth = speak(answer, voice=1)
            if idle_ms == 2_000 and self.assistant.ended is None:
                mouth, idle_ms = speak(self.assistant.say("idle"), voice=1), 0


def talk(persona: str, seed: int, lines: dict[str, str] = SPANISH, **options: object) -> Line:
    line = Line(Callee(persona, seed, **options), Assistant(lines))  # type: ignore[arg-type]
    line.run()
    return line


def said_by(callee: Callee) -> list[str]:
    return [text for _, who, text in callee.log if who == "said"]


def heard_by(callee: Callee) -> list[str]:
    return [text for _, who, text in callee.log if who == "heard"]


def said(line: Line) -> list[str]:
    return said_by(line.callee)


def heard(line: Line) -> list[str]:
    return heard_by(line.callee)


def chunks(audio: bytes) -> list[bytes]:
    return [audio[at : at + FRAME].ljust(FRAME, SILENCE) for at in range(0, len(audio), FRAME)]


BOTH = pytest.mark.parametrize("lines", [SPANISH, ENGLISH], ids=["es", "en"])
EVERY = pytest.mark.parametrize("persona", PERSONAS)


@BOTH
def test_the_interested_one_books_a_meeting_in_our_language(lines):
    for seed in SEEDS:
        line = talk("interested", seed, lines)
        assert line.assistant.ended == "meeting_booked", line.callee.log
        assert line.at_ms < LONGEST_MS - 2_000
        assert line.assistant.said[-1] == "booked"


@BOTH
def test_the_one_who_interrupts_cuts_in_and_still_books_a_meeting(lines):
    times = set()
    for seed in SEEDS:
        line = talk("interrupts", seed, lines)
        assert line.assistant.ended == "meeting_booked", line.callee.log
        times.add(line.cleared)
        assert any(text.endswith("…") for text in heard(line))
    assert times == {1}


def test_the_one_who_interrupts_does_so_once_or_twice_and_never_the_first_utterance():
    counts = set()
    for seed in SEEDS:
        callee, at_ms, spans = Callee("interrupts", seed), 0, []
        for text in (PITCH, PITCH, PITCH, PITCH):
            audio = speak(text, voice=1)
            spans.append((at_ms, at_ms + len(audio) // 8))
            audio += SILENCE * 8_000
            for at in range(0, len(audio), FRAME):
                callee.step(audio[at : at + FRAME], at_ms)
                at_ms += 20
        spoke = [at for at, who, _ in callee.log if who == "said"]
        cuts = [sum(start + 780 <= at < end for at in spoke) for start, end in spans]
        assert cuts[0] == 0
        assert max(cuts) == 1
        counts.add(sum(cuts))
    assert counts == {1, 2}


@pytest.mark.parametrize("phrases", [*(book[key] for book in BOOKS.values() for key in ("cut_in", "cut_in_again"))])
def test_who_cuts_in_talks_for_more_than_half_a_second(phrases):
    assert all(len(speak(phrase)) > 8 * 600 for phrase in phrases)


@BOTH
def test_the_uninterested_one_declines_politely_and_says_goodbye(lines):
    for seed in SEEDS:
        line = talk("not_interested", seed, lines)
        assert line.assistant.ended == "not_interested", line.callee.log
        assert line.at_ms < 6_000
        assert len(said(line)) == 2


@BOTH
def test_the_one_who_wants_no_calls_says_so_and_hangs_up_after_our_answer(lines):
    for seed in SEEDS:
        line = talk("do_not_call", seed, lines)
        assert line.assistant.ended == "opted_out", line.callee.log
        assert line.at_ms < 6_000


def test_the_mailbox_greets_beeps_listens_and_hangs_up():
    tongues = set()
    for seed in SEEDS:
        line = talk("voicemail", seed)
        callee = line.callee
        assert callee.answered_by == "machine"
        assert said(line)[-1] == "(beep)"
        assert line.assistant.ended == "voicemail"
        assert line.at_ms == 12_000
        tongues.add("buzón" in said(line)[0])
        voiced = b"".join(line.voiced)
        assert callee.machine_verdict_ms <= callee.end_of_greeting_ms < 4_000
        last_voiced = max(at for at, who, _ in callee.log if who == "said") + 400
        assert abs(last_voiced - callee.end_of_greeting_ms) <= 100
        assert len(voiced) > 8_000
    assert tongues == {True, False}


def test_a_mailbox_that_rang_us_speaks_after_our_opening():
    for seed in range(10):
        line = talk("voicemail", seed, calling=True)
        first = next(at for at, who, _ in line.callee.log if who == "said")
        assert first > 1_000
        assert line.assistant.ended == "voicemail"


def test_the_silent_one_stays_silent_until_15_seconds():
    line = talk("silent", 1)
    assert line.at_ms == LONGEST_MS
    assert said(line) == []
    assert line.voiced == []
    assert "¿Sigue ahí?" in heard(line)


@EVERY
@pytest.mark.parametrize("calling", [True, False])
def test_no_call_lasts_longer_than_15_seconds_even_if_nobody_speaks(persona, calling):
    for seed in range(10):
        callee, at_ms = Callee(persona, seed, calling=calling), 0
        while not isinstance(callee.step(QUIET, at_ms), HangUp):
            at_ms += 20
        assert at_ms <= LONGEST_MS
        hellos = [text for _, who, text in callee.log if who == "said"]
        if persona in ("interested", "not_interested", "interrupts", "do_not_call"):
            assert len(hellos) == (1 if calling else 2)


@EVERY
def test_the_same_seed_makes_the_same_call_and_another_one_differs(persona):
    assert talk(persona, 7).callee.log == talk(persona, 7).callee.log
    if persona != "silent":
        assert len({str(talk(persona, seed).callee.log) for seed in range(10)}) > 3


def test_called_it_says_hello_only_when_nobody_speaks_yet():
    assert said(talk("interested", 3))[0] not in ("¿Dígame?", "¿Diga?", "¿Hola?")
    line = Line(Callee("interested", 3), Assistant(SPANISH, opens=False))
    line.run()
    assert line.assistant.heard[0].startswith("¿")
    assert line.assistant.ended == "meeting_booked"


def test_it_takes_its_turn_a_quarter_to_almost_half_a_second_after_us():
    ends = len(speak(SPANISH["opening"])) // 8
    gaps = set()
    for seed in SEEDS:
        line = talk("interested", seed)
        gaps.add(next(at for at, who, _ in line.callee.log if who == "said") - ends)
    assert min(gaps) >= 240
    assert max(gaps) <= 480
    assert len(gaps) > 5


def drop_every(n: int) -> Callable[[bytes, int], bytes]:
    count = 0

    def spoil(frame: bytes, _at: int) -> bytes:
        nonlocal count
        count += frame != QUIET
        return QUIET if frame != QUIET and count % n == 0 else frame

    return spoil


def test_what_is_damaged_is_asked_for_twice_and_then_it_hangs_up():
    line = Line(Callee("interested", 5), Assistant(SPANISH), spoil=drop_every(10))
    line.run()
    assert line.assistant.ended is None
    assert len([text for text in said(line) if "oído" in text]) == 2
    assert said(line)[-1] == "No le oigo, lo siento. Adiós."
    assert not any(text.endswith("?") for text in heard(line))


def test_it_hangs_up_soon_after_our_goodbye():
    line = talk("interested", 4)
    last = [at for at, who, _ in line.callee.log if who == "said"][-1]
    assert 600 <= line.at_ms - last <= 1_100


def test_an_unknown_persona_is_refused():
    with pytest.raises(ValueError, match="unknown persona 'angry'"):
        Callee("angry", 0)


@EVERY
def test_the_line_is_told_when_a_detector_would_know(persona):
    for seed in range(5):
        callee = Callee(persona, seed)
        assert callee.answers
        assert 400 <= callee.ring_ms <= 1_400
        assert 0 < callee.machine_verdict_ms <= 5_000
        assert callee.answered_by == ("machine" if persona == "voicemail" else "human")


def test_while_we_look_something_up_it_waits():
    callee = Callee("interested", 2)
    for at_ms, frame in enumerate([*chunks(speak("Un momento, por favor."))] + [QUIET] * 100):
        assert callee.step(frame, 20 * at_ms) == QUIET


def test_the_one_who_was_cut_off_in_a_hold_waits_for_the_rest():
    """A pause of 900 ms inside an utterance is not its end, one of two seconds is."""
    audio = chunks(speak(SPANISH["opening"]))
    for pause, answered in ((45, True), (100, False)):
        callee = Callee("interested", 2)
        for at_ms, frame in enumerate(audio[:30] + [QUIET] * pause + audio[30:] + [QUIET] * 80):
            callee.step(frame, 20 * at_ms)
        assert (SPANISH["opening"] in heard_by(callee)) is answered
        assert any("oído" in text for text in said_by(callee)) is not answered


def test_asked_to_repeat_it_says_the_same_again():
    callee = Callee("not_interested", 2)
    for at_ms, frame in enumerate(
        chunks(speak(SPANISH["opening"]))
        + [QUIET] * 100
        + chunks(speak("Perdone, no le he entendido. ¿Puede repetirlo?"))
        + [QUIET] * 100
    ):
        callee.step(frame, 20 * at_ms)
    first, second = said_by(callee)
    assert first == second
    assert "interesa" in first
