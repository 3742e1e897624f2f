"""The command `ui`."""

from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import ModelChoice


@with_options
def ui(
    photos: Annotated[
        Path | None,
        typer.Argument(
            metavar="[IMAGE|FOLDER]", help="What the page begins with; more can be dropped in."
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Masks to begin with, named as for fill.  [NAME.mask.EXT beside the photos]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Where results are saved.  [NAME.filled.EXT beside the photos]",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help="On 127.0.0.1; 0 is a free one.  [8971, or a free one]",
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address only.")
    ] = False,
    *,
    model: ModelChoice,
    console: Console,
) -> None:
    """Paint masks, fill, compare and save by hand, on a page in a browser on this machine.

    Prints its address and serves this machine only, until Ctrl-C. Edits are kept: a reload, a
    second tab and another start go on from them. Needs the extra `ui`.
    """
    from inpaintcli.ui.server import PageRequest, serve

    request = PageRequest(
        console=console,
        choice=model,
        photos=photos,
        masks=mask,
        output=output,
        port=port,
        browser=not no_browser,
    )
    raise typer.Exit(serve(request))
