"""A sound like speech, for simulated people: vowels with formants, hums, hisses, a pitch of its own for each voice.

It is the carrier in which ``sim.sound`` hides the words. Nobody could understand it by ear, but it rises and falls,
has syllables and a melody, and a voice detector that goes by energy takes it for speech (about -20 dBFS).
The bytes are G.711 μ-law at 8,000 Hz with the lowest bit of each sample left at 0 for the words, and none is 0xFE,
so that no word can turn a sample into 0xFF, which on the line means digital silence.

One pitch period of each sound is computed once and repeated: a sentence costs a few slices, not sines.
"""

import math
import unicodedata
from functools import cache

RATE_HZ = 8_000
_PERIODS = (68, 39, 53, 33)  # pitch periods in samples: two lower, two higher voices
_MELODY = (0, -2, -3, 1, 2, -1, 3, 0)
_FORMANTS = {
    "a": (730, 1_190, 2_440),
    "e": (500, 1_850, 2_480),
    "i": (290, 2_250, 3_000),
    "o": (500, 880, 2_400),
    "u": (320, 800, 2_240),
    "hum": (250, 1_100, 2_300),
}
_KINDS = {"y": "i", "w": "u"} | dict.fromkeys("mnlrbdgv", "hum") | dict.fromkeys("sfzjxhc", "hiss")
_KINDS |= dict.fromkeys("ptkq", "stop") | {str(digit): "aeiou"[digit % 5] for digit in range(10)}
_LEVEL_DB = {"hum": -20.0, "hiss": -25.0, "stop": -30.0}
_VOWEL_DB = -18.0


def babble(word: str, samples: int, *, voice: int = 0, nth: int = 0, rising: bool = False) -> bytes:
    """Exactly ``samples`` bytes of μ-law for one word, its letters sharing the time.

    ``nth`` is the place of the word in its sentence (the melody goes by it); ``rising`` lifts the pitch as at the
    end of a question.
    """
    sound = bytearray()
    period = _PERIODS[voice % len(_PERIODS)]
    for index, letter in enumerate(word):
        lift = period // 5 if rising and 2 * index >= len(word) else 0
        here = period + _MELODY[(nth + index // 2) % len(_MELODY)] - lift
        wave = _wave(_kind(letter), here, voice % 2)
        length = samples * (index + 1) // len(word) - len(sound)
        sound += (wave * (length // len(wave) + 1))[:length]
    return bytes(sound)


def ulaw(sample: float) -> int:
    """G.711 μ-law of one sample on the 16-bit scale (ITU-T G.711, table 2a)."""
    magnitude = min(int(abs(sample)), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    code = (0x80 if sample < 0 else 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)
    return ~code & 0xFF


@cache
def _kind(letter: str) -> str:
    plain = unicodedata.normalize("NFD", letter.lower())[0]
    return plain if plain in "aeiou" else _KINDS.get(plain, "e")


@cache
def _wave(kind: str, period: int, bright: int) -> bytes:
    """One pitch period of a sound (eight of noise), lowest bits 0, as loud as its kind is."""
    formants = _FORMANTS.get(kind)
    wave = _pulse(formants, period, 1.0 + 0.15 * bright) if formants else _noise(8 * period)
    mean = sum(wave) / len(wave)
    power = math.sqrt(sum((value - mean) ** 2 for value in wave) / len(wave))
    gain = 32_768 * 10 ** (_LEVEL_DB.get(kind, _VOWEL_DB) / 20) / power
    codes = (ulaw((value - mean) * gain) & 0xFE for value in wave)
    return bytes(0x7E if code == 0xFE else code for code in codes)


def _pulse(formants: tuple[int, int, int], period: int, scale: float) -> list[float]:
    """What one beat of the vocal cords excites: three dying resonances."""
    wave = []
    for n in range(period):
        t = n / RATE_HZ
        wave.append(
            sum(
                math.exp(-math.pi * (60 + 40 * k) * t) * math.sin(2 * math.pi * hertz * scale * t) / (k + 1)
                for k, hertz in enumerate(formants)
            )
        )
    return wave


def _noise(length: int) -> list[float]:
    """A hiss that is the same each time: differences of a linear congruential sequence."""
    state, before, wave = 1, 0.5, []
    for _ in range(length):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        value = state / 0x7FFFFFFF
        wave.append(value - before)
        before = value
    return wave
