"""Speech that simulated people and models really exchange: the words cross the line inside the sound itself.

``speak`` makes a babble that a person can listen to and hides the text in the lowest bit of each μ-law sample;
``Listener`` reads it back from whatever the line delivers. There is no other way for the two ends of a simulated call
to understand each other, so a bridge that loses, repeats, reorders or re-encodes audio makes the conversation fail.

The code, one bit per sample, most significant first::

    utterance = sync (64) · version (8) · voice (8) · packet · packet · …
    packet    = samples (24) · sequence (16) · flags (8) · bytes (8) · check (8) · UTF-8 text · filler · CRC (32)

1. A packet lasts as long as its word: ``samples`` counts all its samples, filler and CRC included.
2. The CRC-32 runs over *every sample* (all eight bits) since the first one of the sync word; the samples that carry a
   CRC enter with their lowest bit cleared. One sample lost, doubled, moved or changed anywhere, and nothing from that
   packet on is understood.
3. The sync word and each CRC ride on near silence, in the codes 0x7E and 0x7F. 0x7F is minus zero: no decoder followed
   by an encoder gives it back, so even a re-encoding that would keep every other sample is noticed in each packet.
4. 0xFF is digital silence: speech never contains it and a listener skips it, so pauses of any length are harmless.
5. A sync word always begins a new utterance. The text cannot imitate it: it opens with 24 ones, and UTF-8 never has
   more than 11 in a row.
6. What was cut off is understood up to the last whole word.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

from agenx_cli.sim.babble import RATE_HZ, babble
from agenx_cli.sim.espeak import aloud

SILENCE = b"\xff"
FRAME = 160
"""Bytes of 20 ms."""

_VERSION = 1
_HUSH = b"\x7e"
_SYNC = bytes.fromhex("ffffff2b6c95d1a7")
_LAST, _WORD_END = 1, 2
_HEADER_BITS, _CRC_BITS, _SYNC_BITS, _PREAMBLE_BITS = 64, 32, 64, 16
_PIECE = 48  # characters: at most 192 bytes of UTF-8, so one byte counts them
_NOISE_SAMPLES = 320  # less unexplained sound than 40 ms is not worth a question

_SPREAD = tuple(bytes((byte >> bit) & 1 for bit in range(7, -1, -1)) for byte in range(256))
_LOWEST = bytes(ord("0") + (byte & 1) for byte in range(256))
_CLEARED = bytes(byte & 0xFE for byte in range(256))
_SYNC_DIGITS = b"".join(_SPREAD[byte] for byte in _SYNC).translate(_LOWEST)


@dataclass(frozen=True, slots=True)
class Words:
    """All words understood so far of an utterance that goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance is over. ``complete`` is False when its end was cut off; ``text`` is then what came before."""

    text: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Garbled:
    """Somebody spoke, but the sound is damaged. ``text_before`` was understood before the damage."""

    text_before: str


Heard = Words | Said | Garbled


def speak(
    text: str, *, voice: int = 0, chars_per_second: float = 90.0, engine: Literal["babble", "espeak"] = "babble"
) -> bytes:
    """Speech of a text: raw μ-law at 8,000 Hz, the same bytes for the same arguments, never containing 0xFF.

    White space is only where one word ends, as in real speech. The sound takes longer than ``chars_per_second`` (1 to
    1,000) says where the bits need the time (about 20 ms a word). No words, no sound.
    The engine ``espeak`` lets a person hear the words themselves, at their natural pace; without espeak-ng it babbles.
    Raises ValueError for another speed or a voice outside 0 to 255.
    """
    if not 1 <= chars_per_second <= 1_000:
        raise ValueError(f"chars_per_second must be 1 to 1,000, not {chars_per_second}")
    pieces = _pieces(text)
    if not pieces:
        return b""
    sound = _hide(_HUSH * (_SYNC_BITS + _PREAMBLE_BITS), _SYNC + bytes([_VERSION, voice]))
    crc = zlib.crc32(sound)
    recorded = aloud(text, voice=voice) if engine == "espeak" else b""
    if recorded:
        chars_per_second = (len(text) + 1) * RATE_HZ / len(recorded)
    parts, length, due = [sound], len(sound), 0.0
    rising = text.rstrip().endswith("?")
    for number, (piece, ends_word) in enumerate(pieces):
        last = number == len(pieces) - 1
        due += (len(piece) + ends_word) * RATE_HZ / chars_per_second
        data = piece.encode("utf-8", "replace")
        samples = max(int(due) - length, _HEADER_BITS + 8 * len(data) + _CRC_BITS)
        carrier = recorded[length : length + samples - _CRC_BITS].ljust(samples - _CRC_BITS, _HUSH)
        if not recorded:
            carrier = babble(piece, samples - _CRC_BITS, voice=voice, nth=number, rising=rising and last)
        body = _hide(carrier, _header(samples, number, _LAST * last | _WORD_END * ends_word, len(data)) + data)
        crc = zlib.crc32(_HUSH * _CRC_BITS, zlib.crc32(body, crc))
        parts += body, _hide(_HUSH * _CRC_BITS, crc.to_bytes(4, "big"))
        length += samples
    return b"".join(parts)


def _pieces(text: str) -> list[tuple[str, bool]]:
    """The words, the very long ones in pieces, each with whether a word ends with it."""
    return [
        (word[at : at + _PIECE], at + _PIECE >= len(word))
        for word in text.split()
        for at in range(0, len(word), _PIECE)
    ]


def _header(samples: int, number: int, flags: int, size: int) -> bytes:
    head = samples.to_bytes(3, "big") + (number & 0xFFFF).to_bytes(2, "big") + bytes([flags, size])
    return head + bytes([_check(head)])


def _hide(carrier: bytes, data: bytes) -> bytes:
    """The carrier, whose lowest bits are 0, with the data in its first samples."""
    bits = b"".join([_SPREAD[byte] for byte in data]).ljust(len(carrier), b"\0")
    both = int.from_bytes(carrier, "big") | int.from_bytes(bits, "big")
    return both.to_bytes(len(carrier), "big")


def _check(head: bytes) -> int:
    return zlib.crc32(head) & 0xFF


@dataclass(slots=True)
class _Utterance:
    """What a listener keeps of the utterance it is following."""

    crc: int
    number: int = 0
    text: str = ""
    word: bytes = b""
    needs: int = 0
    """Unread samples at which the next packet proves damaged for good; 0 while nothing looks wrong."""


class Listener:
    """Understands ``speak`` from the line, in chunks of any length, sample by sample.

    It hears sounds, not silence: whoever owns it decides that speech has stopped and then calls ``flush``.
    """

    __slots__ = ("_deaf", "_digits", "_noise", "_samples", "_scanned", "_utterance", "voice")

    def __init__(self) -> None:
        self.voice = 0
        """The voice of the utterance heard last."""
        self._samples = bytearray()
        self._digits = bytearray()
        self._scanned = 0
        self._utterance: _Utterance | None = None
        self._noise = 0
        self._deaf = False

    @property
    def listening(self) -> bool:
        """Whether an utterance has begun and its end has not come yet."""
        return self._utterance is not None

    def hear(self, ulaw: bytes) -> list[Heard]:
        """Take what the line delivers; answer with what became clear by it."""
        fresh = ulaw.translate(None, SILENCE)
        if not fresh:
            return []
        self._samples += fresh
        self._digits += fresh.translate(_LOWEST)
        heard: list[Heard] = []
        at, read = self._digits.find(_SYNC_DIGITS, self._scanned), 0
        while at >= 0:
            read = self._read(read, at, heard)
            heard += self._interrupted(at - read)
            read = at + _SYNC_BITS
            self._utterance = _Utterance(zlib.crc32(self._samples[at:read]))
            at = self._digits.find(_SYNC_DIGITS, read)
        read = self._read(read, len(self._samples), heard)
        read = self._settle(read, heard)
        del self._samples[:read], self._digits[:read]
        self._scanned = max(0, len(self._digits) - _SYNC_BITS + 1)
        return heard

    def flush(self) -> list[Heard]:
        """Speech has stopped: what there was of it. Whatever comes later is something new."""
        heard = self._interrupted(len(self._samples))
        self._samples.clear()
        self._digits.clear()
        self._scanned = 0
        return heard

    def _interrupted(self, unread: int) -> list[Heard]:
        """The end of whatever was going on, by a new utterance or by silence."""
        utterance, noise, deaf = self._utterance, self._noise + unread, self._deaf
        self._utterance, self._noise, self._deaf = None, 0, False
        if utterance is not None:
            damaged = 0 < utterance.needs <= unread + _SYNC_BITS
            return [Garbled(utterance.text) if damaged else Said(utterance.text, complete=False)]
        return [Garbled("")] if noise >= _NOISE_SAMPLES and not deaf else []

    def _read(self, start: int, end: int, heard: list[Heard]) -> int:
        """Read whole packets between two places of the buffer; answer where it stopped."""
        while (utterance := self._utterance) is not None:
            length = self._packet(utterance, start, end, heard)
            if not length:
                break
            start += length
        return start

    def _packet(self, utterance: _Utterance, start: int, end: int, heard: list[Heard]) -> int:
        """Read one packet, the first one with the preamble; answer its length, 0 if it is not all there or damaged."""
        head_at = start + (0 if utterance.number else _PREAMBLE_BITS)
        text_at = head_at + _HEADER_BITS
        if end < text_at:
            return 0
        preamble, head = self._value(start, _PREAMBLE_BITS), self._value(head_at, _HEADER_BITS)
        size, crc_at = head[6], head_at + int.from_bytes(head[:3], "big") - _CRC_BITS
        known = utterance.number > 0 or preamble[0] == _VERSION
        expected = (utterance.number & 0xFFFF).to_bytes(2, "big")
        if not known or head[7] != _check(head[:7]) or head[3:5] != expected or text_at + 8 * size > crc_at:
            utterance.needs = text_at - start + _SYNC_BITS
            return 0
        length = crc_at + _CRC_BITS - start
        if end < start + length:
            return 0
        crc = zlib.crc32(self._samples[start:crc_at], utterance.crc)
        crc = zlib.crc32(self._samples[crc_at : start + length].translate(_CLEARED), crc)
        if self._value(crc_at, _CRC_BITS) != crc.to_bytes(4, "big"):
            utterance.needs = length + _SYNC_BITS
            return 0
        if not utterance.number:
            self.voice = preamble[1]
        utterance.crc, utterance.number = crc, utterance.number + 1
        utterance.word += self._value(text_at, 8 * size)
        self._understood(utterance, head[5], heard)
        return length

    def _value(self, start: int, bits: int) -> bytes:
        return int(self._digits[start : start + bits], 2).to_bytes(bits // 8, "big")

    def _understood(self, utterance: _Utterance, flags: int, heard: list[Heard]) -> None:
        """A piece of text came through undamaged: is it a word, and the last one?"""
        if flags & _WORD_END:
            word = utterance.word.decode("utf-8", "replace")
            utterance.text, utterance.word = f"{utterance.text} {word}".lstrip(), b""
        if flags & _LAST:
            self._utterance = None
            heard.append(Said(utterance.text, complete=True))
        elif flags & _WORD_END:
            heard.append(Words(utterance.text))

    def _settle(self, read: int, heard: list[Heard]) -> int:
        """Give up on what is damaged for good, and count sound that belongs to no utterance.

        Both wait for as much as a sync word is long, which could still be the beginning of something new.
        """
        utterance, length = self._utterance, len(self._samples)
        if utterance is not None and 0 < utterance.needs <= length - read:
            heard.append(Garbled(utterance.text))
            self._utterance, self._deaf = None, True
        if self._utterance is None and length - read >= _SYNC_BITS:
            idle = length - read - _SYNC_BITS + 1
            self._noise += idle
            read += idle
        return read
