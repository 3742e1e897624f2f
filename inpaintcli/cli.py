"""The list of the commands, and the one place that turns errors into exit codes.

Standard output carries data only; messages and progress bars go to standard error. What a command
needs is imported when it runs, so that `--help` answers at once.
"""

import os
import signal
import sys
from typing import Annotated, Any

import typer

from inpaintcli import __version__
from inpaintcli.commands import (
    doctor,
    engine,
    evaluate,
    fill,
    gimp,
    guided,
    harmonize,
    mask,
    models,
    remove,
    training,
    ui,
    verify,
    watch,
)
from inpaintcli.console import (
    ReaderGoneError,
    complain,
    forget_records,
    open_missing_streams,
    record_failure,
)
from inpaintcli.errors import ExitCode, InpaintError
from inpaintcli.signals import Interrupted, InterruptHandler, handle_signals

_CommandLineError: Any = typer.BadParameter.__mro__[2]
"""What typer raises where the words of the command line are wrong: it has no name of its own."""

app = typer.Typer(
    name="inpaintcli",
    help="Fill holes in photographs; everything outside the hole comes back untouched.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.add_typer(engine.app, name="engine")
app.add_typer(gimp.app, name="gimp")
app.command()(fill.fill)
app.command()(remove.remove)
app.command()(guided.guided)
app.command()(harmonize.harmonize)
app.command()(mask.mask)
app.command()(verify.verify)
app.command()(evaluate.evaluate)
app.command(cls=watch.OptionalSeconds)(watch.watch)
app.command()(ui.ui)
app.command()(doctor.doctor)
app.command()(training.train)
app.command()(training.average)
app.command()(training.export)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"inpaintcli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fill holes in photographs; everything outside the hole comes back untouched."""


def main() -> None:
    """Run the program: the one place where errors become messages and exit codes."""
    open_missing_streams()
    handle_signals(InterruptHandler(_interrupt))
    try:
        code = _run()
    finally:
        handle_signals(InterruptHandler(lambda _number: None))  # nothing is left to be stopped
    sys.exit(code)


def _run() -> int:
    forget_records()
    try:
        return int(app(standalone_mode=False) or ExitCode.OK)
    except _CommandLineError as error:
        return _wrong_command_line(error)
    except ReaderGoneError as error:
        return error.code  # and nothing is left to say
    except InpaintError as error:
        return _failed(error.message, error.hint, error.code)
    except Interrupted as signalled:
        return _interrupted(signalled.number)
    except Exception as error:  # noqa: BLE001 - the last line of defence, and the only one
        return _unexpected(error)


def _interrupted(number: int) -> int:
    if number == signal.SIGTERM and sys.argv[1:2] == ["watch"]:
        return ExitCode.OK  # a watch that ends while it starts
    complain("Interrupted; what is written is whole.")
    return ExitCode.INTERRUPTED


def _wrong_command_line(error: Any) -> int:
    """Report what typer says of the words of the command line, with the usage."""
    error.show()
    context = getattr(error, "ctx", None)
    hint = f"`{context.command_path} --help` has the options." if context else ""
    return _recorded(error.format_message(), hint, error.exit_code)


def _unexpected(error: Exception) -> int:
    """An engine's error, which engines own, or a fault of the program."""
    from inpaintcli_engines.base import EngineError

    if isinstance(error, EngineError):
        return _failed(error.message, error.hint, error.code)
    if os.environ.get("INPAINTCLI_DEBUG"):
        raise error
    hint = "Set INPAINTCLI_DEBUG=1 to see where, and please report it."
    return _failed(f"A fault of the program: {type(error).__name__}: {error}", hint, ExitCode.FAULT)


def _failed(message: str, hint: str, code: int) -> int:
    complain(f"inpaintcli: {message}")
    if hint:
        complain(hint)
    return _recorded(message, hint, code)


def _recorded(message: str, hint: str, code: int) -> int:
    """Print the error as a JSON object where `--json` is among the words; returns the code."""
    words = sys.argv[1 : sys.argv.index("--") if "--" in sys.argv else None]
    if "--json" in words:
        record_failure({"code": int(code), "message": message, "hint": hint or None})
    return int(code)


def _interrupt(number: int) -> None:
    raise Interrupted(number)
