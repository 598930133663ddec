"""The root of the command line.

To add a verb
    1. Write ``cli/<verb>.py``: a function whose parameters are Typer options and arguments, plus ``ctx: typer.Context``
       first. Its docstring is its help. At the top of the module import only typer, ``cli.frame`` and what is as light;
       everything else inside the function: ``agenx --help`` imports every verb's module, and a test watches what comes
       along with them.
    2. ``frame(ctx).out`` speaks (``cli.output``), ``frame(ctx).settings(simulate=…, host=…, port=…)`` reads the
       settings with the command's own flags on top. ``--json``, ``-o``, ``-q``, ``-v``, ``--no-color``, ``--no-input``
       and ``--profile`` belong to the frame and work before and after the command.
       ``--simulate`` is ``cli.frame.Simulate``.
    3. Return an exit code (None is 0), raise an AgenxError for the rest: it is printed with its fix and ends the
       process with its own code. Nothing else needs catching.
    4. Add a line below: ``app.command("verb", rich_help_panel=…)(verb.function)``, or ``app.add_typer(verb.app, …)``
       for a group (as ``config``).
"""

import signal
import sys
import traceback
import warnings
from types import TracebackType
from typing import Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from agenx_cli import __version__
from agenx_cli.cli import call, calls, config, doctor, meetings, playbook, serve, sim, suppress
from agenx_cli.cli.frame import Frame, frame, hoist, stdio_in_utf8
from agenx_cli.errors import AgenxError, UsageError

HELP = ["-h", "--help"]
CALLS, STATE, SETUP, REHEARSAL = "Calls", "What happened", "Setup", "Rehearsal"


class Root(TyperGroup):
    """Takes global flags anywhere, exit codes from return values, and errors to stderr."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Global flags first, wherever they stood."""
        return super().parse_args(ctx, hoist(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command. An int it returns is the exit code; an AgenxError is printed and has its own."""
        try:
            result = super().invoke(ctx)
        except AgenxError as error:
            raise typer.Exit(_report(ctx, error)) from error
        except BaseExceptionGroup as group:
            first = _first(group)
            if first is None:
                raise
            raise typer.Exit(_report(ctx, first)) from group
        if isinstance(result, int) and result:
            raise typer.Exit(result)
        return None


app = typer.Typer(
    name="agenx",
    cls=Root,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": HELP},
)


def _version(given: bool) -> None:
    if given:
        typer.echo(f"agenx {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    profile: Annotated[str | None, typer.Option(help="Settings of this profile in agenx.toml.", metavar="P")] = None,
    output: Annotated[
        Literal["text", "json", "jsonl"] | None, typer.Option("--output", "-o", help="How stdout is written.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout: -o json.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results, warnings and errors.")] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv shows tracebacks.", show_default=False)
    ] = 0,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours (as NO_COLOR=1).")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; name the missing flag instead.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback prints and ends
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Telephone calls by a speech-to-speech assistant, that end in booked meetings.

    Try it without any account: agenx call +14155550110 --simulate
    """
    ctx.obj = Frame(profile, output, json, quiet, verbose, no_color, no_input)


app.command("serve", rich_help_panel=CALLS)(serve.serve)
app.command("call", rich_help_panel=CALLS)(call.call)
app.add_typer(calls.app, name="calls", rich_help_panel=STATE)
app.add_typer(meetings.app, name="meetings", rich_help_panel=STATE)
app.add_typer(suppress.app, name="suppress", rich_help_panel=STATE)
app.add_typer(playbook.app, name="playbook", rich_help_panel=SETUP)
app.add_typer(sim.app, name="sim", rich_help_panel=REHEARSAL)
app.command("doctor", rich_help_panel=SETUP)(doctor.doctor)
app.add_typer(config.app, name="config", rich_help_panel=SETUP)


def main() -> NoReturn:
    """The ``agenx`` command: run, then exit with the code of what happened."""
    stdio_in_utf8()
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)  # 3.13 has it from audioop-lts
    sys.excepthook = _unexpected
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_run())


def _run() -> int:
    command = typer.main.get_command(app)
    _name_no_values_of_flags(command)
    if any("\ud800" <= char <= "\udfff" for word in sys.argv for char in word):
        Frame().speaker().complain("an argument is not UTF-8 text", "check the terminal's encoding: it should be UTF-8")
        return UsageError.exit_code
    try:
        code = command.main(prog_name="agenx", standalone_mode=False)
    except TyperException as error:
        _complain(error)
        return error.exit_code
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _name_no_values_of_flags(command: Any) -> None:
    """A flag takes no value, so its help names none (Typer would write ``<bool>`` beside each)."""
    for param in command.get_params(typer.Context(command, help_option_names=HELP)):
        if getattr(param, "is_flag", False) or getattr(param, "count", False):
            param.metavar = ""
    for inner in getattr(command, "commands", {}).values():
        _name_no_values_of_flags(inner)


def _report(ctx: Any, error: AgenxError) -> int:
    shown = ctx.find_object(Frame) or Frame()
    if shown.verbose > 1:
        sys.stderr.write(shown.redact("".join(traceback.format_exception(error))))
    shown.speaker().complain(shown.redact(error.message), shown.redact(error.fix) if error.fix else None)
    return error.exit_code


def _complain(error: TyperException) -> None:
    """A wrong flag or argument, in the same words as every other error."""
    message = error.format_message()
    if message.strip():
        ctx = getattr(error, "ctx", None)
        path = ctx.command_path if ctx is not None else "agenx"
        Frame().speaker().complain(Frame().redact(message.rstrip()), f"{path} --help")


def _first(group: BaseExceptionGroup[BaseException]) -> AgenxError | None:
    """The first of our own errors in a group; tasks that fail together fail for one reason."""
    for error in group.exceptions:
        if isinstance(error, AgenxError):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := _first(error)):
            return found
    return None


def _terminated(signum: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody foresaw: one line, unless -vv asks for the traceback."""
    shown = Frame(verbose=sum(word.count("v") for word in sys.argv if word in {"-v", "-vv", "--verbose"}))
    if shown.verbose > 1:
        sys.stderr.write(shown.redact("".join(traceback.format_exception(kind, error, trace))))
    shown.speaker().complain(
        shown.redact(f"this should not have happened: {kind.__name__}: {error}"),
        "run it again with -vv, and report what it prints",
    )


__all__ = ["CALLS", "REHEARSAL", "SETUP", "STATE", "app", "frame", "main"]
