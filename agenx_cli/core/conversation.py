"""The conversation machine: one call between a callee and a voice model, as decisions.

It is told what happened (``core.signals`` events) and at what moment, and answers with what to do (commands). It never
waits, reads no clock and knows no wire.

The rules, in words
-------------------
*Who decides.* The model's voice detector only reports. This machine alone asks for replies and cancels them, one at a
time: ``idle → asked → speaking (generating) → idle``. A wish for a reply waits until the writer is idle, the callee is
silent and no tool is running.

*Turns.* The end of a callee's turn (committed) brings exactly one reply. A sound that was only a hold (RESUME) brings
none, unless the assistant has fallen silent meanwhile or had asked a question: then it is the answer.

*Barge-in.* ``core.bargein`` decides, ``core.playout`` knows what was heard. YIELD clears the carrier, cancels the
reply, takes back from the model's history what the callee did not hear, and drops its late audio by reply id.

*Tools.* Run only from a completed reply; every call is answered, then one reply is asked for.

*Ending.* ``end_call`` is ours (``core.ending``): refused while it would be rude, then the goodbye is drained, 700 ms of
listening follow, and real speech in them cancels the hang-up once. Every wait has a deadline.

*Silence.* The idle ladder asks once whether they are still there, then says goodbye.

*Trouble.* A failed or lost reply is asked for again, twice; then, and when the session is lost, we leave the stream and
the carrier goes on with the apology behind it.
"""

from dataclasses import dataclass, field, replace

from agenx_cli.core.bargein import BargeIn, Verdict
from agenx_cli.core.ears import Ears
from agenx_cli.core.ending import Closing, Ending, refusal
from agenx_cli.core.playbook import Limits
from agenx_cli.core.playout import BYTES_PER_MS, Playout
from agenx_cli.core.signals import (
    AnsweredBy,
    AnswerTool,
    AskReply,
    CalleeFrame,
    CalleeGone,
    CalleeText,
    CancelReply,
    ClearPlayout,
    Command,
    DigitPressed,
    EndRequested,
    Event,
    Forget,
    HangUp,
    LeaveStream,
    Line,
    MarkReturned,
    Measured,
    ModelFault,
    ModelLost,
    ModelReady,
    Play,
    ReplyAudio,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    RunTool,
    SpeechStarted,
    SpeechStopped,
    TellModel,
    Tick,
    ToolAnswered,
    ToolCall,
    Truncate,
    TurnCommitted,
    Used,
    UtteranceEnded,
    UtteranceTruncated,
)

SILENT_WRITER_MS = 10_000
RETRIES = 2
RETRY_AFTER_MS = 400
DEAF_AFTER_MS = 1_500
GOODBYE_BEFORE_END_MS = 15_000
GOODBYE_DEADLINE_MS = 10_000

STILL_THERE = (
    "The callee has been silent for a while. In the language of the conversation, ask in one short sentence whether "
    "they are still there."
)
GOODBYE = "In the language of the conversation, say goodbye in one short sentence and ask nothing, because {why}."
WHY = {
    "silent": "the callee does not answer",
    "time_limit": "the time for this call is over",
    "drain": "we have to end the call now",
}
INTERRUPTED = '{"error": "the callee interrupted; call the tool again if it is still wanted"}'


@dataclass(slots=True)
class _Utterance:
    reply_id: str
    at_ms: int
    received: int = 0
    text: str = ""
    final: bool = False

    def line(self, utterance_id: str, heard_ms: int, *, final: bool) -> Line:
        total = self.received // BYTES_PER_MS
        return Line(utterance_id, "assistant", heard_text(self.text, heard_ms, total), self.at_ms, heard_ms, final)


@dataclass(frozen=True, slots=True)
class _Wish:
    """A reply that somebody wants. ``farewell`` is why the call ends after it."""

    instructions: str | None = None
    tools: bool = True
    not_before: int = 0
    farewell: str | None = None


@dataclass(slots=True)
class _Writer:
    """Who writes: nobody, a reply that was asked for, or a reply that is being generated."""

    command_id: str | None = None
    reply_id: str | None = None
    wish: _Wish = _Wish()
    alive_at: int = 0
    cancel: bool = False

    @property
    def idle(self) -> bool:
        return self.command_id is None and self.reply_id is None


@dataclass(slots=True)
class _Tools:
    """The tool calls of one reply: all are answered before the model speaks again."""

    waiting: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)


def heard_text(text: str, heard_ms: int, total_ms: int) -> str:
    """The part of a text that was heard, by proportion, cut at the previous word (an estimate)."""
    if heard_ms >= total_ms:
        return text.strip()
    upto = text[: len(text) * heard_ms // total_ms]
    return upto.rpartition(" ")[0].strip()


class Conversation:
    """One call. ``handle`` is the only way in; afterwards ``ending`` says how it ended and who ended it."""

    def __init__(self, *, opening: str, limits: Limits) -> None:
        self._opening = opening
        self._limits = limits
        self._out: list[Command] = []
        self._ids = 0
        self._now = 0
        self._ready = False
        self._over = False
        self._playout = Playout()
        self._ears = Ears()
        self._barge = BargeIn()
        self._writer = _Writer()
        self._wish: _Wish | None = None
        self._failures = 0
        self._discarded: set[str] = set()
        self._utterances: dict[str, _Utterance] = {}
        self._last_said = ""
        self._said_since_turn = False
        self._tools = _Tools()
        self._facts: set[str] = set()
        self._turn_id: str | None = None
        self._turn_at: dict[str, int] = {}
        self._asides: set[str] = set()
        self._aside_open = False
        self._speaking = False
        self._voiced_at = 0
        self._quiet_at = 0
        self._first_word = False
        self._turn_ended_at: int | None = None
        self._idle_asked = False
        self._closing: Closing | None = None
        self._closing_cancelled = False
        self._goodbye: str | None = None
        self._goodbye_deadline: int | None = None
        self.ending: Ending | None = None
        self.turns = 0
        self.barge_ins = 0

    def handle(self, event: Event, now: int) -> list[Command]:
        """What to do about an event that happened ``now`` (milliseconds since the stream began)."""
        self._out = []
        self._now = now
        if not self._over or isinstance(event, CalleeText | ReplyEnded):
            self._dispatch(event, now)
            if not self._over:
                self._ask_if_possible(now)
                self._out += self._speak(now)
        return self._out

    def _dispatch(self, event: Event, now: int) -> None:  # noqa: C901, PLR0912 (the table of the machine: one line an event)
        match event:
            case CalleeFrame():
                self._on_frame(event, now)
            case Tick():
                self._on_tick(now)
            case ReplyAudio():
                self._on_audio(event, now)
            case ReplyText():
                self._on_text(event, now)
            case MarkReturned():
                self._on_mark(event.name, now)
            case SpeechStarted():
                self._on_speech_started(event.turn_id, now)
            case SpeechStopped():
                self._speaking = False
            case TurnCommitted():
                self._on_turn(event.turn_id, now)
            case CalleeText():
                self._on_callee_text(event, now)
            case ReplyStarted():
                self._on_reply_started(event.reply_id, now)
            case UtteranceEnded():
                self._on_utterance_ended(event, now)
            case ReplyEnded():
                self._on_reply_ended(event, now)
            case ToolAnswered():
                self._on_tool(event)
            case ModelReady():
                self._on_ready(now)
            case ModelFault():
                self._on_fault(event, now)
            case ModelLost():
                self._on_lost(event.reason, now)
            case AnsweredBy():
                self._on_answered_by(event, now)
            case CalleeGone():
                self._end(Ending(self._closing.reason if self._closing else "hung_up", "callee"), now)
            case EndRequested():
                self._on_end_requested(event, now)
            case DigitPressed() | UtteranceTruncated():
                pass

    # --- beginning

    def _on_ready(self, now: int) -> None:
        self._ready = True
        self._quiet_at = now
        self._out.append(TellModel(self._id(), "assistant", self._opening))
        self._out.append(Line("opening", "assistant", self._opening, 0))
        self._last_said = self._opening
        self._said_since_turn = True

    def _on_answered_by(self, event: AnsweredBy, now: int) -> None:
        """A machine is hung up on before a pitch; a verdict against somebody who talks with us is not believed."""
        if event.kind not in ("machine", "fax"):
            return
        if self.turns >= 2:
            self._out.append(Measured("verdict_ignored", 1, event.kind))
            return
        self._hang_up(Ending("voicemail" if event.kind == "machine" else "fax", "assistant"), now)

    # --- the callee

    @property
    def _has_floor(self) -> bool:
        """The assistant speaks or is about to."""
        return not self._writer.idle or self._playing

    def _on_frame(self, event: CalleeFrame, now: int) -> None:
        voiced = self._ears.hear(event.energy_db)
        if voiced:
            self._voiced_at = self._quiet_at = now
        self._judge(self._barge.frame(voiced=voiced, floor=self._has_floor, now=now), now)
        if self._closing and self._closing.spoken_over(voiced=voiced):
            self._cancel_closing()

    def _on_speech_started(self, turn_id: str, now: int) -> None:
        self._speaking = True
        self._voiced_at = self._quiet_at = now
        self._turn_id = turn_id
        self._turn_at[turn_id] = now
        self._judge(self._barge.heard_by_model(floor=self._has_floor, now=now), now)

    def _judge(self, verdict: Verdict | None, now: int) -> None:
        match verdict:
            case Verdict.HOLD:
                self._playout.hold()
            case Verdict.RESUME:
                self._playout.resume()
                if self._turn_id is not None:
                    self._asides.add(self._turn_id)
                self._out.append(Measured("resumed", 1))
            case Verdict.YIELD:
                self._yield(now)
            case None:
                pass

    def _yield(self, now: int) -> None:
        """The floor is theirs: stop, and take back from the model's history what they did not hear."""
        self.barge_ins += 1
        self._out.append(Measured("barge_in", self._playout.remaining_ms(now)))
        self._out.append(ClearPlayout())
        cuts = self._playout.clear(now)
        if self._writer.reply_id is not None:
            self._out.append(CancelReply(self._id(), self._writer.reply_id))
            self._discarded.add(self._writer.reply_id)
        elif self._writer.command_id is not None:
            self._writer.cancel = True
        for cut in cuts:
            self._take_back(cut.utterance_id, cut.heard_ms)
        self._wish = None
        self._aside_open = False
        if self._turn_id is not None:
            self._asides.discard(self._turn_id)
        self._stay_after_all()
        self._cancel_closing()

    def _take_back(self, utterance_id: str, heard_ms: int) -> None:
        """The model may hold more of a running reply than we were sent, so that one is cut even if all was heard."""
        utterance = self._utterances[utterance_id]
        self._discarded.add(utterance.reply_id)
        if heard_ms == 0:
            self._out.append(Forget(self._id(), utterance_id))
        elif heard_ms < utterance.received // BYTES_PER_MS or utterance.reply_id == self._writer.reply_id:
            self._out.append(Truncate(self._id(), utterance_id, heard_ms))
        self._out.append(utterance.line(utterance_id, heard_ms, final=True))
        utterance.final = True

    def _on_turn(self, turn_id: str, now: int) -> None:
        self._speaking = False
        self._judge(self._barge.committed(), now)
        self.turns += 1
        self._quiet_at = now
        self._idle_asked = False
        self._stay_after_all()
        if turn_id in self._asides and self._has_floor:
            self._aside_open = True
            return
        self._answer(now)

    def _answer(self, now: int) -> None:
        self._aside_open = False
        self._said_since_turn = False
        self._failures = 0
        self._turn_ended_at = self._voiced_at or now
        if self._closing is None:
            self._wish = self._wish or _Wish()

    def _on_callee_text(self, event: CalleeText, now: int) -> None:
        if event.usage:
            self._out.append(Used("transcription", event.usage))
        if event.text.strip():
            self._out.append(Line(event.turn_id, "callee", event.text.strip(), self._turn_at.get(event.turn_id, now)))

    # --- the model speaks

    def _ask_if_possible(self, now: int) -> None:
        wish = self._wish
        if wish is None or not self._ready or not self._writer.idle or self._tools.waiting or now < wish.not_before:
            return
        if self._barge.held_since is not None or (self._speaking and now - self._voiced_at < DEAF_AFTER_MS):
            return
        self._wish = None
        command_id = self._id()
        self._writer = _Writer(command_id=command_id, wish=wish, alive_at=now)
        self._out.append(AskReply(command_id, wish.instructions, wish.tools))

    def _on_reply_started(self, reply_id: str, now: int) -> None:
        cancel = self._writer.cancel
        self._writer = _Writer(reply_id=reply_id, wish=self._writer.wish, alive_at=now)
        if cancel:
            self._discarded.add(reply_id)
            self._out.append(CancelReply(self._id(), reply_id))

    def _on_audio(self, event: ReplyAudio, now: int) -> None:
        if event.reply_id in self._discarded:
            return
        self._writer.alive_at = now
        utterance = self._utterance(event.reply_id, event.utterance_id, now)
        utterance.received += len(event.audio)
        self._playout.add(event.utterance_id, event.audio)

    def _on_text(self, event: ReplyText, now: int) -> None:
        if event.reply_id in self._discarded:
            return
        self._utterance(event.reply_id, event.utterance_id, now).text += event.text

    def _utterance(self, reply_id: str, utterance_id: str, now: int) -> _Utterance:
        found = self._utterances.get(utterance_id)
        if found is None:
            found = self._utterances[utterance_id] = _Utterance(reply_id, now + self._playout.remaining_ms(now))
        return found

    def _on_utterance_ended(self, event: UtteranceEnded, now: int) -> None:
        if event.reply_id in self._discarded:
            return
        self._utterance(event.reply_id, event.utterance_id, now)
        self._playout.end(event.utterance_id)

    def _speak(self, now: int) -> list[Command]:
        out: list[Command] = []
        for command in self._playout.due(now):
            if isinstance(command, Play):
                out += self._clock_first_sound(now)
            out.append(command)
        return out

    def _clock_first_sound(self, now: int) -> list[Measured]:
        measured = []
        if not self._first_word:
            self._first_word = True
            measured.append(Measured("first_word_ms", now))
        if self._turn_ended_at is not None:
            measured.append(Measured("turn_ms", now - self._turn_ended_at))
            self._turn_ended_at = None
        return measured

    @property
    def _playing(self) -> bool:
        return not self._playout.idle(self._now)

    def _on_mark(self, name: str, now: int) -> None:
        finished = self._playout.returned(name, now)
        if finished is None:
            return
        self._quiet_at = max(self._quiet_at, now)
        utterance = self._utterances.get(finished)
        if utterance is not None and not utterance.final:
            utterance.final = True
            self._out.append(utterance.line(finished, utterance.received // BYTES_PER_MS, final=True))

    def _on_reply_ended(self, event: ReplyEnded, now: int) -> None:
        if event.usage:
            self._out.append(Used("reply", event.usage))
        if self._over:
            return
        wish = self._writer.wish
        if self._writer.reply_id is not None:
            self._writer = _Writer()
        spoken = [u for u in self._utterances.items() if u[1].reply_id == event.reply_id]
        for utterance_id, _ in spoken:
            self._playout.end(utterance_id)
        if event.reply_id in self._discarded:
            self._out += [AnswerTool(self._id(), call.call_id, INTERRUPTED) for call in event.tool_calls]
            return
        text = " ".join(u.text.strip() for _, u in spoken).strip()
        if text:
            self._last_said, self._said_since_turn = text, True
        if event.status == "failed" or (event.status != "cancelled" and not spoken and not event.tool_calls):
            self._on_failure(event.error_code or "empty_reply", wish, now)
            return
        self._failures = 0
        self._call_tools(event.tool_calls, now)
        if wish.farewell is not None:
            self._close(wish.farewell, now)

    # --- tools

    def _call_tools(self, calls: tuple[ToolCall, ...], now: int) -> None:
        for call in calls:
            if call.name == "end_call":
                self._on_end_call(call, now)
            else:
                self._tools.waiting.add(call.call_id)
                self._out.append(RunTool(call))
        self._answer_tools()

    def _on_end_call(self, call: ToolCall, now: int) -> None:
        reason, complaint = refusal(
            call.arguments,
            callee_spoke=self.turns > 0,
            callee_speaks=self._speaking and now - self._voiced_at < DEAF_AFTER_MS,
            said_goodbye=self._said_since_turn,
            last_said=self._last_said,
            facts=frozenset(self._facts),
        )
        if complaint is not None:
            self._tools.outputs[call.call_id] = complaint
            return
        self._out.append(AnswerTool(self._id(), call.call_id, '{"status": "ending"}'))
        self._close(reason, now)

    def _on_tool(self, event: ToolAnswered) -> None:
        self._tools.waiting.discard(event.call_id)
        self._tools.outputs[event.call_id] = event.output
        self._facts |= event.facts
        self._answer_tools()

    def _answer_tools(self) -> None:
        """All outputs of a reply together, then one reply."""
        if self._tools.waiting or not self._tools.outputs:
            return
        self._out += [AnswerTool(self._id(), call_id, output) for call_id, output in self._tools.outputs.items()]
        self._tools = _Tools()
        if self._closing is None:
            self._wish = self._wish or _Wish()

    # --- time

    def _on_tick(self, now: int) -> None:
        self._judge(self._barge.tick(now), now)
        if not self._writer.idle and now - self._writer.alive_at > SILENT_WRITER_MS:
            wish, self._writer = self._writer.wish, _Writer()
            self._on_failure("no_reply", wish, now)
        if now > self._limits.max_call * 1000:
            self._hang_up(Ending(self._closing.reason if self._closing else "time_limit", "assistant"), now)
        if self._over:
            return
        if self._closing is not None:
            if self._closing.done(now, proven=self._playout.proven):
                self._hang_up(Ending(self._closing.reason, "assistant"), now)
            return
        if self._goodbye_deadline is not None and now > self._goodbye_deadline:
            self._hang_up(Ending(self._goodbye or "time_limit", "assistant"), now)
            return
        self._on_quiet(now)

    def _on_quiet(self, now: int) -> None:
        if now > self._limits.max_call * 1000 - GOODBYE_BEFORE_END_MS and self._goodbye is None:
            self._say_goodbye("time_limit", now)
            return
        if self._has_floor or self._wish or self._tools.waiting or self._speaking or not self._ready:
            self._quiet_at = now
            if self._speaking and now - self._voiced_at >= DEAF_AFTER_MS:
                self._speaking = False
            return
        if self._aside_open and self._last_said.rstrip().endswith("?"):
            self._answer(now)
            return
        self._climb(now - self._quiet_at, now)

    def _climb(self, quiet_ms: int, now: int) -> None:
        """The idle ladder: a question, then a goodbye."""
        if self._goodbye is not None:
            return
        if not self._idle_asked and quiet_ms >= self._limits.idle_first * 1000:
            self._idle_asked = True
            self._wish = _Wish(STILL_THERE, tools=False)
        elif self._idle_asked and quiet_ms >= self._limits.idle_again * 1000:
            self._say_goodbye("silent", now)

    # --- ending

    def _on_end_requested(self, event: EndRequested, now: int) -> None:
        if event.polite and self._ready:
            self._say_goodbye(event.reason, now)
        else:
            self._hang_up(Ending(event.reason, "operator"), now)

    def _say_goodbye(self, reason: str, now: int) -> None:
        self._goodbye = reason
        self._goodbye_deadline = now + GOODBYE_DEADLINE_MS + self._playout.remaining_ms(now)
        self._wish = _Wish(GOODBYE.format(why=WHY.get(reason, WHY["drain"])), tools=False, farewell=reason)

    def _stay_after_all(self) -> None:
        """Somebody who was silent speaks."""
        if self._goodbye == "silent":
            self._goodbye = self._goodbye_deadline = None
            if self._wish is not None and self._wish.farewell is not None:
                self._wish = None

    def _close(self, reason: str, now: int) -> None:
        """Everything is said: drain, listen, hang up."""
        self._wish = None
        self._closing = Closing.begin(
            reason, now, self._playout.remaining_ms(now), may_cancel=not self._closing_cancelled
        )

    def _cancel_closing(self) -> None:
        if self._closing is not None and not self._closing_cancelled:
            self._closing = None
            self._closing_cancelled = True
            self._goodbye = self._goodbye_deadline = None

    def _hang_up(self, ending: Ending, now: int) -> None:
        self._out.append(HangUp(ending.reason))
        self._end(ending, now)

    def _leave(self, reason: str, now: int) -> None:
        self._out.append(LeaveStream(reason))
        self._end(Ending(reason, "trouble"), now)

    def _end(self, ending: Ending, now: int) -> None:
        self.ending = ending
        self._over = True
        for utterance_id, utterance in self._utterances.items():
            if not utterance.final:
                utterance.final = True
                self._out.append(utterance.line(utterance_id, self._playout.heard_ms(utterance_id, now), final=True))
        if self._playout.underruns:
            self._out.append(Measured("underrun", self._playout.underruns))

    # --- trouble

    def _on_failure(self, code: str, wish: _Wish, now: int) -> None:
        self._out.append(Measured("fault", 1, code))
        self._failures += 1
        if self._failures > RETRIES:
            self._leave("model_failed", now)
        elif self._wish is None:
            self._wish = replace(wish, not_before=now + RETRY_AFTER_MS * self._failures)

    def _on_fault(self, event: ModelFault, now: int) -> None:
        if event.command_id is None or event.command_id != self._writer.command_id:
            self._out.append(Measured("fault", 1, event.code or "unknown"))
        elif event.code == "conversation_already_has_active_response":
            self._wish = self._wish or self._writer.wish
            self._writer = _Writer(reply_id="", alive_at=now)
        else:
            wish, self._writer = self._writer.wish, _Writer()
            self._on_failure(event.code or "unknown", wish, now)

    def _on_lost(self, reason: str, now: int) -> None:
        self._out.append(Measured("fault", 1, f"lost: {reason}"))
        if self._closing is not None:
            self._hang_up(Ending(self._closing.reason, "assistant"), now)
        else:
            self._leave("model_lost", now)

    def _id(self) -> str:
        self._ids += 1
        return f"agenx_{self._ids}"
