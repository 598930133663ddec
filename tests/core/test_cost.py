"""Usage and seconds become money."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.cost import (
    CarrierPrice,
    PriceTable,
    ReplyPrice,
    TranscriptionPrice,
    carrier_cost,
    price_apart,
    price_call,
    price_reply,
    price_transcription,
    reply_cost,
    transcription_cost,
)

PRICE = ReplyPrice(4.0, 0.4, 24.0, 32.0, 0.4, 64.0, 5.0, 0.5)
US = CarrierPrice(0.014, 0.0044, 0.0075)
TABLE = PriceTable(
    as_of=date(2026, 11, 22),
    replies={"gpt-realtime-2.1": PRICE},
    transcriptions={"gpt-transcribe": TranscriptionPrice(0.0045)},
    outbound={"US": US},
)
EXAMPLE = {
    "total_tokens": 403,
    "input_tokens": 262,
    "output_tokens": 141,
    "input_token_details": {
        "text_tokens": 200,
        "audio_tokens": 62,
        "image_tokens": 0,
        "cached_tokens": 128,
        "cached_tokens_details": {"text_tokens": 128, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 31, "audio_tokens": 110},
}

count = st.integers(0, 1_000_000)


def usage(*, text=0, audio=0, image=0, cached=(0, 0, 0), said=0, spoken=0, other=0):
    given_ = {"text_tokens": text, "audio_tokens": audio, "image_tokens": image}
    of = dict(zip(("text_tokens", "audio_tokens", "image_tokens"), cached, strict=True))
    return {
        "input_token_details": given_ | {"cached_tokens": sum(cached), "cached_tokens_details": of},
        "output_token_details": {"text_tokens": said, "audio_tokens": spoken},
        "output_tokens": said + spoken + other,
    }


def test_the_worked_example_costs_what_it_says():
    assert reply_cost(EXAMPLE, PRICE) == pytest.approx(0.0101072, abs=1e-12)


def test_cached_tokens_without_details_are_taken_for_text():
    details = {"text_tokens": 100, "audio_tokens": 50, "cached_tokens": 1000}
    assert reply_cost({"input_token_details": details}, PRICE) == pytest.approx((100 * 0.4 + 50 * 32) / 1e6)


def test_tokens_of_reasoning_are_billed_as_text():
    record = {"output_tokens": 10, "output_token_details": {"text_tokens": 1, "audio_tokens": 2}}
    assert reply_cost(record, PRICE) == pytest.approx((8 * 24 + 2 * 64) / 1e6)


def test_pictures_have_a_price_too():
    record = usage(image=100, cached=(0, 0, 40))
    assert reply_cost(record, PRICE) == pytest.approx((60 * 5 + 40 * 0.5) / 1e6)


@given(st.fixed_dictionaries(dict.fromkeys(("text", "audio", "image", "said", "spoken", "other"), count)))
def test_the_cost_is_the_sum_of_its_parts(counts):
    whole = reply_cost(usage(**counts), PRICE)
    assert whole == pytest.approx(sum(reply_cost(usage(**{k: v}), PRICE) for k, v in counts.items()))


@given(count, count, count, st.tuples(count, count, count), count)
def test_caching_only_ever_saves(text, audio, image, cached, spoken):
    saved = reply_cost(usage(text=text, audio=audio, image=image, cached=cached, spoken=spoken), PRICE)
    full = reply_cost(usage(text=text, audio=audio, image=image, spoken=spoken), PRICE)
    assert 0 <= saved <= full * (1 + 1e-9)


KEYS = ["input_token_details", "output_token_details", "cached_tokens_details", "cached_tokens"]
KEYS += ["text_tokens", "audio_tokens", "output_tokens", "seconds", "type"]
strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["input_token_details", "output_token_details", "output_tokens"]), strange))
def test_no_record_of_a_stranger_costs_less_than_nothing(record):
    assert reply_cost(record, PRICE) >= 0


def test_transcription_is_billed_by_the_second():
    price = TranscriptionPrice(0.006)
    assert transcription_cost({"type": "duration", "seconds": 90}, price) == pytest.approx(0.009)
    assert transcription_cost({"type": "duration", "seconds": "90"}, price) == 0


def test_transcription_measured_in_tokens_has_no_known_price():
    assert transcription_cost({"type": "tokens", "total_tokens": 7}, TranscriptionPrice(0.006)) is None


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0, 0), (-5, 0), (0.1, 1), (1, 1), (60, 1), (60.01, 2), (61, 2), (3600, 60)]
)
def test_the_carrier_bills_started_minutes(seconds, minutes):
    assert carrier_cost(seconds, US) == pytest.approx(minutes * 0.014)
    assert carrier_cost(seconds, US, stream=True) == pytest.approx(minutes * 0.0184)


def test_machine_detection_is_billed_once_and_only_when_somebody_answered():
    assert carrier_cost(90, US, amd=True) == pytest.approx(2 * 0.014 + 0.0075)
    assert carrier_cost(0, US, amd=True) == 0


@given(st.floats(0, 20_000), st.floats(0, 20_000))
def test_a_longer_call_never_costs_less(a, b):
    short, long = sorted((a, b))
    assert carrier_cost(short, US, amd=True, stream=True) <= carrier_cost(long, US, amd=True, stream=True)


def test_a_dated_snapshot_costs_what_its_family_costs():
    assert price_reply(EXAMPLE, "gpt-realtime-2.1-2026-10-01", TABLE) == pytest.approx(0.0101072)
    assert price_transcription({"type": "duration", "seconds": 60}, "gpt-transcribe-2026-07-01", TABLE) == 0.0045


def test_what_is_not_in_the_table_is_unknown():
    assert price_reply(EXAMPLE, "gpt-realtime-2025-08-28", TABLE) is None
    assert price_transcription({"type": "duration", "seconds": 60}, "whisper-1", TABLE) is None
    assert price_call(60, "ES", TABLE) is None
    assert price_call(60, None, TABLE) is None


def test_a_call_to_a_known_region_is_priced_with_its_stream():
    assert price_call(61, "US", TABLE, amd=True) == pytest.approx(2 * 0.0184 + 0.0075)


def test_what_is_billed_apart_is_the_stream_and_the_detection():
    price = CarrierPrice(minute=0.5, stream_minute=0.25, amd=0.125)
    prices = PriceTable(date(2026, 11, 22), {}, {}, {"US": price})
    assert price_apart(61, "US", prices, amd=True) == 2 * 0.25 + 0.125
    assert price_apart(61, "ES", prices) == 0.0
    assert price_apart(61, None, prices) == 0.0
