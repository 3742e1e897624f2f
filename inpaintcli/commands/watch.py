"""The command `watch`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import (
    DryRunOption,
    FillOptions,
    MaskChoice,
    ModelChoice,
    OverwriteOption,
    WorkersOption,
)

POLL_S = 2.0
"""Between two scans, where --poll has no number."""


class OptionalSeconds(TyperCommand):
    """A command whose `--poll` may be given without its number of seconds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add the number where it was left out."""
        words = []
        for word, following in zip(args, [*args[1:], ""], strict=True):
            bare = word == "--poll" and not following.replace(".", "", 1).isdigit()
            words.append(f"--poll={POLL_S}" if bare else word)
        return super().parse_args(ctx, words)


@with_options
def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where photos come in.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the fills; mirrors FOLDER.")
    ] = None,
    done: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Move inputs there once the output is verified."),
    ] = None,
    failed: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Move inputs that failed there, with NAME.error.txt."),
    ] = None,
    delete_inputs: Annotated[
        bool, typer.Option("--delete-inputs", help="Remove inputs once the output is verified.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Do what is there, then stop.")] = False,
    poll: Annotated[
        float | None,
        typer.Option(
            metavar="[SECONDS]",
            min=0.1,
            help=f"Scan at intervals, for network shares.  [{POLL_S:g}]",
        ),
    ] = None,
    mask_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Report a missing mask after that.")
    ] = 60.0,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON lines; may be rotated.")
    ] = None,
    status: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the watch is doing, as JSON.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="For Prometheus, on 127.0.0.1; 0 is a free one."
        ),
    ] = None,
    *,
    holes: MaskChoice,
    model: ModelChoice,
    options: FillOptions,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    console: Console,
) -> None:
    """Fill what comes into a folder, until stopped.

    SIGINT and SIGTERM let the photos in progress finish; exit codes 130 and 0. Photos that are in
    the folder already are filled first, except those that the journal lists as done.
    """
    from inpaintcli.batch.requests import FillRequest
    from inpaintcli.masks.source import source_of
    from inpaintcli.watch.watcher import WatchOptions, watch_folder

    request = FillRequest(
        console=console, model=model, options=options, overwrite=overwrite, dry_run=dry_run
    )
    watch_options = WatchOptions(
        mask_timeout_s=mask_timeout,
        poll_s=poll,
        once=once,
        done=done,
        failed=failed,
        delete_inputs=delete_inputs,
        log=log,
        status=status,
        metrics_port=metrics_port,
        workers=workers,
    )
    raise typer.Exit(watch_folder(request, watch_options, folder, source_of(holes), output))
