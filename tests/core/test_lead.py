"""Telephone numbers: read strictly, never guessed, never shown by accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.lead import E164, BadNumber, mask, parse_number, region_of


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+34 600 00 00 11", None, "+34600000011"),
        ("600 00 00 11", "es", "+34600000011"),
        ("0034-600-000-011", None, "+34600000011"),
        ("\u202a+34600000011\u202c", None, "+34600000011"),
        ("＋３４６００００００１１", None, "+34600000011"),
        ("'+34600000011", None, "+34600000011"),
        ("tel:+34-600-000-011", None, "+34600000011"),
        ("(212) 555-0100", "US", "+12125550100"),
        ("011 34 600000011", "US", "+34600000011"),
        ("030/123456", "DE", "+4930123456"),
        ("+34600000011", "US", "+34600000011"),
    ],
)
def test_a_number_is_read(text, region, number):
    parsed = parse_number(text, region)
    assert parsed == number
    assert isinstance(parsed, E164)


@pytest.mark.parametrize(
    ("text", "region", "code"),
    [
        ("600000011", None, "num.no_region"),
        ("600000011", "ZZ", "num.bad_region"),
        ("+34 600 000 011 ext 5", None, "num.extension"),
        ("+34600000011x22", None, "num.extension"),
        ("+34600000011,,5", None, "num.extension"),
        ("+34600000011 #5", None, "num.extension"),
        ("+34600000011;ext=5", None, "num.extension"),
        ("6.0E+08", "ES", "num.spreadsheet"),
        ("6,00000011E+8", "ES", "num.spreadsheet"),
        ("600000011.0", "ES", "num.spreadsheet"),
        ("call +34600000011", None, "num.invalid"),
        ("600000011 / 600000012", "ES", "num.invalid"),
        ("1-800-FLOWERS", "US", "num.invalid"),
        ("+34 112", None, "num.invalid"),
        ("+999 123456789", None, "num.invalid"),
        ("", "ES", "num.invalid"),
        ("+", None, "num.invalid"),
        ("6" * 40, "ES", "num.invalid"),
    ],
)
def test_what_could_be_misread_is_refused_with_a_fix(text, region, code):
    bad = parse_number(text, region)
    assert isinstance(bad, BadNumber)
    assert bad.code == code
    assert bad.fix
    assert "600000" not in bad.reason + bad.fix


def test_a_number_hides_in_its_repr():
    number = E164("+34600000011")
    assert "600000" not in repr(number)
    assert "600000" not in repr((number, [number]))
    assert f"{number}" == "+34600000011"
    assert mask("+34600000011") == "+34•••••••11"
    assert mask("anon") == "••••"


@given(st.text(max_size=40), st.none() | st.sampled_from(["ES", "US", "ZZ", ""]))
def test_any_text_is_a_number_or_a_complaint(text, region):
    result = parse_number(text, region)
    assert isinstance(result, E164 | BadNumber)
    if isinstance(result, E164):
        assert result.startswith("+")
        assert parse_number(result, None) == result


@pytest.mark.parametrize(
    ("number", "region"),
    [("+34600000011", "ES"), ("+12025550123", "US"), ("+1", None), ("", None), ("+999123456", None), ("x", None)],
)
def test_a_number_belongs_to_a_country_or_to_none(number, region):
    assert region_of(number) == region


def test_an_endless_number_is_refused_at_once():
    assert isinstance(parse_number("9" * 10_000_000, "ES"), BadNumber)
