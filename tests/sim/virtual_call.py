"""A whole call in virtual time: a simulated callee, a plain bridge of the test's own, and the simulated model.

The bridge is deliberately simple (it answers each turn, yields when talked over for 450 ms, runs tools that are
Python functions): what is under test are the two ends.
"""

import base64
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from agenx_cli.sim.callees import Callee, HangUp
from agenx_cli.sim.sound import speak
from agenx_cli.sim.voice.faults import FaultPlan
from agenx_cli.sim.voice.faulty import Close
from agenx_cli.sim.voice.session import Session
from tests.contracts_openai import check_client_event, check_server_event
from tests.sim.talk import OPENING, OUTPUTS, SPANISH, TOOLS

FRAME = 160
SILENT = b"\xff" * FRAME
PCMU = {"type": "audio/pcmu"}
DETECTION = {"type": "server_vad", "threshold": 0.6, "create_response": False, "interrupt_response": False}


@dataclass
class VirtualCall:
    """One call; ``run`` plays it to its end."""

    persona: str
    seed: int = 0
    instructions: str = SPANISH
    opening: str = OPENING
    tools: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(TOOLS))
    outputs: dict[str, Any] = field(default_factory=lambda: dict(OUTPUTS))
    used: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    lines: list[tuple[int, str, str]] = field(default_factory=list)
    ended_by: str = ""
    ended_ms: int = 0
    end_tool: str = "end_call"
    interrupted: int = 0
    lose_frame: int = 0
    """Which frame of the callee's voice is lost on the way (0: none)."""

    def __post_init__(self) -> None:
        self._session = Session("gpt-realtime-2.1", epoch_s=0, now=0.0, rng=Random(self.seed), faults=FaultPlan())
        self._callee = Callee(self.persona, self.seed)
        self._queue = bytearray(speak(self.opening, voice=1))
        self._sent: dict[str, int] = {}
        self._active: str | None = None
        self._wants_reply = False
        self._talked_over_ms = 0
        self._speech = False
        self._hang_up_at: int | None = None
        self._calls: list[dict[str, Any]] = []
        self._dropped: set[str] = set()
        self._ms = 0
        self._voiced = 0

    def run(self) -> "VirtualCall":
        self._take(self._session.wake(0.0))
        audio_in = {"format": PCMU, "transcription": {"model": "gpt-transcribe"}, "turn_detection": DETECTION}
        self._send(
            "session.update",
            session={
                "type": "realtime",
                "instructions": self.instructions,
                "tools": list(self.tools.values()),
                "audio": {"input": audio_in, "output": {"format": PCMU}},
            },
        )
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": self.opening}]}
        self._send("conversation.item.create", item=said)
        while not self.ended_by and self._ms < 20_000:
            self._step()
        self.ended_ms = self._ms
        return self

    def _step(self) -> None:
        frame = bytes(self._queue[:FRAME]).ljust(FRAME, b"\xff")
        del self._queue[:FRAME]
        heard = self._callee.step(frame, self._ms)
        self._ms += 20
        if isinstance(heard, HangUp):
            self.ended_by = "callee"
            return
        self._take(self._session.wake(self._ms / 1000))
        self._voiced += heard != SILENT
        if heard == SILENT or self._voiced != self.lose_frame:
            self._send("input_audio_buffer.append", audio=base64.b64encode(heard).decode())
        self._barge_in()
        if self._wants_reply and self._active is None and not self._speech:
            self._wants_reply = False
            self._active = "asked"
            self._send("response.create")
        if not self._queue:
            self._sent.clear()
        if self._hang_up_at is not None and not self._queue and self._ms > self._hang_up_at:
            self.ended_by = "assistant"

    def _barge_in(self) -> None:
        over = self._speech and self._queue and self._sent
        self._talked_over_ms = self._talked_over_ms + 20 if over else 0
        if self._talked_over_ms < 450:
            return
        self.interrupted += 1
        if self._active not in (None, "asked"):
            self._send("response.cancel", response_id=self._active)
        unplayed = len(self._queue)
        self._queue.clear()
        for item_id, sent in reversed(self._sent.items()):
            left = min(unplayed, sent)
            unplayed -= left
            if left == sent:
                self._send("conversation.item.delete", item_id=item_id)
            elif left:
                heard_ms = (sent - left) // 8
                self._send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=heard_ms)
        self._dropped.update(self._sent)
        self._sent.clear()

    def _send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"evt_{self._ms}_{kind}", **fields}
        check_client_event(event)
        self._take(self._session.receive(json.dumps(event), self._ms / 1000))

    def _take(self, events: list[dict[str, Any] | Close]) -> None:
        for event in events:
            assert isinstance(event, dict)
            check_server_event(event)
            self._on(event)

    def _on(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "error":
                raise AssertionError(event["error"])
            case "input_audio_buffer.speech_started":
                self._speech = True
            case "input_audio_buffer.committed":
                self._speech = False
                self._wants_reply = True
            case "response.created":
                self._active = event["response"]["id"]
            case "response.output_audio.delta" if event["item_id"] not in self._dropped:
                audio = base64.b64decode(event["delta"])
                self._sent[event["item_id"]] = self._sent.get(event["item_id"], 0) + len(audio)
                self._queue.extend(audio)
            case "response.output_audio_transcript.done":
                self.lines.append((self._ms, "assistant", event["transcript"]))
            case "conversation.item.input_audio_transcription.completed":
                self.lines.append((self._ms, "callee", event["transcript"]))
            case "response.done":
                self._done(event["response"])

    def _done(self, response: dict[str, Any]) -> None:
        self._active = None
        calls = [item for item in response["output"] if item["type"] == "function_call"]
        for call in calls:
            arguments = json.loads(call["arguments"])
            self.used.append((call["name"], arguments))
            output = json.dumps(self.outputs.get(call["name"], {"error": "unknown tool"}))
            item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
            self._send("conversation.item.create", item=item)
            if call["name"] == self.end_tool:
                self._hang_up_at = self._ms + 700 + len(self._queue) // 8
        self._wants_reply = self._wants_reply or any(call["name"] != self.end_tool for call in calls)
