"""The live calls of a server: a calm table that stays, and a line for each call that ended."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from agenx_cli.cli.output import Output


ECHO = len("^C") + 1
"""Columns left free, so that what a terminal echoes of Ctrl-C does not wrap the last line and shift the table."""

REDRAW_S = 0.25


class Board:
    """Shows events of ``control.as_event`` and ``ended``. Without a terminal it prints lines and moves nothing.

    On a terminal it needs a running event loop, which redraws it. Rich's own thread would draw between the two halves
    of a line that is printed above the table, and leave a stray piece of the table behind.
    """

    def __init__(self, out: "Output") -> None:
        self._out = out
        self._calls: dict[str, dict[str, Any]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._out.live:
            from rich.console import Console
            from rich.live import Live

            console = Console(no_color=not self._out.coloured, highlight=False)
            console.width -= ECHO
            live = Live(console=console, get_renderable=self._table, auto_refresh=False, transient=True)
            self._stack.enter_context(live)
            self._stack.enter_context(self._out.under(console))
            redrawing = asyncio.get_running_loop().create_task(_redraw(live))
            self._stack.callback(redrawing.cancel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def show(self, event: Mapping[str, Any]) -> None:
        """Something happened."""
        self._out.event(event["event"], **{name: value for name, value in event.items() if name != "event"})
        uid = event["attempt"]
        match event["event"]:
            case "phase":
                call = self._calls.setdefault(uid, {"since": monotonic(), "words": ""})
                call.update(phase=event["phase"], direction=event["direction"])
            case "line" if uid in self._calls:
                self._calls[uid]["words"] = f"{event['speaker']}: {event['text']}"
            case "trouble":
                self._out.note(f"{uid[:8]}  {event['message']}{f' (fix: {fix})' if (fix := event['fix']) else ''}")
            case "ended":
                self._calls.pop(uid, None)
                self._out.line(self._ended(event))

    def _ended(self, event: Mapping[str, Any]) -> str:
        cost = "–" if event["cost_usd"] is None else f"${event['cost_usd']:.4f}"
        took = "–" if event["duration_s"] is None else f"{event['duration_s']:3d} s"
        who = event["phone"] or "withheld"
        return f"{event['attempt'][:8]}  {who:<15} {event['disposition']:<16} {took}  {cost}"

    def _table(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("live call", width=9, no_wrap=True)
        table.add_column("phase", width=8, no_wrap=True)
        table.add_column("s", width=4, justify="right", no_wrap=True)
        table.add_column("last words", ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
        for uid, call in self._calls.items():
            seconds = f"{monotonic() - call['since']:.0f}"
            table.add_row(uid[:8], call["phase"], seconds, Text(call["words"], overflow="ellipsis"))
        if not self._calls:
            table.add_row(Text("–"), "", "", "waiting for calls")
        return table


async def _redraw(live: "Live") -> None:
    """Let the seconds run until it is cancelled."""
    while True:
        live.refresh()
        await asyncio.sleep(REDRAW_S)
