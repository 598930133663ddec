"""A playbook: what the assistant is, says and may do, and what of it is told to the voice model.

The author's templates are rendered first; after them come sections that no author can leave out: who speaks, the
language, the moment, what the opening has already said, how to treat unclear audio, one rule per tool, and the lead's
data between marks with the rule that none of it is an instruction. ``core.script`` says whether a playbook may be used.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from agenx_cli.core.phrases import ENGLISH, LANGUAGE_NAMES, PHRASES, Phrases, spoken_day
from agenx_cli.core.templates import Ours, clean, render
from agenx_cli.errors import UsageError

ToolName = Literal[
    "check_availability",
    "book_meeting",
    "cancel_meeting",
    "schedule_callback",
    "opt_out",
    "record_answer",
    "end_call",
]
EndReason = Literal["goodbye", "meeting_booked", "not_interested", "opted_out", "callback", "voicemail", "wrong_person"]
TIMED_TOOLS: frozenset[str] = frozenset({"check_availability", "book_meeting", "schedule_callback"})
OWN_NAMES = frozenset({"assistant", "company", "purpose"})


@dataclass(frozen=True, slots=True)
class VoiceDetection:
    """When the model's voice detector says that a turn began or ended (milliseconds)."""

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.6
    prefix_ms: int = 300
    silence_ms: int = 500
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. ``idle_first`` of silence bring a question, ``idle_again`` more a goodbye."""

    max_call: int = 600
    ring: int = 25
    idle_first: float = 5.0
    idle_again: float = 4.0


@dataclass(frozen=True, slots=True)
class MeetingRules:
    """What may be offered. Minutes, days; hours are local to the playbook's time zone; weekday 0 is Monday."""

    minutes: int = 30
    notice_minutes: int = 120
    horizon_days: int = 14
    step_minutes: int = 30
    hours: tuple[tuple[int, time, time], ...] = ()
    host: str = "default"
    title: str = ""


@dataclass(frozen=True, slots=True)
class AnswerField:
    """A thing worth writing down. ``kind`` is ``text``, ``number``, ``yes_no`` or ``choice``."""

    name: str
    description: str
    kind: Literal["text", "number", "yes_no", "choice"] = "text"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Playbook:
    """One assistant. ``opening``, ``greeting`` (the opening of a call that somebody places to us; None: the same),
    ``apology`` and ``instructions`` are templates over ``variables`` (name → default, or None: must be given)."""

    name: str
    company: str
    assistant: str
    purpose: str
    language: str
    locale: str
    time_zone: str | None
    voice: str
    model: str | None
    opening: str
    apology: str
    instructions: str
    tools: tuple[ToolName, ...]
    variables: tuple[tuple[str, str | None], ...] = ()
    answers: tuple[AnswerField, ...] = ()
    detection: VoiceDetection = VoiceDetection()
    limits: Limits = Limits()
    meetings: MeetingRules = MeetingRules()
    keywords: tuple[str, ...] = ()
    region: str | None = None
    greeting: str | None = None

    @property
    def offers_times(self) -> bool:
        """Whether the assistant speaks of days and hours, so that the time zone must be known."""
        return not TIMED_TOOLS.isdisjoint(self.tools)


def render_instructions(
    playbook: Playbook, variables: Mapping[str, str], now: datetime, *, inbound: bool = False
) -> str:
    """What the model is told before the first word. Raises UsageError for a missing or unknown variable."""
    given = _given(playbook, variables)
    phrases = PHRASES.get(playbook.language, ENGLISH)
    zone = playbook.time_zone or "UTC"
    local = now.astimezone(ZoneInfo(zone))
    fill = {
        "assistant": playbook.assistant,
        "company": playbook.company,
        "purpose": playbook.purpose.rstrip("."),
        "language": LANGUAGE_NAMES.get(playbook.language, playbook.language),
        "locale": playbook.locale,
        "day": spoken_day(local, playbook.language),
        "year": local.year,
        "clock": f"{local:%H:%M}",
        "zone": zone,
        "opening": _opening(playbook, given, _mark, inbound=inbound),
    }
    titles = (phrases.identity, phrases.language, phrases.now, phrases.said, phrases.manner, phrases.unclear)
    sections = [render(playbook.instructions, _values(playbook, given), _mark).strip()]
    sections += [section.format_map(fill) for section in titles]
    sections.append(_tool_rules(playbook, phrases))
    if given:
        sections.append(phrases.data.format(data=_as_data(given)))
    return "\n\n".join(sections) + "\n"


def render_opening(playbook: Playbook, variables: Mapping[str, str], *, inbound: bool = False) -> str:
    """The first words of a call, as they are spoken. Raises UsageError for a missing or unknown variable."""
    return _opening(playbook, _given(playbook, variables), None, inbound=inbound)


def render_apology(playbook: Playbook, variables: Mapping[str, str]) -> str:
    """What is said when the call cannot go on. Raises UsageError for a missing or unknown variable."""
    return " ".join(render(playbook.apology, _values(playbook, _given(playbook, variables))).split())


def own_values(playbook: Playbook) -> dict[str, str]:
    """The names that every template may use besides the declared variables."""
    return {
        "assistant": Ours(playbook.assistant),
        "company": Ours(playbook.company),
        "purpose": Ours(playbook.purpose),
    }


def tool_schemas(playbook: Playbook) -> tuple[dict[str, Any], ...]:
    """The playbook's tools as the model is told of them: type, name, description, JSON Schema of the arguments."""
    return tuple(tool_schema(name, playbook) for name in playbook.tools)


def tool_schema(name: str, playbook: Playbook) -> dict[str, Any]:
    """One tool as the model is told of it; KeyError for a name that is no ``ToolName``."""
    description, properties, required = _TOOLS[name]
    if name == "record_answer":
        fields = [answer.name for answer in playbook.answers]
        properties = {**properties, "field": {**properties["field"], "enum": fields}}
        description = f"{description} Fields: {_fields(playbook)}."
    parameters = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


def _moment(description: str) -> dict[str, Any]:
    hint = f"{description} ISO 8601 with offset, for instance 2026-11-24T10:00:00+01:00."
    return {"type": "string", "format": "date-time", "description": hint}


def _string(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_TOOLS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "check_availability": (
        "Look up the free times for a meeting, before offering any. Each of the 'slots' has a 'start' and is 'spoken'.",
        {"from": _moment("Only times from this moment on."), "to": _moment("Only times before this moment.")},
        (),
    ),
    "book_meeting": (
        "Book a meeting at a free start time. First read the day and the time back and get a clear yes.",
        {
            "start": _moment("Start of the meeting, exactly as check_availability gave it."),
            "confirmed": {"type": "boolean", "description": "True only after the person said yes to this time."},
            "name": _string("Name of the person who will attend, if they gave it."),
            "email": {"type": "string", "format": "email", "description": "E-mail for the invitation, if given."},
            "notes": _string("What the meeting is about, in one sentence."),
        },
        ("start", "confirmed"),
    ),
    "cancel_meeting": (
        "Cancel the meeting that was booked in this call, because the person asks for it.",
        {
            "meeting_id": _string("The 'meeting_id' that book_meeting gave."),
            "reason": _string("Why, in the person's words."),
        },
        (),
    ),
    "schedule_callback": (
        "Note that the person wants to be called back at another time. Read the time back first.",
        {"at": _moment("When to call back."), "note": _string("What to remember for that call.")},
        ("at",),
    ),
    "opt_out": (
        "Never call this person again: opt out of all calls. Use it as soon as they ask not to be called.",
        {"reason": _string("What the person said.")},
        (),
    ),
    "record_answer": (
        "Record an answer that the person gave.",
        {
            "field": {"type": "string", "description": "Which answer this is."},
            "value": _string("The answer: short text; digits for a number; yes or no; or one of the choices."),
        },
        ("field", "value"),
    ),
    "end_call": (
        "End the call: hang up after saying goodbye. On a voicemail greeting call it without saying anything.",
        {"reason": {"type": "string", "enum": list(get_args(EndReason)), "description": "Why the call ends."}},
        ("reason",),
    ),
}


def _fields(playbook: Playbook) -> str:
    return ", ".join(f"{answer.name} ({answer.description}: {_kind(answer)})" for answer in playbook.answers)


def _kind(answer: AnswerField) -> str:
    return " | ".join(answer.choices) if answer.kind == "choice" else answer.kind.replace("_", " or ")


def _given(playbook: Playbook, variables: Mapping[str, str]) -> dict[str, str]:
    """Every declared variable with its value, cleaned. Raises UsageError."""
    declared = dict(playbook.variables)
    for name in variables:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise UsageError(
                f"the playbook {playbook.name} has no variable '{clean(name, 60)}'", fix=f"variables it knows: {known}"
            )
    missing = [name for name, default in declared.items() if default is None and name not in variables]
    if missing:
        raise UsageError(
            f"the playbook {playbook.name} needs a value for '{missing[0]}'", fix=f"--var {missing[0]}=VALUE"
        )
    return {name: clean(variables.get(name, default or "")) for name, default in declared.items()}


def _opening(playbook: Playbook, given: Mapping[str, str], mark: Callable[[str], str] | None, *, inbound: bool) -> str:
    template = playbook.greeting if inbound and playbook.greeting is not None else playbook.opening
    return " ".join(render(template, _values(playbook, given), mark).split())


def _values(playbook: Playbook, given: Mapping[str, str]) -> dict[str, str]:
    return {**given, **own_values(playbook)}


def _mark(value: str) -> str:
    """A lead's word inside the author's prose, between marks that the instructions explain."""
    return f"⟦{value.translate(MARKS)}⟧" if value else ""


MARKS = str.maketrans("⟦⟧<>{}", "()‹›()")


def _as_data(given: Mapping[str, str]) -> str:
    """JSON whose text cannot close the marks around it."""
    return json.dumps(given, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def _tool_rules(playbook: Playbook, phrases: Phrases) -> str:
    fields = _fields(playbook)
    rules = (phrases.tools[name].format(tool=name, fields=fields) for name in playbook.tools)
    return "\n".join((phrases.tools_title, *rules))
