"""The session machine in virtual time: what depends on the clock, and hostile input of any kind."""

import base64
import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.sim.sound import speak
from agenx_cli.sim.voice.detector import Detector, Started, Stopped, likelihood
from agenx_cli.sim.voice.faults import FaultPlan
from agenx_cli.sim.voice.faulty import Close
from agenx_cli.sim.voice.session import MAX_AGE_S, Session
from tests.contracts_openai import check_server_event

PCMU = {"type": "audio/pcmu"}
DETECTION = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
}


class Clocked:
    """A session and its clock."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 100.0
        self.session = Session("gpt-realtime-2.1", epoch_s=1e9, now=self.now, rng=Random(seed), faults=FaultPlan())
        self.events = []
        self.take(self.session.wake(self.now))

    def take(self, out):
        for event in out:
            if isinstance(event, dict):
                check_server_event(event)
            self.events.append(event)

    def send(self, kind, **fields):
        self.take(self.session.receive(json.dumps({"type": kind, **fields}), self.now))

    def pass_time(self, seconds):
        end = self.now + seconds
        while (due := self.session.due()) is not None and due <= end:
            self.now = due
            self.take(self.session.wake(due))
        self.now = end

    def configure(self, **detection):
        audio_in = {"format": PCMU, "turn_detection": DETECTION | detection}
        audio = {"input": audio_in, "output": {"format": PCMU}}
        self.send("session.update", session={"type": "realtime", "audio": audio})

    def types(self):
        return [event["type"] if isinstance(event, dict) else "close" for event in self.events]


def test_silence_after_a_reply_triggers_the_idle_timeout():
    clocked = Clocked()
    clocked.configure(idle_timeout_ms=5000)
    clocked.send("response.create", response={"instructions": "Say exactly <t>Hello there, this is a test.</t>"})
    clocked.pass_time(5.0)
    assert "input_audio_buffer.timeout_triggered" not in clocked.types()
    clocked.pass_time(2.0)
    assert "input_audio_buffer.timeout_triggered" in clocked.types()
    done = [event for event in clocked.events if event["type"] == "response.done"]
    assert done[-1]["response"]["output"][0]["content"][0]["transcript"] == "Are you still there?"


def test_a_session_is_over_after_an_hour():
    clocked = Clocked()
    assert clocked.events[0]["session"]["expires_at"] == 1e9 + MAX_AGE_S
    clocked.pass_time(MAX_AGE_S + 1)
    assert clocked.events[-2]["error"]["code"] == "session_expired"
    assert clocked.events[-1] == Close(1001, "Your session hit the maximum duration of 60 minutes.")


def test_audio_comes_much_faster_than_it_is_heard():
    clocked = Clocked()
    clocked.configure()
    text = "Esta es una frase larga que se tarda en decir, con muchas palabras y sin ninguna prisa."
    clocked.send("response.create", response={"instructions": f"Say exactly <t>{text}</t>"})
    clocked.pass_time(0.3)
    audio = [event["delta"] for event in clocked.events if event["type"] == "response.output_audio.delta"]
    assert "response.done" in clocked.types()
    assert sum(len(base64.b64decode(delta)) for delta in audio) == len(speak(text, voice=1))


@given(st.lists(st.integers(1, 3000), min_size=1), st.integers(0, 2**32))
def test_turns_do_not_depend_on_how_the_audio_is_cut(lengths, seed):
    audio = b"\xff" * 3200 + speak("Hola, ¿qué tal?") + b"\xff" * 8000
    whole = Detector().feed(audio, DETECTION)
    cut, detector, rng, at = [], Detector(), Random(seed), 0
    while at < len(audio):
        size = rng.choice(lengths)
        cut += detector.feed(audio[at : at + size], DETECTION)
        at += size
    assert cut == whole
    assert [type(change) for change in whole] == [Started, Stopped]


def test_silence_is_no_speech_at_any_threshold():
    assert likelihood(b"\xff" * 160) == 0.0
    assert not Detector().feed(b"\xff" * 16000, DETECTION | {"threshold": 0.0})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["session", "audio", "item", "item_id", "response", "response_id", "event_id", "content_index", "audio_end_ms"]
)
KINDS = st.sampled_from(
    [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "conversation.item.create",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
        "nonsense",
    ]
)


@given(st.text() | JSON.map(json.dumps) | st.binary())
def test_any_text_is_answered_by_exactly_one_error(raw):
    clocked = Clocked()
    clocked.take(clocked.session.receive(raw, clocked.now))
    assert clocked.types()[1:] == ["error"]


@given(st.lists(st.tuples(KINDS, st.dictionaries(FIELDS, JSON, max_size=3)), max_size=5))
def test_any_event_is_answered_with_events_that_are_valid(events):
    clocked = Clocked()
    for kind, fields in events:
        clocked.send(kind, **fields)
        clocked.pass_time(0.05)
