"""A conversation with the mind in plain text: a notebook of items, and tools that are Python functions."""

import json
from dataclasses import dataclass, field
from typing import Any

from agenx_cli.sim.mind import Memory, Thought, View
from agenx_cli.sim.mind.think import think

SPANISH = """Eres Clara, la voz de Agenx AI, una empresa experta en tecnología.

# Identidad
- Te llamas Clara y eres asistente de inteligencia artificial de la empresa Agenx AI.
- Motivo de la llamada: ofrecer los servicios de Agenx AI y concertar una reunión sobre la automatización de procesos.

# Idioma
- Idioma: español (es-ES).

# Ahora
- Hoy es lunes 23 de noviembre de 2026, son las 11:00.
- Zona horaria: Europe/Madrid. Todas las horas que digas y oigas son de esta zona.
"""
ENGLISH = """You are Clara, the voice of Agenx AI.
- Your name is Clara and you are an artificial intelligence assistant of the company Agenx AI.
- Purpose of the call: offer the services of Agenx AI and arrange a meeting about the automation of processes.
- Language: English (en-GB).
- Today is Monday 23 November 2026, the time is 11:00.
- Time zone: Europe/London. All times that you say and hear are in this zone.
"""
OPENING = "Hola, soy Clara, asistente de inteligencia artificial de Agenx AI. ¿Es buen momento?"
HELLO = "Hello, this is Clara, an artificial intelligence assistant of Agenx AI. Is this a good moment?"
SLOTS = [
    {"start": "2026-11-24T10:00:00+01:00", "spoken": "martes 24 de noviembre a las 10:00"},
    {"start": "2026-11-24T10:30:00+01:00", "spoken": "martes 24 de noviembre a las 10:30"},
    {"start": "2026-11-25T11:30:00+01:00", "spoken": "miércoles 25 de noviembre a las 11:30"},
    {"start": "2026-11-26T16:00:00+01:00", "spoken": "jueves 26 de noviembre a las 16:00"},
]
MOMENT = {"type": "string", "format": "date-time"}
TEXT = {"type": "string"}


def tool(name: str, description: str, required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """A function tool."""
    shape = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {"type": "function", "name": name, "description": description, "parameters": shape}


REASONS = ["goodbye", "meeting_booked", "not_interested", "opted_out", "callback", "voicemail", "wrong_person"]
TOOLS = {
    "check_availability": tool(
        "check_availability",
        "Look up the free times for a meeting, before offering any.",
        **{"from": MOMENT, "to": MOMENT},
    ),
    "book_meeting": tool(
        "book_meeting",
        "Book a meeting at a free start time. First read the day and the time back and get a clear yes.",
        ("start", "confirmed"),
        start=MOMENT,
        confirmed={"type": "boolean"},
        name=TEXT,
        email={"type": "string", "format": "email"},
    ),
    "cancel_meeting": tool("cancel_meeting", "Cancel the meeting that was booked in this call.", meeting_id=TEXT),
    "schedule_callback": tool(
        "schedule_callback",
        "Note that the person wants to be called back at another time.",
        ("at",),
        at=MOMENT,
        note=TEXT,
    ),
    "opt_out": tool("opt_out", "Never call this person again: opt out of all calls.", reason=TEXT),
    "record_answer": tool(
        "record_answer",
        "Record an answer that the person gave.",
        ("field", "value"),
        field={"type": "string", "enum": ["proceso", "decide"]},
        value=TEXT,
    ),
    "end_call": tool(
        "end_call",
        "End the call: hang up after saying goodbye. On a voicemail greeting call it without saying anything.",
        ("reason",),
        reason={"type": "string", "enum": REASONS},
    ),
}
OUTPUTS: dict[str, Any] = {
    "check_availability": {"slots": SLOTS, "time_zone": "Europe/Madrid"},
    "book_meeting": {"status": "booked", "meeting_id": "m1", "start": "2026-11-24T10:00:00+01:00"},
    "cancel_meeting": {"status": "cancelled"},
    "schedule_callback": {"status": "scheduled", "at": "2026-11-24T10:00:00+01:00"},
    "opt_out": {"status": "opted_out"},
    "record_answer": {"status": "recorded"},
    "end_call": {"status": "ending"},
}


@dataclass
class Talk:
    """A call in text. ``used`` lists the calls as (name, arguments)."""

    instructions: str = SPANISH
    tools: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(TOOLS))
    outputs: dict[str, Any] = field(default_factory=lambda: dict(OUTPUTS))
    memories: list[Memory] = field(default_factory=lambda: [Memory("assistant", OPENING)])
    used: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ended: str | None = None

    def without(self, *names: str) -> "Talk":
        """The same call with fewer tools."""
        self.tools = {name: value for name, value in self.tools.items() if name not in names}
        return self

    def rename(self, name: str, new: str) -> "Talk":
        """The same tool under another name."""
        self.tools[name] = {**self.tools[name], "name": new}
        self.outputs[new] = self.outputs[name]
        return self

    def hear(self, text: str, *, understood: bool = True) -> str:
        """The callee says something; all that the assistant says until it waits again."""
        self.memories.append(Memory("callee", text, understood=understood))
        return self.go()

    def go(self, instructions: str | None = None, tool_choice: str = "auto") -> str:
        """Ask for replies until nothing is left to answer."""
        said = []
        for _ in range(6):
            thought = self.once(instructions, tool_choice)
            said.append(thought.say)
            if not thought.uses or self.ended:
                return " ".join(filter(None, said))
        raise AssertionError(f"the mind does not come to an end: {self.used}")

    def once(self, instructions: str | None = None, tool_choice: str = "auto") -> Thought:
        """One reply, and the outputs of its calls."""
        thought = think(
            View(self.instructions, tuple(self.tools.values()), tuple(self.memories), instructions, tool_choice)
        )
        if thought.say:
            self.memories.append(Memory("assistant", thought.say))
        for use in thought.uses:
            call_id = f"call_{len(self.used)}"
            self.used.append((use.name, json.loads(use.arguments)))
            self.memories.append(Memory("call", call_id=call_id, name=use.name, arguments=use.arguments))
            output = self.outputs.get(use.name, {"error": "unknown tool"})
            output = output.pop(0) if isinstance(output, list) else output
            self.memories.append(Memory("output", json.dumps(output, ensure_ascii=False), call_id=call_id))
            if use.name == self.tools.get("end_call", {}).get("name") and "error" not in output:
                self.ended = json.loads(use.arguments)["reason"]
        return thought

    @property
    def names(self) -> list[str]:
        """The tools used, in order."""
        return [name for name, _ in self.used]
