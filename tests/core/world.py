"""A carrier's playout and a model in virtual time, for driving the conversation machine without sockets.

Written from the two protocols' rules, independent of ``core.playout``: a buffer that plays 8 bytes a millisecond,
marks that come back when they are reached or when the buffer is cleared.
"""

from collections import deque
from dataclasses import dataclass, field

from agenx_cli.core import signals as s
from agenx_cli.core.conversation import Conversation
from agenx_cli.core.playbook import Limits

VOICE_DB, ROOM_DB = -20.0, -70.0


@dataclass
class CarrierLine:
    """What the callee's ear gets. ``latency_ms`` is each way; ``heard`` is every byte played, with its moment."""

    latency_ms: int = 0
    buffer: deque = field(default_factory=deque)
    heard: bytearray = field(default_factory=bytearray)
    heard_at: list = field(default_factory=list)
    returning: list = field(default_factory=list)
    arriving: list = field(default_factory=list)
    cleared_at: list = field(default_factory=list)

    def send(self, command, now):
        self.arriving.append((now + self.latency_ms, command))

    def step(self, now):
        """One millisecond; answers the marks that reach us now."""
        while self.arriving and self.arriving[0][0] <= now:
            _, command = self.arriving.pop(0)
            if isinstance(command, s.ClearPlayout):
                self.cleared_at.append(now)
                self.returning += [(now + self.latency_ms, m) for m in self.buffer if isinstance(m, str)]
                self.buffer.clear()
            elif isinstance(command, s.PutMark):
                self.buffer.append(command.name)
            else:
                self.buffer.extend(command.audio[i : i + 8] for i in range(0, len(command.audio), 8))
        self._marks(now)
        if self.buffer:
            self.heard += self.buffer.popleft()
            self.heard_at.append(now)
        self._marks(now + 1)
        due = [name for at, name in self.returning if at <= now]
        self.returning = [(at, name) for at, name in self.returning if at > now]
        return due

    def _marks(self, now):
        while self.buffer and isinstance(self.buffer[0], str):
            self.returning.append((now + self.latency_ms, self.buffer.popleft()))


class World:
    """Drives one conversation millisecond by millisecond."""

    def __init__(self, *, latency_ms=0, limits=None, opening="Hola, soy una asistente de IA. ¿Tiene un minuto?"):
        self.now = 0
        self.line = CarrierLine(latency_ms)
        self.conversation = Conversation(opening=opening, limits=limits or Limits())
        self.commands = []
        self.voiced = False

    def tell(self, event):
        for command in self.conversation.handle(event, self.now):
            self.commands.append((self.now, command))
            if isinstance(command, s.Play | s.PutMark | s.ClearPlayout):
                self.line.send(command, self.now)

    def run(self, ms):
        for _ in range(ms):
            for name in self.line.step(self.now):
                self.tell(s.MarkReturned(name))
            if self.now % 20 == 0:
                self.tell(s.Tick())
                self.tell(s.CalleeFrame(VOICE_DB if self.voiced else ROOM_DB))
            self.now += 1

    def of(self, kind):
        return [command for _, command in self.commands if isinstance(command, kind)]

    def moments(self, kind):
        return [at for at, command in self.commands if isinstance(command, kind)]

    # --- the model's part

    def ready(self):
        self.tell(s.ModelReady())

    def turn(self, turn_id="t1", *, text="hola", speech_ms=600, silence_ms=500):
        """A whole turn of the callee, as the model's detector reports it."""
        self.voiced = True
        self.run(60)
        self.tell(s.SpeechStarted(turn_id, self.now))
        self.run(speech_ms - 60)
        self.voiced = False
        self.run(silence_ms)
        self.tell(s.SpeechStopped(turn_id, self.now))
        self.tell(s.TurnCommitted(turn_id))
        self.tell(s.CalleeText(turn_id, text))

    def reply(
        self, reply_id="r1", *, text="De acuerdo.", audio_ms=1000, calls=(), status="completed", piece=777, byte=b"\x10"
    ):
        """A whole reply, faster than real time: the audio's bytes count up so that every sample is known."""
        utterance = f"u-{reply_id}"
        self.tell(s.ReplyStarted(reply_id))
        audio = self.samples(audio_ms)
        for at in range(0, len(audio), piece):
            self.tell(s.ReplyAudio(reply_id, utterance, audio[at : at + piece]))
        if text:
            self.tell(s.ReplyText(reply_id, utterance, text))
        if audio:
            self.tell(s.UtteranceEnded(reply_id, utterance))
        self.tell(s.ReplyEnded(reply_id, status, tool_calls=tuple(calls)))

    @staticmethod
    def samples(ms):
        return bytes(i % 251 for i in range(ms * 8))
