"""Reads a price file (``data/prices.toml``, or a person's own copy of it) into the core's price table."""

import tomllib
from datetime import date
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agenx_cli.core.cost import CarrierPrice, PriceTable, ReplyPrice, TranscriptionPrice
from agenx_cli.errors import IntakeError

FIX = "compare it with the price file that agenx brings along (agenx_cli/data/prices.toml)"

Dollars = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Region = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Spoken(_Strict):
    given: Dollars = Field(alias="in")
    cached: Dollars
    out: Dollars


class _Seen(_Strict):
    given: Dollars = Field(default=0.0, alias="in")
    cached: Dollars = 0.0


class _Reply(_Strict):
    text: _Spoken
    audio: _Spoken
    image: _Seen = _Seen()

    def price(self) -> ReplyPrice:
        return ReplyPrice(
            text_in=self.text.given,
            text_cached=self.text.cached,
            text_out=self.text.out,
            audio_in=self.audio.given,
            audio_cached=self.audio.cached,
            audio_out=self.audio.out,
            image_in=self.image.given,
            image_cached=self.image.cached,
        )


class _Transcription(_Strict):
    minute: Dollars


class _Carrier(_Strict):
    minute: Dollars
    stream_minute: Dollars = 0.0
    amd: Dollars = 0.0


class _File(_Strict):
    as_of: date
    currency: Literal["USD"]
    replies: dict[str, _Reply] = {}
    transcriptions: dict[str, _Transcription] = {}
    outbound: dict[Region, _Carrier] = {}


def load_prices(path: Path | None = None) -> PriceTable:
    """The prices of a file, those that agenx brings along by default. Raises IntakeError."""
    name = "prices.toml" if path is None else str(path)
    try:
        source = files("agenx_cli").joinpath("data", "prices.toml") if path is None else path
        text = source.read_text(encoding="utf-8")
        read = _File.model_validate(tomllib.loads(text))
    except OSError as exc:
        raise IntakeError(f"cannot be read: {exc.strerror or exc}", file=name) from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise IntakeError("is not UTF-8 text", file=name, line=line, fix="save it as UTF-8") from exc
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise IntakeError(f"is not TOML: {exc}", file=name, fix=FIX) from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        path_in_file = [str(part) for part in first["loc"]]
        what = f"{'.'.join(path_in_file)}: {first['msg']}"
        raise IntakeError(what, file=name, line=_line_of(text, path_in_file), fix=FIX) from exc
    return PriceTable(
        as_of=read.as_of,
        replies=MappingProxyType({model: reply.price() for model, reply in read.replies.items()}),
        transcriptions=MappingProxyType(
            {model: TranscriptionPrice(price.minute) for model, price in read.transcriptions.items()}
        ),
        outbound=MappingProxyType(
            {r: CarrierPrice(c.minute, c.stream_minute, c.amd) for r, c in read.outbound.items()}
        ),
    )


def _line_of(text: str, path: list[str]) -> int | None:
    """The line that a complaint is about: where its keys stand one after the other, as far as they do."""
    found: int | None = None
    rest = iter(path)
    key = next(rest, None)
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.partition("#")[0]
        while key is not None and key in code:
            found, key = number, next(rest, None)
    return found
