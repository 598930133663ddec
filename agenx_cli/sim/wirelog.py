"""Everything that crosses the simulators' wires, one JSON object a line, so that tests can check it afterwards."""

import json
from pathlib import Path
from typing import Any, TextIO


class WireLog:
    """Writes ``DIR/<wire>.jsonl``: ``rest``, ``webhooks``, ``media``, ``voice``. Without a directory, nothing.

    Text and bodies are kept exactly as they crossed. Credentials never enter: whoever writes leaves them out.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._files: dict[str, TextIO] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    @property
    def active(self) -> bool:
        """Whether anything is kept at all; callers on a hot path ask first."""
        return self._directory is not None

    def write(self, wire: str, record: dict[str, Any]) -> None:
        """Append one record to ``<wire>.jsonl``; it is in the file when this returns."""
        if self._directory is None:
            return
        file = self._files.get(wire)
        if file is None:
            file = (self._directory / f"{wire}.jsonl").open("a", encoding="utf-8", buffering=1, newline="\n")
            self._files[wire] = file
        file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
