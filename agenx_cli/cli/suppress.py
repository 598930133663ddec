"""``agenx suppress``: numbers that are never rung again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from agenx_cli.cli.frame import frame
from agenx_cli.cli.state import REGION, SIMULATE, iso, now_of, number_of, opened, place_of, zone_of
from agenx_cli.errors import IntakeError

if TYPE_CHECKING:
    from agenx_cli.core.lead import BadNumber
    from agenx_cli.store.records import Suppressed

app = typer.Typer(help="Numbers that are never rung again.", no_args_is_help=True)
NUMBER = Annotated[str, typer.Argument(metavar="NUMBER", help="With + and country code, or with --region.")]


@app.command()
def add(
    ctx: typer.Context,
    number: NUMBER,
    *,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the entry.")
    ] = "added by the operator",
    region: REGION = None,
    simulate: SIMULATE = False,
) -> int:
    """Never ring this number again, in any campaign."""
    out = frame(ctx).out
    phone = number_of(number, region)
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        added = store.suppression.add(phone, reason, "operator", now_of(settings))
        entry = store.suppression.get(phone)
    out.document({"added": added, **document(phone, entry)})
    out.line(f"{phone} is {'now' if added else 'already'} on the suppression list.")
    return 0


@app.command()
def remove(
    ctx: typer.Context,
    number: NUMBER,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    region: REGION = None,
    simulate: SIMULATE = False,
) -> int:
    """Take a number off the list: only when the person has agreed to be called again."""
    out = frame(ctx).out
    phone = number_of(number, region)
    with opened(frame(ctx), simulate=simulate) as (_, store):
        entry = store.suppression.get(phone)
        if entry is not None and not out.confirm(f"{phone} is here because: {entry.reason}. Remove it?", given=yes):
            out.note("Nothing was changed.")
            return 0
        removed = store.suppression.remove(phone)
    out.document({"removed": removed, "phone": phone})
    out.line(f"{phone} {'is off' if removed else 'was not on'} the suppression list.")
    return 0


@app.command("list")
def list_numbers(ctx: typer.Context, *, simulate: SIMULATE = False) -> int:
    """List the suppressed numbers, newest first."""
    out = frame(ctx).out
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        entries = store.suppression.list()
    out.document([document(entry.number, entry) for entry in entries])
    zone = zone_of(settings)
    rows = [(e.number, f"{e.created_at.astimezone(ZoneInfo(zone)):%Y-%m-%d}", source(e), e.reason) for e in entries]
    empty = "Nobody is on the suppression list."
    out.table(("phone", f"since ({place_of(zone)})", "source", "reason"), rows, empty=empty)
    return 0


@app.command()
def check(ctx: typer.Context, number: NUMBER, *, region: REGION = None, simulate: SIMULATE = False) -> int:
    """Say whether a number is on the list, since when and why."""
    out = frame(ctx).out
    phone = number_of(number, region)
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        entry = store.suppression.get(phone)
    out.document(document(phone, entry))
    if entry is None:
        out.line(f"{phone} is not on the suppression list.")
    else:
        since = iso(entry.created_at, zone_of(settings))
        out.line(f"{phone} is suppressed since {since} ({source(entry)}): {entry.reason}")
    return 0


@app.command("import")
def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Text or CSV, a number in each row.")],
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with each entry.")] = "imported",
    region: REGION = None,
    simulate: SIMULATE = False,
) -> int:
    """Add every number of a file. Rows that hold no usable number are listed, and stop nothing."""
    out = frame(ctx).out
    numbers, rejected = read_numbers(file, region)
    with opened(frame(ctx), simulate=simulate) as (settings, store):
        now = now_of(settings)
        added = sum(store.suppression.add(number, reason, f"file {file.name}", now) for number in numbers)
    bad = [{"line": line, "code": b.code, "reason": b.reason, "fix": b.fix} for line, b in rejected]
    out.document({"added": added, "already": len(numbers) - added, "rejected": bad})
    out.line(f"{added} added, {len(numbers) - added} already there, {len(rejected)} without a usable number.")
    for line, complaint in rejected:
        out.warn(f"line {line}: {complaint.reason} ({complaint.fix})")
    return 0


def read_numbers(file: Path, region: str | None) -> tuple[list[str], list[tuple[int, "BadNumber"]]]:
    """The numbers of a file, each once, and the rows (line, why) that hold none. Raises IntakeError."""
    import csv

    from agenx_cli.core.lead import BadNumber, parse_number

    numbers: dict[str, None] = {}
    rejected: list[tuple[int, BadNumber]] = []
    reader = csv.reader(_text(file).splitlines(), delimiter=";" if ";" in _text(file)[:2_000] else ",")
    for row in reader:
        cells = [cell for cell in row if any(character.isdigit() for character in cell)]
        read = [parse_number(cell, region) for cell in cells]
        good = next((number for number in read if not isinstance(number, BadNumber)), None)
        if good is not None:
            numbers[str(good)] = None
        elif read and isinstance(read[0], BadNumber):
            rejected.append((reader.line_num, read[0]))
    return list(numbers), rejected


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except FileNotFoundError as exc:
        raise IntakeError("there is no such file", file=str(file), fix="check the path") from exc
    except UnicodeDecodeError as exc:
        raise IntakeError("not UTF-8 text", file=str(file), fix="save it as UTF-8 or CSV UTF-8") from exc
    except OSError as exc:
        raise IntakeError(f"cannot be read: {exc.strerror}", file=str(file), fix="check its permissions") from exc


def source(entry: "Suppressed") -> str:
    """Who put the number there; a call by the short id that ``calls list`` shows."""
    kind, _, rest = entry.source.partition(" ")
    return f"{kind} {rest[:8]}" if kind == "call" else entry.source


def document(phone: str, entry: "Suppressed | None") -> dict[str, Any]:
    """A number and its entry as JSON documents have them."""
    if entry is None:
        return {"phone": phone, "suppressed": False}
    since = iso(entry.created_at)
    return {"phone": phone, "suppressed": True, "reason": entry.reason, "source": entry.source, "since": since}
