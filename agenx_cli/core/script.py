"""The script lint: what keeps a playbook from being used, each with a code, its place and how to mend it.

The disclosure is the law's (EU AI Act, article 50; compliance page, gate G9): the first utterance says that an
artificial intelligence speaks, for which company, and how to get no more calls. It is looked for in the rendered
opening, both with every variable empty and with every variable filled, after the company's own name has been taken
out: "Agenx AI" discloses nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agenx_cli.core.phrases import AI_WORDS, OPT_OUT_WORDS
from agenx_cli.core.playbook import OWN_NAMES, Playbook, own_values
from agenx_cli.core.templates import faults, render

MAX_OPENING_CHARACTERS = 600  # spoken in about 40 s, and far below the 4,000 characters of a whole TwiML document
MAX_APOLOGY_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a playbook must not be used yet. ``where`` is its part: a template's name (``opening``, ``instructions``, …),
    ``variables``, ``tools``, ``time_zone``, ``hours`` or ``answers``; ``line`` counts from 1 within a template."""

    code: str
    where: str
    message: str
    fix: str
    line: int | None = None


def problems(playbook: Playbook) -> tuple[Problem, ...]:
    """Everything that must be mended before anybody is rung with this playbook; empty when it may be used."""
    return (*_templates(playbook), *_openings(playbook), *_tools(playbook))


def templates(playbook: Playbook) -> dict[str, str]:
    """The templates of a playbook by the name of their part."""
    parts = {"opening": playbook.opening, "greeting": playbook.greeting, "apology": playbook.apology}
    spoken = {where: template for where, template in parts.items() if template is not None}
    return {**spoken, "instructions": playbook.instructions}


def template_problems(where: str, source: str, names: frozenset[str]) -> tuple[Problem, ...]:
    """What is wrong with one template of a playbook that declares the variables ``names``."""
    known = names | OWN_NAMES
    fix = f"names it may use: {', '.join(sorted(known))}"
    return tuple(
        Problem("script.unknown_variable", where, fault.message, fix, fault.line)
        if fault.name is not None
        else Problem(
            "script.template", where, fault.message, "use plain text, {{ name }} and {% if name %}", fault.line
        )
        for fault in faults(source, known)
    )


def _templates(playbook: Playbook) -> Iterator[Problem]:
    names = frozenset(name for name, _ in playbook.variables)
    for name in sorted(names & OWN_NAMES):
        yield Problem("script.reserved_variable", "variables", f"'{name}' is set by us", "choose another name")
    for where, template in templates(playbook).items():
        yield from template_problems(where, template, names)


def _openings(playbook: Playbook) -> Iterator[Problem]:
    yield from _disclosure(playbook, "opening", playbook.opening)
    if playbook.greeting is not None:
        yield from _disclosure(playbook, "greeting", playbook.greeting)
    apology = _rendered(playbook, playbook.apology, "x")
    if apology is not None and len(apology) > MAX_APOLOGY_CHARACTERS:
        message = f"the apology is longer than {MAX_APOLOGY_CHARACTERS} characters"
        yield Problem("script.apology_too_long", "apology", message, "one sentence is enough")


def _disclosure(playbook: Playbook, where: str, template: str) -> Iterator[Problem]:
    bare, full = _rendered(playbook, template, ""), _rendered(playbook, template, "x")
    if bare is None or full is None:
        return
    words = AI_WORDS.get(playbook.language)
    if not all(_says_ai(words, text, playbook.company) for text in (bare, full)):
        message = f"the {where} does not say that an artificial intelligence is speaking"
        fix = "say it in the playbook's language, for instance «soy un asistente de inteligencia artificial»"
        yield Problem("script.no_ai_disclosure", where, message, fix)
    if not all(playbook.company.casefold() in text.casefold() for text in (bare, full)):
        message = f"the {where} does not name the company"
        yield Problem("script.no_company", where, message, f"put {{{{ company }}}} into the {where}")
    refusal = OPT_OUT_WORDS.get(playbook.language)
    if refusal is not None and not all(refusal.search(text) for text in (bare, full)):
        message = f"the {where} does not say how to get no more calls"
        fix = "add a sentence, for instance «si no desea más llamadas, dígamelo»"
        yield Problem("script.no_opt_out", where, message, fix)
    if len(full) > MAX_OPENING_CHARACTERS:
        message = f"the {where} has {len(full)} characters; {MAX_OPENING_CHARACTERS} fit"
        yield Problem("script.opening_too_long", where, message, "say less; the rest belongs to instructions.md")


def _tools(playbook: Playbook) -> Iterator[Problem]:
    tools = set(playbook.tools)
    for name in ("opt_out", "end_call"):
        if name not in tools:
            yield Problem(f"tools.no_{name}", "tools", f"the tool {name} is missing", f'add "{name}" to tools')
    if "book_meeting" in tools and "check_availability" not in tools:
        message = "book_meeting without check_availability would offer times that nobody looked up"
        yield Problem("tools.no_availability", "tools", message, 'add "check_availability" to tools')
    if playbook.offers_times and playbook.time_zone is None:
        message = "times are offered, but the time zone is not known"
        yield Problem("tools.no_time_zone", "time_zone", message, 'set time_zone = "Europe/Madrid" (or yours)')
    if tools & {"book_meeting", "check_availability"} and not playbook.meetings.hours:
        message = "meetings are offered, but there are no working hours"
        yield Problem("tools.no_hours", "hours", message, 'set [meetings.hours] mon_fri = "09:00-14:00"')
    if ("record_answer" in tools) != bool(playbook.answers):
        message = "record_answer and [[answers]] go together; one of them is missing"
        yield Problem("tools.no_answers", "answers", message, "add the other one, or remove both")


def _rendered(playbook: Playbook, template: str, value: str) -> str | None:
    """A template with every variable set to ``value``; None when it has faults (reported elsewhere)."""
    names = frozenset(name for name, _ in playbook.variables)
    if faults(template, names | OWN_NAMES):
        return None
    return " ".join(render(template, {**dict.fromkeys(names, value), **own_values(playbook)}).split())


def _says_ai(words: re.Pattern[str] | None, text: str, company: str) -> bool:
    rest = re.sub(re.escape(company), " ", text, flags=re.IGNORECASE)
    known = AI_WORDS.values() if words is None else (words,)
    return any(pattern.search(rest) for pattern in known)
