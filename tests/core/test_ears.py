"""Levels, and what is a voice."""

import audioop
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.ears import (
    FAINTEST_DB,
    FLOOR_HIGHEST_DB,
    FLOOR_LOWEST_DB,
    LONGEST_SPEECH_FRAMES,
    OVER_FLOOR_DB,
    SILENT_DB,
    Ears,
    level_db,
)

levels = st.floats(SILENT_DB, 0.0)


def tone(peak, ms=20):
    samples = (round(peak * math.sin(2 * math.pi * 500 * i / 8000)) for i in range(8 * ms))
    return audioop.lin2ulaw(b"".join(s.to_bytes(2, "little", signed=True) for s in samples), 2)


@pytest.mark.parametrize("quiet", [b"", b"\xff" * 160, b"\x7f" * 160, b"\xff\x7f" * 80])
def test_digital_silence_has_the_lowest_level(quiet):
    assert level_db(quiet) == SILENT_DB


def test_a_tone_has_the_level_of_its_effective_value():
    assert level_db(tone(32_000)) == pytest.approx(20 * math.log10(32_000 / math.sqrt(2) / 32_768), abs=0.3)
    assert level_db(tone(3_200)) == pytest.approx(level_db(tone(32_000)) - 20, abs=0.3)


@given(st.binary(max_size=400))
def test_any_audio_has_a_level_between_silence_and_full_scale(ulaw):
    assert SILENT_DB <= level_db(ulaw) <= 0.0


def test_speech_in_a_quiet_room_is_voiced_and_the_pauses_are_not():
    ears = Ears()
    pattern = [SILENT_DB] * 20 + [-20.0] * 30 + [SILENT_DB] * 5 + [-25.0] * 30
    assert [ears.hear(level) for level in pattern] == [False] * 20 + [True] * 30 + [False] * 5 + [True] * 30


def test_a_faint_sound_is_never_voiced():
    ears = Ears(floor_db=FLOOR_LOWEST_DB)
    assert not ears.hear(FAINTEST_DB)
    assert ears.hear(FAINTEST_DB + 0.1)


def test_the_floor_rises_slowly_to_a_steady_noise_and_falls_fast_from_it():
    ears = Ears()
    for _ in range(50):
        ears.hear(-52.0)
    assert ears.floor_db == pytest.approx(-57.0)
    for _ in range(300):
        ears.hear(-52.0)
    assert ears.floor_db == pytest.approx(-52.0)
    for _ in range(5):
        ears.hear(-68.0)
    assert ears.floor_db < -67.0


def test_a_loud_room_stops_being_a_voice_after_four_seconds():
    ears = Ears()
    assert all(ears.hear(-38.0) for _ in range(LONGEST_SPEECH_FRAMES))
    assert not ears.hear(-38.0)
    assert ears.hear(-20.0)


@given(st.lists(levels, max_size=400))
def test_the_floor_stays_between_its_bounds(heard):
    ears = Ears()
    for level in heard:
        ears.hear(level)
        assert FLOOR_LOWEST_DB <= ears.floor_db <= FLOOR_HIGHEST_DB


@given(st.lists(levels, max_size=60), levels)
def test_voiced_means_over_the_floor_and_not_faint(before, level):
    ears = Ears()
    for earlier in before:
        ears.hear(earlier)
    floor = ears.floor_db
    assert ears.hear(level) == (level > floor + OVER_FLOOR_DB and level > FAINTEST_DB)


@given(st.lists(st.floats(-47.0, 0.0), min_size=1, max_size=LONGEST_SPEECH_FRAMES - 1))
def test_the_floor_does_not_move_while_somebody_speaks(speech):
    ears = Ears()
    assert all(ears.hear(level) for level in speech)
    assert ears.floor_db == Ears().floor_db


@given(st.lists(levels, max_size=2000), st.floats(FLOOR_HIGHEST_DB + OVER_FLOOR_DB + 0.1, 0.0))
def test_no_noise_however_long_deafens_us_to_speech_at_a_normal_level(noise, speech):
    ears = Ears()
    for level in noise:
        ears.hear(level)
    assert ears.hear(speech)
