"""One field of a stranger's JSON object: what it should be, or RemoteProtocolError that names the field."""

from typing import Any

from agenx_cli.errors import RemoteProtocolError

MAX_ID = 512
MAX_TEXT = 256 * 1024
MAX_MS = 24 * 3_600_000
MAX_ITEMS = 128

Json = dict[str, Any]


def _bad(key: str, what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the voice model sent an event whose {key!r} is not {what}")


def an_object(holder: Json, key: str) -> Json:
    value = holder.get(key)
    if not isinstance(value, dict):
        raise _bad(key, "an object")
    return value


def maybe_object(holder: Json, key: str) -> Json:
    return {} if holder.get(key) is None else an_object(holder, key)


def a_list(holder: Json, key: str) -> list[Any]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise _bad(key, f"a list of at most {MAX_ITEMS}")
    return value


def a_text(holder: Json, key: str, *, limit: int = MAX_TEXT) -> str:
    value = holder.get(key)
    if not isinstance(value, str) or len(value) > limit:
        raise _bad(key, f"a text of at most {limit} characters")
    return value


def maybe_text(holder: Json, key: str) -> str | None:
    return None if holder.get(key) is None else a_text(holder, key)


def an_id(holder: Json, key: str) -> str:
    value = a_text(holder, key, limit=MAX_ID)
    if not value:
        raise _bad(key, "filled")
    return value


def milliseconds(holder: Json, key: str) -> int:
    value = holder.get(key)
    if type(value) is not int or not 0 <= value <= MAX_MS:
        raise _bad(key, "a time in milliseconds")
    return value
