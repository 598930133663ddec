"""What every verb gets from the command line's frame: the global flags, the settings, the output."""

import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, cast

import typer

from agenx_cli.cli.output import Mode, Output
from agenx_cli.errors import UsageError
from agenx_cli.log import Redactor, start_logging
from agenx_cli.settings import Settings, load_settings

Simulate = Annotated[
    bool, typer.Option("--simulate", help="Use the rehearsals' state instead of the real one (or AGENX_SIMULATE=1).")
]
"""The flag of every command that reads or changes state."""


@dataclass
class Frame:
    """The global flags as given. ``settings`` and ``out`` are made when first asked for."""

    profile: str | None = None
    output: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    no_color: bool = False
    no_input: bool = False
    redact: Redactor = field(default_factory=Redactor)

    def settings(self, *, simulate: bool = False, **flags: str | float | None) -> Settings:
        """All settings; ``flags`` are this command's own, by field name (None: not given). Raises SettingsError."""
        given: dict[str, str | None] = {name: None if flag is None else str(flag) for name, flag in flags.items()}
        if simulate:
            given["simulate"] = "1"
        if self._mode:
            given["output"] = self._mode
        settings = load_settings(given, profile=self.profile)
        self.redact = start_logging(self.verbose, settings.secrets, as_json=settings.output != "text")
        return settings

    @cached_property
    def out(self) -> Output:
        """Where this command speaks. Without a flag the setting ``output`` decides."""
        mode = self._mode or load_settings(profile=self.profile).output
        return self.speaker(cast("Mode", mode))

    def speaker(self, mode: Mode = "text") -> Output:
        """An Output with these flags that reads no settings."""
        return Output(
            mode,
            quiet=self.quiet,
            verbose=self.verbose,
            colour=False if self.no_color else None,
            prompts=not self.no_input,
        )

    @property
    def _mode(self) -> str | None:
        if self.json and self.output not in {None, "json"}:
            raise UsageError(f"--json and -o {self.output} contradict each other", fix="leave one of them out")
        return "json" if self.json else self.output


def frame(ctx: typer.Context) -> Frame:
    """The frame of the running command."""
    found = ctx.find_object(Frame)
    return found if found is not None else Frame()


GLOBAL_FLAGS = frozenset({"--json", "--quiet", "-q", "--verbose", "-v", "-vv", "--no-color", "--no-input"})
GLOBAL_OPTIONS = frozenset({"--output", "-o", "--profile"})
_JOINED = ("--output=", "--profile=", "-otext", "-ojson")


def hoist(args: list[str]) -> list[str]:
    """Global flags moved to the front, so that they may stand before or after the command.

    Everything behind ``--`` stays where it is.
    """
    front: list[str] = []
    rest: list[str] = []
    at = 0
    while at < len(args):
        word = args[at]
        if word == "--":
            return [*front, *rest, *args[at:]]
        taken = 2 if word in GLOBAL_OPTIONS else 1
        to = front if word in GLOBAL_FLAGS | GLOBAL_OPTIONS or word.startswith(_JOINED) else rest
        to += args[at : at + taken]
        at += taken
    return [*front, *rest]


def stdio_in_utf8() -> None:
    """Piped text is UTF-8 everywhere (Windows would write cp1252); a terminal shows ``?`` for what it cannot."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="replace")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace")
