"""A playbook: what the assistant is, says and may do."""

from dataclasses import dataclass
from datetime import time
from typing import Literal

ToolName = Literal[
    "check_availability",
    "book_meeting",
    "cancel_meeting",
    "schedule_callback",
    "opt_out",
    "record_answer",
    "end_call",
]


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
    """One assistant. ``opening`` and ``instructions`` are templates over ``variables`` (name → default or None)."""

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
