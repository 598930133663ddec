"""The shapes of the eleven client events of the GA protocol (protocol page, sections 2 and 3)."""

import re
from typing import Any

from agenx_cli.sim.voice.faulty import invalid
from agenx_cli.sim.voice.shape import (
    Shape,
    anything,
    array,
    base64_audio,
    boolean,
    integer,
    mapping,
    nullable,
    number,
    one_of,
    record,
    text,
    variant,
    when,
)

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
_ID = re.compile(r"^[a-zA-Z0-9_-]+$").match
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$").match


def _one_modality(value: Any, path: str) -> None:
    array(one_of("text", "audio"))(value, path)
    if len(value) != 1:
        raise invalid(path, "expected exactly one of ['audio'] or ['text'].")


FORMAT = variant(
    {
        "audio/pcm": record({"type": anything, "rate": integer(24000, 24000)}, required=("rate",)),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    }
)
VOICE = when(dict, record({"id": text()}, required=("id",)), one_of(*VOICES))
LIMIT = when(int, integer(1, 4096), one_of("inf"))
REASONING = record({"effort": one_of(*EFFORTS)})
PROMPT = record({"id": text(), "variables": mapping(anything), "version": text()}, required=("id",))

_TURN_DETECTION = variant(
    {
        "server_vad": record(
            {
                "type": anything,
                "threshold": number(0.0, 1.0),
                "prefix_padding_ms": integer(0),
                "silence_duration_ms": integer(0),
                "idle_timeout_ms": nullable(integer(5000, 30000)),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
        "semantic_vad": record(
            {
                "type": anything,
                "eagerness": one_of("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
    }
)
_TRANSCRIPTION = record(
    {
        "model": text(),
        "language": text(),
        "languages": array(text()),
        "keywords": array(text()),
        "prompt": text(),
        "delay": one_of(*EFFORTS),
    }
)
_NOISE = record({"type": one_of("near_field", "far_field"), "strength": number(0.0, 1.0)})
_TRUNCATION = when(
    dict,
    record(
        {
            "type": one_of("retention_ratio"),
            "retention_ratio": number(0.0, 1.0),
            "token_limits": record({"post_instructions": integer(0)}),
        },
        required=("type", "retention_ratio"),
    ),
    one_of("auto", "disabled"),
)
_MCP = record(
    {
        "type": anything,
        "server_label": text(),
        "server_url": text(),
        "connector_id": text(),
        "tunnel_id": text(),
        "authorization": text(),
        "headers": nullable(mapping(text())),
        "allowed_tools": anything,
        "allowed_callers": array(one_of("direct", "programmatic")),
        "require_approval": anything,
        "defer_loading": boolean,
        "server_description": text(),
    },
    required=("server_label",),
)
TOOLS = array(
    variant(
        {
            "function": record(
                {
                    "type": anything,
                    "name": text(pattern=_TOOL_NAME),
                    "description": text(),
                    "parameters": mapping(anything),
                },
                required=("name",),
            ),
            "mcp": _MCP,
        }
    )
)


_TOOL_CHOICE = when(
    dict,
    variant(
        {
            "function": record({"type": anything, "name": text()}, required=("name",)),
            "mcp": record({"type": anything, "server_label": text(), "name": text()}, required=("server_label",)),
        }
    ),
    one_of("none", "auto", "required"),
)
_TRACING = when(
    dict, record({"workflow_name": text(), "group_id": text(), "metadata": mapping(anything)}), one_of("auto")
)

SESSION = variant(
    {
        "realtime": record(
            {
                "type": anything,
                "model": text(),
                "instructions": text(),
                "output_modalities": _one_modality,
                "max_output_tokens": LIMIT,
                "reasoning": REASONING,
                "parallel_tool_calls": boolean,
                "tools": TOOLS,
                "tool_choice": _TOOL_CHOICE,
                "tracing": nullable(_TRACING),
                "truncation": _TRUNCATION,
                "prompt": nullable(PROMPT),
                "include": nullable(array(one_of("item.input_audio_transcription.logprobs"))),
                "audio": record(
                    {
                        "input": record(
                            {
                                "format": FORMAT,
                                "noise_reduction": nullable(_NOISE),
                                "transcription": nullable(_TRANSCRIPTION),
                                "turn_detection": nullable(_TURN_DETECTION),
                            }
                        ),
                        "output": record({"format": FORMAT, "voice": VOICE, "speed": number(0.25, 1.5)}),
                    }
                ),
            }
        )
    }
)

_ITEM_HEAD: dict[str, Shape] = {
    "type": anything,
    "id": text(longest=32, pattern=_ID),
    "object": one_of("realtime.item"),
    "status": one_of("completed", "incomplete", "in_progress"),
}


def _message(**parts: Shape) -> Shape:
    content = array(variant(parts))
    return record({**_ITEM_HEAD, "role": anything, "content": content}, required=("content",))


_INPUT_TEXT = record({"type": anything, "text": text()}, required=("text",))
_MESSAGE = variant(
    {
        "system": _message(input_text=_INPUT_TEXT),
        "user": _message(
            input_text=_INPUT_TEXT,
            input_audio=record({"type": anything, "audio": base64_audio, "transcript": text()}, required=("audio",)),
            input_image=record(
                {"type": anything, "image_url": text(), "detail": one_of("auto", "low", "high")},
                required=("image_url",),
            ),
        ),
        "assistant": _message(output_text=_INPUT_TEXT),
    },
    key="role",
)
_CALL_ID = text(pattern=_ID)
_ITEMS: dict[str, Shape] = {
    "message": _MESSAGE,
    "function_call": record(
        {**_ITEM_HEAD, "call_id": _CALL_ID, "name": text(), "arguments": text()},
        required=("name", "arguments"),
    ),
    "function_call_output": record(
        {**_ITEM_HEAD, "call_id": _CALL_ID, "output": text()}, required=("call_id", "output")
    ),
    "mcp_approval_response": record(
        {
            "type": anything,
            "id": text(longest=32, pattern=_ID),
            "approval_request_id": text(),
            "approve": boolean,
            "reason": nullable(text()),
        },
        required=("id", "approval_request_id", "approve"),
    ),
}
ITEM = variant(_ITEMS)
INPUT_ITEM = variant({**_ITEMS, "item_reference": record({"type": anything, "id": text()}, required=("id",))})

RESPONSE = record(
    {
        "conversation": one_of("auto", "none"),
        "input": array(INPUT_ITEM),
        "instructions": text(),
        "tools": TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "output_modalities": _one_modality,
        "audio": record({"output": record({"format": FORMAT, "voice": VOICE})}),
        "max_output_tokens": LIMIT,
        "metadata": nullable(mapping(text(longest=512), most=16)),
        "reasoning": REASONING,
        "parallel_tool_calls": boolean,
        "prompt": nullable(PROMPT),
    }
)


def _event(required: tuple[str, ...] = (), **fields: Shape) -> Shape:
    return record({"type": anything, "event_id": text(longest=512), **fields}, required=required)


CLIENT_EVENT = variant(
    {
        "session.update": _event(("session",), session=SESSION),
        "input_audio_buffer.append": _event(("audio",), audio=base64_audio),
        "input_audio_buffer.commit": _event(),
        "input_audio_buffer.clear": _event(),
        "conversation.item.create": _event(("item",), item=ITEM, previous_item_id=nullable(text())),
        "conversation.item.retrieve": _event(("item_id",), item_id=text()),
        "conversation.item.truncate": _event(
            ("item_id", "content_index", "audio_end_ms"),
            item_id=text(),
            content_index=integer(0),
            audio_end_ms=integer(0),
        ),
        "conversation.item.delete": _event(("item_id",), item_id=text()),
        "response.create": _event(response=RESPONSE),
        "response.cancel": _event(response_id=text()),
        "output_audio_buffer.clear": _event(),
    }
)
