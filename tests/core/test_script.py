"""The script lint."""

import pytest

from agenx_cli.core.script import problems, template_problems
from tests.core.playbooks import playbook


def codes(**changes):
    return {problem.code for problem in problems(playbook(**changes))}


def test_the_small_playbook_may_be_used():
    assert codes() == set()


@pytest.mark.parametrize(
    "opening",
    [
        "Hola, soy Clara de Agenx AI. Si no desea más llamadas, dígamelo.",
        "Hola, soy Clara, de Agenx AI. {% if nombre %}Soy una IA.{% endif %} No más llamadas: dígamelo.",
        "Hello, I am the artificial intelligence of Agenx AI. Si no desea más llamadas, dígamelo.",
    ],
)
def test_an_opening_must_disclose_the_ai_whatever_the_values(opening):
    assert codes(opening=opening) == {"script.no_ai_disclosure"}


def test_a_value_cannot_hide_the_disclosure_either():
    opening = "{% if not nombre %}Soy una IA. {% endif %}Agenx AI. Si no desea más llamadas, dígamelo."
    assert codes(opening=opening) == {"script.no_ai_disclosure"}


def test_a_company_called_ai_discloses_nothing():
    opening = "Hello, this is Clara of Agenx AI. Say if you want no more calls."
    assert codes(language="en", opening=opening) == {"script.no_ai_disclosure"}
    honest = "Hello, I am Clara, an AI assistant of Agenx AI. Say if you want no more calls."
    assert codes(language="en", opening=honest) == set()


def test_an_unlisted_language_may_disclose_in_any_words_we_know():
    assert codes(language="nl", opening="Ik ben een AI van {{ company }}.") == set()
    assert codes(language="nl", opening="Ik ben Clara van {{ company }}.") == {"script.no_ai_disclosure"}


def test_the_company_and_the_way_out_are_named():
    assert codes(opening="Soy una IA. Si no desea más llamadas, dígamelo.") == {"script.no_company"}
    assert codes(opening="Soy una IA de {{ company }}.") == {"script.no_opt_out"}


def test_the_greeting_is_held_to_the_same():
    assert codes(greeting="Gracias por llamar a {{ company }}.") == {"script.no_ai_disclosure", "script.no_opt_out"}


def test_what_is_spoken_by_the_carrier_must_fit():
    assert codes(opening=playbook().opening + "x" * 600) == {"script.opening_too_long"}
    assert codes(apology="x" * 301) == {"script.apology_too_long"}


def test_templates_that_cannot_render_are_reported_once():
    assert codes(opening="{{ nada }}") == {"script.unknown_variable"}
    assert codes(apology="{% for x in y %}{% endfor %}") == {"script.template", "script.unknown_variable"}
    assert codes(instructions="{{ company.x }}") == {"script.template"}
    (problem,) = template_problems("instructions", "\n{{ nada }}", frozenset({"nombre"}))
    assert problem.line == 2
    assert "nombre" in problem.fix


def test_a_variable_cannot_take_our_names():
    assert codes(variables=(("nombre", ""), ("company", ""))) == {"script.reserved_variable"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tools": ("end_call",), "answers": ()}, "tools.no_opt_out"),
        ({"tools": ("opt_out",), "answers": ()}, "tools.no_end_call"),
        ({"tools": ("opt_out", "end_call", "book_meeting"), "answers": ()}, "tools.no_availability"),
        ({"time_zone": None}, "tools.no_time_zone"),
        ({"answers": ()}, "tools.no_answers"),
        ({"tools": ("opt_out", "end_call")}, "tools.no_answers"),
        ({"meetings": playbook().meetings.__class__()}, "tools.no_hours"),
    ],
)
def test_tools_need_what_they_work_with(changes, code):
    assert codes(**changes) == {code}
