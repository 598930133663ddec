"""A small playbook for tests, and the moment they share: Sunday 22 November 2026, 16:00 UTC."""

from dataclasses import replace
from datetime import UTC, datetime, time

from agenx_cli.core.playbook import AnswerField, MeetingRules, Playbook

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)
WEEK = tuple((day, time(9), time(14)) for day in range(5))
ALL_TOOLS = (
    "check_availability",
    "book_meeting",
    "cancel_meeting",
    "schedule_callback",
    "opt_out",
    "record_answer",
    "end_call",
)
PLAYBOOK = Playbook(
    name="prueba",
    company="Agenx AI",
    assistant="Clara",
    purpose="concertar una reunión.",
    language="es",
    locale="es-ES",
    time_zone="Europe/Madrid",
    voice="marin",
    model=None,
    opening="Hola, soy Clara, una inteligencia artificial de {{ company }}.\nSi no desea más llamadas, dígamelo.",
    apology="Disculpe, adiós.",
    instructions="# Papel\nHabla con {{ nombre }} de {{ company }}.",
    tools=ALL_TOOLS,
    variables=(("nombre", "la persona"),),
    answers=(
        AnswerField("empleados", "cuántos empleados", "number"),
        AnswerField("decide", "si decide", "yes_no"),
        AnswerField("sector", "el sector", "choice", ("Industria", "Servicios")),
        AnswerField("nota", "lo que diga"),
    ),
    meetings=MeetingRules(hours=WEEK, title="Reunión"),
)


def playbook(**changes):
    """The small playbook with some fields changed."""
    return replace(PLAYBOOK, **changes)
