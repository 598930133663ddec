"""One Realtime session without its socket: client events in, server events out, time passed in.

The rules, in words:

1. ``session.created`` opens it. A client event is checked for its shape first; a wrong one changes nothing and is
   answered by one ``error`` with the client's own event_id.
2. Appended audio goes to the buffer and, unless ``turn_detection`` is null, through the detector. Speech that starts
   gets the id of the user item it will become; speech that stops is committed under that id at once.
3. A committed turn is a user item; what it says is what its audio carries. Its transcription comes later, on its own.
4. At most one response writes to the conversation at a time; out of band ones (``conversation: "none"``) run beside.
5. The detector creates and interrupts responses only as ``turn_detection`` says.
6. A response is thought when it begins, from the instructions, the tools and the items as they are then.
7. At its maximum age the session says ``session_expired`` and closes with 1001.
"""

import base64
import json
import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from agenx_cli.sim.mind import Thought, ToolUse, View
from agenx_cli.sim.mind.think import think
from agenx_cli.sim.voice.audio import to_ulaw
from agenx_cli.sim.voice.config import default_config, updated
from agenx_cli.sim.voice.detector import Started
from agenx_cli.sim.voice.faults import FaultPlan
from agenx_cli.sim.voice.faulty import Close, Refused, invalid
from agenx_cli.sim.voice.hearing import InputBuffer, Turn
from agenx_cli.sim.voice.memory import Conversation, Item, built, check_truncate, made_out
from agenx_cli.sim.voice.recall import input_tokens, remembered
from agenx_cli.sim.voice.replying import Reply, Terms
from agenx_cli.sim.voice.shapes import CLIENT_EVENT
from agenx_cli.sim.voice.timeline import Timeline

MAX_AGE_S = 3600.0
_EXPIRED = "Your session hit the maximum duration of 60 minutes."
_APPEND_LIMIT = 15 * 1024 * 1024


@dataclass(slots=True)
class _Running:
    """A response in generation and the steps it has left."""

    reply: Reply
    steps: Iterator[float] = field(default_factory=lambda: iter(()))


class Session:
    """The machine. ``receive`` and ``wake`` answer with the events to send, in order, and perhaps a last ``Close``."""

    def __init__(self, model: str, *, epoch_s: float, now: float, rng: Random, faults: FaultPlan) -> None:
        self._rng = rng
        self._faults = faults
        self._config = default_config(model)
        self._conversation = Conversation()
        self._buffer = InputBuffer()
        self._timeline = Timeline()
        self._running: dict[str, _Running] = {}
        self._out: list[dict[str, Any] | Close] = []
        self._tokens_left = 40_000
        self._cached = (0, 0)
        self._spoke_audio = False
        self._idle_round = 0
        self._sent = 0
        self._closes = faults.close_code is not None and faults.strikes("close_count")
        self._conversation_id = self._new_id("conv")
        self.id = self._new_id("sess")
        self._expires_at = int(epoch_s + MAX_AGE_S)
        age = MAX_AGE_S if faults.expire_after_ms is None else faults.expire_after_ms / 1000
        self._timeline.at(now + age, self._expire)
        self._emit({"type": "session.created", "session": self._session()})

    # --- from outside

    def receive(self, raw: str | bytes, now: float) -> list[dict[str, Any] | Close]:
        """A frame of the client."""
        self._timeline.run(now)
        event_id = None
        try:
            event = _parsed(raw)
            event_id = event.get("event_id") if isinstance(event.get("event_id"), str) else None
            CLIENT_EVENT(event, "")
            self._handle(event, now)
        except Refused as refused:
            self._error(refused, event_id)
        return self._drain()

    def wake(self, now: float) -> list[dict[str, Any] | Close]:
        """The moment has come that ``due`` named, or a later one."""
        self._timeline.run(now)
        return self._drain()

    def due(self) -> float | None:
        """When ``wake`` has something to do."""
        return self._timeline.next()

    def _handle(self, event: dict[str, Any], now: float) -> None:
        match event["type"]:
            case "session.update":
                self._update(event["session"])
            case "input_audio_buffer.append":
                self._append(event["audio"], now)
            case "input_audio_buffer.commit":
                self._commit(self._buffer.commit(self._new_id("item")), now)
            case "input_audio_buffer.clear":
                self._buffer.clear()
                self._emit({"type": "input_audio_buffer.cleared"})
            case "response.create":
                self._create(event.get("response", {}), now)
            case "response.cancel":
                self._cancel(event.get("response_id"))
            case "output_audio_buffer.clear":
                raise invalid("type", "'output_audio_buffer.clear' is only supported for WebRTC and SIP connections.")
            case _:
                self._change_conversation(event)

    def _change_conversation(self, event: dict[str, Any]) -> None:
        conversation = self._conversation
        match event["type"]:
            case "conversation.item.create":
                self._create_item(event["item"], event.get("previous_item_id"))
            case "conversation.item.retrieve":
                item = conversation.demand(event["item_id"], "retrieve")
                self._emit({"type": "conversation.item.retrieved", "item": item.retrieved()})
            case "conversation.item.delete":
                conversation.remove(conversation.demand(event["item_id"], "delete"))
                self._emit({"type": "conversation.item.deleted", "item_id": event["item_id"]})
            case "conversation.item.truncate":
                item = conversation.demand(event["item_id"], "truncate")
                place = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
                check_truncate(item, place["content_index"], place["audio_end_ms"])
                item.truncate(place["audio_end_ms"])
                self._emit({"type": "conversation.item.truncated", **place})

    # --- configuration and items

    def _update(self, changes: dict[str, Any]) -> None:
        active = bool(self._running)
        self._config = updated(self._config, changes, audio_spoken=self._spoke_audio, response_active=active)
        if self._faults.strikes("echo_pcm_count"):
            for side in ("input", "output"):
                self._config["audio"][side]["format"] = {"type": "audio/pcm", "rate": 24000}
        self._emit({"type": "session.updated", "session": self._session()})

    def _create_item(self, given: dict[str, Any], after: str | None) -> None:
        if given["type"] == "function_call_output" and not self._conversation.has_call(given["call_id"]):
            message = f"Tool call ID '{given['call_id']}' not found in conversation."
            raise Refused("invalid_tool_call_id", message, "item.call_id")
        if given["type"] == "mcp_approval_response":
            raise invalid("item.approval_request_id", "there is no such approval request.")
        item = built(given.get("id") or self._new_id("item"), given)
        previous = self._conversation.insert(item, after)
        for kind in ("added", "done"):
            shown = {"previous_item_id": previous, "item": item.public()}
            self._emit({"type": f"conversation.item.{kind}", **shown})

    # --- hearing

    def _append(self, audio: str, now: float) -> None:
        data = base64.b64decode(audio)
        if len(data) > _APPEND_LIMIT:
            raise invalid("audio", "the audio of one event may have at most 15 MiB.")
        audio_in = self._config["audio"]["input"]
        detection = audio_in["turn_detection"]
        for change in self._buffer.feed(to_ulaw(data, audio_in["format"]), detection):
            if isinstance(change, Started):
                self._speech_started(change.start_ms, interrupts=detection["interrupt_response"])
                continue
            turn = self._buffer.stop(change.end_ms)
            stopped = {"audio_end_ms": change.end_ms, "item_id": turn.item_id}
            self._emit({"type": "input_audio_buffer.speech_stopped", **stopped})
            self._commit(turn, now)
            if detection["create_response"]:
                self._create({}, now)

    def _speech_started(self, start_ms: int, *, interrupts: bool) -> None:
        item_id = self._new_id("item")
        self._idle_round += 1
        self._buffer.start(start_ms, item_id)
        started = {"audio_start_ms": start_ms, "item_id": item_id}
        self._emit({"type": "input_audio_buffer.speech_started", **started})
        active = self._active()
        if interrupts and active is not None:
            self._end(active, "turn_detected")

    def _commit(self, turn: Turn, now: float) -> None:
        item = Item(turn.item_id, "message", role="user", spoken=True, ulaw=bytearray(turn.ulaw))
        item.content = [{"type": "input_audio", "transcript": None}]
        item.words, item.understood = made_out(turn.ulaw)
        previous = self._conversation.append(item)
        place = {"previous_item_id": previous}
        self._emit({"type": "input_audio_buffer.committed", **place, "item_id": item.id})
        self._emit({"type": "conversation.item.added", **place, "item": item.public()})
        self._emit({"type": "conversation.item.done", **place, "item": item.public()})
        transcription = self._config["audio"]["input"]["transcription"]
        if transcription is not None and turn.ulaw:
            model = transcription.get("model", "whisper-1")
            self._timeline.at(now + self._rng.uniform(0.1, 0.4), lambda _: self._transcribe(item, model))

    def _transcribe(self, item: Item, model: str) -> None:
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": item.id, "content_index": 0}
        item.content[0]["transcript"] = item.words
        if item.words and model != "whisper-1":
            self._emit({"type": f"{kind}.delta", **place, "delta": item.words})
        usage: dict[str, Any] = {"type": "duration", "seconds": round(len(item.ulaw) / 8000, 2)}
        if model.startswith("gpt-4o"):
            heard, written = math.ceil(item.audio_ms / 100), math.ceil(len(item.words) / 4)
            usage = {"type": "tokens", "input_tokens": heard, "output_tokens": written}
            usage |= {"total_tokens": heard + written, "input_token_details": {"audio_tokens": heard, "text_tokens": 0}}
        self._emit({"type": f"{kind}.completed", **place, "transcript": item.words, "usage": usage})

    # --- responses

    def _active(self) -> _Running | None:
        return next((running for running in self._running.values() if running.reply.terms.keep), None)

    def _create(self, asked: dict[str, Any], now: float) -> None:
        terms = self._terms(asked)
        active = self._active()
        if terms.keep and active is not None:
            raise Refused(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {active.reply.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        items = self._input(asked)
        tools = asked.get("tools", self._config["tools"])
        view = View(
            instructions=self._config["instructions"],
            tools=tuple(tool for tool in tools if tool["type"] == "function"),
            memories=remembered(items),
            reply_instructions=asked.get("instructions"),
            tool_choice=asked.get("tool_choice", self._config["tool_choice"]),
        )
        text, audio = input_tokens(asked.get("instructions", self._config["instructions"]), tools, items)
        cached = (min(text, self._cached[0]), min(audio, self._cached[1])) if terms.keep else (0, 0)
        if terms.keep:
            self._cached = (text, audio)
        reply = Reply(
            self._new_id("resp"),
            self._spoilt(think(view)),
            terms,
            emit=self._emit,
            conversation=self._conversation,
            rng=self._rng,
            new_id=self._new_id,
            usage_in=(text, audio, *cached),
        )
        self._idle_round += 1
        running = self._running[reply.id] = _Running(reply, reply.run())
        self._step(running, now)

    def _terms(self, asked: dict[str, Any]) -> Terms:
        output = {**self._config["audio"]["output"], **asked.get("audio", {}).get("output", {})}
        modality = asked.get("output_modalities", self._config["output_modalities"])[0]
        waits = self._faults.first_audio_ms
        return Terms(
            modality="text" if modality == "audio" and self._faults.strikes("text_only_count") else modality,
            audio_format=output["format"],
            voice=output["voice"],
            limit=asked.get("max_output_tokens", self._config["max_output_tokens"]),
            conversation_id=self._conversation_id,
            keep=asked.get("conversation", "auto") == "auto",
            metadata=asked.get("metadata"),
            first_delay_s=self._rng.uniform(0.04, 0.12) if waits is None else waits / 1000,
            failure=self._faults.failure(),
        )

    def _input(self, asked: dict[str, Any]) -> list[Item]:
        if "input" not in asked:
            return list(self._conversation)
        items = []
        for index, given in enumerate(asked["input"]):
            if given["type"] != "item_reference":
                items.append(built(given.get("id") or self._new_id("item"), given))
                continue
            item = self._conversation.find(given["id"])
            if item is None:
                raise invalid(f"response.input[{index}].id", f"the item '{given['id']}' does not exist.")
            items.append(item)
        return items

    def _spoilt(self, thought: Thought) -> Thought:
        if not thought.uses:
            return thought
        uses = list(thought.uses)
        if self._faults.strikes("unknown_tool_count"):
            uses[0] = ToolUse("lookup_the_weather", uses[0].arguments)
        if self._faults.strikes("bad_arguments_count"):
            uses[0] = ToolUse(uses[0].name, uses[0].arguments[:-1] + ",")
        return Thought(thought.say, tuple(uses))

    def _step(self, running: _Running, moment: float) -> None:
        if running.reply.id not in self._running:
            return
        pause = next(running.steps, None)
        if pause is not None:
            self._timeline.at(moment + pause, lambda due: self._step(running, due))
            return
        self._done(running)
        self._wait_for_idle(running.reply, moment)

    def _cancel(self, response_id: str | None) -> None:
        running = self._active() if response_id is None else self._running.get(response_id)
        if running is None:
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response found")
        self._end(running, "client_cancelled")

    def _end(self, running: _Running, reason: str) -> None:
        running.reply.cancel(reason)
        self._done(running)

    def _done(self, running: _Running) -> None:
        reply = running.reply
        del self._running[reply.id]
        self._spoke_audio = self._spoke_audio or reply.audio_ms > 0
        self._tokens_left = max(0, self._tokens_left - self._rng.randint(50, 400))
        tokens = {"name": "tokens", "limit": 40_000, "remaining": self._tokens_left}
        self._emit({"type": "rate_limits.updated", "rate_limits": [{**tokens, "reset_seconds": 1.5}]})

    def _wait_for_idle(self, reply: Reply, moment: float) -> None:
        detection = self._config["audio"]["input"]["turn_detection"]
        patience = (detection or {}).get("idle_timeout_ms")
        if patience is None or not reply.terms.keep:
            return
        round_ = self._idle_round
        self._timeline.at(moment + (reply.audio_ms + patience) / 1000, lambda due: self._idle(round_, due))

    def _idle(self, round_: int, moment: float) -> None:
        if round_ != self._idle_round or self._active() is not None:
            return
        end_ms, item_id = self._buffer.end_ms, self._new_id("item")
        self._buffer.clear()
        place = {"audio_start_ms": end_ms, "audio_end_ms": end_ms, "item_id": item_id}
        self._emit({"type": "input_audio_buffer.timeout_triggered", **place})
        self._commit(Turn(item_id, b""), moment)
        self._create({}, moment)

    # --- to the client

    def _session(self) -> dict[str, Any]:
        head = {"id": self.id, "object": "realtime.session", "expires_at": self._expires_at}
        return {**deepcopy(self._config), **head}

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{self._rng.getrandbits(96):024x}"

    def _error(self, refused: Refused, event_id: str | None) -> None:
        error = {"type": refused.kind, "code": refused.code, "message": refused.message}
        self._emit({"type": "error", "error": {**error, "param": refused.param, "event_id": event_id}})

    def _expire(self, _moment: float) -> None:
        self._error(Refused("session_expired", _EXPIRED), None)
        self._out.append(Close(1001, _EXPIRED))

    def _emit(self, event: dict[str, Any]) -> None:
        self._sent += 1
        self._out.append({"type": event["type"], "event_id": self._new_id("event"), **event})
        if self._closes and self._sent == self._faults.close_at_event:
            self._out.append(Close(self._faults.close_code or 1011, "simulated fault"))

    def _drain(self) -> list[dict[str, Any] | Close]:
        out, self._out = self._out, []
        return out


def _parsed(raw: str | bytes) -> dict[str, Any]:
    try:
        event = json.loads(raw, parse_constant=_no_constant)
        json.dumps(event, ensure_ascii=False).encode()  # half a surrogate pair is no text that could be echoed
    except (ValueError, RecursionError) as exc:
        raise Refused("invalid_json", "We could not parse the JSON of your event.") from exc
    if not isinstance(event, dict):
        raise invalid("", "expected an object.")
    return event


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
