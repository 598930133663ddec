"""The desk and its sessions over real sockets: a carrier that plays in real time, a model that a test has written."""

import asyncio
import contextlib
import json
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import websockets

from agenx_cli.core import signals as s
from agenx_cli.core.playbook import Limits
from agenx_cli.errors import VoiceError
from agenx_cli.ports import Assignment
from tests.bridge.door import a_house, opening_frames
from tests.core.playbooks import playbook

QUIET = b"\xff" * 160
SPOKEN = playbook(variables=(), instructions="Hable.")
MEETING = {"start": "2026-11-25T10:00:00+01:00", "confirmed": True, "name": "Ana"}


async def until(true, within_s=10.0):
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what is waited for happens in several tasks, and in threads
            await asyncio.sleep(0.01)


# --- the model


@dataclass
class ScriptedLeg:
    """A session with the model. ``script`` is given each command and tells what comes back."""

    receive: Callable
    script: Callable
    heard: list = field(default_factory=list)
    commands: list = field(default_factory=list)
    closed: bool = False

    def hear(self, payload):
        self.heard.append(b64decode(payload))

    def send(self, command):
        self.commands.append(command)
        for event in self.script(command) or ():
            asyncio.get_running_loop().call_soon(self.receive, event)

    async def close(self):
        self.closed = True

    def of(self, kind):
        return [command for command in self.commands if isinstance(command, kind)]


@dataclass
class ScriptedVoice:
    """Where they come from: ``gate`` opens them, ``refuse`` does not."""

    script: Callable = lambda _command: ()
    refuse: VoiceError | None = None
    gate: asyncio.Event | None = None
    legs: list = field(default_factory=list)
    connects: int = 0

    async def connect(self, config, receive):
        self.connects += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        self.legs.append(ScriptedLeg(receive, self.script))
        return self.legs[-1]


def saying(audio, text, *calls):
    """A whole reply, at once."""
    return [
        s.ReplyStarted("r1"),
        s.ReplyAudio("r1", "u1", audio),
        s.ReplyText("r1", "u1", text),
        s.UtteranceEnded("r1", "u1"),
        s.ReplyEnded("r1", "completed", tool_calls=calls),
    ]


def once(*events):
    """A script: these events for the first reply that is asked for, nothing afterwards."""
    left = [events]
    return lambda command: left.pop() if left and isinstance(command, s.AskReply) else ()


def tool(name, /, **arguments):
    return s.ToolCall("c1", name, json.dumps(arguments))


# --- the carrier


class Callee:
    """The carrier's end of one stream. It plays in real time, and closes when the call was hung up."""

    def __init__(self, house, uid, socket, call_id):
        self.uid = uid
        self.call_id = call_id
        self.audio = b""
        self.hung_up_at = None
        self._house = house
        self._socket = socket
        self._playhead = 0.0
        self._frames = 0
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    @classmethod
    async def rings(cls, house, call_id, *, record=False, limits=None):
        """A call that was dialed and answered: its stream is up."""
        uid, ticket = house.outbound(call_id=call_id)
        spoken = SPOKEN if limits is None else replace(SPOKEN, limits=limits)
        house.desk.prepare(uid, ticket, Assignment(spoken, record=record))
        socket = await house.upgrade()
        callee = cls(house, uid, socket, call_id)
        for frame in opening_frames(uid, ticket, call_id):
            await callee.send(frame)
        return callee

    async def send(self, frame):
        await self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def speaks(self, *frames):
        for audio in frames:
            payload = b64encode(audio).decode()
            at = {"track": "inbound", "chunk": str(self._frames), "timestamp": str(20 * self._frames)}
            self._frames += 1
            await self.send({"event": "media", "streamSid": "MZ" + "0" * 32, "media": {**at, "payload": payload}})

    async def _listen(self):
        loop = asyncio.get_running_loop()
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self._socket:
                frame = json.loads(message)
                self._playhead = max(self._playhead, loop.time())
                if frame["event"] == "media":
                    audio = b64decode(frame["media"]["payload"])
                    self.audio += audio
                    self._playhead += len(audio) / 8000
                elif frame["event"] == "mark":
                    loop.call_at(self._playhead, lambda back=frame: asyncio.ensure_future(self._back(back)))

    async def _back(self, mark):
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.send(mark)

    async def _watch(self):
        await until(lambda: self._house.carrier.hung_up[self.call_id], within_s=50)
        self.hung_up_at = asyncio.get_running_loop().time()
        await self.leaves()

    async def leaves(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            stop = {"accountSid": "AC" + "0" * 32, "callSid": self.call_id}
            await self.send({"event": "stop", "sequenceNumber": "9", "stop": stop, "streamSid": "MZ" + "0" * 32})
            await self._socket.close()

    async def gone(self, within_s=10.0):
        """Wait until the stream is closed, from whichever side, and the call is written down."""
        async with asyncio.timeout(within_s):
            await self._socket.wait_closed()
            await self._house.desk.left(self.uid)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


@contextlib.asynccontextmanager
async def bridge(folder, script=lambda _command: (), **voice):
    """The served bridge with this model behind it."""
    model = ScriptedVoice(script, **voice)
    async with a_house(folder, voice=model) as house:
        yield house, model


async def talking(house, model, call_id="CA1", **more):
    """A call whose model is ready."""
    before = len(model.legs)
    callee = await Callee.rings(house, call_id, **more)
    await until(lambda: len(model.legs) > before and model.legs[-1].of(s.TellModel))
    return callee, model.legs[-1]


# --- before the first word


async def test_no_model_is_asked_before_signature_and_ticket_are_right(tmp_path):
    async with bridge(tmp_path) as (house, model):
        uid, ticket = house.outbound(call_id="CA1")
        assert await house.upgrade(signature="wrong") == 403
        socket = await house.upgrade()
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        assert await house.stream(uid, "wrong", "CA1") == b""
        assert await house.stream(uid, ticket, "CA2") == b""
        assert model.connects == 0
        await socket.close()
        callee = await Callee.rings(house, "CA7")
        await until(lambda: model.connects == 1)
        await callee.leaves()
        await callee.gone()


async def test_a_socket_that_does_not_say_which_call_it_is_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("agenx_cli.bridge.desk.START_WITHIN_S", 0.3)
    async with bridge(tmp_path) as (house, model):
        silent, chatty = await house.upgrade(), await house.upgrade()
        async with asyncio.timeout(5):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await chatty.send(json.dumps({"event": "weather"}))
                    await asyncio.sleep(0.02)
            await silent.wait_closed()
        assert model.connects == 0


async def test_what_the_callee_says_before_the_model_is_ready_reaches_it_in_order(tmp_path):
    gate = asyncio.Event()
    async with bridge(tmp_path, gate=gate) as (house, model):
        callee = await Callee.rings(house, "CA1")
        said = [bytes([n]) * 160 for n in range(1, 101)]
        await callee.speaks(*said[:60])
        await until(lambda: model.connects == 1)
        gate.set()
        await callee.speaks(*said[60:])
        await until(lambda: model.legs and len(model.legs[0].heard) == 100)
        assert model.legs[0].heard == said
        await callee.leaves()
        await callee.gone()


# --- a call


async def test_a_tool_runs_beside_the_media_and_is_committed_before_it_is_answered(tmp_path):
    booked = []

    def script(command):
        if isinstance(command, s.AnswerTool):
            with contextlib.closing(sqlite3.connect(tmp_path / "agenx.db")) as other:
                booked.append(other.execute("select count(*) from meetings where status = 'booked'").fetchone())
        return reply(command)

    reply = once(*saying(b"\x10" * 160, "Un momento.", tool("book_meeting", **MEETING)))
    async with bridge(tmp_path, script) as (house, model):
        callee, leg = await talking(house, model)
        with contextlib.closing(sqlite3.connect(tmp_path / "agenx.db", isolation_level=None)) as busy:
            busy.execute("begin immediate")
            leg.receive(s.TurnCommitted("t1"))
            await until(lambda: callee.audio)
            heard = len(leg.heard)
            await callee.speaks(*[QUIET] * 20)
            await until(lambda: len(leg.heard) == heard + 20)
            assert not leg.of(s.AnswerTool)
            busy.execute("rollback")
        await until(lambda: leg.of(s.AnswerTool))
        assert json.loads(leg.of(s.AnswerTool)[0].output)["status"] == "booked"
        assert booked == [(1,)]
        await until(lambda: len(leg.of(s.AskReply)) == 2)
        await callee.leaves()
        await callee.gone()


async def test_the_call_is_hung_up_once_the_goodbye_was_heard(tmp_path):
    goodbye = bytes(range(1, 251)) * 32
    script = once(*saying(goodbye, "Gracias, adiós.", tool("end_call", reason="goodbye")))
    async with bridge(tmp_path, script) as (house, model):
        callee, leg = await talking(house, model)
        asked = asyncio.get_running_loop().time()
        leg.receive(s.TurnCommitted("t1"))
        await until(lambda: callee.hung_up_at)
        assert callee.audio.startswith(goodbye)
        assert callee.hung_up_at - asked >= 1.0 + 0.7
        await callee.gone()
        assert leg.closed
        assert house.carrier.hung_up == {"CA1": 1}
        assert house.store.attempts.get(callee.uid).facts.reasons == {"goodbye"}


async def test_without_a_model_the_stream_is_left_and_the_carrier_goes_on_with_the_apology(tmp_path):
    refusal = VoiceError("the model is not there", provider="small", code="gone")
    async with bridge(tmp_path, refuse=refusal) as (house, _):
        callee = await Callee.rings(house, "CA1")
        await callee.gone()
        assert not house.carrier.hung_up
        assert house.desk.calls == ()


async def test_a_model_that_gets_lost_in_the_call_leaves_the_stream_too(tmp_path):
    async with bridge(tmp_path) as (house, model):
        callee, leg = await talking(house, model)
        leg.receive(s.ModelLost("1006"))
        await callee.gone()
        assert not house.carrier.hung_up
        assert leg.closed


# --- trouble is of one call


GARBAGE = ("{", "null", '{"event": 3}', "\x00", '{"event": "media", "streamSid": "MZ1", "media": {}}', "x" * 70_000)


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_frame_that_is_none_ends_its_own_call_only(tmp_path, garbage):
    async with bridge(tmp_path) as (house, model):
        broken, its_leg = await talking(house, model, "CA1")
        other, leg = await talking(house, model, "CA2")
        await broken.send(garbage)
        await broken.gone()
        assert its_leg.closed
        await other.speaks(b"\x11" * 160)
        await until(lambda: leg.heard[-1:] == [b"\x11" * 160])
        assert house.desk.calls == (other.uid,)
        await other.leaves()
        await other.gone()


def stumbling(kind):
    """A script of a model whose socket is broken in a way that nobody foresaw."""

    def script(command):
        if not isinstance(command, kind):
            return ()
        raise RuntimeError("unforeseen")

    return script


async def broken_by_the_clock(callee, leg):
    """Nothing more happens: the question after the silence comes from the tick that all calls share."""
    await callee.gone()


async def broken_by_the_model(callee, leg):
    leg.receive(s.TurnCommitted("t1"))
    await callee.gone()


async def broken_by_the_operator(callee, leg):
    callee._house.desk.end_all("operator", polite=True)
    await callee.gone()


@pytest.mark.parametrize("breaks", [broken_by_the_clock, broken_by_the_model, broken_by_the_operator])
async def test_an_error_of_ours_leaves_no_open_line_and_no_other_call_without_its_clock(tmp_path, breaks):
    async with bridge(tmp_path, stumbling(s.AskReply)) as (house, model):
        callee, leg = await talking(house, model, limits=Limits(idle_first=0.3))
        await breaks(callee, leg)
        assert house.carrier.hung_up == {"CA1": 1}
        assert leg.closed
        model.script = once(*saying(b"\x10" * 4000, "Buenos días."))
        other, its_leg = await talking(house, model, "CA2")
        its_leg.receive(s.TurnCommitted("t1"))
        await until(lambda: len(other.audio) >= 4000)
        await other.leaves()
        await other.gone()


async def test_a_recording_that_cannot_begin_does_not_end_the_call(tmp_path):
    (tmp_path / "recordings").write_text("not a folder")
    async with bridge(tmp_path, once(*saying(b"\x10" * 160, "Hola."))) as (house, model):
        callee, leg = await talking(house, model, record=True)
        leg.receive(s.TurnCommitted("t1"))
        await until(lambda: callee.audio)
        await callee.leaves()
        await callee.gone()
        assert house.store.attempts.get(callee.uid).figures.turns == 1


async def test_a_recording_that_cannot_be_kept_costs_nothing_but_itself(tmp_path):
    async with bridge(tmp_path) as (house, model):
        callee, leg = await talking(house, model, record=True)
        (tmp_path / "recordings" / f"{callee.uid}.wav").mkdir()
        leg.receive(s.TurnCommitted("t1"))
        leg.receive(s.CalleeText("t1", "Buenos días"))
        await callee.speaks(QUIET)
        await until(lambda: leg.of(s.AskReply))
        await callee.leaves()
        await callee.gone()
        attempt = house.store.attempts.get(callee.uid)
        assert (attempt.figures.turns, attempt.figures.recording) == (1, None)
        assert "Buenos días" in [line.text for line in house.store.transcripts.of(callee.uid)]


async def test_fifty_calls_leave_nothing_running(tmp_path):
    async with bridge(tmp_path, once(*saying(b"\x10" * 160, "Hola."))) as (house, model):

        async def one(number):
            callee = await Callee.rings(house, f"CA{number}")
            await callee.speaks(QUIET, QUIET)
            await until(lambda: callee.uid in house.desk.calls)
            await callee.leaves()
            await callee.gone()

        await one(0)
        await until(lambda: not house.desk.calls)
        before = len(asyncio.all_tasks())
        for first in range(1, 51, 10):
            await asyncio.gather(*(one(number) for number in range(first, first + 10)))
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert house.desk.calls == ()
        assert model.connects == 51
        assert all(leg.closed for leg in model.legs)
        print(f"\n50 calls, {len(asyncio.all_tasks()) - before} tasks left")
