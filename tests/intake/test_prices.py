"""Price files, ours and other people's."""

from datetime import date

import pytest

from agenx_cli.core.cost import price_reply
from agenx_cli.errors import IntakeError
from agenx_cli.intake.prices import load_prices

GOOD = """as_of = 2026-01-02
currency = "USD"

[replies.m]
text = { in = 1.0, cached = 0.1, out = 2 }
audio = { in = 3.0, cached = 0.3, out = 6.0 }

[outbound]
ES = { minute = 0.02 }
"""


def written(tmp_path, text):
    path = tmp_path / "prices.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_prices_that_come_along_are_dated_and_know_the_default_model():
    prices = load_prices()
    assert prices.as_of == date(2026, 11, 22)
    details = {"text_tokens": 200, "audio_tokens": 62, "cached_tokens": 128}
    record = {
        "output_tokens": 141,
        "input_token_details": details | {"cached_tokens_details": {"text_tokens": 128}},
        "output_token_details": {"text_tokens": 31, "audio_tokens": 110},
    }
    assert price_reply(record, "gpt-realtime-2.1", prices) == pytest.approx(0.0101072, abs=1e-12)
    assert prices.transcriptions["gpt-transcribe"].minute == 0.0045
    assert prices.outbound["US"].stream_minute == 0.0044


def test_a_persons_own_file_is_read(tmp_path):
    prices = load_prices(written(tmp_path, GOOD))
    assert prices.replies["m"].text_out == 2
    assert prices.replies["m"].image_in == 0
    assert prices.outbound["ES"].minute == 0.02


def test_a_table_cannot_be_changed():
    with pytest.raises(TypeError):
        load_prices().replies["x"] = None


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (GOOD.replace("out = 6.0", "outt = 6.0"), 6, "replies.m.audio.out"),
        (GOOD.replace("0.02", '"0.02"'), 9, "outbound.ES.minute"),
        (GOOD.replace("0.02", "-1"), 9, "outbound.ES.minute"),
        (GOOD.replace("0.02", "nan"), 9, "outbound.ES.minute"),
        (GOOD.replace("ES =", "Spain ="), 9, "Spain"),
        (GOOD.replace('"USD"', '"EUR"'), 2, "currency"),
        (GOOD.replace("as_of = 2026-01-02\n", ""), None, "as_of"),
        (GOOD.replace("2026-01-02", "2026-13-02"), None, "line 1"),
        ("as_of = \xff".encode("latin-1"), 1, "UTF-8"),
        ("x = " + "[" * 5000, None, "TOML"),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_a_fix(tmp_path, text, line, says):
    with pytest.raises(IntakeError) as refused:
        load_prices(written(tmp_path, text))
    assert refused.value.line == line
    assert says in refused.value.message
    assert refused.value.fix


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(IntakeError, match="cannot be read"):
        load_prices(tmp_path / "none.toml")
