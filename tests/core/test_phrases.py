"""The fixed sentences: each language has them all, and days are said as people say them."""

from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from agenx_cli.core.phrases import AI_WORDS, LANGUAGE_NAMES, OPT_OUT_WORDS, PHRASES, spoken, spoken_day
from agenx_cli.core.playbook import ToolName

MOMENT = datetime(2026, 11, 24, 10, tzinfo=ZoneInfo("Europe/Madrid"))


@pytest.mark.parametrize("language", PHRASES)
def test_every_language_has_a_rule_for_every_tool_and_words_for_the_law(language):
    assert set(PHRASES[language].tools) == set(get_args(ToolName))
    assert language in AI_WORDS
    assert language in OPT_OUT_WORDS
    assert language in LANGUAGE_NAMES
    assert AI_WORDS[language].search(PHRASES[language].identity)


@pytest.mark.parametrize(
    ("language", "said"),
    [("es", "martes 24 de noviembre"), ("en", "Tuesday 24 November"), ("fr", "Tuesday 24 November")],
)
def test_days_are_said_in_spanish_or_else_in_english(language, said):
    assert spoken_day(MOMENT, language) == said
    assert spoken(MOMENT, language) == f"{said} {'a las' if language == 'es' else 'at'} 10:00"


def test_one_o_clock_is_singular_in_spanish():
    assert spoken(MOMENT.replace(hour=1, minute=5), "es").endswith("a la 1:05")


@pytest.mark.parametrize(
    "text", ["si no desea más llamadas, dígamelo", "no le volveremos a llamar", "no me llamen más"]
)
def test_ways_out_in_spanish(text):
    assert OPT_OUT_WORDS["es"].search(text)
