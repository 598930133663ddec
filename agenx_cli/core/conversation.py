"""The conversation machine: one call between a callee and a voice model, as decisions.

It is told what happened (``core.signals`` events) and at what moment, and answers with what to do (commands). It never
waits, reads no clock and knows no wire.

The rules, in words
-------------------
*Who decides.* The model's voice detector only reports. This machine alone asks for replies and cancels them, one at a
time (``core.writer``). A wish for a reply waits until nobody writes, the callee is silent and no tool is running.

*Turns.* The end of a callee's turn (committed) brings exactly one reply. A sound that was only a hold (RESUME) brings
none, unless the assistant has fallen silent meanwhile or was asking a question: then it is the answer.

*Barge-in.* ``core.bargein`` decides, ``core.playout`` knows what was heard. YIELD clears the carrier, cancels the
reply, takes back from the model's history what the callee did not hear, and drops its late audio by reply id. If the
model hears no turn in what made us yield (a cough, a door), it is asked to go on after 1.5 s of quiet. The late end of
a sound that was resumed from decides nothing about the next sound.

*Tools.* Run only from a reply that is still wanted; every call is answered, then one reply is asked for.

*Ending.* ``end_call`` is ours (``core.ending``): refused while it would be rude, then the goodbye is drained, 700 ms of
listening follow, and real speech in them cancels the hang-up once. Every wait has a deadline.

*Silence.* The idle ladder asks once whether they are still there, then says goodbye.

*Trouble.* A failed or lost reply is asked for again, twice; then, and when the session is lost, we leave the stream and
the carrier goes on with the apology behind it. A goodbye that is being heard needs no model and is drained.
"""

from dataclasses import dataclass, field

from agenx_cli.core import signals
from agenx_cli.core.bargein import BargeIn, Verdict
from agenx_cli.core.ears import Ears
from agenx_cli.core.ending import Closing, Ending, refusal
from agenx_cli.core.playbook import Limits
from agenx_cli.core.playout import Playout
from agenx_cli.core.signals import Command, Event, Measured
from agenx_cli.core.spoken import Spoken, Utterance
from agenx_cli.core.writer import ANSWER, Wish, Writer

DEAF_AFTER_MS = 1_500
"""A turn without a sound for so long is not being spoken, whatever the model's detector says."""

GOODBYE_BEFORE_END_MS = 15_000
GOODBYE_DEADLINE_MS = 10_000
TURNS_OF_A_PERSON = 2
"""Who has taken so many turns is not a machine, whatever the carrier says."""

STILL_THERE = (
    "The callee has been silent for a while. In the language of the conversation, ask in one short sentence whether "
    "they are still there."
)
GOODBYE = "In the language of the conversation, say goodbye in one short sentence and ask nothing, because {why}."
WHY = {
    "silent": "the callee does not answer",
    "time_limit": "the time for this call is over",
}
WHY_ELSE = "we have to end the call now"
INTERRUPTED = '{"error": "the callee interrupted; call the tool again if it is still wanted"}'
ENDING = '{"status": "ending"}'


@dataclass(slots=True)
class _Tools:
    """The tool calls of one reply: all are answered before the model speaks again."""

    waiting: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)


def _farewell(reason: str) -> Wish:
    return Wish(GOODBYE.format(why=WHY.get(reason, WHY_ELSE)), tools=False, farewell=reason)


class Conversation:
    """One call. ``handle`` is the only way in; afterwards ``ending`` says how it ended and who ended it."""

    def __init__(self, *, opening: str, limits: Limits) -> None:
        self.ending: Ending | None = None
        self.turns = 0
        self.barge_ins = 0
        self._opening = opening
        self._limits = limits
        self._out: list[Command] = []
        self._first_line: list[Command] = [signals.Line("opening", "assistant", opening, 0)]
        self._now = 0
        self._ids = 0
        self._ready = False
        # the assistant
        self._writer = Writer()
        self._playout = Playout()
        self._spoken = Spoken()
        self._unwanted: set[str] = set()
        self._unheard: dict[str, str] = {}
        self._tools = _Tools()
        self._facts: frozenset[str] = frozenset()
        self._last_said = opening
        self._said_since_turn = True
        self._heard_of_us = False
        # the callee
        self._ears = Ears()
        self._barge = BargeIn()
        self._turn_id: str | None = None
        self._turn_at: dict[str, int] = {}
        self._untold: set[str] = set()
        self._asides: set[str] = set()
        self._aside_at: int | None = None
        self._yielded_to_nobody = False
        self._speaking = False
        self._voiced_at = 0
        self._turn_ended_at: int | None = None
        # silence and ending
        self._quiet_since = 0
        self._asked_if_there = False
        self._goodbye: str | None = None
        self._goodbye_deadline = 0
        self._closing: Closing | None = None
        self._closing_cancelled = False

    def handle(self, event: Event, now: int) -> list[Command]:
        """What to do about an event that happened ``now`` (milliseconds since the stream began)."""
        self._out = self._first_line
        self._first_line = []
        self._now = now
        if self.ending is None:
            self._dispatch(event)
        elif isinstance(event, signals.CalleeText):
            self._on_callee_text(event)
        elif isinstance(event, signals.ReplyEnded):
            self._account(event)
            self._writer.ended(event.reply_id)
        if self.ending is None:
            self._ask_if_possible()
            self._speak()
        return self._out

    def _dispatch(self, event: Event) -> None:  # noqa: C901, PLR0912 - the machine's table, a line for each event
        match event:
            case signals.CalleeFrame():
                self._on_frame(event)
            case signals.Tick():
                self._on_tick()
            case signals.ReplyAudio():
                self._on_audio(event)
            case signals.ReplyText():
                self._on_text(event)
            case signals.MarkReturned():
                self._on_mark(event)
            case signals.SpeechStarted():
                self._on_speech_started(event)
            case signals.SpeechStopped():
                self._speaking = False
            case signals.TurnCommitted():
                self._on_turn(event)
            case signals.CalleeText():
                self._on_callee_text(event)
            case signals.ReplyStarted():
                self._on_reply_started(event)
            case signals.UtteranceEnded():
                self._on_utterance_ended(event)
            case signals.ReplyEnded():
                self._on_reply_ended(event)
            case signals.ToolAnswered():
                self._on_tool(event)
            case signals.ModelReady():
                self._on_ready()
            case signals.ModelFault():
                self._on_fault(event)
            case signals.ModelLost():
                self._on_lost(event)
            case signals.AnsweredBy():
                self._on_answered_by(event)
            case signals.CalleeGone():
                self._on_callee_gone(event)
            case signals.EndRequested():
                self._on_end_requested(event)
            case _:
                pass  # DigitPressed, UtteranceTruncated: nothing is decided by them yet

    def _id(self) -> str:
        self._ids += 1
        return f"agenx_{self._ids}"

    # --- beginning

    def _on_ready(self) -> None:
        self._ready = True
        self._quiet_since = self._now
        self._out.append(signals.TellModel(self._id(), "assistant", self._opening))

    def _on_answered_by(self, event: signals.AnsweredBy) -> None:
        """A machine is hung up on before a pitch; a verdict against somebody who talks with us is not believed."""
        if event.kind not in ("machine", "fax"):
            return
        if self.turns >= TURNS_OF_A_PERSON:
            self._out.append(Measured("verdict_ignored", 1, event.kind))
            return
        self._hang_up(Ending("voicemail", "assistant"))

    # --- the callee

    def _on_callee_gone(self, event: signals.CalleeGone) -> None:
        """A stream that broke is no hang-up: the carrier goes on with the apology."""
        if self._closing is not None:
            self._end(Ending(self._closing.reason, "callee"))
        elif event.clean:
            self._end(Ending("hung_up", "callee"))
        else:
            self._end(Ending("stream_lost", "trouble"))

    @property
    def unfinished(self) -> bool:
        """Whether the model still owes what it heard last, or what a reply has used."""
        return bool(self._untold) or bool(self._writer.reply_id)

    @property
    def _has_floor(self) -> bool:
        """The assistant speaks or is about to."""
        return self._writer.wanted or not self._playout.idle(self._now)

    @property
    def _callee_speaks(self) -> bool:
        return self._speaking and self._now - self._voiced_at < DEAF_AFTER_MS

    def _on_frame(self, event: signals.CalleeFrame) -> None:
        voiced = self._ears.hear(event.energy_db)
        if voiced:
            self._voiced_at = self._quiet_since = self._now
        self._judge(self._barge.frame(voiced=voiced, floor=self._has_floor, now=self._now))
        if self._closing is not None and self._closing.spoken_over(voiced=voiced):
            self._cancel_closing()

    def _on_speech_started(self, event: signals.SpeechStarted) -> None:
        self._speaking = True
        self._voiced_at = self._quiet_since = self._now
        self._turn_id = event.turn_id
        self._turn_at[event.turn_id] = self._now
        self._yielded_to_nobody = False
        if self._barge.late(self._now):
            self._asides.add(event.turn_id)
        else:
            self._judge(self._barge.heard_by_model(floor=self._has_floor, now=self._now))

    def _judge(self, verdict: Verdict | None) -> None:
        match verdict:
            case Verdict.HOLD:
                self._playout.hold()
            case Verdict.RESUME:
                self._playout.resume()
                if self._turn_id is not None:
                    self._asides.add(self._turn_id)
                self._out.append(Measured("resumed", 1))
            case Verdict.YIELD:
                self._yield()
            case _:
                pass

    def _yield(self) -> None:
        """The floor is theirs: stop, and take back from the model's history what they did not hear."""
        self.barge_ins += 1
        self._out.append(Measured("barge_in", self._playout.remaining_ms(self._now)))
        self._out.append(signals.ClearPlayout())
        cuts = self._playout.clear(self._now)
        writing = self._writer.stop()
        if writing:
            self._unwanted.add(writing)
            self._out.append(signals.CancelReply(self._id(), writing))
        for cut in cuts:
            self._take_back(
                cut.utterance_id, cut.heard_ms, being_written=self._spoken[cut.utterance_id].reply_id == writing
            )
        self._aside_at = None
        self._yielded_to_nobody = not self._speaking
        self._asides.discard(self._turn_id or "")
        self._not_silent()
        self._cancel_closing()

    def _take_back(self, utterance_id: str, heard_ms: int, *, being_written: bool) -> None:
        """Of a reply still being written the model has more than we were sent: it is cut even if all was heard."""
        utterance = self._spoken[utterance_id]
        self._unwanted.add(utterance.reply_id)
        if heard_ms == 0:
            self._out.append(signals.Forget(self._id(), utterance_id))
        elif being_written or heard_ms < utterance.total_ms:
            self._out.append(signals.Truncate(self._id(), utterance_id, heard_ms))
        self._settle(utterance_id, heard_ms)

    def _on_turn(self, event: signals.TurnCommitted) -> None:
        self._speaking = False
        if event.turn_id not in self._asides:
            self._judge(self._barge.committed())
        self.turns += 1
        self._untold.add(event.turn_id)
        self._quiet_since = self._now
        self._asked_if_there = False
        self._yielded_to_nobody = False
        self._not_silent()
        if event.turn_id in self._asides and self._has_floor:
            self._aside_at = self._turn_at.get(event.turn_id, self._now)
        else:
            self._answer()

    def _answer(self) -> None:
        self._aside_at = None
        self._said_since_turn = False
        self._writer.failures = 0
        self._turn_ended_at = self._voiced_at
        if self._closing is None:
            self._writer.want(ANSWER if self._goodbye is None else _farewell(self._goodbye))

    def _on_callee_text(self, event: signals.CalleeText) -> None:
        self._untold.discard(event.turn_id)
        if event.usage:
            self._out.append(signals.Used("transcription", event.usage))
        text = event.text.strip()
        if text:
            at_ms = self._turn_at.get(event.turn_id, self._now)
            self._out.append(signals.Line(event.turn_id, "callee", text, at_ms))

    # --- the model speaks

    def _ask_if_possible(self) -> None:
        if not self._ready or self._tools.waiting or self._barge.held_since is not None or self._callee_speaks:
            return
        if self._writer.due(self._now):
            self._out.append(self._writer.ask(self._id(), self._now))

    def _on_reply_started(self, event: signals.ReplyStarted) -> None:
        if not self._writer.started(event.reply_id, self._now):
            self._unwanted.add(event.reply_id)
            self._out.append(signals.CancelReply(self._id(), event.reply_id))

    def _on_audio(self, event: signals.ReplyAudio) -> None:
        if event.reply_id in self._unwanted:
            self._late(event.reply_id, event.utterance_id)
        elif event.audio:
            self._utterance(event.reply_id, event.utterance_id).received += len(event.audio)
            self._playout.add(event.utterance_id, event.audio)

    def _on_text(self, event: signals.ReplyText) -> None:
        if event.reply_id in self._unwanted:
            self._late(event.reply_id, event.utterance_id)
        else:
            self._utterance(event.reply_id, event.utterance_id)
            self._put(self._spoken.write(event.utterance_id, event.text))

    def _late(self, reply_id: str, utterance_id: str) -> None:
        """More of a reply that nobody wants. Of an utterance without a sound so far none will be heard."""
        if self._spoken.is_silent(utterance_id):
            self._unheard[utterance_id] = reply_id

    def _utterance(self, reply_id: str, utterance_id: str) -> Utterance:
        self._writer.alive_at = self._now
        return self._spoken.begin(utterance_id, reply_id, self._now + self._playout.remaining_ms(self._now))

    def _on_utterance_ended(self, event: signals.UtteranceEnded) -> None:
        if event.reply_id not in self._unwanted:
            self._playout.end(event.utterance_id)

    def _speak(self) -> None:
        for command in self._playout.due(self._now):
            if isinstance(command, signals.Play):
                self._clock_first_sound()
            self._out.append(command)

    def _clock_first_sound(self) -> None:
        if not self._heard_of_us:
            self._heard_of_us = True
            self._out.append(Measured("first_word_ms", self._now))
        if self._turn_ended_at is not None:
            self._out.append(Measured("turn_ms", self._now - self._turn_ended_at))
            self._turn_ended_at = None

    def _on_mark(self, event: signals.MarkReturned) -> None:
        finished = self._playout.returned(event.name, self._now)
        if finished is not None:
            self._quiet_since = self._now
            self._settle(finished)

    def _settle(self, utterance_id: str, heard_ms: int | None = None) -> None:
        self._put(self._spoken.settle(utterance_id, heard_ms))

    def _put(self, line: signals.Line | None) -> None:
        if line is not None:
            self._out.append(line)

    def _account(self, event: signals.ReplyEnded) -> None:
        if event.usage:
            self._out.append(signals.Used("reply", event.usage))

    def _on_reply_ended(self, event: signals.ReplyEnded) -> None:
        self._account(event)
        wish = self._writer.ended(event.reply_id)
        if event.reply_id in self._unwanted:
            self._forget_unheard(event.reply_id)
            answers = [signals.AnswerTool(self._id(), call.call_id, INTERRUPTED) for call in event.tool_calls]
            self._out += answers
            return
        self._out += [signals.Forget(self._id(), silent) for silent in self._spoken.drop_silent(event.reply_id)]
        spoken = self._all_received(event.reply_id)
        if event.status == "failed" or not (spoken or event.tool_calls):
            self._on_failure(event.error_code or f"empty reply ({event.status})", wish)
            return
        self._writer.failures = 0
        text = " ".join(utterance.text.strip() for utterance in spoken.values()).strip()
        if text:
            self._last_said, self._said_since_turn = text, True
        self._call_tools(event.tool_calls)
        if wish is not None and wish.farewell is not None:
            self._close(wish.farewell)

    def _forget_unheard(self, reply_id: str) -> None:
        """What came of a reply after it was stopped, or had no sound yet then, is no part of the conversation."""
        unheard = [utterance for utterance, reply in self._unheard.items() if reply == reply_id]
        unheard += [silent for silent in self._spoken.drop_silent(reply_id) if silent not in self._unheard]
        for utterance_id in unheard:
            self._unheard.pop(utterance_id, None)
            self._out.append(signals.Forget(self._id(), utterance_id))

    def _all_received(self, reply_id: str) -> dict[str, Utterance]:
        """The utterances of a reply to which nothing will be added."""
        spoken = self._spoken.of_reply(reply_id)
        for utterance_id in spoken:
            self._playout.end(utterance_id)
        return spoken

    # --- tools

    def _call_tools(self, calls: tuple[signals.ToolCall, ...]) -> None:
        for call in calls:
            if call.name == "end_call":
                self._on_end_call(call)
            else:
                self._tools.waiting.add(call.call_id)
                self._out.append(signals.RunTool(call))
        self._answer_tools()

    def _on_end_call(self, call: signals.ToolCall) -> None:
        reason, complaint = refusal(
            call.arguments,
            callee_spoke=self.turns > 0,
            callee_speaks=self._callee_speaks,
            said_goodbye=self._said_since_turn,
            last_said=self._last_said,
            facts=self._facts,
        )
        if complaint is not None:
            self._tools.outputs[call.call_id] = complaint
            return
        self._out.append(signals.AnswerTool(self._id(), call.call_id, ENDING))
        self._close(reason)

    def _on_tool(self, event: signals.ToolAnswered) -> None:
        self._facts |= event.facts
        if event.call_id in self._tools.waiting:
            self._tools.waiting.remove(event.call_id)
            self._tools.outputs[event.call_id] = event.output
            self._answer_tools()

    def _answer_tools(self) -> None:
        """All outputs of a reply together, then one reply."""
        if self._tools.waiting or not self._tools.outputs:
            return
        for call_id, output in self._tools.outputs.items():
            self._out.append(signals.AnswerTool(self._id(), call_id, output))
        self._tools = _Tools()
        if self._closing is None:
            self._writer.want(ANSWER)

    # --- time

    def _on_tick(self) -> None:
        self._judge(self._barge.tick(self._now))
        if self._writer.silent(self._now):
            self._give_up_writer()
        if self.ending is not None:
            return
        if self._now > self._limits.max_call * 1000:
            self._hang_up(Ending(self._closing.reason if self._closing else "time_limit", "assistant"))
        elif self._closing is not None:
            if self._closing.done(self._now, proven=self._playout.proven):
                self._hang_up(Ending(self._closing.reason, "assistant"))
        elif self._goodbye is not None and self._now > self._goodbye_deadline:
            self._hang_up(Ending(self._goodbye, "assistant"))
        elif self._goodbye is None and self._now > self._limits.max_call * 1000 - GOODBYE_BEFORE_END_MS:
            self._say_goodbye("time_limit")
        else:
            self._on_quiet()

    def _on_quiet(self) -> None:
        """Nobody may speak for long: the ladder of questions and goodbye."""
        writing = not self._writer.idle or self._writer.wish is not None or not self._playout.idle(self._now)
        if writing or self._tools.waiting or not self._ready or self._callee_speaks:
            self._quiet_since = self._now
        elif self._aside_at is not None:
            answers = self._aside_at > self._quiet_since - self._spoken.question_ms()
            self._aside_at = None
            if answers:
                self._answer()
        elif self._yielded_to_nobody and self._now - self._quiet_since >= DEAF_AFTER_MS:
            self._yielded_to_nobody = False
            self._answer()
        elif self._goodbye is not None:
            return
        elif not self._asked_if_there and self._now - self._quiet_since >= self._limits.idle_first * 1000:
            self._asked_if_there = True
            self._writer.want(Wish(STILL_THERE, tools=False))
        elif self._asked_if_there and self._now - self._quiet_since >= self._limits.idle_again * 1000:
            self._say_goodbye("silent")

    # --- ending

    def _on_end_requested(self, event: signals.EndRequested) -> None:
        """With a goodbye if there can be one; one that is being said already is enough, and is final."""
        if not event.polite:
            self._hang_up(Ending(event.reason, "operator"))
        elif self._closing is not None:
            self._closing.may_cancel = False
        elif self._goodbye is None or self._goodbye == "silent":
            self._say_goodbye(event.reason)

    def _say_goodbye(self, reason: str) -> None:
        self._goodbye = reason
        self._goodbye_deadline = self._now + GOODBYE_DEADLINE_MS + self._playout.remaining_ms(self._now)
        self._writer.wish = _farewell(reason)

    def _not_silent(self) -> None:
        """Somebody who was thought silent speaks."""
        if self._goodbye == "silent":
            self._goodbye = None
            if self._writer.wish is not None and self._writer.wish.farewell == "silent":
                self._writer.wish = None

    def _close(self, reason: str) -> None:
        """Everything is said: drain, listen, hang up."""
        self._writer.wish = None
        remaining = self._playout.remaining_ms(self._now)
        self._closing = Closing.begin(reason, self._now, remaining, may_cancel=not self._closing_cancelled)

    def _cancel_closing(self) -> None:
        if self._closing is not None and self._closing.may_cancel:
            self._closing = None
            self._closing_cancelled = True
            self._goodbye = None

    def _hang_up(self, ending: Ending) -> None:
        self._out.append(signals.HangUp(ending.reason))
        self._end(ending)

    def _leave(self, reason: str) -> None:
        self._out.append(signals.LeaveStream(reason))
        self._end(Ending(reason, "trouble"))

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        if self._writer.reply_id and self._writer.wanted:
            self._out.append(signals.CancelReply(self._id(), self._writer.reply_id))
        for utterance_id in self._spoken.open():
            self._settle(utterance_id, self._playout.heard_ms(utterance_id, self._now))
        if self._playout.underruns:
            self._out.append(Measured("underrun", self._playout.underruns))

    # --- trouble

    def _on_failure(self, code: str, wish: Wish | None) -> None:
        """A reply came to nothing; ``wish`` is what it was meant for (None: nothing of ours)."""
        self._out.append(Measured("fault", 1, code))
        if wish is not None and not self._writer.failed(wish, self._now):
            self._leave("model_failed")

    def _give_up_writer(self) -> None:
        """Nothing was heard of the writer for too long: what may still come of it is late, and not wanted."""
        reply_id, wanted = self._writer.reply_id, self._writer.wanted
        wish = self._writer.release()
        if not wanted:
            return
        if reply_id:
            self._unwanted.add(reply_id)
            self._all_received(reply_id)
            self._out.append(signals.CancelReply(self._id(), reply_id))
        self._on_failure("no_reply", wish)

    def _on_fault(self, event: signals.ModelFault) -> None:
        if event.command_id is None or event.command_id != self._writer.command_id:
            self._out.append(Measured("fault", 1, event.code or "unknown"))
        elif self._writer.discarded:
            self._writer.release()
        elif event.code == "conversation_already_has_active_response":
            self._writer.blocked(self._now)
        else:
            self._on_failure(event.code or "unknown", self._writer.release())

    def _on_lost(self, event: signals.ModelLost) -> None:
        self._out.append(Measured("fault", 1, f"lost: {event.reason}"))
        self._untold.clear()
        self._writer.release()
        if self._closing is None:
            self._leave("model_failed")
        else:
            self._closing.may_cancel = False
