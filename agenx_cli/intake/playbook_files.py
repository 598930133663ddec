"""A playbook as a folder: ``playbook.toml`` and ``instructions.md``, read and checked.

Every complaint is an IntakeError with the file, the line where it can be found, and a fix. What the law or the tools
need beyond the file's form is ``core.script``'s business (``problems``).
"""

import difflib
import importlib.resources
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agenx_cli.core.playbook import OWN_NAMES, Playbook
from agenx_cli.core.script import Problem, template_problems, templates
from agenx_cli.errors import IntakeError
from agenx_cli.intake.playbook_model import PlaybookFile

PLAYBOOK_FILE, INSTRUCTIONS_FILE = "playbook.toml", "instructions.md"
DEFAULT_PLAYBOOK = "agenx-ai"
MAX_BYTES = 256_000


def load_playbook(folder: Path) -> Playbook:
    """The playbook in a folder (or of a path to its ``playbook.toml``). Raises IntakeError."""
    if folder.name == PLAYBOOK_FILE:
        folder = folder.parent
    if not folder.is_dir():
        raise IntakeError("there is no such folder", file=str(folder), fix="agenx playbook new NAME makes one")
    file = folder / PLAYBOOK_FILE
    text = _read(file, "agenx playbook new NAME makes one")
    parsed = _parse(file, text)
    playbook = parsed.playbook(_read(folder / INSTRUCTIONS_FILE, "write there what the assistant should do"))
    _check_templates(file, text, folder / INSTRUCTIONS_FILE, playbook)
    return playbook


def shipped() -> tuple[str, ...]:
    """The names of the example campaigns that come with agenx."""
    return tuple(sorted(file.parent.name for file in _campaigns().glob(f"*/{PLAYBOOK_FILE}")))


def shipped_folder(name: str = DEFAULT_PLAYBOOK) -> Path:
    """Where an example campaign lies. Raises IntakeError for a name that is not shipped."""
    if name not in shipped():
        raise IntakeError("no such example campaign", file=name, fix=f"one of: {', '.join(shipped())}")
    return _campaigns() / name


def find_playbook(given: str | None) -> Path:
    """The folder that ``--playbook`` means: a path, else the name of a shipped one; None is the default one."""
    if given is None:
        return shipped_folder()
    try:
        path = Path(given).expanduser()
        return shipped_folder(given) if not path.exists() and given in shipped() else path
    except (OSError, RuntimeError) as exc:  # a name that is too long; a ~user who does not exist
        raise IntakeError(
            "there is no such folder", file=f"{given[:60]}…", fix="agenx playbook new NAME makes one"
        ) from exc


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``playbook.toml``."""
    return PlaybookFile.model_json_schema()


def complaint(problem: Problem, folder: Path) -> IntakeError:
    """A problem of a loaded playbook as an error with its place in the folder's files."""
    file = folder / (INSTRUCTIONS_FILE if problem.where == "instructions" else PLAYBOOK_FILE)
    line = problem.line
    if file.name == PLAYBOOK_FILE:
        key = "meetings" if problem.where == "hours" else problem.where
        line = _line_of(_read(file, ""), (key,))
    return IntakeError(problem.message, file=str(file), line=line, fix=problem.fix)


def _campaigns() -> Path:
    """In a wheel inside the package, in a checkout beside it."""
    package = Path(str(importlib.resources.files("agenx_cli")))
    inside = package / "campaigns"
    return inside if inside.is_dir() else package.parent / "campaigns"


def _read(file: Path, fix: str) -> str:
    try:
        raw = file.read_bytes()
    except FileNotFoundError as exc:
        raise IntakeError("the file is missing", file=str(file), fix=fix) from exc
    except OSError as exc:
        raise IntakeError(f"cannot be read: {exc.strerror}", file=str(file), fix="check its permissions") from exc
    if len(raw) > MAX_BYTES:
        raise IntakeError(f"larger than {MAX_BYTES:,} bytes", file=str(file), fix="is it the right file?")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise IntakeError("not UTF-8 text", file=str(file), line=line, fix="save it as UTF-8") from exc


def _parse(file: Path, text: str) -> PlaybookFile:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(exc))
        line = int(place[1]) if place else text.count("\n") + 1
        what = str(exc)[: place.start()] if place else str(exc).removesuffix(" (at end of document)")
        raise IntakeError(f"not valid TOML: {what}", file=str(file), line=line, fix=_toml_fix(text, line)) from exc
    except RecursionError as exc:
        raise IntakeError("nested too deeply", file=str(file), fix="a playbook has two levels") from exc
    try:
        return PlaybookFile.model_validate(raw)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False)[0]
        path = tuple(str(part) for part in error["loc"])
        message, fix = _explain(path, error["type"], error["msg"])
        raise IntakeError(message, file=str(file), line=_line_of(text, path), fix=fix) from exc


def _toml_fix(text: str, line: int) -> str:
    lines = text.splitlines()
    shown = lines[line - 1].strip() if line <= len(lines) else "the end of the file"
    return f'look at: {shown[:80]}   (text stands in "quotes", lists in [brackets], yes and no are true and false)'


def _explain(path: Sequence[str], kind: str, message: str) -> tuple[str, str]:
    """Message and fix for pydantic's first complaint."""
    name = ".".join(path)
    if kind == "extra_forbidden":
        known = _keys_beside(path)
        near = difflib.get_close_matches(path[-1], known, 1, 0.6)
        fix = f"did you mean '{near[0]}'?" if near else f"keys it may have: {', '.join(known)}"
        return f"unknown key '{name}'", fix
    if kind == "missing":
        return f"the key '{name}' is missing", f"add {path[-1]} = …   (agenx playbook schema describes it)"
    what = message.removeprefix("Value error, ")
    return f"'{name}': {what}" if name else what, f"agenx playbook schema describes {name or 'the file'}"


def _keys_beside(path: Sequence[str]) -> list[str]:
    """The keys that may stand where this one stands."""
    schema = json_schema()
    node: dict[str, Any] = schema
    for part in path[:-1]:
        if not part.isdigit():
            node = node["properties"][part]
        node = node.get("items", node)
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return sorted(node["properties"])


def _line_of(text: str, path: Sequence[str]) -> int | None:
    """The line of a key of a TOML file, or of the deepest table around it that can be found."""
    lines = text.splitlines()
    start, found = 0, None
    for depth, part in enumerate(path):
        if part.isdigit():
            header = re.compile(rf"\s*\[\[\s*{re.escape(path[depth - 1])}\s*\]\]")
            headers = [number for number, line in enumerate(lines) if header.match(line)]
            here = headers[int(part)] if int(part) < len(headers) else None
        else:
            key = re.compile(rf"""\s*\[*\s*([\w-]+\.)*["']?{re.escape(part)}["']?\s*(=|\.|\])""")
            here = next((number for number in range(start, len(lines)) if key.match(lines[number])), None)
        if here is not None:
            start, found = here, here + 1
    return found


def _check_templates(file: Path, text: str, instructions: Path, playbook: Playbook) -> None:
    """Refuse templates that would not render: with their line, or that of their key in the TOML file."""
    names = frozenset(name for name, _ in playbook.variables)
    for name in sorted(names & OWN_NAMES):
        line = _line_of(text, ("variables", name))
        raise IntakeError(f"the variable '{name}' is set by agenx itself", file=str(file), line=line, fix="rename it")
    for where, template in templates(playbook).items():
        for problem in template_problems(where, template, names):
            if where == "instructions":
                raise IntakeError(problem.message, file=str(instructions), line=problem.line, fix=problem.fix)
            line = _line_of(text, (where,))
            raise IntakeError(f"{where}: {problem.message}", file=str(file), line=line, fix=problem.fix)
