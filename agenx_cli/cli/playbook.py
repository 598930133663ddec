"""``agenx playbook``: what the assistant is, says and may do."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agenx_cli.cli.frame import frame
from agenx_cli.cli.state import now_of
from agenx_cli.errors import UsageError

if TYPE_CHECKING:
    from agenx_cli.core.playbook import Playbook
    from agenx_cli.settings import Settings

app = typer.Typer(help="What the assistant is, says and may do.", no_args_is_help=True)
FOLDER = Annotated[str, typer.Argument(metavar="DIR", help="A folder with playbook.toml, or a shipped name.")]


@app.command()
def check(ctx: typer.Context, folder: FOLDER) -> int:
    """Say whether a playbook may be used; exit code 1 when something must be mended first."""
    from agenx_cli.core.script import problems
    from agenx_cli.intake.playbook_files import complaint, find_playbook

    out = frame(ctx).out
    path = find_playbook(folder)
    playbook = load(path, frame(ctx).settings())
    found = [(problem, complaint(problem, path)) for problem in problems(playbook)]
    rows = [
        {"code": p.code, "where": p.where, "message": p.message, "fix": p.fix, "file": e.file, "line": e.line}
        for p, e in found
    ]
    out.document({"playbook": playbook.name, "ok": not rows, "problems": rows})
    for problem, error in found:
        out.line(f"{out.tick(ok=False)} {error.message} [{problem.code}]")
        out.line(f"  fix: {problem.fix}")
    if not found:
        out.line(f"{out.tick(ok=True)} {playbook.name} may be used.")
    return 1 if found else 0


@app.command()
def render(
    ctx: typer.Context,
    folder: FOLDER,
    *,
    var: Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A variable's value.")] = None,
    inbound: Annotated[bool, typer.Option("--inbound", help="As for a call that somebody places to us.")] = False,
) -> int:
    """Print the opening and the instructions as a call would get them."""
    from agenx_cli.core.playbook import render_apology, render_instructions, render_opening, tool_schemas
    from agenx_cli.intake.playbook_files import find_playbook

    out = frame(ctx).out
    settings = frame(ctx).settings()
    playbook = load(find_playbook(folder), settings)
    variables = read_variables(var or [])
    opening = render_opening(playbook, variables, inbound=inbound)
    instructions = render_instructions(playbook, variables, now_of(settings), inbound=inbound)
    apology, tools = render_apology(playbook, variables), tool_schemas(playbook)
    out.document({"opening": opening, "instructions": instructions, "apology": apology, "tools": list(tools)})
    out.line(out.style("Opening", "bold"))
    out.line(opening)
    out.line()
    out.line(out.style("Instructions", "bold"))
    out.line(instructions)
    return 0


@app.command()
def schema(ctx: typer.Context) -> int:
    """Print the JSON Schema of playbook.toml."""
    from agenx_cli.intake.playbook_files import json_schema

    out = frame(ctx).out
    out.document(json_schema())
    out.line(json.dumps(json_schema(), ensure_ascii=False, indent=2))
    return 0


@app.command()
def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, hyphens; also the folder.")],
) -> int:
    """Make a folder with a playbook to start from: the shipped one, under another name."""
    out = frame(ctx).out
    folder = make(name, Path.cwd())
    out.document({"playbook": name, "folder": str(folder)})
    out.line(f"{folder} is made: change playbook.toml and instructions.md, then: agenx playbook check {name}")
    return 0


def make(name: str, parent: Path) -> Path:
    """A new playbook folder. Raises UsageError for a bad name or one that is there already."""
    import re

    from agenx_cli.intake.playbook_files import INSTRUCTIONS_FILE, PLAYBOOK_FILE, shipped_folder

    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", name, re.ASCII) is None:
        raise UsageError("this cannot be a playbook's name", fix="use small letters, digits and hyphens: my-playbook")
    folder = parent / name
    example = shipped_folder()
    try:
        folder.mkdir()
        text = (example / PLAYBOOK_FILE).read_text("utf-8").replace(f'name = "{example.name}"', f'name = "{name}"', 1)
        text = text.replace(f"campaigns/{example.name}", name)
        (folder / PLAYBOOK_FILE).write_text(text, "utf-8")
        (folder / INSTRUCTIONS_FILE).write_bytes((example / INSTRUCTIONS_FILE).read_bytes())
    except FileExistsError as exc:
        raise UsageError(f"{folder} is there already", fix="choose another name, or remove it") from exc
    except OSError as exc:
        raise UsageError(f"{folder} cannot be made: {exc.strerror}", fix="go to a folder that you may write") from exc
    return folder


def read_variables(given: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` flags as a mapping. Raises UsageError."""
    variables: dict[str, str] = {}
    for flag in given:
        name, equals, value = flag.partition("=")
        if not equals or not name.strip():
            raise UsageError("--var needs a name and a value", fix="--var NAME=VALUE")
        variables[name.strip()] = value
    return variables


def load(folder: Path, settings: "Settings") -> "Playbook":
    """A playbook with the settings' time zone where it names none."""
    from dataclasses import replace

    from agenx_cli.intake.playbook_files import load_playbook

    playbook = load_playbook(folder)
    return playbook if playbook.time_zone else replace(playbook, time_zone=settings.time_zone)
