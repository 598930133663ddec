"""One response: the events of a generation in their order, faster than real time, in pieces of any length.

``run`` is a generator: it emits events and yields the seconds until it wants to go on. Whoever drives it may stop
driving and call ``cancel`` instead, which emits the closing events of what was begun.
"""

import base64
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from agenx_cli.sim.mind import Thought, ToolUse
from agenx_cli.sim.sound import speak
from agenx_cli.sim.voice.audio import Format, bytes_per_ms, from_ulaw
from agenx_cli.sim.voice.memory import Conversation, Item, text_tokens

Emit = Callable[[dict[str, Any]], None]
VOICE = 1
_TOKEN_MS = 50


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked for. ``keep`` is False out of band (``conversation: "none"``)."""

    modality: str
    audio_format: Format
    voice: Any
    limit: int | str
    conversation_id: str
    keep: bool = True
    metadata: dict[str, str] | None = None
    first_delay_s: float = 0.0
    failure: tuple[str, str, str] | None = None
    """(type, code, message) of a generation that fails."""


@dataclass(slots=True)
class _Open:
    """The item being generated."""

    item: Item
    index: int
    text: str = ""
    previous: str | None = None


class Reply:
    """A response in generation. ``usage_in`` are its input's (text, audio, cached text, cached audio) tokens."""

    def __init__(
        self,
        response_id: str,
        thought: Thought,
        terms: Terms,
        *,
        emit: Emit,
        conversation: Conversation,
        rng: Random,
        new_id: Callable[[str], str],
        usage_in: tuple[int, int, int, int],
    ) -> None:
        self.id = response_id
        self.terms = terms
        self.status = "in_progress"
        self.audio_ms = 0
        self._thought = thought
        self._emit = emit
        self._conversation = conversation
        self._rng = rng
        self._new_id = new_id
        self._usage_in = usage_in
        self._output: list[Item] = []
        self._open: _Open | None = None
        self._text_out = 0
        self._details: dict[str, Any] | None = None

    def run(self) -> Iterator[float]:
        """Generate. Each value is a pause in seconds."""
        self._emit({"type": "response.created", "response": self._public()})
        yield self.terms.first_delay_s
        if self.terms.failure is not None:
            kind, code, message = self.terms.failure
            error = {"type": kind, "code": code, "message": message}
            self._finish("failed", {"type": "failed", "error": error})
            return
        if self._thought.say:
            whole = yield from self._message()
            if not whole:
                self._close_item("incomplete")
                self._finish("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
                return
            self._close_item("completed")
        for use in self._thought.uses:
            yield from self._call(use)
            self._close_item("completed")
        self._finish("completed", None)

    def cancel(self, reason: str) -> None:
        """Stop here: ``client_cancelled`` or ``turn_detected``."""
        if self._open is not None:
            self._close_item("incomplete")
        self._finish("cancelled", {"type": "cancelled", "reason": reason})

    # --- a message

    def _message(self) -> Generator[float, None, bool]:
        spoken = self.terms.modality == "audio"
        item = Item(self._new_id("item"), "message", role="assistant", status="in_progress", spoken=spoken)
        opened = self._begin(item)
        part = {"type": "audio", "transcript": ""} if spoken else {"type": "text", "text": ""}
        self._tell(opened, "response.content_part.added", content=True, part=part)
        if spoken:
            return (yield from self._speak(opened))
        return (yield from self._write(opened))

    def _speak(self, opened: _Open) -> Generator[float, None, bool]:
        ulaw = speak(self._thought.say, voice=VOICE)
        data = from_ulaw(ulaw, self.terms.audio_format)
        scale = bytes_per_ms(self.terms.audio_format) // 8
        pace = self._rng.uniform(12, 40)
        allowed = self._allowed_ms() * 8
        for text, begin, end in _pieces(self._thought.say, len(ulaw), self._rng):
            if end > allowed:
                return False
            if text:
                self._grow(opened, text)
            opened.item.ulaw.extend(ulaw[begin:end])
            self.audio_ms = opened.item.audio_ms
            delta = base64.b64encode(data[begin * scale : end * scale]).decode("ascii")
            self._tell(opened, "response.output_audio.delta", content=True, delta=delta)
            yield (end - begin) / 8000 / pace
        return True

    def _write(self, opened: _Open) -> Generator[float, None, bool]:
        for word in self._thought.say.split(" "):
            text = f" {word}" if opened.text else word
            self._grow(opened, text)
            yield 0.005
        return True

    def _grow(self, opened: _Open, text: str) -> None:
        opened.text += text
        opened.item.words = opened.text
        kind = "output_audio_transcript" if opened.item.spoken else "output_text"
        self._tell(opened, f"response.{kind}.delta", content=True, delta=text)

    def _allowed_ms(self) -> int:
        return 10**9 if self.terms.limit == "inf" else int(self.terms.limit) * _TOKEN_MS

    # --- a function call

    def _call(self, use: ToolUse) -> Iterator[float]:
        item = Item(
            self._new_id("item"),
            "function_call",
            status="in_progress",
            name=use.name,
            call_id=self._new_id("call"),
        )
        opened = self._begin(item)
        sent = 0
        while sent < len(use.arguments):
            delta = use.arguments[sent : sent + self._rng.randint(1, 12)]
            sent += len(delta)
            item.arguments += delta
            self._tell(opened, "response.function_call_arguments.delta", call_id=item.call_id, delta=delta)
            yield 0.002

    # --- opening and closing

    def _begin(self, item: Item) -> _Open:
        opened = _Open(item, len(self._output))
        self._output.append(item)
        self._open = opened
        self._tell_item("response.output_item.added", opened)
        if self.terms.keep:
            previous = self._conversation.append(item)
            self._emit({"type": "conversation.item.added", "previous_item_id": previous, "item": item.public()})
            opened.previous = previous
        return opened

    def _close_item(self, status: Literal["completed", "incomplete"]) -> None:
        opened, self._open = self._open, None
        if opened is None:
            return
        item = opened.item
        item.status = status
        if item.kind == "function_call":
            whole: dict[str, Any] = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
            self._tell(opened, "response.function_call_arguments.done", **whole)
        elif item.spoken:
            self._tell(opened, "response.output_audio.done", content=True)
            self._tell(opened, "response.output_audio_transcript.done", content=True, transcript=opened.text)
            part = {"type": "audio", "transcript": opened.text}
            self._tell(opened, "response.content_part.done", content=True, part=part)
            item.content = [{"type": "output_audio"} | ({} if item.truncated else {"transcript": opened.text})]
        else:
            self._tell(opened, "response.output_text.done", content=True, text=opened.text)
            part = {"type": "text", "text": opened.text}
            self._tell(opened, "response.content_part.done", content=True, part=part)
            item.content = [{"type": "output_text", "text": opened.text}]
        self._text_out += text_tokens(opened.text + item.arguments)
        if self.terms.keep:
            done = {"previous_item_id": opened.previous, "item": item.public()}
            self._emit({"type": "conversation.item.done", **done})
        self._tell_item("response.output_item.done", opened)

    def _finish(self, status: str, details: dict[str, Any] | None) -> None:
        self.status = status
        self._details = details
        self._emit({"type": "response.done", "response": self._public()})

    # --- events

    def _tell(self, opened: _Open, kind: str, *, content: bool = False, **fields: Any) -> None:
        place = {"response_id": self.id, "item_id": opened.item.id, "output_index": opened.index}
        self._emit({"type": kind, **place, **({"content_index": 0} if content else {}), **fields})

    def _tell_item(self, kind: str, opened: _Open) -> None:
        place = {"response_id": self.id, "output_index": opened.index}
        self._emit({"type": kind, **place, "item": opened.item.public()})

    def _public(self) -> dict[str, Any]:
        over = self.status != "in_progress"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self._details,
            "output": [item.public() for item in self._output] if over else [],
            "conversation_id": self.terms.conversation_id if self.terms.keep else None,
            "output_modalities": [self.terms.modality],
            "max_output_tokens": self.terms.limit,
            "audio": {"output": {"format": self.terms.audio_format, "voice": self.terms.voice}},
            "metadata": self.terms.metadata,
            "usage": self._usage() if over else None,
        }

    def _usage(self) -> dict[str, Any]:
        text_in, audio_in, cached_text, cached_audio = (0, 0, 0, 0) if self.status == "failed" else self._usage_in
        audio_out = math.ceil(sum(item.audio_ms for item in self._output) / _TOKEN_MS)
        return {
            "total_tokens": text_in + audio_in + self._text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": self._text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {
                    "text_tokens": cached_text,
                    "audio_tokens": cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": self._text_out, "audio_tokens": audio_out},
        }


def _pieces(text: str, length: int, rng: Random) -> Iterator[tuple[str, int, int]]:
    """Cut speech at random: (words that come due, first byte, end byte). Often no multiple of three bytes."""
    words = text.split(" ")
    begin = shown = 0
    while begin < length:
        end = min(length, begin + rng.randint(1, 4000))
        due = math.ceil(len(words) * end / length)
        fresh = " ".join(words[shown:due])
        yield (f" {fresh}" if fresh and shown else fresh), begin, end
        begin, shown = end, due
