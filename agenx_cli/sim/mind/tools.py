"""Which tool is for what, read from its name, description and parameters; and arguments made from its JSON schema."""

import json
import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from agenx_cli.sim.mind.view import ToolUse


class Purpose(Enum):
    """What a tool may be for. The order breaks ties."""

    OPT_OUT = auto()
    CALLBACK = auto()
    CANCEL = auto()
    END = auto()
    AVAILABILITY = auto()
    BOOK = auto()
    RECORD = auto()


_SIGNS = {
    Purpose.OPT_OUT: r"opt.?out|never.?call|do.?not.?call|not be called|no (?:volver a )?llamar|suppress|\bbaja\b"
    r"|unsubscri|stop.?calling",
    Purpose.CALLBACK: r"call.?back|called back|call again|volver a llamar|devolver la llamada|rellamar"
    r"|llamar (?:más tarde|otro)",
    Purpose.CANCEL: r"cancel|anul",
    Purpose.END: r"end.?(?:the.?)?call|hang.?up|colgar|finaliz|terminar.?(?:la.?)?llamada",
    Purpose.AVAILABILITY: r"availab|dispon|free.?(?:slot|time)|\bslots\b|huecos|horas.?libres",
    Purpose.BOOK: r"book|reserv|agendar|appointment|schedule a meeting|concertar|\bcita\b",
    Purpose.RECORD: r"record|answer|respuesta|anotar|registr|write.?down|guardar",
}  # fmt: skip
_PATTERNS = {purpose: re.compile(signs.replace(".?", "[ _-]?"), re.IGNORECASE) for purpose, signs in _SIGNS.items()}
_LEAST = 2

_OUTCOMES = {
    "booked": r"book|meeting|reun|cita",
    "not_interested": r"interest|interes|declin",
    "opted_out": r"opt|baja|do.?not",
    "callback": r"call.?back|later|llamar",
    "voicemail": r"voice.?mail|machine|buz|contest",
    "wrong_person": r"wrong|equivoc",
    "goodbye": r"good.?bye|adi[oó]s|complet|done|finish|normal",
}
_ROLES = (
    ("confirmed", r"confirm"),
    ("email", r"mail|correo"),
    ("reason", r"reason|motivo|why|outcome"),
    ("start", r"start|time|when|hora|inicio|fecha|date|slot|^at$|moment"),
    ("field", r"field|campo|question|key"),
    ("value", r"value|valor|answer|respuesta"),
    ("note", r"note|nota|topic|asunto|comment"),
    ("name", r"name|nombre"),
    ("meeting", r"meeting|cita|reserva|booking|id$"),
)  # fmt: skip


class Tools:
    """The session's function tools, by purpose."""

    def __init__(self, tools: Iterable[dict[str, Any]]) -> None:
        self._by_purpose: dict[Purpose, dict[str, Any]] = {}
        self._purpose_of: dict[str, Purpose] = {}
        best: dict[Purpose, int] = {}
        for tool in tools:
            purpose, score = _purpose(tool)
            if purpose is None:
                continue
            self._purpose_of[tool["name"]] = purpose
            if score > best.get(purpose, 0):
                best[purpose] = score
                self._by_purpose[purpose] = tool

    def has(self, purpose: Purpose) -> bool:
        """Whether there is a tool for it."""
        return purpose in self._by_purpose

    def purpose_of(self, name: str) -> Purpose | None:
        """What the tool of this name is for; None for a name that the session does not have."""
        return self._purpose_of.get(name)

    def needs(self, purpose: Purpose, role: str) -> bool:
        """Whether its schema requires an argument of that role (``email``, ``name``)."""
        tool = self._by_purpose.get(purpose)
        return tool is not None and any(_role(name) == role for name in _schema(tool)[1])

    def use(self, purpose: Purpose, known: dict[str, Any]) -> tuple[ToolUse, ...]:
        """A call with what is known (role → value) and what its schema requires; nothing without such a tool."""
        tool = self._by_purpose.get(purpose)
        if tool is None:
            return ()
        properties, required = _schema(tool)
        arguments: dict[str, Any] = {}
        for name, shape in properties.items():
            value = _argument(_role(name), shape, known)
            if value is None and name in required:
                value = _anything(shape, known)
            if value is not None:
                arguments[name] = value
        return (ToolUse(tool["name"], json.dumps(arguments, ensure_ascii=False)),)


def _purpose(tool: dict[str, Any]) -> tuple[Purpose | None, int]:
    description = tool.get("description") or ""
    first, _, rest = description.partition(".")
    parameters = " ".join(_schema(tool)[0])
    scores = {
        purpose: 4 * bool(pattern.search(tool["name"].replace("_", " ")))
        + 3 * bool(pattern.search(first))
        + bool(pattern.search(rest))
        + 2 * bool(pattern.search(parameters))
        for purpose, pattern in _PATTERNS.items()
    }
    purpose = max(scores, key=lambda one: scores[one])
    return (purpose, scores[purpose]) if scores[purpose] >= _LEAST else (None, 0)


def _schema(tool: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Properties and required names of a tool's JSON schema; whatever else somebody wrote there is left aside."""
    schema = tool.get("parameters") or {}
    properties, required = schema.get("properties"), schema.get("required")
    shapes = properties.items() if isinstance(properties, dict) else ()
    names = required if isinstance(required, list) else ()
    known = {name: shape if isinstance(shape, dict) else {} for name, shape in shapes}
    return known, {name for name in names if isinstance(name, str)}


def _role(name: str) -> str | None:
    return next((role for role, signs in _ROLES if re.search(signs, name, re.IGNORECASE)), None)


def _argument(role: str | None, shape: dict[str, Any], known: dict[str, Any]) -> Any:
    if role not in known:
        return None
    value = known[role]
    choices = shape.get("enum")
    if not isinstance(choices, list):
        return value
    if role == "reason":
        return _outcome(str(value), choices)
    return value if value in choices else None


def _outcome(wanted: str, choices: list[Any]) -> Any:
    for outcome in (wanted, "goodbye"):
        signs = _OUTCOMES.get(outcome, outcome)
        fitting = [one for one in choices if one == outcome or re.search(signs, str(one), re.IGNORECASE)]
        if fitting:
            return outcome if outcome in fitting else fitting[0]
    return choices[0] if choices else None


def _anything(shape: dict[str, Any], known: dict[str, Any]) -> Any:
    if isinstance(shape.get("enum"), list) and shape["enum"]:
        return shape["enum"][0]
    if shape.get("format") in ("date-time", "date"):
        moment = str(known.get("start") or known.get("now") or "")
        return moment[:10] if shape["format"] == "date" else moment
    fallback: dict[Any, Any] = {"boolean": True, "integer": 1, "number": 1, "array": [], "object": {}}
    kind = shape.get("type")
    return fallback.get(kind if isinstance(kind, str) else None, str(known.get("words", "")))
