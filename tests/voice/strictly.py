"""Client events against the SDK's own types: strict, and without one field that the types do not know."""

from functools import cache
from typing import Any, get_args

from openai.types.realtime import RealtimeClientEvent
from pydantic import BaseModel


@cache
def _models() -> dict[str, type[BaseModel]]:
    union = get_args(RealtimeClientEvent)[0]
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)}


def check_client_event(event: dict[str, Any]) -> None:
    """Raise when this is not an event that the service takes."""
    parsed = _models()[event["type"]].model_validate(event, strict=True)
    _no_extras(parsed, event["type"])


def _no_extras(value: Any, path: str) -> None:
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{path}: unknown {sorted(value.model_extra or ())}"
        for name in value.model_fields_set:
            _no_extras(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _no_extras(item, f"{path}[{i}]")
