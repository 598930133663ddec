"""What a command prints: data on stdout, everything else on stderr.

``text`` is for people; ``json`` is one document; ``jsonl`` is a line per event. A command says everything once and
this class leaves out what its mode has no place for. Text from outside (a callee's words, a provider's message) is
stripped of control characters here, so that nobody can write on the operator's terminal.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from agenx_cli.errors import AgenxError, UsageError
from agenx_cli.settings import terminal

if TYPE_CHECKING:
    from rich.console import Console

Mode = Literal["text", "json", "jsonl"]
_CODES = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36, "bold": 1, "dim": 2}
_CONTROL = dict.fromkeys((*range(9), *range(11, 32), 127, *range(128, 160), 8238, 8294, 8295, 8296))
_ESCAPED = {code: f"\\u{code:04x}" for code in _CONTROL if code >= 127}
_WIDTH = 80


def plain(text: str) -> str:
    """``text`` without control characters; newlines and tabs stay."""
    return text.translate(_CONTROL)


class Output:
    """One command's voice. ``verbose`` is 0, 1 (-v) or 2 (-vv)."""

    def __init__(
        self,
        mode: Mode = "text",
        *,
        quiet: bool = False,
        verbose: int = 0,
        colour: bool | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        stdin: TextIO | None = None,
        prompts: bool = True,
    ) -> None:
        self.mode: Mode = mode
        self.quiet = quiet
        self.verbose = verbose
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._stdin = stdin or sys.stdin
        self._colour = colour
        self._prompts = prompts
        self._screen: Console | None = None

    @contextmanager
    def under(self, screen: "Console") -> Iterator[None]:
        """While the block runs, lines scroll by above what ``screen`` keeps drawn at the bottom."""
        self._screen = screen
        try:
            yield
        finally:
            self._screen = None

    @property
    def text(self) -> bool:
        """People read along (neither json nor jsonl)."""
        return self.mode == "text"

    @property
    def live(self) -> bool:
        """stdout is a terminal that can move its cursor, and people read along."""
        return self.text and self._stdout.isatty() and not terminal().dumb

    @property
    def coloured(self) -> bool:
        """Whether stdout shows colours."""
        return self._coloured(self._stdout)

    # --- data: stdout

    def document(self, value: Any) -> None:
        """The command's one JSON document. A line in jsonl; nothing in text."""
        if self.mode == "json":
            self._print(_json(value, indent=2) + "\n")
        elif self.mode == "jsonl":
            self._print(_json(value) + "\n")

    def event(self, name: str, **fields: Any) -> None:
        """Something that happens now: a line of jsonl, at once. Nothing in the other modes."""
        if self.mode == "jsonl":
            self.document({"event": name, **fields})

    def line(self, text: str = "") -> None:
        """A line for people. Nothing in json and jsonl."""
        if self.text:
            self._print(self._clean(text, self._stdout) + "\n")

    def said(self, moment_ms: int, speaker: str, text: str) -> None:
        """A line of a transcript; in a terminal it wraps at words, under itself. Nothing in json and jsonl.

        Words that were never heard (the callee spoke first) leave an empty line in the records, and none here.
        """
        if not self.text or not text.strip():
            return
        minutes, seconds = divmod(max(0, moment_ms) // 1000, 60)
        head = f"{minutes:02d}:{seconds:02d}  {speaker:>9}  "
        rows = _wrapped(" ".join(plain(text).split()), self._stdout, len(head))
        who = self.style(f"{speaker:>9}", "cyan" if speaker == "assistant" else "green")
        self.line(f"{head[:7]}{who}  {rows[0]}")
        for row in rows[1:]:
            self.line(" " * len(head) + row)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "Nothing yet.") -> None:
        """A table for people, at most as wide as the terminal (80 where there is none); ``empty`` when it has no rows.

        Cells wrap, they are never cut. Nothing in json and jsonl.
        """
        if not self.text:
            return
        cells = [[plain("" if cell is None else str(cell)) for cell in row] for row in rows]
        if not cells:
            self.line(empty)
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        coloured = self._coloured(self._stdout)
        page = StringIO()
        console = Console(
            file=page,
            width=_columns(self._stdout),
            no_color=not coloured,
            color_system="standard" if coloured else None,
            force_terminal=coloured,
            highlight=False,
        )
        console.print(table)
        self._print("".join(f"{row.rstrip()}\n" for row in page.getvalue().splitlines()))

    # --- everything else: stderr

    def note(self, text: str) -> None:
        """What goes on; not with -q."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """What only -v shows."""
        if self.verbose:
            self._say(text)

    def warn(self, text: str) -> None:
        """Something the operator should know, also with -q."""
        self._say(self._labelled(self._stderr, "warning:", "yellow", text))

    def error(self, error: AgenxError) -> None:
        """What happened and why, and how to mend it."""
        self.complain(error.message, error.fix)

    def complain(self, message: str, fix: str | None) -> None:
        """As ``error``, for what is no AgenxError."""
        self._say(self._labelled(self._stderr, "error:", "red", message))
        if fix:
            self._say(self._labelled(self._stderr, "fix:", "cyan", fix))

    def labelled(self, label: str, colour: str, text: str, *, indent: int = 0) -> None:
        """As ``line``, behind a coloured label; in a terminal the text wraps at words, under itself."""
        self.line(self._labelled(self._stdout, label, colour, text, indent=indent))

    def _labelled(self, stream: TextIO, label: str, colour: str, text: str, *, indent: int = 0) -> str:
        rows = _wrapped(text, stream, indent + len(label) + 1)
        return (
            " " * indent + self.style(label, colour, stream) + " " + ("\n" + " " * (indent + len(label) + 1)).join(rows)
        )

    # --- asking

    def confirm(self, question: str, *, flag: str = "--yes", given: bool = False) -> bool:
        """Yes or no. ``given`` is the flag that answers yes beforehand; without it and a terminal: UsageError."""
        if given:
            return True
        return self.ask(f"{question} [y/N]", flag=flag).strip().lower() in {"y", "yes", "s", "si", "sí"}

    def ask(self, question: str, *, flag: str) -> str:
        """One line from the operator. Without a terminal (or with --no-input): UsageError that names ``flag``."""
        if not (self._prompts and self._stdin.isatty() and self._stderr.isatty()):
            raise UsageError(f"this needs an answer, and there is no terminal to ask: {question}", fix=f"pass {flag}")
        self._stderr.write(f"{plain(question)} ")
        self._stderr.flush()
        return self._stdin.readline()

    # --- looks

    def style(self, text: str, colour: str, stream: TextIO | None = None) -> str:
        """``text`` in a colour (or bold, dim), where ``stream`` (stdout) shows colours. The text is cleaned first."""
        text = plain(text)
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._coloured(stream or self._stdout) else text

    def tick(self, ok: bool | None) -> str:
        """✓, ✗, or – for what was not looked at."""
        return self.style("–", "dim") if ok is None else self.style("✓", "green") if ok else self.style("✗", "red")

    def _coloured(self, stream: TextIO) -> bool:
        if self._colour is not None:
            return self._colour
        environment = terminal()
        return stream.isatty() and not environment.no_color and not environment.dumb

    def _clean(self, text: str, stream: TextIO) -> str:
        """Control characters out; our own colours stay where the stream shows them."""
        if not self._coloured(stream):
            return plain(text)
        pieces = _split_styles(text)
        return "".join(piece if is_style else plain(piece) for piece, is_style in pieces)

    def _print(self, text: str) -> None:
        """To stdout, at once. When its reader has left (``| head``) the rest goes nowhere: no call is cut for that."""
        if self._screen is not None:
            self._above(text)
            return
        try:
            self._stdout.write(text)
            self._stdout.flush()
        except OSError:  # a closed pipe, or a terminal that is gone
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stdout.fileno())

    def _above(self, text: str) -> None:
        from rich.text import Text

        if self._screen is not None:
            self._screen.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)

    def _say(self, text: str) -> None:
        if self._screen is not None and self._stderr.isatty():
            self._above(self._clean(text, self._stderr))
            return
        with suppress(OSError):  # as above: what nobody can read must not end a call
            self._stderr.write(self._clean(text, self._stderr) + "\n")
            self._stderr.flush()


def _columns(stream: TextIO) -> int:
    """The terminal's width; 80 where there is none."""
    if not stream.isatty():
        return _WIDTH
    from shutil import get_terminal_size

    return get_terminal_size((_WIDTH, 24)).columns


def _wrapped(text: str, stream: TextIO, margin: int) -> list[str]:
    """``text`` in rows that fit beside ``margin`` columns; one row where there is no terminal, or lines of its own."""
    if not stream.isatty() or "\n" in text:
        return [text]
    from textwrap import wrap

    room = max(20, _columns(stream) - margin - 1)
    return wrap(text, room, break_long_words=False, break_on_hyphens=False) or [text]


def _split_styles(text: str) -> list[tuple[str, bool]]:
    """Pieces of text, and whether each is one of the codes that ``style`` writes."""
    import re

    codes = "|".join(str(code) for code in (0, *_CODES.values()))
    return [(piece, index % 2 == 1) for index, piece in enumerate(re.split(rf"(\x1b\[(?:{codes})m)", text))]


def _json(value: Any, indent: int | None = None) -> str:
    """JSON in which no character is left that a terminal would obey: those are escaped."""
    return json.dumps(value, default=_jsonable, ensure_ascii=False, indent=indent).translate(_ESCAPED)


def _jsonable(value: Any) -> Any:
    """JSON for what the standard encoder does not know."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
