"""The command `mask`."""

from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import (
    DryRunOption,
    GrowOption,
    MaskChoice,
    MaskOptions,
    OverwriteOption,
)


@with_options
def mask(
    photo: Annotated[
        str,
        typer.Argument(metavar="IMAGE|FOLDER", help="A photo, or a folder of them; or a URL."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", help="File, folder or URL; - is standard output.  [NAME.mask.png]"
        ),
    ] = None,
    *,
    holes: MaskChoice,
    options: MaskOptions,
    grow: GrowOption = 0,
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay", help="Write the photo with the hole in colour, as NAME.overlay.png."
        ),
    ] = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only photos that match; may be given more than once."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="No photos that match; may be given more than once."),
    ] = None,
    console: Console,
) -> None:
    """Write the hole that fill would fill, white on black, and fill nothing.

    Takes what fill takes: masks, boxes, polygons, colours, annotations. Its own output, beside the
    photo, is the mask that fill takes next.

    Exit codes: those of fill.
    """
    from inpaintcli.batch.write_masks import MaskRequest, write_masks
    from inpaintcli.masks.source import source_of
    from inpaintcli.storage.folders import GlobFilter
    from inpaintcli.storage.locations import parse_location

    request = MaskRequest(
        console=console,
        options=options,
        grow=grow,
        overlay=overlay,
        overwrite=overwrite,
        dry_run=dry_run,
        selected=GlobFilter(tuple(include or ()), tuple(exclude or ())),
    )
    target = None if output is None else parse_location(output)
    code = write_masks(request, parse_location(photo), source_of(holes), target)
    raise typer.Exit(code)
