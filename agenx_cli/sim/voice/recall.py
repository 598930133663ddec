"""From the conversation's items to what the mind is shown, and to what its reading costs."""

from collections.abc import Iterable
from typing import Any

from agenx_cli.sim.mind import Memory
from agenx_cli.sim.voice.memory import Item, compact, text_tokens


def remembered(items: Iterable[Item]) -> tuple[Memory, ...]:
    """The items as the mind knows them: no ids but those of calls, no audio, only what was made out of it."""
    return tuple(memory for item in items if (memory := _memory(item)) is not None)


def _memory(item: Item) -> Memory | None:
    match item.kind, item.role:
        case "message", "user":
            return Memory("callee", item.words, understood=item.understood)
        case "message", "assistant":
            return Memory("assistant", item.words, understood=not item.truncated and item.status != "incomplete")
        case "message", _:
            return Memory("system", item.words)
        case "function_call", _:
            return Memory("call", call_id=item.call_id, name=item.name, arguments=item.arguments)
        case "function_call_output", _:
            return Memory("output", item.output, call_id=item.call_id)
        case _:
            return None


def input_tokens(instructions: str, tools: list[dict[str, Any]], items: Iterable[Item]) -> tuple[int, int]:
    """Text and audio tokens of a response's input: everything is read again each time."""
    text, audio = text_tokens(instructions) + (text_tokens(compact(tools)) if tools else 0), 0
    for item in items:
        item_text, item_audio = item.tokens()
        text += item_text
        audio += item_audio
    return text, audio
