"""Usage and seconds → US dollars, from a dated price table.

A price that is not in the table gives None: an unknown cost is said, not guessed. A provider's usage record is a
stranger's JSON: a count that is missing, negative or no number counts as nothing.

Token rules (OpenAI Realtime): cached tokens are *subsets* of the input tokens; output tokens that are neither text nor
audio (reasoning) are billed as text; the record of a cancelled reply is billed like any other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from math import ceil, isfinite
from typing import Any

MILLION = 1_000_000
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReplyPrice:
    """USD per million tokens of a speech-to-speech model."""

    text_in: float
    text_cached: float
    text_out: float
    audio_in: float
    audio_cached: float
    audio_out: float
    image_in: float = 0.0
    image_cached: float = 0.0


@dataclass(frozen=True, slots=True)
class TranscriptionPrice:
    """USD per minute of audio."""

    minute: float


@dataclass(frozen=True, slots=True)
class CarrierPrice:
    """USD. ``minute`` and ``stream_minute`` are billed per started minute, ``amd`` per answered call."""

    minute: float
    stream_minute: float = 0.0
    amd: float = 0.0


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What things cost, and as of when. ``outbound`` is by the destination's region (ISO 3166, ``US``)."""

    as_of: date
    replies: Mapping[str, ReplyPrice]
    transcriptions: Mapping[str, TranscriptionPrice]
    outbound: Mapping[str, CarrierPrice]


def reply_cost(usage: Mapping[str, Any], price: ReplyPrice) -> float:
    """USD of one reply, from the ``usage`` of its end."""
    given = _part(usage, "input_token_details")
    made = _part(usage, "output_token_details")
    cached = _part(given, "cached_tokens_details")
    text, audio, image = (_count(given, f"{kind}_tokens") for kind in ("text", "audio", "image"))
    if cached:
        of_text, of_audio, of_image = (_count(cached, f"{kind}_tokens") for kind in ("text", "audio", "image"))
    else:
        of_text, of_audio, of_image = _count(given, "cached_tokens"), 0.0, 0.0
    of_text, of_audio, of_image = min(of_text, text), min(of_audio, audio), min(of_image, image)
    said, spoken = _count(made, "text_tokens"), _count(made, "audio_tokens")
    other = max(0.0, _count(usage, "output_tokens") - said - spoken)
    return (
        (text - of_text) * price.text_in
        + of_text * price.text_cached
        + (audio - of_audio) * price.audio_in
        + of_audio * price.audio_cached
        + (image - of_image) * price.image_in
        + of_image * price.image_cached
        + (said + other) * price.text_out
        + spoken * price.audio_out
    ) / MILLION


def transcription_cost(usage: Mapping[str, Any], price: TranscriptionPrice) -> float | None:
    """USD of one transcribed turn, None when it was not measured in seconds."""
    if usage.get("type") != "duration":
        return None
    return _count(usage, "seconds") / 60 * price.minute


def carrier_cost(seconds: float, price: CarrierPrice, *, amd: bool = False, stream: bool = False) -> float:
    """USD of one answered call of this length; 0 for a call that nobody answered (no seconds)."""
    minutes = ceil(max(0.0, seconds) / 60)
    each = price.minute + (price.stream_minute if stream else 0.0)
    return minutes * each + (price.amd if amd and minutes else 0.0)


def price_apart(seconds: float, region: str | None, prices: PriceTable, *, amd: bool = False) -> float:
    """USD that the carrier bills beside the call itself: its media stream and who-answered detection; 0 if unknown."""
    price = prices.outbound.get(region) if region else None
    return 0.0 if price is None else carrier_cost(seconds, replace(price, minute=0.0), amd=amd, stream=True)


def price_reply(usage: Mapping[str, Any], model: str, prices: PriceTable) -> float | None:
    """USD of one reply of this model, None when its price is not known."""
    price = prices.replies.get(model) or prices.replies.get(_family(model))
    return None if price is None else reply_cost(usage, price)


def price_transcription(usage: Mapping[str, Any], model: str, prices: PriceTable) -> float | None:
    """USD of one transcribed turn, None when the price or the measure is not known."""
    price = prices.transcriptions.get(model) or prices.transcriptions.get(_family(model))
    return None if price is None else transcription_cost(usage, price)


def price_call(
    seconds: float, region: str | None, prices: PriceTable, *, amd: bool = False, stream: bool = True
) -> float | None:
    """USD of an outbound call to this region, None when its price is not known."""
    price = prices.outbound.get(region) if region else None
    return None if price is None else carrier_cost(seconds, price, amd=amd, stream=stream)


def _family(model: str) -> str:
    """A dated snapshot (``name-2026-10-01``) costs what its family costs."""
    return SNAPSHOT.sub("", model)


def _part(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, Mapping) else {}


def _count(record: Mapping[str, Any], key: str) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if isfinite(number) and number > 0 else 0.0
