"""Twilio's own OpenAPI description as a judge of REST requests and answers.

Additional properties are refused in both directions: what the description does not know is not Twilio's.
"""

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

import jsonschema

_FILE = Path(__file__).parent / "data" / "twilio_calls.openapi.json"


@cache
def _spec():
    return json.loads(_FILE.read_text(encoding="utf-8"))


@cache
def _paths():
    return [
        (re.compile(re.sub(r"\{\w+\}", "([^/]+?)", path.replace(".json", r"\.json"))), operations)
        for path, operations in sorted(_spec()["paths"].items(), key=lambda item: -len(item[0]))
    ]


def _operation(method, path):
    for pattern, operations in _paths():
        if pattern.fullmatch(path) and method.lower() in operations:
            return operations[method.lower()]
    raise AssertionError(f"Twilio has no {method} {path}")


def _schema(node):
    """OpenAPI 3.0's schema as JSON schema: references resolved, ``nullable`` said with types, objects closed."""
    if "$ref" in node:
        return _schema(_spec()["components"]["schemas"][node["$ref"].rsplit("/", 1)[-1]])
    shown = {key: value for key, value in node.items() if key in ("type", "enum", "pattern", "minLength", "maxLength")}
    if "items" in node:
        shown["items"] = _schema(node["items"])
    if "properties" in node:
        shown["properties"] = {name: _schema(part) for name, part in node["properties"].items()}
        shown["additionalProperties"] = False
    if node.get("nullable"):
        if "type" in shown:
            shown["type"] = [shown["type"], "null"]
        if "enum" in shown:
            shown["enum"] = [*shown["enum"], None]
    return shown


def check_request(method, path, query="", body=""):
    """Raises when a parameter is unknown, missing or of the wrong type."""
    operation = _operation(method, path)
    declared = {p["name"]: p["schema"] for p in operation.get("parameters", []) if p["in"] == "query"}
    _check_pairs(query, {"properties": declared})
    form = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
    _check_pairs(body, form.get("schema", {"properties": {}}))


def _check_pairs(encoded, schema):
    given = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded)):
        given.setdefault(name, []).append(value)
    parts = {name: _schema(part) for name, part in schema["properties"].items()}
    read = {}
    for name, values in given.items():
        kind = parts.get(name, {}).get("type")
        assert len(values) == 1 or kind == "array", f"{name} is given {len(values)} times"
        read[name] = values if kind == "array" else _read(values[0], kind)
    closed = {"type": "object", "properties": parts, "additionalProperties": False}
    jsonschema.validate(read, {**closed, "required": schema.get("required", [])})


def _read(value, kind):
    match kind:
        case "integer":
            return int(value)
        case "number":
            return float(value)
        case "boolean":
            return {"true": True, "false": False}.get(value.lower(), value)
        case _:
            return value


def check_answer(method, path, status, text):
    """Raises unless the answer is one that the description has, or Twilio's error body."""
    document = json.loads(text)
    if status >= 400:
        error = {"code": {"type": "integer"}, "message": {"type": "string"}, "more_info": {"type": "string"}}
        error["status"] = {"const": status}
        jsonschema.validate(
            document, {"type": "object", "properties": error, "required": list(error), "additionalProperties": False}
        )
        return
    declared = _operation(method, path)["responses"][str(status)]["content"]["application/json"]["schema"]
    schema = _schema(declared)
    jsonschema.validate(document, {**schema, "required": list(schema["properties"])})
