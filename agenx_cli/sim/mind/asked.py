"""Instructions that a reply brings with it: what they ask for, if it is something we know how to do."""

import re

from agenx_cli.sim.mind.briefing import Briefing, Language
from agenx_cli.sim.mind.sentences import introduction, sentence
from agenx_cli.sim.mind.view import Thought

_EXACTLY = re.compile(r"exact|verbatim|word for word|literal|palabra por palabra|tal cual", re.IGNORECASE)
_DELIMITED = (
    re.compile(r"<(\w+)>\s*(?P<text>.+?)\s*</\1>", re.DOTALL),
    re.compile(r'"""\s*(?P<text>.+?)\s*"""', re.DOTALL),
    re.compile(r"«\s*(?P<text>.+?)\s*»", re.DOTALL),
    re.compile(r"[\"“](?P<text>.+?)[\"”]", re.DOTALL),
)
_KEYS = (
    ("there", r"still (?:there|on the line)|sigue\w* (?:ahí|ahi|en línea)|silent for"),
    ("bye", r"good-?bye|farewell|desp[ií]d|adi[oó]s"),
    ("repeat", r"ask .{0,30}repeat|pide .{0,30}repit|didn't understand"),
    ("sorry", r"apologi[sz]e|disculp|perd[oó]n"),
)
_GREET = re.compile(r"\bgreet|introduce yourself|salud[ae]|pres[eé]ntate", re.IGNORECASE)


def obey(instructions: str, briefing: Briefing, language: Language) -> Thought | None:
    """What a reply's own instructions ask to say; None when they leave it to us."""
    if _EXACTLY.search(instructions):
        for pattern in _DELIMITED:
            found = pattern.search(instructions)
            if found:
                return Thought(found["text"])
    for key, signs in _KEYS:
        if key == "there" and re.search(r"say goodbye|desp[ií]dete", instructions, re.IGNORECASE):
            continue
        if re.search(signs, instructions, re.IGNORECASE):
            return Thought(sentence(key, language).strip())
    if _GREET.search(instructions):
        return Thought(introduction("hello", briefing, language))
    return None
