"""Strict shapes of JSON: a shape checks a value at a path and raises ``Refused`` at the first thing wrong.

A shape is a plain function ``(value, path) -> None``; the functions below build one from others. Nothing is
coerced ("12" is no number, 1 is no boolean) and no unknown key passes.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any

from agenx_cli.sim.voice.faulty import Refused, ill_typed, invalid, missing, unknown

Shape = Callable[[Any, str], None]


def anything(_value: Any, _path: str) -> None:
    """Every JSON value."""


def text(*, longest: int | None = None, pattern: Callable[[str], object] | None = None) -> Shape:
    """A string, at most ``longest`` characters, for which ``pattern`` finds something."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise ill_typed(path, "a string", value)
        if longest is not None and len(value) > longest:
            raise invalid(path, f"string too long, expected at most {longest} characters.")
        if pattern is not None and not pattern(value):
            raise invalid(path, "the string does not match the expected pattern.")

    return check


def boolean(value: Any, path: str) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise ill_typed(path, "a boolean", value)


def integer(low: int | None = None, high: int | None = None) -> Shape:
    """A whole number within the bounds, both included."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ill_typed(path, "an integer", value)
        _within(value, low, high, path)

    return check


def number(low: float | None = None, high: float | None = None) -> Shape:
    """A number within the bounds, both included."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ill_typed(path, "a decimal", value)
        _within(value, low, high, path)

    return check


def _within(value: float, low: float | None, high: float | None, path: str) -> None:
    if low is not None and value < low:
        raise invalid(path, f"expected a value >= {low}, but got {value} instead.")
    if high is not None and value > high:
        raise invalid(path, f"expected a value <= {high}, but got {value} instead.")


def one_of(*values: str) -> Shape:
    """One of these strings."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise ill_typed(path, f"one of {_listed(values)}", value)
        if value not in values:
            raise Refused("invalid_value", f"Invalid value: '{value}'. Supported values are: {_listed(values)}.", path)

    return check


def base64_audio(value: Any, path: str) -> None:
    """Base64 in its strict form."""
    text()(value, path)
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as exc:
        raise invalid(path, "expected valid base64-encoded audio.") from exc


def nullable(shape: Shape) -> Shape:
    """The shape, or null."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            shape(value, path)

    return check


def when(kind: type, then: Shape, otherwise: Shape) -> Shape:
    """One shape for values of a JSON type, another for the rest."""

    def check(value: Any, path: str) -> None:
        (then if isinstance(value, kind) else otherwise)(value, path)

    return check


def array(shape: Shape, *, most: int | None = None) -> Shape:
    """A list of one shape."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise ill_typed(path, "an array", value)
        if most is not None and len(value) > most:
            raise invalid(path, f"array too long, expected at most {most} elements.")
        for index, member in enumerate(value):
            shape(member, f"{path}[{index}]")

    return check


def mapping(shape: Shape, *, most: int | None = None) -> Shape:
    """An object with any keys."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise ill_typed(path, "an object", value)
        if most is not None and len(value) > most:
            raise invalid(path, f"object too large, expected at most {most} properties.")
        for key, member in value.items():
            shape(member, f"{path}.{key}")

    return check


def record(fields: Mapping[str, Shape], *, required: Collection[str] = ()) -> Shape:
    """An object with these fields and no others."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise ill_typed(path, "an object", value)
        for key in value:
            if key not in fields:
                raise unknown(_joined(path, key))
        for key in required:
            if key not in value:
                raise missing(_joined(path, key))
        for key, member in value.items():
            fields[key](member, _joined(path, key))

    return check


def variant(cases: Mapping[str, Shape], *, key: str = "type") -> Shape:
    """An object whose shape is chosen by one of its fields."""
    names = one_of(*cases)

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise ill_typed(path, "an object", value)
        if key not in value:
            raise missing(_joined(path, key))
        names(value[key], _joined(path, key))
        cases[value[key]](value, path)

    return check


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _listed(values: Collection[str]) -> str:
    quoted = [f"'{value}'" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
