"""Whether an event is one that OpenAI's own package knows: strict types and no field that its models lack.

``check_client_event`` and ``check_server_event`` take a parsed event and raise ``ContractError``, whose message
starts with the path of what is wrong. The recipe and its exceptions: protocol page, *Validating events against
the SDK's types*.
"""

import base64
import typing
from functools import cache
from typing import Any

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

# Known exceptions: legitimate fields that the models do not have.
_SESSION_EXTRAS = frozenset({"id", "object", "expires_at"})


class ContractError(AssertionError):
    """An event that the package does not know."""


def check_client_event(event: dict[str, Any]) -> None:
    """Raise ContractError unless this is one of the eleven client events."""
    _check(_without_references(event), _models(RealtimeClientEvent))
    if event["type"] == "input_audio_buffer.append":
        _check_base64(event["audio"], "audio")
    _check_modalities(event)


def check_server_event(event: dict[str, Any]) -> None:
    """Raise ContractError unless this is one of the server events of the package."""
    _check(event, _models(RealtimeServerEvent))
    if event["type"] == "response.output_audio.delta":
        _check_base64(event["delta"], "delta")
    _check_modalities(event)


@cache
def _models(union: Any) -> dict[str, type[BaseModel]]:
    models: dict[str, type[BaseModel]] = {}
    for member in typing.get_args(typing.get_args(union)[0]):
        for kind in typing.get_args(member.model_fields["type"].annotation):
            models[kind] = member
    return models


@cache
def _adapter(model: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _check(event: dict[str, Any], models: dict[str, type[BaseModel]]) -> None:
    kind = event.get("type")
    if kind not in models:
        raise ContractError(f"type: {kind!r} is no event of the package")
    try:
        checked = _adapter(models[kind]).validate_python(event, strict=True)
    except ValidationError as exc:
        first = exc.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise ContractError(f"{path}: {first['msg']} ({kind})") from exc
    _check_extras(checked, "", kind)


def _check_extras(value: Any, path: str, kind: str) -> None:
    if isinstance(value, BaseModel):
        allowed = _SESSION_EXTRAS if path == "session" and kind in ("session.created", "session.updated") else ()
        for key in value.model_extra or {}:
            if key not in allowed:
                raise ContractError(f"{_joined(path, key)}: no such field ({kind})")
        for key in type(value).model_fields:
            _check_extras(getattr(value, key), _joined(path, key), kind)
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            _check_extras(member, f"{path}[{index}]", kind)


def _check_modalities(event: dict[str, Any]) -> None:
    for holder in ("session", "response"):
        modalities = event.get(holder, {}).get("output_modalities") if isinstance(event.get(holder), dict) else None
        if modalities is not None and len(modalities) != 1:
            raise ContractError(f"{holder}.output_modalities: exactly one of audio and text")


def _check_base64(text: str, path: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise ContractError(f"{path}: not base64") from exc


def _without_references(event: dict[str, Any]) -> dict[str, Any]:
    """``item_reference`` inputs are valid although their model refuses them."""
    response = event.get("response")
    if event.get("type") != "response.create" or not isinstance(response, dict) or "input" not in response:
        return event
    kept = [item for item in response["input"] if item.get("type") != "item_reference"]
    return {**event, "response": {**response, "input": kept}}


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
