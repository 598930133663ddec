"""The audio is honest: a bridge that loses, swaps or re-encodes a little of it makes the conversation fail."""

import itertools
import random
import warnings

import pytest

from agenx_cli.sim.callees.books import BOOKS, GREETINGS
from agenx_cli.sim.sound import FRAME, SILENCE, Garbled, Listener, Said, speak

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

PITCH = (
    "Le cuento: en Agenx AI automatizamos procesos con inteligencia artificial, desde la atención telefónica hasta la "
    "facturación, y las empresas como la suya ahorran muchas horas cada semana. ¿Le interesa?"
)
SENTENCES = [
    PITCH,
    f"{PITCH} {PITCH}",
    *(sentence for greetings in GREETINGS.values() for greeting in greetings for sentence in greeting),
    *(way for book in BOOKS.values() for ways in book.values() for way in ways),
]


def frames_of(text: str) -> list[bytes]:
    """The frames of a sentence with half a second of silence around it, as they cross a line."""
    audio = SILENCE * 4_000 + speak(text, voice=1)
    audio += SILENCE * (4_000 + -len(audio) % FRAME)
    return [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]


def voiced(frames: list[bytes]) -> list[int]:
    return [index for index, frame in enumerate(frames) if frame.count(SILENCE) < FRAME]


def heard(frames: list[bytes]) -> list[Said | Garbled]:
    listener, ends = Listener(), []
    for frame in frames:
        ends += [each for each in listener.hear(frame) if isinstance(each, Said | Garbled)]
    return ends + [each for each in listener.flush() if isinstance(each, Said | Garbled)]


def is_not_understood(frames: list[bytes], text: str) -> bool:
    """Nothing to its end, and nothing but first words of what was said."""
    ends = heard(frames)
    parts = [each.text if isinstance(each, Said) else each.text_before for each in ends]
    whole = [each for each in ends if isinstance(each, Said) and each.complete]
    return not whole and all(text.split()[: len(part.split())] == part.split() for part in parts)


@pytest.mark.parametrize("text", SENTENCES)
def test_undamaged_it_is_understood(text):
    assert heard(frames_of(text)) == [Said(text, complete=True)]


def test_one_frame_in_200_lost_and_the_sentence_is_not_understood():
    lost = 0
    for text in SENTENCES:
        frames = frames_of(text)
        places = voiced(frames)
        for first in range(min(200, len(places))):
            gone = set(places[first::200])
            assert is_not_understood([frame for index, frame in enumerate(frames) if index not in gone], text)
            silenced = [SILENCE * FRAME if index in gone else frame for index, frame in enumerate(frames)]
            assert is_not_understood(silenced, text)
            lost += 1
    print(f"sentences with one frame in 200 lost: {lost}, understood: 0")


def test_two_frames_swapped_and_the_sentence_is_not_understood():
    chance, swapped = random.Random(1), 0
    for text in SENTENCES:
        places = voiced(frames_of(text))
        pairs = list(itertools.pairwise(places))
        pairs += [tuple(sorted(chance.sample(places, 2))) for _ in range(20) if len(places) > 1]
        for one, other in pairs:
            frames = frames_of(text)
            assert frames[one] != frames[other]
            frames[one], frames[other] = frames[other], frames[one]
            assert is_not_understood(frames, text)
            swapped += 1
    print(f"sentences with two frames swapped: {swapped}, understood: 0")


def resampled(ulaw: bytes, rate: int) -> bytes:
    linear = audioop.ulaw2lin(ulaw, 2)
    wide, _ = audioop.ratecv(linear, 2, 1, 8_000, rate, None)
    back, _ = audioop.ratecv(wide, 2, 1, rate, 8_000, None)
    return audioop.lin2ulaw(back, 2)


def through_a_law(ulaw: bytes) -> bytes:
    return audioop.lin2ulaw(audioop.alaw2lin(audioop.lin2alaw(audioop.ulaw2lin(ulaw, 2), 2), 2), 2)


def decoded(ulaw: bytes) -> bytes:
    return audioop.lin2ulaw(audioop.ulaw2lin(ulaw, 2), 2)


def louder(ulaw: bytes) -> bytes:
    return audioop.lin2ulaw(audioop.mul(audioop.ulaw2lin(ulaw, 2), 2, 1.1), 2)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda ulaw: resampled(ulaw, 16_000), id="resampled to 16 kHz and back"),
        pytest.param(lambda ulaw: resampled(ulaw, 24_000), id="resampled to 24 kHz and back"),
        pytest.param(through_a_law, id="through A-law"),
        pytest.param(decoded, id="decoded and encoded again"),
        pytest.param(louder, id="made louder"),
    ],
)
def test_re_encoded_and_the_sentence_is_not_understood(spoil):
    for text in SENTENCES:
        back = spoil(b"".join(frames_of(text)))
        assert is_not_understood([back[at : at + FRAME] for at in range(0, len(back), FRAME)], text)
