"""One call on the bridge: the callee's stream on one side, the model on the other, the conversation machine between.

The session carries and decides nothing: every event goes into ``core.conversation``, every command that comes out is
performed by the one ``match`` below. What others tell (the clock, the model, the routes) goes through an inbox, so that
a failure here is this call's end and nobody else's. Whatever happens, ``run`` leaves no open line behind: unless the
carrier itself ended the call, it is asked to.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from agenx_cli.bridge.live import Live, Said, Troubled
from agenx_cli.bridge.recorder import Recorder
from agenx_cli.bridge.records import CallRecord
from agenx_cli.bridge.ticker import Ticker
from agenx_cli.bridge.tools import Toolbox
from agenx_cli.core.conversation import Conversation
from agenx_cli.core.ears import level_db
from agenx_cli.core.ending import Ending
from agenx_cli.core.signals import (
    AnsweredBy,
    AnswerTool,
    AskReply,
    CalleeFrame,
    CalleeGone,
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
    ModelLost,
    ModelReady,
    Play,
    PutMark,
    RunTool,
    TellModel,
    Tick,
    ToolCall,
    Truncate,
    Used,
)
from agenx_cli.errors import CarrierError, RemoteProtocolError, SettingsError, StoreError, VoiceError
from agenx_cli.ports import SessionConfig, VoiceLeg, VoiceModel
from agenx_cli.telephony.twilio import media

logger = logging.getLogger(__name__)

FRAME_MS = 20
EARS_MS = 10_000
"""How much callee audio is kept while the model session opens."""

HANG_UP_WITHIN_S = 3.0
"""How long the carrier may take to answer a hang-up. Then the stream is closed, and its document ends the call."""

LAST_WORDS_S = 1.0
"""How long the model may still tell what it heard last, and what it used."""

STOP_WAIT_S = 5.0
"""How long after a hang-up the carrier may take to end the stream."""


class Stream(Protocol):
    """The callee's socket."""

    def send(self, frame: str) -> None:
        """Send a frame; order is kept and nobody waits."""
        ...

    def frames(self) -> AsyncIterator[str | bytes]:
        """What comes in, until the other side closes. Asked for once."""
        ...

    async def close(self) -> None:
        """Close our side. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """The callee's side of a call."""

    stream: Stream
    frames: AsyncIterator[str | bytes]
    stream_sid: str
    call_id: str


class CallSession:
    """One live call. ``run`` lives as long as its stream."""

    def __init__(
        self,
        *,
        wire: Wire,
        conversation: Conversation,
        config: SessionConfig,
        voice: VoiceModel,
        toolbox: Toolbox,
        record: CallRecord,
        live: Live,
        ticker: Ticker,
        hang_up: Callable[[str], Awaitable[None]],
        recorder: Recorder | None = None,
    ) -> None:
        self.record = record
        self.finished = asyncio.Event()
        self._wire = wire
        self._conversation = conversation
        self._config = config
        self._voice = voice
        self._toolbox = toolbox
        self._live = live
        self._ticker = ticker
        self._hang_up = hang_up
        self._recorder = recorder
        self._leg: VoiceLeg | None = None
        self._unheard: deque[str] = deque(maxlen=EARS_MS // FRAME_MS)
        self._began = asyncio.get_running_loop().time()
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._let_go_done = False
        self._over = asyncio.Event()
        self._told = asyncio.Event()
        self._gone = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    # --- life

    async def run(self) -> Ending:
        """Serve the call to its end. The carrier's call is over, or was asked to be, when this returns."""
        try:
            async with asyncio.TaskGroup() as self._group:
                reader = self._group.create_task(self._read())
                listener = self._group.create_task(self._listen())
                opening = self._group.create_task(self._open_model())
                with self._ticker.attach(lambda: self._tell(Tick())):
                    await self._over.wait()
                opening.cancel()
                await self._let_go()
                reader.cancel()
                listener.cancel()
        finally:
            await self._settle()
        return self._conversation.ending or Ending("hung_up", "callee")

    async def _let_go(self) -> None:
        """After the last word: the carrier ends the call, or goes on behind our stream with the apology."""
        ending = self._conversation.ending
        if not self._gone.is_set() and ending is not None and ending.by != "trouble":
            await self._end_call()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_WAIT_S):
                    await self._gone.wait()
        await self._wire.stream.close()
        self._let_go_done = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._told.wait()

    async def _settle(self) -> None:
        """Also on the way out of an error, whatever fails of it: nothing stays open, nothing stays unwritten."""
        async with contextlib.AsyncExitStack() as last:  # from the bottom to the top
            last.callback(lambda: self.record.ended(self._conversation))
            last.callback(self._catch_up)
            last.push_async_callback(self._keep_recording)
            last.push_async_callback(self._wire.stream.close)
            if self._leg is not None:
                last.push_async_callback(self._leg.close)
            if not self._let_go_done:
                await asyncio.shield(self._end_call())

    async def _keep_recording(self) -> None:
        """A recording that cannot be kept is a pity; the call's record matters more."""
        if self._recorder is None:
            return
        try:
            self.record.recorded(await asyncio.to_thread(self._recorder.close))
        except StoreError as error:
            logger.warning("recording.lost", extra={"attempt": self.record.attempt_uid, "reason": error.message})

    def _catch_up(self) -> None:
        """What came too late for the call may still be a line of it, or money."""
        while self._conversation.ending is not None and not self._inbox.empty():
            self.happened(self._inbox.get_nowait())

    async def _end_call(self) -> None:
        why = "no answer in time"
        try:
            async with asyncio.timeout(HANG_UP_WITHIN_S):
                await self._hang_up(self._wire.call_id)
                return
        except TimeoutError:
            pass
        except CarrierError as error:
            why = error.message
        logger.warning("call.hang_up_failed", extra={"attempt": self.record.attempt_uid, "reason": why})

    async def _open_model(self) -> None:
        try:
            self._leg = await self._voice.connect(self._config, self._tell)
        except (VoiceError, SettingsError) as error:
            self.record.trouble(error)
            self._live.publish(Troubled(self.record.attempt_uid, error.message, error.fix, error.exit_code))
            self.happened(ModelLost("refused"))
            return
        for payload in self._unheard:
            self._leg.hear(payload)
        self._unheard.clear()
        self.happened(ModelReady())

    def end(self, reason: str, *, polite: bool) -> None:
        """Somebody outside wants the call over."""
        self._tell(EndRequested(reason, polite))

    # --- events

    def _tell(self, event: Event) -> None:
        """From outside of our own tasks."""
        self._inbox.put_nowait(event)

    async def _listen(self) -> None:
        while True:
            self.happened(await self._inbox.get())

    async def _read(self) -> None:
        try:
            async for frame in self._wire.frames:
                self._receive(media.decode(frame))
        except RemoteProtocolError as error:
            logger.warning("stream.broken", extra={"attempt": self.record.attempt_uid, "reason": error.message})
        clean = self._gone.is_set()
        self._gone.set()
        self.happened(CalleeGone(clean))

    def _receive(self, frame: media.Frame) -> None:
        match frame:
            case media.Media():
                if self._leg is None:
                    self._unheard.append(frame.payload)
                else:
                    self._leg.hear(frame.payload)
                if self._recorder is not None:
                    self._recorder.callee(frame.at_ms, frame.audio)
                self.happened(CalleeFrame(level_db(frame.audio)))
            case media.Mark():
                self.happened(MarkReturned(frame.name))
            case media.Dtmf():
                self.happened(DigitPressed(frame.digit))
            case media.Stopped():
                self._gone.set()
                self.happened(CalleeGone())
            case _:
                pass

    def answered_by(self, verdict: AnsweredBy) -> None:
        """The carrier's answering-machine detection has decided."""
        self._tell(verdict)

    def happened(self, event: Event) -> None:
        """Tell the machine, and do what it says."""
        now = self._now()
        for command in self._conversation.handle(event, now):
            self._perform(command, now)
        if self._conversation.ending is not None:
            self._over.set()
            if not self._conversation.unfinished:
                self._told.set()

    def _now(self) -> int:
        return int((asyncio.get_running_loop().time() - self._began) * 1000)

    # --- commands

    def _perform(self, command: Command, now: int) -> None:
        """The whole list of effects."""
        match command:
            case Play() | PutMark() | ClearPlayout():
                self._to_callee(command, now)
            case AskReply() | CancelReply() | Truncate() | Forget() | TellModel() | AnswerTool():
                if self._leg is not None:
                    self._leg.send(command)
            case RunTool():
                self._start_tool(command.call)
            case Line():
                self.record.line(command)
                self._live.publish(Said(self.record.attempt_uid, command))
            case Measured():
                self.record.measured(command)
            case Used():
                self.record.used(command)
            case HangUp() | LeaveStream():
                pass  # ``ending`` is set; ``_let_go`` does it when everything before has been sent

    def _to_callee(self, command: Play | PutMark | ClearPlayout, now: int) -> None:
        sid, stream, recorder = self._wire.stream_sid, self._wire.stream, self._recorder
        match command:
            case Play():
                stream.send(media.media(sid, command.audio))
                if recorder is not None:
                    recorder.assistant(command.at_ms, command.audio)
            case PutMark():
                stream.send(media.mark(sid, command.name))
            case ClearPlayout():
                stream.send(media.clear(sid))
                if recorder is not None:
                    recorder.cleared(now)

    def _start_tool(self, call: ToolCall) -> None:
        if self._group is not None:
            self._group.create_task(self._run_tool(call))

    async def _run_tool(self, call: ToolCall) -> None:
        answer = await asyncio.to_thread(self._toolbox.run, call)
        self.happened(answer)
