"""What an author may write, and what a stranger's value can do to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.templates import MAX_TEMPLATE_CHARACTERS, MAX_VALUE_CHARACTERS, Ours, clean, faults, render

NAMES = frozenset({"name", "other"})


@pytest.mark.parametrize(
    "source",
    [
        "plain",
        "{{ name }}",
        "{% if name %}a{% elif other == 'x' %}b{% else %}c{% endif %}",
        "{{ name|upper|default('x') }}",
        "{{ 'a' if name and not other or name else 'b' }}",
        "{# a remark #}",
        "{{ name|default('x', true) }}",
        "{% if name in 'abc' and other|lower != 'x' and 'n' not in name %}a{% endif %}",
    ],
)
def test_text_names_conditions_and_a_few_filters_are_fine(source):
    assert faults(source, NAMES) == ()
    render(source, {"name": "n", "other": "o"})


@pytest.mark.parametrize(
    "source",
    [
        "{% for c in name %}{{ c }}{% endfor %}",
        "{{ name * 1000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ name ~ other }}",
        "{{ name.__class__ }}",
        "{{ name['x'] }}",
        "{{ range(9) }}",
        "{% set name = 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'secret' %}",
        "{% extends 'secret' %}",
        "{% block b %}{% endblock %}",
        "{{ [1, 2] }}",
        "{{ {'a': 1} }}",
        "{{ name is defined }}",
        # what would only fail in the middle of a call
        "{{ name|upper(1) }}",
        "{{ name|upper(*other) }}",
        "{{ name|default }}",
        "{{ name|default(1) }}",
        "{{ name|default('x', boolean=true) }}",
        "{{ name|default('x', 'y', 'z') }}",
        "{% if name < 3 %}{% endif %}",
        "{% if name < 'x' %}{% endif %}",
        "{% if 3 in name %}{% endif %}",
        "{% if name in (name == other) %}{% endif %}",
    ],
)
def test_everything_else_is_refused_by_its_kind(source):
    assert faults(source, NAMES)


def test_an_unknown_filter_names_those_it_may_be():
    (fault,) = faults("{{ name|center(9) }}", NAMES)
    assert "trim" in fault.message


def test_an_unknown_name_is_named_with_its_line():
    (fault,) = faults("one\ntwo {{ nam }}", NAMES)
    assert (fault.line, fault.name) == (2, "nam")


def test_a_broken_template_has_its_line():
    (fault,) = faults("one\n{% if name %}", NAMES)
    assert fault.line == 2
    assert "not a template" in fault.message


def test_a_template_is_bounded():
    assert faults("x" * (MAX_TEMPLATE_CHARACTERS + 1), NAMES)
    assert faults("{{ " + "(" * 4_000 + "name" + ")" * 4_000 + " }}", NAMES)


def test_values_are_marked_unless_they_are_ours():
    shown = render("{{ name }} {{ other }} {{ name|upper }} text", {"name": "n", "other": Ours("o")}, "<{}>".format)
    assert shown == "<n> o <N> text"


@given(st.text())
def test_a_value_is_never_rendered_again(value):
    assert render("{{ name }}", {"name": value, "other": "secret"}) == value
    assert render("{{ name }}", {"name": "{{ other }}", "other": "secret"}) == "{{ other }}"


@given(st.text(), st.integers(1, 50))
def test_a_cleaned_value_is_one_bounded_printable_line(value, limit):
    cleaned = clean(value, limit)
    assert len(cleaned) <= limit
    assert cleaned.isprintable()
    assert clean(cleaned, limit) == cleaned


def test_a_long_value_is_cut():
    assert len(clean("x" * 1000)) == MAX_VALUE_CHARACTERS
    assert clean("a\x00b\n\u202ec\ud800d") == "a b c d"
