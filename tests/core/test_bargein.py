"""Hold, then decide: the times of a sound, frame by frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.bargein import BargeIn, Verdict

HOLD, YIELD, RESUME = Verdict.HOLD, Verdict.YIELD, Verdict.RESUME


def heard(frames, *, barge=None, start=0, floor=True):
    """What each frame brings: V voiced, - quiet, 20 ms each. Answers (ms, verdict) of those that bring something."""
    barge = barge or BargeIn()
    verdicts = []
    for n, frame in enumerate(frames):
        now = start + 20 * n
        verdict = barge.frame(voiced=frame == "V", floor=floor, now=now)
        if verdict is not None:
            verdicts.append((now, verdict))
    return verdicts


def test_eighty_milliseconds_of_voice_hold_and_sixty_do_not():
    assert heard("VVV") == []
    assert heard("VVVV") == [(60, HOLD)]


def test_an_onset_must_be_unbroken():
    assert heard("VVV-VVV-VVV") == []


def test_nobody_holds_who_has_not_the_floor():
    assert heard("V" * 60, floor=False) == []


def test_450_ms_of_voice_yield_counted_from_the_sounds_beginning():
    assert heard("V" * 22) == [(60, HOLD)]
    assert heard("V" * 23) == [(60, HOLD), (440, YIELD)]


def test_voice_counts_across_short_pauses_while_holding():
    assert heard("V" * 10 + "-" * 9 + "V" * 13) == [(60, HOLD), (620, YIELD)]


def test_200_ms_of_quiet_resume():
    assert heard("VVVV" + "-" * 9) == [(60, HOLD)]
    assert heard("VVVV" + "-" * 10) == [(60, HOLD), (260, RESUME)]


def test_the_quiet_is_counted_anew_after_every_voiced_frame():
    assert heard("VVVV" + "-" * 9 + "V" + "-" * 9) == [(60, HOLD)]
    assert heard("VVVV" + "-" * 9 + "V" + "-" * 10) == [(60, HOLD), (460, RESUME)]


def test_a_hold_of_more_than_900_ms_yields():
    stutter = "VVVV" + "----V" * 20
    assert heard(stutter) == [(60, HOLD), (980, YIELD)]
    barge = BargeIn()
    heard("VVVV", barge=barge)
    assert barge.tick(960) is None
    assert barge.tick(961) is YIELD
    assert barge.tick(5000) is None


def test_after_a_verdict_a_new_sound_starts_from_nothing():
    barge = BargeIn()
    assert heard("VVVV" + "-" * 10, barge=barge)[-1][1] is RESUME
    assert heard("VVV", barge=barge, start=300) == []
    assert heard("V", barge=barge, start=360) == [(360, HOLD)]


def test_the_models_detector_holds_at_once_but_only_for_who_has_the_floor_and_only_once():
    barge = BargeIn()
    assert barge.heard_by_model(floor=False, now=0) is None
    assert barge.held_since is None
    assert barge.heard_by_model(floor=True, now=10) is HOLD
    assert barge.heard_by_model(floor=True, now=20) is None
    assert barge.held_since == 10


def test_what_only_the_model_heard_resumes_after_200_ms_of_quiet_from_then():
    barge = BargeIn()
    heard("-" * 8, barge=barge)
    barge.heard_by_model(floor=True, now=160)
    assert heard("-" * 10, barge=barge, start=160) == [(340, RESUME)]


def test_the_end_of_a_turn_decides_a_hold_and_nothing_else():
    barge = BargeIn()
    assert barge.committed() is None
    heard("VVVV", barge=barge)
    assert barge.committed() is YIELD
    assert barge.held_since is None
    assert barge.voiced_ms == 0


@pytest.mark.parametrize(("at", "late"), [(260, True), (760, True), (761, False)])
def test_what_the_model_hears_in_silence_soon_after_a_resume_is_the_same_sound(at, late):
    barge = BargeIn()
    assert not barge.late(at)
    heard("VVVV" + "-" * 10, barge=barge)
    assert barge.resumed_at == 260
    assert barge.late(at) is late


def test_what_the_model_hears_while_somebody_sounds_again_is_a_new_sound():
    barge = BargeIn()
    heard("VVVV" + "-" * 10 + "V", barge=barge)
    assert not barge.late(280)


@given(st.text("V-", max_size=200))
def test_every_hold_is_decided_in_time_and_verdicts_alternate(frames):
    holding = None
    for now, verdict in heard(frames):
        if verdict is HOLD:
            assert holding is None
            holding = now
        else:
            assert holding is not None
            assert now - holding <= 920
            holding = None
    if holding is not None:
        assert 20 * len(frames) - holding <= 920
