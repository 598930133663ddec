"""One reply: what to say and which tools to call, from what the mind is shown and nothing else.

The order in which it decides, the first that applies counts:

1. Instructions of the reply itself: say something exactly, ask whether they are there, say goodbye, greet.
2. Something urgent in the callee's words: a mailbox, no more calls, a wrong number, no interest.
3. A tool has answered: say what it said and never more; after an error correct the call once, then apologise.
4. The callee answered a question of ours: a time, a yes, a no, an address.
5. The callee asked something, or wants something. Whatever is not understood is asked again, never guessed.
6. Nobody said anything: introduce ourselves.
"""

import re

from agenx_cli.sim.mind.asked import obey
from agenx_cli.sim.mind.briefing import Language, language_of, named_language, read
from agenx_cli.sim.mind.intents import Intent, intents
from agenx_cli.sim.mind.sentences import ends_like, introduction, pitch, sentence, starts_like
from agenx_cli.sim.mind.tape import Answer, Tape
from agenx_cli.sim.mind.times import Slot, chosen, moment_in, next_morning, read_moment, said, slots_in, two_of
from agenx_cli.sim.mind.tools import Purpose, Tools
from agenx_cli.sim.mind.view import Thought, ToolUse, View

_CORRECTABLE = re.compile(r"json|argument|invalid|unknown|no such|interrupt|missing|required|must be", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NAME = re.compile(r"(?:me llamo|mi nombre es|my name is|a nombre de)\s+([A-ZÁÉÍÓÚÑ]\w+(?:\s+[A-ZÁÉÍÓÚÑ]\w+)*)")


def think(view: View) -> Thought:
    """The reply to a conversation as it stands."""
    thought = Mind(view).reply()
    if view.tool_choice == "none":
        return Thought(thought.say)
    return thought


def _language(view: View) -> Language:
    """The reply's own word for it, then the session's instructions, which a reply's replace; then what was spoken."""
    spoken = " ".join(memory.text for memory in view.memories if memory.kind in ("assistant", "callee"))
    if view.reply_instructions is None:
        return read(view.instructions).language
    named = named_language(view.reply_instructions)
    return named or language_of(spoken, language_of(view.reply_instructions, "en"))


class Mind:
    """One reply in the making."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._briefing = read(view.instructions if view.reply_instructions is None else view.reply_instructions)
        self._language = _language(view)
        self._tools = Tools(view.tools)
        self._tape = Tape(view.memories, self._tools, self._language)
        self._words = " ".join(memory.text for memory in self._tape.turn)
        self._intents = intents(self._words)

    def reply(self) -> Thought:
        """Decide."""
        if self._view.reply_instructions is not None:
            obeyed = obey(self._view.reply_instructions, self._briefing, self._language)
            if obeyed is not None:
                return obeyed
        urgent = self._urgent()
        if urgent is not None:
            return urgent
        answers = self._tape.fresh_answers
        told = answers and answers[-1].error is None and answers[-1].purpose is not Purpose.END
        if answers and (told or not self._tape.turn):
            return self._after(answers[-1])
        if self._tape.turn:
            return self._to_callee()
        return self._unasked()

    # --- saying and doing

    def _say(self, *keys: str, **fill: str) -> Thought:
        return Thought("".join(sentence(key, self._language, **fill) for key in keys))

    def _end(self, outcome: str, *keys: str, **fill: str) -> Thought:
        """The last words and the end of the call, in one reply."""
        return Thought(self._say(*keys, **fill).say, self._tools.use(Purpose.END, {"reason": outcome}))

    def _use(self, purpose: Purpose, **known: object) -> tuple[ToolUse, ...]:
        now = self._briefing.now
        email, name = _EMAIL.search(_as_address(self._tape.heard)), _NAME.search(self._tape.heard)
        facts = {
            "words": self._words,
            "now": None if now is None else now.isoformat(),
            "email": email.group() if email else None,
            "name": name.group(1) if name else None,
            **known,
        }
        return self._tools.use(purpose, {role: value for role, value in facts.items() if value is not None})

    # --- what cannot wait

    def _urgent(self) -> Thought | None:
        meant = self._intents
        if Intent.VOICEMAIL in meant:
            return Thought("", self._tools.use(Purpose.END, {"reason": "voicemail"}))
        if Intent.OPT_OUT in meant and self._tape.outcome != "opted_out":
            if self._tools.has(Purpose.OPT_OUT):
                return Thought("", self._use(Purpose.OPT_OUT, reason=self._words))
            return self._end("not_interested", "not_opted_out")
        if Intent.WRONG_PERSON in meant:
            return self._end("wrong_person", "wrong_person")
        if Intent.NOT_INTERESTED in meant and self._tape.outcome is None:
            return self._end("not_interested", "declined")
        return None

    # --- after a tool

    def _after(self, answer: Answer) -> Thought:
        if answer.error is not None and self._may_retry(answer):
            return self._again(answer)
        match answer.purpose:
            case Purpose.AVAILABILITY:
                return self._after_availability(answer)
            case Purpose.BOOK:
                return self._after_booking(answer)
            case Purpose.END:
                return self._after_end(answer)
            case Purpose.CALLBACK:
                return self._after_callback(answer)
            case _:
                return self._after_wish(answer)

    def _may_retry(self, answer: Answer) -> bool:
        if answer.purpose is Purpose.END or slots_in(answer.output, self._language):
            return False
        return self._tape.failures(answer.purpose) < 2 and (
            answer.purpose is None or _CORRECTABLE.search(answer.error or "") is not None
        )

    def _again(self, answer: Answer) -> Thought:
        """The same thought as before the failed call, made anew from what was said then."""
        self._words = " ".join(memory.text for memory in self._tape.before_output)
        self._intents = intents(self._words)
        urgent = self._urgent()
        if urgent is not None:
            return urgent
        if answer.purpose is Purpose.RECORD or not self._words:
            return self._say("sorry", "help")
        return self._to_callee()

    def _after_availability(self, answer: Answer) -> Thought:
        slots = slots_in(answer.output, self._language)
        if answer.error is not None:
            return self._offer_callback("agenda_fault")
        return self._offer(slots or (), otherwise="no_slots")

    def _offer(self, slots: tuple[Slot, ...], *, otherwise: str, first: tuple[str, ...] = ()) -> Thought:
        two = two_of(slots, self._tape.refused)
        if len(two) == 2:
            return self._say(*first, "offer_two", first=two[0].spoken, second=two[1].spoken)
        if two:
            return self._say(*first, "offer_one", first=two[0].spoken)
        return self._offer_callback(otherwise)

    def _offer_callback(self, reason: str) -> Thought:
        if self._tools.has(Purpose.CALLBACK) and self._briefing.now is not None:
            slot = said(next_morning(self._briefing.now), self._language)
            return self._say(reason, "call_then", slot=slot)
        return self._end("goodbye", reason, "will_write")

    def _after_booking(self, answer: Answer) -> Thought:
        if answer.error is None:
            slots = slots_in(f"[{answer.output}]", self._language) or self._tape.offered
            return self._end("booked", "booked", slot=slots[0].spoken if slots else "")
        alternatives = slots_in(answer.output, self._language)
        if alternatives and self._tape.failures(Purpose.BOOK) < 3:
            return self._offer(alternatives, otherwise="no_more", first=("taken",))
        if self._tape.failures(Purpose.BOOK) < 2 and self._tools.has(Purpose.AVAILABILITY):
            return Thought(self._say("taken").say.strip(), self._use(Purpose.AVAILABILITY))
        return self._end("goodbye", "not_booked")

    def _after_end(self, answer: Answer) -> Thought:
        if answer.error is None or self._tape.failures(Purpose.END) > 2:
            return Thought()
        heard = intents(self._tape.heard)
        if Intent.OPT_OUT in heard and self._tape.outcome is None and self._tools.has(Purpose.OPT_OUT):
            return Thought("", self._use(Purpose.OPT_OUT, reason=self._tape.heard))
        return Thought(self._say("bye").say, (ToolUse(answer.name, answer.arguments),))

    def _after_wish(self, answer: Answer) -> Thought:
        """Something that was written down for the callee, or a tool that does not exist."""
        outcomes: dict[Purpose | None, tuple[str, str, str]] = {
            Purpose.OPT_OUT: ("opted_out", "opted_out", "not_opted_out"),
            Purpose.CANCEL: ("goodbye", "cancelled", "not_cancelled"),
            Purpose.RECORD: ("callback", "will_call", "colleague"),
        }
        outcome, done, failed = outcomes.get(answer.purpose, ("goodbye", "colleague", "colleague"))
        return self._end(outcome, done if answer.error is None else failed)

    def _after_callback(self, answer: Answer) -> Thought:
        if answer.error is not None:
            return self._end("goodbye", "not_scheduled")
        when = read_moment(answer.output)
        if when is None:
            return self._end("callback", "colleague")
        if self._briefing.now is not None and when.tzinfo is not None:
            when = when.astimezone(self._briefing.now.tzinfo)
        return self._end("callback", "scheduled", slot=said(when, self._language))

    # --- to the callee

    def _to_callee(self) -> Thought:
        meant = self._intents
        if self._tape.outcome is not None:
            return self._farewell_again(meant)
        if not self._words or not self._all_understood():
            return self._say("there" if self._all_understood() else "repeat")
        if Intent.ROBOT in meant:
            return self._with_question(sentence("robot", self._language))
        if Intent.REPEAT in meant and chosen(self._words, self._tape.offered, self._tape.slots) is None:
            return self._with_question("", again=True)
        return self._answered() or self._wished() or self._to_question()

    def _wished(self) -> Thought | None:
        if Intent.CALLBACK in self._intents:
            return self._promise_call(self._words)
        return self._end("goodbye", "bye") if Intent.BYE in self._intents else None

    def _all_understood(self) -> bool:
        return all(memory.understood for memory in self._tape.turn)

    def _farewell_again(self, meant: frozenset[Intent]) -> Thought:
        outcome = self._tape.outcome or "goodbye"
        if Intent.CANCEL in meant and outcome == "booked" and self._tools.has(Purpose.CANCEL):
            return Thought("", self._use(Purpose.CANCEL))
        if not self._words and not self._all_understood():
            return self._say("repeat")
        if Intent.ROBOT in meant:
            return self._end(outcome, "robot", "bye")
        return self._end(outcome, "bye")

    def _answered(self) -> Thought | None:
        """The callee's answer to what we asked last, if it is one."""
        asked, meant = self._tape.asked, self._intents
        if starts_like(asked, "email", self._language) or starts_like(asked, "name", self._language):
            return self._book(self._proposed())
        if starts_like(asked, "call_when", self._language):
            return self._promise_call(self._words)
        if starts_like(asked, "call_then", self._language):
            return self._called_then(asked, meant)
        if not self._tape.offered:
            return None
        return self._picked(meant)

    def _picked(self, meant: frozenset[Intent]) -> Thought | None:
        """An answer to times that we offered or read back."""
        tape = self._tape
        slot = chosen(self._words, tape.offered, tape.slots)
        single = len(tape.offered) == 1 and tape.asked.rstrip().endswith("?")
        if single and Intent.YES in meant and slot in (None, tape.offered[0]):
            return self._book(tape.offered[0])
        if slot is not None and Intent.NO not in meant:
            return self._say("read_back", slot=slot.spoken)
        if meant & {Intent.NO, Intent.OTHER_TIME}:
            if slot is not None and slot not in tape.offered:
                return self._say("read_back", slot=slot.spoken)
            return self._offer(tape.slots, otherwise="no_more")
        if meant & {Intent.YES, Intent.INTEREST} and len(tape.offered) == 2:
            first, second = tape.offered
            return self._say("which", first=first.spoken, second=second.spoken)
        return None

    def _proposed(self) -> Slot | None:
        """The slot that was read back last."""
        for text in reversed(self._tape.said):
            if ends_like(text, "read_back", self._language) or ends_like(text, "offer_one", self._language):
                held = [slot for slot in self._tape.slots if slot.spoken in text]
                if len(held) == 1:
                    return held[0]
        return None

    def _book(self, slot: Slot | None) -> Thought | None:
        if slot is None or not self._tools.has(Purpose.BOOK):
            return None
        for role, pattern in (("email", _EMAIL), ("name", _NAME)):
            text = _as_address(self._tape.heard) if role == "email" else self._tape.heard
            wanted = self._tools.needs(Purpose.BOOK, role) and not pattern.search(text)
            if wanted and not starts_like(self._tape.asked, role, self._language):
                return self._say(role)
        return Thought("", self._use(Purpose.BOOK, start=slot.start, confirmed=True))

    def _called_then(self, asked: str, meant: frozenset[Intent]) -> Thought | None:
        now = self._briefing.now
        if now is None:
            return None
        other = moment_in(self._words, now)
        if other is not None and Intent.YES not in meant:
            return self._say("call_then", slot=said(other, self._language))
        if Intent.YES in meant:
            moment = moment_in(asked, now) or next_morning(now)
            return Thought("", self._use(Purpose.CALLBACK, start=moment.isoformat()))
        return self._end("not_interested", "declined") if Intent.NO in meant else None

    def _promise_call(self, words: str) -> Thought:
        now = self._briefing.now
        if not self._tools.has(Purpose.CALLBACK) or now is None:
            return self._end("callback", "will_write")
        moment = moment_in(words, now)
        if moment is None and not starts_like(self._tape.asked, "call_when", self._language):
            return self._say("call_when")
        return self._say("call_then", slot=said(moment or next_morning(now), self._language))

    def _to_question(self) -> Thought:
        """Nothing of ours is pending: a question about us, interest, or the beginning."""
        meant = self._intents
        asides = {Intent.WHO: "who", Intent.PRICE: "price", Intent.SOURCE: "source"}
        for intent, key in asides.items():
            if intent in meant:
                aside = introduction("who", self._briefing, self._language) if key == "who" else self._say(key).say
                return self._with_question(aside)
        pitched = self._pitched()
        if Intent.INTEREST in meant or (pitched and Intent.YES in meant):
            return self._towards_meeting()
        if pitched and Intent.NO in meant:
            return self._end("not_interested", "declined")
        if Intent.NO in meant and self._tape.said:
            return self._promise_call("")
        return self._say("interested") if pitched else Thought(pitch(self._briefing, self._language, "tail"))

    def _pitched(self) -> bool:
        known = ("pitch", "interested")
        return any(starts_like(text, key, self._language) for text in self._tape.said for key in known)

    def _towards_meeting(self) -> Thought:
        if not self._tools.has(Purpose.BOOK):
            uses = self._use(Purpose.RECORD, value=self._words, note=self._words)
            return Thought("", uses) if uses else self._end("callback", "colleague")
        if not self._tools.has(Purpose.AVAILABILITY):
            return self._end("callback", "colleague")
        preamble = "" if self._pitched() else pitch(self._briefing, self._language, "wait")
        return Thought(preamble, self._use(Purpose.AVAILABILITY))

    def _with_question(self, aside: str, *, again: bool = False) -> Thought:
        """An aside, and then back to whatever was asked."""
        offered = self._tape.offered
        if len(offered) == 2:
            question = self._say("offer_two", first=offered[0].spoken, second=offered[1].spoken).say
        elif offered:
            question = self._say("read_back", slot=offered[0].spoken).say
        elif again and self._tape.asked and not self._pitched():
            question = self._tape.asked
        elif self._pitched() or aside:
            question = self._say("interested").say
        else:
            question = pitch(self._briefing, self._language, "tail")
        return Thought(aside + question)

    def _unasked(self) -> Thought:
        if self._tape.said:
            return self._say("there")
        return Thought(introduction("hello", self._briefing, self._language) + " " + self._say("interested").say)


def _as_address(text: str) -> str:
    """Spoken e-mail addresses as written ones: "ana arroba ejemplo punto com"."""
    signs = ((r"\s+(?:arroba|at)\s+(?=[\w-]+\s*(?:punto|dot|\.))", "@"), (r"\s+(?:punto|dot)\s+", "."))
    for spoken, written in signs:
        text = re.sub(spoken, written, text, flags=re.IGNORECASE)
    return text
