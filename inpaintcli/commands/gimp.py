"""The commands `gimp ...`."""

from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import EngineChoice

app = typer.Typer(help="The plug-in for GIMP 3, and the worker behind it.", no_args_is_help=True)

CheckOption = Annotated[
    bool, typer.Option("--check/--no-check", help="Start GIMP and ask whether it has the plug-in.")
]


@app.command("install")
@with_options
def install(check: CheckOption = True, *, console: Console) -> None:
    """Install or renew the plug-in in every GIMP 3 of this user.

    Afterwards, in GIMP: Filters > Enhance > Inpaint Selection...

    Exit codes: 0 done, 5 no GIMP 3 was found, or its folder cannot be written.
    """
    from inpaintcli.gimp import report

    raise typer.Exit(report.install_everywhere(console, check=check))


@app.command("uninstall")
@with_options
def uninstall(*, console: Console) -> None:
    """Remove what install wrote, and end the worker."""
    from inpaintcli.gimp import report

    raise typer.Exit(report.uninstall_everywhere(console))


@app.command("status")
@with_options
def status(check: CheckOption = True, *, console: Console) -> None:
    """Say where the plug-in is installed, whether GIMP has it, and whether a worker runs."""
    from inpaintcli.gimp import report

    raise typer.Exit(report.status_everywhere(console, check=check))


@app.command("worker")
@with_options
def worker(
    *,
    choice: EngineChoice,
    idle_minutes: Annotated[
        float, typer.Option("--idle-minutes", min=0.0, help="End after so long without a request.")
    ] = 15.0,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Where to say how it is reached.  [your own]"),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the one that is running.")] = False,
    console: Console,
) -> None:
    """Fill what GIMP's plug-in asks for, on 127.0.0.1, until nobody asks any more.

    The plug-in starts one by itself where it can. Only who can read the state file is served.
    """
    from inpaintcli.gimp.fill_service import FillService
    from inpaintcli.gimp.profiles import worker_state
    from inpaintcli.gimp.worker import WorkerSettings, run_worker, stop_worker

    path = state or worker_state()
    if stop:
        console.say("Ended." if stop_worker(path) else "No worker was running.")
        return
    service = FillService(engine=choice.engine, device=choice.device, precision=choice.precision)
    console.say(f"Serving GIMP; {path} says how it is reached.")
    if not run_worker(service, WorkerSettings(state=path, idle_s=60 * idle_minutes)):
        console.say("A worker is running already.")
