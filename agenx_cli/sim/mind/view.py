"""All that the mind is given, and what it answers.

Nothing else reaches it: no persona, no phone number, no clock, no memory of its own between two replies. What it
knows of the call it finds in the conversation's items, as a language model would.
"""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Memory:
    """One item of the conversation. ``understood`` is False when the audio was not made out wholly."""

    kind: Literal["callee", "assistant", "system", "call", "output"]
    text: str = ""
    understood: bool = True
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What a reply is generated from. ``reply_instructions`` replace the session's for this reply only.

    ``tools`` are function tools as the session names them; ``tool_choice`` is the protocol's own value.
    """

    instructions: str
    tools: tuple[dict[str, Any], ...]
    memories: tuple[Memory, ...]
    reply_instructions: str | None = None
    tool_choice: str | dict[str, Any] = "auto"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A function call: the tool's own name and JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Thought:
    """What to say (may be empty) and which tools to call after saying it."""

    say: str = ""
    uses: tuple[ToolUse, ...] = ()
