"""Gates: each says no with its code."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import phonenumbers
import pytest

from agenx_cli.core.lead import E164, mask, parse_number
from agenx_cli.core.policy import Allow, Defer, History, Refuse, gate

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("+34600000011", None),
        ("+12125551234", None),
        ("+14165551234", None),
        ("+33912345678", None),
        ("+12125550123", "num.example"),
        ("+34600999911", "num.example"),
        ("+34806123456", "num.premium"),
        ("+34902123456", "num.premium"),
        ("+34701234567", "num.premium"),
        ("+19005551234", "num.premium"),
        ("+12129761234", "num.premium"),
        ("+881612345678", "num.premium"),
        ("+18765550100", "num.nanp_other"),
        ("+17875551234", "num.nanp_other"),
        ("+18005551234", "num.invalid"),
        ("+34112", "num.invalid"),
        ("nonsense", "num.invalid"),
    ],
)
def test_what_a_number_is_decides_first(number, code):
    verdict = gate(E164(number), History(), NOW)
    if code is None:
        assert verdict == Allow()
    else:
        assert isinstance(verdict, Refuse)
        assert verdict.reason.code == code
        assert verdict.reason.citation
        assert number not in verdict.reason.sentence


def test_example_numbers_ring_only_in_a_rehearsal():
    assert gate(E164("+12125550123"), History(), NOW, rehearsal=True) == Allow()


def test_the_leads_that_ship_can_never_be_rung_for_real():
    """Fails for a new example campaign whose leads somebody might own."""
    files = sorted((Path(__file__).parents[2] / "campaigns").glob("*/leads.csv"))
    assert files
    for file in files:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        column = next(name for name in rows[0] if name in {"phone", "telefono", "teléfono"})
        numbers = [parse_number(row[column], None) for row in rows]
        for number in numbers:
            verdict = gate(number, History(), NOW)
            assert isinstance(verdict, Refuse), f"{file}: {mask(number)} could be rung"
            assert verdict.reason.code == "num.example"
            assert gate(number, History(), NOW, rehearsal=True) == Allow()


def test_a_premium_number_is_refused_in_a_rehearsal_too():
    assert isinstance(gate(E164("+34806123456"), History(), NOW, rehearsal=True), Refuse)


def test_a_suppressed_number_is_refused_for_good():
    verdict = gate(E164("+34600000011"), History(suppressed=True, in_flight_until=NOW), NOW)
    assert isinstance(verdict, Refuse)
    assert verdict.reason.code == "dnc.internal"


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_number_in_flight_is_deferred_to_when_it_may_be_free(minutes):
    until = NOW + timedelta(minutes=minutes)
    verdict = gate(E164("+34600000011"), History(in_flight_until=until), NOW)
    assert isinstance(verdict, Defer)
    assert verdict.reason.code == "freq.inflight"
    assert verdict.until == max(until, NOW)


def test_a_thousand_premium_and_caribbean_numbers_are_all_refused():
    numbers = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None and phonenumbers.number_type(example) == kind:
                numbers.append(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    caribbean = (
        "242",
        "246",
        "264",
        "268",
        "284",
        "345",
        "441",
        "473",
        "649",
        "664",
        "758",
        "767",
        "784",
        "868",
        "876",
    )
    numbers += [
        f"+1{area}{exchange}{tail:04d}" for area in caribbean for exchange in ("322", "444") for tail in range(30)
    ]
    assert len(numbers) >= 1000
    for number in numbers:
        assert isinstance(gate(E164(number), History(), NOW, rehearsal=True), Refuse), number
    print("refused", len(numbers), "of", len(numbers))
