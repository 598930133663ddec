"""The conversation: its items in order, as the server keeps them and as the client may see them."""

import base64
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from agenx_cli.sim.sound import Listener, Said, Words
from agenx_cli.sim.voice.faulty import Refused, invalid

_ULAW_PER_MS = 8


@dataclass(slots=True)
class Item:
    """One item. ``ulaw`` is its audio at 8 kHz, ``words`` what the model remembers of it as text.

    ``understood`` is False when audio was heard but not (wholly) made out. ``content`` is the client's view of a
    message; the other fields are those of calls and outputs.
    """

    id: str
    kind: str
    role: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] = "completed"
    content: list[dict[str, Any]] = field(default_factory=list)
    ulaw: bytearray = field(default_factory=bytearray)
    words: str = ""
    understood: bool = True
    spoken: bool = False
    truncated: bool = False
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    output: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def audio_ms(self) -> int:
        """How much audio it holds."""
        return len(self.ulaw) // _ULAW_PER_MS

    def public(self) -> dict[str, Any]:
        """The item as events show it (audio only on retrieval)."""
        shown: dict[str, Any] = {"id": self.id, "object": "realtime.item", "type": self.kind, "status": self.status}
        match self.kind:
            case "message":
                shown |= {"role": self.role, "content": [dict(part) for part in self.content]}
            case "function_call":
                shown |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
            case "function_call_output":
                shown |= {"call_id": self.call_id, "output": self.output}
            case _:
                shown = {"id": self.id, "type": self.kind, **self.extra}
        return shown

    def retrieved(self) -> dict[str, Any]:
        """The item with its audio."""
        shown = self.public()
        if self.ulaw:
            shown["content"][0]["audio"] = base64.b64encode(bytes(self.ulaw)).decode("ascii")
        return shown

    def truncate(self, audio_end_ms: int) -> None:
        """Keep what was heard: the audio up to there, and of the words those that it carries."""
        if audio_end_ms >= self.audio_ms:
            return
        del self.ulaw[audio_end_ms * _ULAW_PER_MS :]
        self.words = made_out(bytes(self.ulaw))[0]
        self.truncated = True
        for part in self.content:
            part.pop("transcript", None)

    def tokens(self) -> tuple[int, int]:
        """Text and audio tokens of this item in a model's input."""
        if self.spoken:
            per_token_ms = 100 if self.role == "user" else 50
            return 0, math.ceil(self.audio_ms / per_token_ms)
        return text_tokens(self.words + self.name + self.arguments + self.output), 0


def text_tokens(text: str) -> int:
    """A token is about four characters."""
    return math.ceil(len(text) / 4)


def made_out(ulaw: bytes) -> tuple[str, bool]:
    """What audio says to somebody who has only the audio, and whether all of it was understood.

    Audio without any words in it (a noise, silence) is ("", True).
    """
    listener = Listener()
    parts: list[str] = []
    understood = True
    for heard in [*listener.hear(ulaw), *listener.flush()]:
        match heard:
            case Words():
                pass
            case Said(text, complete):
                parts.append(text)
                understood = understood and complete
            case _:
                parts.append(heard.text_before)
                understood = False
    return " ".join(part for part in parts if part), understood


class Conversation:
    """The default conversation of a session."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    @property
    def last_id(self) -> str | None:
        """The id of the newest item."""
        return self._items[-1].id if self._items else None

    def find(self, item_id: str) -> Item | None:
        """An item by id."""
        return next((item for item in self._items if item.id == item_id), None)

    def demand(self, item_id: str, verb: str) -> Item:
        """An item by id, or the protocol's refusal. ``verb``: delete, truncate or retrieve."""
        item = self.find(item_id)
        if item is None:
            doing = {"delete": "deleting", "truncate": "truncating", "retrieve": "retrieving"}[verb]
            message = f"Error {doing} item: the item with id '{item_id}' does not exist."
            raise Refused(f"item_{verb}_invalid_item_id", message, "item_id")
        return item

    def append(self, item: Item) -> str | None:
        """Put an item at the end; the id of the one before it."""
        previous = self.last_id
        self._items.append(item)
        return previous

    def insert(self, item: Item, after: str | None) -> str | None:
        """Put an item behind another ("root": first; None: last); the id of the one before it."""
        if self.find(item.id) is not None:
            raise Refused("item_create_duplicate_item_id", f"Item with id '{item.id}' already exists.", "item.id")
        if after is None:
            return self.append(item)
        if after == "root":
            self._items.insert(0, item)
            return None
        where = next((index for index, known in enumerate(self._items) if known.id == after), None)
        if where is None:
            message = f"The previous item with id '{after}' does not exist."
            raise Refused("item_create_invalid_previous_item_id", message, "previous_item_id")
        self._items.insert(where + 1, item)
        return after

    def remove(self, item: Item) -> None:
        """Forget an item."""
        self._items.remove(item)

    def has_call(self, call_id: str) -> bool:
        """Whether a function call of this id was made."""
        return any(item.kind == "function_call" and item.call_id == call_id for item in self._items)


def built(item_id: str, given: dict[str, Any]) -> Item:
    """An item as a client created it (already well-shaped)."""
    kind = given["type"]
    if kind == "function_call":
        return Item(
            item_id, kind, name=given["name"], arguments=given["arguments"], call_id=given.get("call_id", item_id)
        )
    if kind == "function_call_output":
        return Item(item_id, kind, call_id=given["call_id"], output=given["output"])
    if kind != "message":
        return Item(item_id, kind, extra={key: given[key] for key in given if key not in ("id", "type")})
    item = Item(item_id, kind, role=given["role"], content=[dict(part) for part in given["content"]])
    item.words = " ".join(part["text"] for part in item.content if "text" in part)
    for part in item.content:
        if "audio" in part:
            item.ulaw.extend(base64.b64decode(part.pop("audio")))
            item.spoken = True
    if item.spoken:
        heard, item.understood = made_out(bytes(item.ulaw))
        item.words = " ".join(filter(None, (item.words, heard)))
    return item


def check_truncate(item: Item, content_index: int, audio_end_ms: int) -> None:
    """The bounds of ``conversation.item.truncate``, with the real texts."""
    if item.role != "assistant" or not item.spoken or not item.ulaw or audio_end_ms == 0:
        raise Refused("unsupported_content_type", "Only model output audio messages can be truncated", "item_id")
    if content_index != 0:
        raise invalid("content_index", "expected 0.")
    if audio_end_ms > item.audio_ms:
        message = f"Audio content of {item.audio_ms}ms is already shorter than {audio_end_ms}ms"
        raise Refused("invalid_value", message, "audio_end_ms")


def compact(value: Any) -> str:
    """JSON as short as it goes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
