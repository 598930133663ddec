"""What the server answers when a client event is wrong (protocol page, *Errors*)."""

from dataclasses import dataclass


class Refused(Exception):  # noqa: N818 - it is an answer of the protocol, not a failure of ours
    """The client event is refused and nothing changed. Becomes an ``error`` event with the client's event_id."""

    def __init__(self, code: str, message: str, param: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Close:
    """The server ends the connection with this code and reason."""

    code: int
    reason: str


def unknown(path: str) -> Refused:
    """A field that does not exist there: unknown, of the beta, or misplaced."""
    return Refused("unknown_parameter", f"Unknown parameter: '{path}'.", path)


def missing(path: str) -> Refused:
    """A required field is absent."""
    return Refused("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def ill_typed(path: str, wanted: str, got: object) -> Refused:
    """A field of another JSON type than its own."""
    message = f"Invalid type for '{path}': expected {wanted}, but got {_named(got)} instead."
    return Refused("invalid_type", message, path)


def invalid(path: str, why: str) -> Refused:
    """A value that the field does not take."""
    return Refused("invalid_value", f"Invalid value for '{path}': {why}", path)


_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
}


def _named(value: object) -> str:
    return _NAMES.get(type(value), "an object")
