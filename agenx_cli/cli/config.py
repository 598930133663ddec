"""``agenx config``: what is set, and which source won."""

from typing import Annotated

import typer

from agenx_cli.cli.frame import Simulate, frame

app = typer.Typer(help="What is set, and where it comes from.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """What is set, and where it comes from."""


@app.command()
def show(
    ctx: typer.Context,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Also say which source each value came from.")] = False,
    simulate: Simulate = False,
) -> None:
    """Print every setting. Secrets and our phone number are masked."""
    out = frame(ctx).out
    settings = frame(ctx).settings(simulate=simulate)
    shown = settings.shown()
    if origin:
        out.document({name: {"value": value, "origin": settings.origin(name)} for name, value in shown.items()})
        rows = [(name, _text(value), settings.origin(name)) for name, value in shown.items()]
        out.table(("setting", "value", "from"), rows)
    else:
        out.document(shown)
        out.table(("setting", "value"), [(name, _text(value)) for name, value in shown.items()])


def _text(value: object) -> str:
    return "–" if value is None else str(value)
