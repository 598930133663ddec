"""``agenx sim serve``: the simulated carrier, voice model and callees as a process of its own."""

from pathlib import Path
from typing import Annotated

import typer

from agenx_cli.cli.frame import frame

app = typer.Typer(help="The simulated outside world.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The simulated outside world: carrier, voice model and callees."""


@app.command()
def serve(
    ctx: typer.Context,
    *,
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="0: any free port.")] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Who answers how; the same seed is the same world.")] = 1,
    at: Annotated[
        str | None, typer.Option(metavar="ISO", help="Its moment at the start; default: next Tuesday 11:00 in Madrid.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The carrier's record of all calls; outlives the process.")
    ] = None,
    wire_log: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A directory for every request and frame as it crossed.")
    ] = None,
    cps: Annotated[float, typer.Option(metavar="X", min=0.01, help="Calls per second the carrier starts.")] = 1.0,
    with_parent: Annotated[bool, typer.Option("--with-parent", help="End when stdin closes.")] = False,
) -> None:
    """Serve until interrupted. The first line on stdout is JSON with the environment for its clients."""
    from agenx_cli.clock import SystemClock, moment, next_tuesday
    from agenx_cli.sim import server

    now = SystemClock().now()
    start = next_tuesday(now, "Europe/Madrid") if at is None else moment(at, "--at")
    frame(ctx).speaker().detail(f"the simulated clock starts at {start.isoformat(timespec='minutes')}")
    server.serve(
        port=port,
        seed=seed,
        ledger=ledger,
        wire_log=wire_log,
        clock_offset=(start - now).total_seconds(),
        cps=cps,
        with_parent=with_parent,
    )
