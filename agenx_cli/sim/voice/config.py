"""A session's configuration: the server's defaults, and what ``session.update`` may change of it.

Only fields that are present change; a nested object changes field by field, except where its ``type`` changes.
Rules that cross fields (protocol page, section 2) are checked on the merged result, so a refused update leaves
the configuration as it was.
"""

from copy import deepcopy
from typing import Any

from agenx_cli.sim.voice.faulty import Refused, invalid, unknown

_SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
_LISTS_LANGUAGES = ("gpt-transcribe", "gpt-live-transcribe")
_WHOLE = ("tools", "tool_choice", "tracing", "truncation", "prompt", "format", "voice", "include", "transcription")


def default_config(model: str) -> dict[str, Any]:
    """What ``session.created`` shows: 24 kHz PCM both ways, server VAD that answers by itself, no tools."""
    config: dict[str, Any] = {
        "type": "realtime",
        "model": model,
        "instructions": "You are a helpful, witty, and friendly AI. Talk quickly.",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "tools": [],
        "tool_choice": "auto",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": None,
                "transcription": None,
                "turn_detection": dict(_SERVER_VAD),
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
        },
    }
    if reasons(model):
        config["reasoning"] = {"effort": "low"}
        config["parallel_tool_calls"] = True
    return config


def reasons(model: str) -> bool:
    """Whether the model takes ``reasoning`` and ``parallel_tool_calls`` (gpt-realtime-2 and later)."""
    return model.startswith("gpt-realtime-2") and not model.startswith("gpt-realtime-2025")


def updated(
    config: dict[str, Any], changes: dict[str, Any], *, audio_spoken: bool, response_active: bool
) -> dict[str, Any]:
    """The configuration after a well-shaped ``session.update``. Raises ``Refused``; never changes its input."""
    _refuse_frozen(config, changes, audio_spoken=audio_spoken, response_active=response_active)
    merged = _merge(config, changes)
    detection = changes.get("audio", {}).get("input", {}).get("turn_detection")
    if detection is not None:
        merged["audio"]["input"]["turn_detection"] = _detection(config, detection)
    _check_transcription(merged["audio"]["input"])
    _check_tools(merged)
    return merged


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = deepcopy(old)
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict) and key not in _WHOLE:
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = deepcopy(value)
    return merged


def _detection(config: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    now = config["audio"]["input"]["turn_detection"]
    base = _SERVER_VAD if wanted["type"] == "server_vad" else _SEMANTIC_VAD
    same = now is not None and now["type"] == wanted["type"]
    return {**(now if same else base), **wanted}


def _refuse_frozen(
    config: dict[str, Any], changes: dict[str, Any], *, audio_spoken: bool, response_active: bool
) -> None:
    model = config["model"]
    if changes.get("model", model) != model:
        raise invalid("session.model", "the model of a session cannot be changed.")
    if not reasons(model):
        for key in ("reasoning", "parallel_tool_calls"):
            if key in changes:
                raise unknown(f"session.{key}")
    output = changes.get("audio", {}).get("output", {})
    if audio_spoken and output.get("voice", config["audio"]["output"]["voice"]) != config["audio"]["output"]["voice"]:
        message = "Cannot update a conversation's voice if assistant audio is present."
        raise Refused("cannot_update_voice", message, "session.audio.output.voice")
    if (
        response_active
        and output.get("speed", config["audio"]["output"]["speed"]) != config["audio"]["output"]["speed"]
    ):
        raise invalid("session.audio.output.speed", "the speed can only be changed in between turns.")
    if config["tracing"] is not None and changes.get("tracing", config["tracing"]) != config["tracing"]:
        raise invalid("session.tracing", "tracing cannot be changed once it is enabled.")


def _check_transcription(audio_in: dict[str, Any]) -> None:
    path = "session.audio.input.transcription"
    transcription = audio_in["transcription"]
    if transcription is None:
        return
    model = transcription.get("model")
    if model not in _LISTS_LANGUAGES:
        for key in ("keywords", "languages"):
            if key in transcription:
                raise invalid(f"{path}.{key}", "not supported by this transcription model.")
    if "delay" in transcription and model != "gpt-realtime-whisper":
        raise invalid(f"{path}.delay", "only supported by gpt-realtime-whisper.")
    if model == "gpt-realtime-whisper":
        raise invalid(f"{path}.model", "gpt-realtime-whisper is only supported in transcription sessions.")
    if "language" in transcription and "languages" in transcription:
        raise invalid(f"{path}.languages", "cannot be given together with 'language'.")
    if model == "gpt-live-transcribe" and audio_in["turn_detection"] is not None:
        raise invalid(f"{path}.model", "gpt-live-transcribe requires turn_detection to be null.")


def _check_tools(config: dict[str, Any]) -> None:
    names = [tool["name"] for tool in config["tools"] if tool["type"] == "function"]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise invalid("session.tools", f"the tool name '{name}' is used twice.")
    for index, tool in enumerate(config["tools"]):
        if tool["type"] == "mcp":
            ways = [key for key in ("server_url", "connector_id", "tunnel_id") if key in tool]
            if len(ways) != 1:
                raise invalid(f"session.tools[{index}]", "expected one of server_url, connector_id or tunnel_id.")
    choice = config["tool_choice"]
    if isinstance(choice, dict) and choice["type"] == "function" and choice["name"] not in names:
        raise invalid("session.tool_choice.name", f"there is no tool named '{choice['name']}'.")
