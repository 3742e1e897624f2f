"""The list of the commands, and the one place that turns errors into exit codes.

Standard output carries data only; messages and progress bars go to standard error. What a command
needs is imported when it runs, so that `--help` answers at once.
"""

import os
import signal
import sys
from typing import Annotated

import typer

from inpaintcli import __version__
from inpaintcli.commands import (
    doctor,
    engine,
    evaluate,
    fill,
    gimp,
    harmonize,
    mask,
    models,
    training,
    watch,
)
from inpaintcli.console import ReaderGoneError, complain, open_missing_streams
from inpaintcli.errors import ExitCode, InpaintError
from inpaintcli.signals import Interrupted, InterruptHandler, handle_signals

app = typer.Typer(
    name="inpaintcli",
    help="Fill holes in photographs; everything outside the hole comes back untouched.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.add_typer(engine.app, name="engine")
app.add_typer(gimp.app, name="gimp")
app.command()(fill.fill)
app.command()(harmonize.harmonize)
app.command()(mask.mask)
app.command()(evaluate.evaluate)
app.command(cls=watch.OptionalSeconds)(watch.watch)
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
    try:
        app()
    except ReaderGoneError as error:
        return error.code  # and nothing is left to say
    except InpaintError as error:
        return _failed(error.message, error.hint, error.code)
    except Interrupted as signalled:
        if signalled.number == signal.SIGTERM and sys.argv[1:2] == ["watch"]:
            return ExitCode.OK  # a watch that ends while it starts
        complain("Interrupted; what is written is whole.")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence, and the only one
        return _unexpected(error)
    return ExitCode.OK


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
    return int(code)


def _interrupt(number: int) -> None:
    raise Interrupted(number)
