"""What the instructions tell: language, company, name, purpose, the day and the time zone.

Instructions are prose written for a language model, so this reads leniently: labels ("Idioma: español", "Company: X"),
then phrases ("Eres Clara", "You are an assistant of X"), and the language of the text itself when none is named.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Language = Literal["es", "en"]

_WORD = r"[A-ZÁÉÍÓÚÑ0-9][\w&'’-]*(?:\.\w+)*"
_PROPER = rf"({_WORD}(?:[^\S\n]+{_WORD})*)"
_ROLE = r"(?:asistente|assistant|agente|agent|voz|voice)\b"
_COMPANY = (
    rf"(?:Empresa|Compañía|Company)\s*:\s*{_PROPER}",
    rf"{_ROLE}[^.\n]{{0,60}}?\b(?:de la empresa|of the company|de|of|for)\s+{_PROPER}",
    rf"(?:de la empresa|of the company|company called|empresa llamada)\s+{_PROPER}",
)
_NAME = (
    rf"(?:Te llamas|Tu nombre es|Your name is|Asistente:|Assistant:|Nombre:|Name:)\s+{_PROPER}",
    rf"(?:Eres|You are)\s+{_PROPER}",
)
_PURPOSE = (
    r"(?:Motivo de la llamada|Objetivo|Propósito|Purpose of the call|Purpose|Goal)\s*:\s*([^\n]+?)\.?\s*(?:\n|$)",
)
_SPANISH_NAMED = re.compile(
    r"(?:idioma|language)\s*:\s*(?:español|castellano|spanish)|(?:en|habla (?:solo )?)\s*(?:español|castellano)\b"
    r"|\b(?:in|speak(?: only)?) spanish",
    re.IGNORECASE,
)
_ENGLISH_NAMED = re.compile(
    r"(?:idioma|language)\s*:\s*(?:english|inglés)|\b(?:en|habla(?: solo)?) inglés\b|\b(?:in|speak(?: only)?) english",
    re.IGNORECASE,
)
_SPANISH = re.compile(r"\b(?:el|la|los|las|que|de|por|para|con|una?|y|su|le|no|es)\b|[¿¡ñáéíóú]", re.IGNORECASE)
_ENGLISH = re.compile(r"\b(?:the|and|of|to|you|is|for|with|in|a|an|are|not|it|this|we|your)\b", re.IGNORECASE)
_ZONE = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?\b")
_MONTHS = {
    name: number
    for names in (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "january february march april may june july august september october november december",
    )
    for number, name in enumerate(names.split(), 1)
}
_MONTH = "|".join(_MONTHS)
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"),
    re.compile(
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:de\s+|of\s+)?(?P<m>{_MONTH})\s+(?:de\s+)?(?P<y>\d{{4}})", re.IGNORECASE
    ),
    re.compile(rf"(?P<m>{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})", re.IGNORECASE),
)
_CLOCK = re.compile(r"(?:^|[T\s])(\d{1,2}):(\d{2})\b")


@dataclass(frozen=True, slots=True)
class Briefing:
    """What was understood. ``now`` is local to the zone named in the text, None when no day is told."""

    language: Language
    company: str
    name: str
    purpose: str
    now: datetime | None


def read(instructions: str) -> Briefing:
    """Read instructions."""
    return Briefing(
        language=named_language(instructions) or language_of(instructions, "en"),
        company=_first(_COMPANY, instructions),
        name=_first(_NAME, instructions).split(" ")[0],
        purpose=_first(_PURPOSE, instructions),
        now=_moment(instructions),
    )


def named_language(text: str) -> Language | None:
    """The language that a text asks for, if it names one."""
    spanish, english = _SPANISH_NAMED.search(text), _ENGLISH_NAMED.search(text)
    if spanish and english:
        return "es" if spanish.start() < english.start() else "en"
    return "es" if spanish else "en" if english else None


def language_of(text: str, otherwise: Language) -> Language:
    """The language that a text is written in, by its small words."""
    spanish, english = len(_SPANISH.findall(text)), len(_ENGLISH.findall(text))
    if spanish == english:
        return otherwise
    return "es" if spanish > english else "en"


def _first(patterns: tuple[str, ...], text: str) -> str:
    for pattern in patterns:
        found = re.search(pattern, text)
        if found:
            return found.group(1).strip().rstrip(".,;")
    return ""


def _moment(text: str) -> datetime | None:
    for pattern in _DATES:
        found = pattern.search(text)
        if found is None:
            continue
        month = found["m"].lower()
        clock = _CLOCK.search(text, found.end())
        hour, minute = (int(clock[1]), int(clock[2])) if clock else (9, 0)
        try:
            day = (int(found["y"]), int(month) if month.isdigit() else _MONTHS[month], int(found["d"]))
            return datetime(*day, hour, minute, tzinfo=_zone(text))
        except ValueError:
            continue
    return None


def _zone(text: str) -> ZoneInfo:
    for found in _ZONE.finditer(text):
        try:
            return ZoneInfo(found.group())
        except (ZoneInfoNotFoundError, ValueError):
            continue
    return ZoneInfo("UTC")
