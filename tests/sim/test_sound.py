"""Words in sound: what is understood, and above all what is not."""

import math
import warnings

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from agenx_cli.sim import babble
from agenx_cli.sim.sound import FRAME, SILENCE, Garbled, Listener, Said, Words, speak

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

OFFER = "¿Le viene bien el martes 24 de noviembre a las 10:00?"

texts = st.text(max_size=60)
spoken = st.text(min_size=1, max_size=60).filter(lambda text: text.strip() != "")
speeds = st.sampled_from([15.0, 90.0, 1_000.0])


def normal(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().split())


def hear(ulaw: bytes, *, chunk: int = FRAME) -> list[object]:
    listener = Listener()
    heard: list[object] = []
    for at in range(0, len(ulaw), chunk):
        heard += listener.hear(ulaw[at : at + chunk])
    return heard + list(listener.flush())


def frames(ulaw: bytes) -> list[bytes]:
    return [ulaw[at : at + FRAME] for at in range(0, len(ulaw), FRAME)]


def understood(heard: list[object]) -> list[str]:
    return [each.text for each in heard if isinstance(each, Said) and each.complete]


def is_prefix(part: str, whole: str) -> bool:
    """The words of ``part`` are the first words of ``whole``."""
    words = part.split()
    return words == whole.split()[: len(words)]


def assert_not_understood(heard: list[object], text: str) -> None:
    """Nothing complete, and nothing that was not said."""
    assert understood(heard) == []
    for each in heard:
        assert is_prefix(each.text_before if isinstance(each, Garbled) else each.text, normal(text))  # type: ignore[attr-defined]


# --- what is understood


@given(text=texts, voice=st.integers(0, 255), speed=speeds)
@example(text="", voice=0, speed=90.0)
@example(text="ñandú 🎉👩‍👩‍👧 año\n\tÁÉÍ", voice=1, speed=90.0)
@example(text="x" * 300, voice=0, speed=90.0)
@example(text="\ud800 \x00\x00\x00 \x7f\U000f0000", voice=0, speed=90.0)
def test_any_text_crosses_the_sound_unchanged(text, voice, speed):
    ulaw = speak(text, voice=voice, chars_per_second=speed)
    heard = hear(ulaw, chunk=10_000)
    assert understood(heard) == ([normal(text)] if normal(text) else [])
    assert SILENCE not in ulaw


@given(text=spoken, cuts=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 400)), max_size=12))
def test_it_is_understood_in_any_chunks_with_any_silence_between_them(text, cuts):
    ulaw = speak(text)
    listener, heard, before = Listener(), [], 0
    for at, silence in sorted(cuts):
        heard += listener.hear(ulaw[before:at])
        heard += listener.hear(SILENCE * silence)
        before = max(before, min(at, len(ulaw)))
    heard += listener.hear(ulaw[before:])
    assert heard[-1] == Said(normal(text), complete=True)
    assert not listener.listening
    assert listener.flush() == []


def test_a_sentence_is_understood_word_by_word():
    assert hear(speak("Hola, buenos días")) == [
        Words("Hola,"),
        Words("Hola, buenos"),
        Said("Hola, buenos días", complete=True),
    ]


def test_the_same_words_make_the_same_sound_and_another_voice_another():
    assert speak(OFFER) == speak(OFFER)
    assert speak(OFFER) != speak(OFFER, voice=1)


def test_a_listener_knows_whose_voice_it_hears():
    listener = Listener()
    listener.hear(speak("hola", voice=3))
    assert listener.voice == 3


@given(text=spoken, speed=st.floats(1, 1_000))
def test_speech_takes_the_time_that_its_speed_says_or_longer_when_the_bits_need_it(text, speed):
    text = normal(text)
    least = 80 + sum(96 + 8 * len(word.encode()) for word in text.split())
    due = int((len(text) + 1) * 8_000 / speed)
    assert max(least, due) <= len(speak(text, chars_per_second=speed)) <= least + due


@pytest.mark.parametrize("arguments", [{"chars_per_second": 0.5}, {"chars_per_second": math.nan}, {"voice": 256}])
def test_an_impossible_speed_or_voice_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        speak("hola", **arguments)


def test_two_sentences_back_to_back_are_two():
    assert understood(hear(speak("uno dos") + speak("tres", voice=1))) == ["uno dos", "tres"]


# --- what is not


@given(text=spoken, data=st.data())
def test_cut_off_anywhere_it_is_understood_up_to_a_word(text, data):
    ulaw = speak(text)
    heard = hear(ulaw[: data.draw(st.integers(0, len(ulaw) - 1))])
    assert_not_understood(heard, text)
    assert not any(isinstance(each, Garbled) for each in heard)


@given(text=spoken, data=st.data())
def test_cut_off_anywhere_and_followed_by_another_sentence_both_are_told_apart(text, data):
    ulaw = speak(text)
    cut = data.draw(st.integers(64, len(ulaw) - 1))
    heard = hear(ulaw[:cut] + speak("y otra cosa"), chunk=data.draw(st.integers(1, 500)))
    assert heard[-1] == Said("y otra cosa", complete=True)
    assert_not_understood([each for each in heard[:-1] if "y" not in getattr(each, "text", "")], text)
    assert understood(heard) == ["y otra cosa"]
    ended = [each for each in heard if isinstance(each, Said) and not each.complete]
    assert len(ended) == 1
    assert is_prefix(ended[0].text, normal(text))


@given(text=spoken, speed=speeds, data=st.data())
def test_without_one_frame_it_is_not_understood(text, speed, data):
    parts = frames(speak(text, chars_per_second=speed))
    del parts[data.draw(st.integers(0, len(parts) - 1))]
    assert_not_understood(hear(b"".join(parts)), text)


@given(text=spoken, speed=speeds, data=st.data())
def test_with_two_frames_swapped_it_is_not_understood(text, speed, data):
    parts = frames(speak(text, chars_per_second=speed))
    assume(len(parts) > 1)
    first = data.draw(st.integers(0, len(parts) - 1))
    second = data.draw(st.integers(0, len(parts) - 1))
    assume(parts[first] != parts[second])
    parts[first], parts[second] = parts[second], parts[first]
    assert_not_understood(hear(b"".join(parts)), text)


@given(text=spoken, speed=speeds, data=st.data())
def test_with_one_frame_doubled_it_is_not_understood(text, speed, data):
    """Except its last frame: what follows the end is an echo of the end."""
    parts = frames(speak(text, chars_per_second=speed))
    assume(len(parts) > 1)
    at = data.draw(st.integers(0, len(parts) - 2))
    parts.insert(at, parts[at])
    heard = hear(b"".join(parts))
    if at == 0:
        heard = [each for each in heard if each != Said("", complete=False)]
        assert understood(heard) in ([], [normal(text)])
    else:
        assert_not_understood(heard, text)


@given(text=spoken, speed=speeds, data=st.data())
def test_with_one_bit_of_one_sample_changed_it_is_not_understood(text, speed, data):
    ulaw = bytearray(speak(text, chars_per_second=speed))
    at, bit = data.draw(st.integers(0, len(ulaw) - 1)), data.draw(st.integers(0, 7))
    ulaw[at] ^= 1 << bit
    assert_not_understood(hear(bytes(ulaw)), text)


@given(text=spoken, speed=speeds)
def test_through_a_law_and_back_nothing_is_understood(text, speed):
    linear = audioop.ulaw2lin(speak(text, chars_per_second=speed), 2)
    back = audioop.lin2ulaw(audioop.alaw2lin(audioop.lin2alaw(linear, 2), 2), 2)
    assert_not_understood(hear(back), text)


@given(text=spoken, speed=speeds)
def test_decoded_and_encoded_again_nothing_is_understood(text, speed):
    assert_not_understood(hear(audioop.lin2ulaw(audioop.ulaw2lin(speak(text, chars_per_second=speed), 2), 2)), text)


@given(text=spoken, speed=speeds)
def test_resampled_to_16_khz_and_back_nothing_is_understood(text, speed):
    linear = audioop.ulaw2lin(speak(text, chars_per_second=speed), 2)
    wide, _ = audioop.ratecv(linear, 2, 1, 8_000, 16_000, None)
    back, _ = audioop.ratecv(wide, 2, 1, 16_000, 8_000, None)
    assert_not_understood(hear(audioop.lin2ulaw(back, 2)), text)


@given(text=spoken, data=st.data())
def test_decoded_and_encoded_from_some_word_on_the_rest_is_not_understood(text, data):
    ulaw = speak(text)
    at = data.draw(st.integers(0, len(ulaw) - 32))
    back = ulaw[:at] + audioop.lin2ulaw(audioop.ulaw2lin(ulaw[at:], 2), 2)
    assume(back != ulaw)
    assert_not_understood(hear(back), text)


@given(st.binary(max_size=3_000))
def test_noise_says_nothing(noise):
    assert [each for each in hear(noise) if each != Garbled("")] == []


def test_damage_is_told_once_and_the_next_sentence_is_understood():
    parts = frames(speak("Buenos días, le llamo de Agenx AI"))
    del parts[12]
    heard = hear(b"".join(parts) + speak("¿Sigue ahí?"))
    assert [each for each in heard if isinstance(each, Garbled)] == [Garbled("Buenos días, le")]
    assert understood(heard) == ["¿Sigue ahí?"]


def test_damage_that_shows_only_at_the_end_is_told_when_speech_has_stopped():
    ulaw = bytearray(speak("hola"))
    ulaw[-1] ^= 1
    assert hear(bytes(ulaw)) == [Garbled("")]


def test_sound_without_a_beginning_is_damage_but_a_click_is_nothing():
    parts = frames(speak("Buenos días, le llamo de Agenx AI"))
    assert hear(b"".join(parts[1:])) == [Garbled("")]
    assert hear(b"".join(parts[1:]) + speak("hola")) == [Garbled(""), Said("hola", complete=True)]
    assert hear(parts[1]) == []


def test_another_version_of_the_code_is_damage():
    ulaw = bytearray(speak("Buenos días"))
    ulaw[64:72] = b"\x7f" * 8
    assert hear(bytes(ulaw)) == [Garbled("")]


# --- the sound itself


@pytest.mark.parametrize("voice", range(4))
@pytest.mark.parametrize("speed", [15.0, 90.0])
def test_it_is_as_loud_as_speech_in_every_frame(voice, speed):
    linear = audioop.ulaw2lin(speak(OFFER, voice=voice, chars_per_second=speed), 2)
    assert -22 < 20 * math.log10(audioop.rms(linear, 2) / 32_768) < -17
    for at in range(0, len(linear) - 640, 640):
        assert 20 * math.log10(audioop.rms(linear[at : at + 640], 2) / 32_768) > -36


def test_a_question_rises_at_its_end():
    assert speak("¿Sigue ahí?")[:400] == speak("¿Sigue ahí.")[:400]
    assert speak("¿Sigue ahí?") != speak("¿Sigue ahí.")


def test_our_mu_law_is_the_standard_one():
    for sample in range(0, 32_768, 7):
        assert babble.ulaw(sample) == audioop.lin2ulaw(sample.to_bytes(2, "little"), 2)[0]
        assert babble.ulaw(-sample) == babble.ulaw(sample) ^ (0x80 if sample else 0)
