"""Make ``twilio_calls.openapi.json`` from Twilio's own description: the paths that we use, without prose.

python tests/data/strip_openapi.py FILE < https://github.com/twilio/twilio-oai, spec/json/twilio_api_v2010.json

FILE is the result's. What is kept are facts: paths, methods, parameters, types, patterns, enumerations (Apache 2.0).
"""

import json
import sys
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("twilio_calls.openapi.json")
DROPPED = frozenset({"description", "summary", "tags", "operationId", "security", "servers", "deprecated", "examples"})
ROOT = "/2010-04-01/Accounts/{AccountSid}"
PATHS = (
    "/2010-04-01/Accounts/{Sid}.json",
    *(
        ROOT + path
        for path in (
            *("/Balance.json", "/Calls.json", "/Calls/{Sid}.json"),
            *("/IncomingPhoneNumbers.json", "/IncomingPhoneNumbers/{Sid}.json"),
            *("/Messages.json", "/Messages/{Sid}.json"),
        )
    ),
)


def bare(node: Any, *, names: bool = False) -> Any:
    """Without prose. ``names``: the keys of this node are names (of properties, paths, schemas) and all stay."""
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: bare(value, names=key in {"properties", "schemas", "paths", "responses"} and not names)
        for key, value in node.items()
        if names or not (key in DROPPED or key.startswith("x-"))
    }


def referred(node: Any) -> set[str]:
    """The schemas that a part names."""
    if isinstance(node, dict):
        here = {node["$ref"].rsplit("/", 1)[-1]} if isinstance(node.get("$ref"), str) else set()
        return here.union(*(referred(value) for value in node.values()))
    return set().union(*(referred(each) for each in node)) if isinstance(node, list) else set()


def stripped(whole: dict[str, Any]) -> dict[str, Any]:
    """The part that the tests check against."""
    paths = {path: whole["paths"][path] for path in PATHS}
    schemas, wanted = {}, referred(paths)
    while missing := wanted - set(schemas):
        for name in missing:
            schemas[name] = whole["components"]["schemas"][name]
            wanted |= referred(schemas[name])
    return {
        "paths": bare(paths, names=True),
        "components": {"schemas": bare(dict(sorted(schemas.items())), names=True)},
    }


if __name__ == "__main__":
    head = {key: value for key, value in json.loads(KEPT.read_text("utf-8")).items() if key in ("openapi", "info")}
    made = {**head, **stripped(json.load(sys.stdin))}
    Path(sys.argv[1]).write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
