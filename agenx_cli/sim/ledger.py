"""What the simulated carrier remembers, in a file that outlives its process.

The file is a journal: one JSON object a line, ``{"calls": {…}}`` or ``{"messages": {…}}``, and the last line about a
``sid`` is the truth about it. A line is with the operating system before anybody is told what it says. A process
killed in the middle of a line loses that line alone: nobody was told.
"""

import json
from pathlib import Path
from typing import Any, TextIO

from agenx_cli.errors import AgenxError

Record = dict[str, Any]


class Ledger:
    """Records by kind and ``sid``, oldest first. ``path`` None keeps them in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._records: dict[str, dict[str, Record]] = {"calls": {}, "messages": {}}
        self._file: TextIO | None = None
        if path is not None:
            self._load(path)
            self._file = self._rewrite(path)

    def put(self, kind: str, record: Record) -> None:
        """Keep a record, new or changed; it is written when this returns."""
        self._records[kind][record["sid"]] = record
        if self._file is not None:
            self._file.write(_line(kind, record))
            self._file.flush()

    def of(self, kind: str) -> list[Record]:
        """All records of a kind, oldest first."""
        return list(self._records[kind].values())

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _load(self, path: Path) -> None:
        if not path.exists():
            return
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                ((kind, record),) = json.loads(line).items()
                self._records[kind][record["sid"]] = record
            except (ValueError, KeyError, TypeError, AttributeError) as exc:
                if number == len(lines):
                    return
                raise AgenxError(
                    f"the simulated carrier's ledger is damaged in line {number}",
                    fix="move the file away to start with an empty one",
                ) from exc

    def _rewrite(self, path: Path) -> TextIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(
            "".join(_line(kind, record) for kind, records in self._records.items() for record in records.values()),
            encoding="utf-8",
            newline="\n",
        )
        fresh.replace(path)
        return path.open("a", encoding="utf-8", newline="\n")


def _line(kind: str, record: Record) -> str:
    return json.dumps({kind: record}, ensure_ascii=False) + "\n"
