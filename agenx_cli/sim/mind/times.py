"""Days and hours as people say them: slots to choose from, choices heard, moments read back."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agenx_cli.sim.mind.briefing import Language

_NAMES_ES = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
_NAMES_EN = "January February March April May June July August September October November December"
_DAYS = {
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_MONTHS = {
    "es": _NAMES_ES.split(),
    "en": _NAMES_EN.split(),
}
_DAY_WORDS = {
    plain: index
    for names in _DAYS.values()
    for index, name in enumerate(names)
    for plain in {name.lower(), name.lower().replace("é", "e").replace("á", "a")}
}
_NUMBERS = {
    word: number
    for words in (
        "una dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "one two three four five six seven eight nine ten eleven twelve",
    )
    for number, word in enumerate(words.split(), 1)
}
_NUMBER = "|".join(_NUMBERS)
_CLOCK = re.compile(
    rf"(?:\b(?:a|de|at|las?)\s+(?:las?\s+)?)?\b(?P<h>\d{{1,2}})[:.h](?P<m>\d{{2}})\s*(?P<half>[ap]\.?m)?"
    rf"|\b(?P<h2>\d{{1,2}})\s*(?P<half2>[ap]\.?m)\b"
    rf"|\b(?:a las?|de las?|las|at)\s+(?P<h3>\d{{1,2}}|{_NUMBER})(?P<past>\s+y\s+(?:media|cuarto)|\s+thirty)?",
    re.IGNORECASE,
)
_DAY_NUMBER = re.compile(r"(?<![:\d])\b(\d{1,2})(?:st|nd|rd|th)?\b(?![:.h]?\d)(?!\s*[ap]\.?m)")
_FIRST = re.compile(r"\b(?:primer[ao]?|first|earlier)\b", re.IGNORECASE)
_SECOND = re.compile(r"\b(?:segund[ao]|[uú]ltim[ao]|second|latter|last|later)\b", re.IGNORECASE)
_ANY = re.compile(r"\b(?:cualquiera|da igual|me da lo mismo|either|any|whichever)\b", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?")


@dataclass(frozen=True, slots=True)
class Slot:
    """A start as the tool wrote it, and how it is said."""

    start: str
    spoken: str


def said(moment: datetime, language: Language) -> str:
    """``martes 24 de noviembre a las 10:00`` · ``Tuesday 24 November at 10:00``."""
    day, month = _DAYS[language][moment.weekday()], _MONTHS[language][moment.month - 1]
    clock = f"{moment.hour}:{moment.minute:02d}"
    if language == "es":
        return f"{day} {moment.day} de {month} {'a la' if moment.hour == 1 else 'a las'} {clock}"
    return f"{day} {moment.day} {month} at {clock}"


def read_moment(text: str) -> datetime | None:
    """The first moment in ISO 8601 that a text holds."""
    found = _ISO.search(text)
    try:
        return datetime.fromisoformat(found.group()) if found else None
    except ValueError:
        return None


def slots_in(output: str, language: Language) -> tuple[Slot, ...] | None:
    """The slots of a tool's output; None when it speaks of none at all (which is not the same as an empty list)."""
    value = parsed(output)
    if isinstance(value, dict):
        lists = [member for member in value.values() if isinstance(member, list)]
        value = lists[0] if lists else None
    if not isinstance(value, list):
        return None
    return tuple(slot for member in value if (slot := _slot(member, language)) is not None)


def parsed(output: str) -> Any:
    """A tool's output as JSON, or the text itself."""
    try:
        return json.loads(output)
    except ValueError:
        return output


def _slot(member: Any, language: Language) -> Slot | None:
    texts = [text for text in (member.values() if isinstance(member, dict) else [member]) if isinstance(text, str)]
    start = next((text for text in texts if read_moment(text) is not None), None)
    if start is None:
        return None
    spoken = member.get("spoken") if isinstance(member, dict) else None
    foreign = isinstance(spoken, str) and (" a las " in spoken or " a la " in spoken) != (language == "es")
    if not isinstance(spoken, str) or foreign:
        spoken = said(datetime.fromisoformat(start), language)
    return Slot(start, spoken)


def two_of(slots: tuple[Slot, ...], but_not: Iterable[Slot] = ()) -> tuple[Slot, ...]:
    """Two to offer: the first, and the next one on another day if there is one."""
    left = [slot for slot in slots if slot not in set(but_not)]
    if len(left) < 2:
        return tuple(left)
    other = next((slot for slot in left[1:] if slot.start[:10] != left[0].start[:10]), left[1])
    return left[0], other


def chosen(text: str, offered: tuple[Slot, ...], slots: tuple[Slot, ...]) -> Slot | None:
    """The slot that an answer means: by day, date, hour or order. None when it is none of them, or not one."""
    if offered and (_ANY.search(text) or _FIRST.search(text)):
        return offered[0]
    if offered and _SECOND.search(text):
        return offered[-1]
    scores = {slot: _fit(text, slot) for slot in (*offered, *slots)}
    best = max(scores.values(), default=0)
    fitting = [slot for slot, score in scores.items() if score == best > 0]
    among_offered = [slot for slot in fitting if slot in offered]
    if len(among_offered) == 1:
        return among_offered[0]
    return fitting[0] if len(fitting) == 1 else None


def _fit(text: str, slot: Slot) -> int:
    start = datetime.fromisoformat(slot.start)
    wanted = _clocks(text)
    days = [index for word, index in _DAY_WORDS.items() if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    numbers = [int(number) for number in _DAY_NUMBER.findall(_CLOCK.sub(" ", text))]
    told = (
        (bool(wanted), (start.hour, start.minute) in wanted or (start.hour - 12, start.minute) in wanted),
        (bool(days), start.weekday() in days),
        (bool(numbers), start.day in numbers),
    )
    if any(given and not fits for given, fits in told):
        return 0
    return sum(given for given, _ in told)


def _clocks(text: str) -> list[tuple[int, int]]:
    clocks = []
    for found in _CLOCK.finditer(text):
        hour = (found["h"] or found["h2"] or found["h3"]).lower()
        past = (found["past"] or "").strip().lower()
        minute = int(found["m"] or 0) or (30 if past.endswith(("media", "thirty")) else 15 if past else 0)
        half = (found["half"] or found["half2"] or "").lower()
        number = _NUMBERS.get(hour) or int(hour)
        clocks.append((number + 12 if half.startswith("p") and number < 12 else number, minute))
    return clocks


def moment_in(text: str, now: datetime) -> datetime | None:
    """The moment that a text names, after ``now``: tomorrow, a weekday or a date, and an hour (else 10:00)."""
    days = [index for word, index in _DAY_WORDS.items() if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    clocks = _clocks(text)
    if re.search(r"\b(?:mañana|tomorrow)\b", text, re.IGNORECASE) and not days:
        day = now + timedelta(days=1)
    elif days:
        day = now + timedelta(days=(days[0] - now.weekday() - 1) % 7 + 1)
    elif clocks:
        day = now if clocks[0] > (now.hour, now.minute) else now + timedelta(days=1)
    else:
        return None
    hour, minute = clocks[0] if clocks else (10, 0)
    return day.replace(hour=min(hour, 23), minute=minute, second=0, microsecond=0)


def next_morning(now: datetime) -> datetime:
    """Ten o'clock on the next working day."""
    day = now + timedelta(days=1)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day.replace(hour=10, minute=0, second=0, microsecond=0)
