"""The command `guided`."""

from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import (
    AmountOption,
    DryRunOption,
    MaskOptions,
    MetadataOption,
    MethodOption,
    ModelChoice,
    OverwriteOption,
    share_of,
)


@with_options
def guided(
    photo: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photo to put an object in.")],
    guide: Annotated[
        Path, typer.Option(metavar="GUIDE", help="The photo that the object is taken from.")
    ],
    at: Annotated[
        str,
        typer.Option(
            metavar="X,Y",
            help="Upper left corner of the box's place in the photo; shares and negative numbers "
            "count as for --box of fill.",
        ),
    ],
    box: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Around the object, in the guide.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="W,H",
            help="Size of the box's place in the photo, pixels or shares.  [the box's own]",
        ),
    ] = None,
    guide_mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="White is the object in the guide, grey its soft edge; instead of searching for "
            "it in the box.",
        ),
    ] = None,
    segmenter: Annotated[
        str,
        typer.Option(
            metavar="grabcut|FILE.onnx", help="What finds the object in the box, as for remove."
        ),
    ] = "grabcut",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File or folder; - is standard output. [NAME.guided.EXT]"
        ),
    ] = None,
    *,
    method: MethodOption = "auto",
    amount: AmountOption = "100%",
    model: ModelChoice,
    options: MaskOptions,
    metadata: MetadataOption = "safe",
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    console: Console,
) -> None:
    """Put an object of another photo, the guide, into a photo, and make it fit.

    It is found in its box, cut out with a soft edge, resized, pasted, and its colours and light
    fitted to the photo. Exit codes: as for fill; 4 where no object is found, or its place is
    outside the photo.
    """
    from inpaintcli.batch.guided_one import NAMES, GuidedJob, GuidedRequest, put_into_photo
    from inpaintcli.objects.placement import Placement

    request = GuidedRequest(
        console=console,
        model=model,
        options=options,
        overwrite=overwrite,
        dry_run=dry_run,
        metadata=metadata,
        method=method,
        amount=share_of(amount),
        segmenter=segmenter,
    )
    beside = photo.with_name(f"{photo.stem}{NAMES.beside}{photo.suffix}")
    placement = Placement.parse(box, at, size)
    job = GuidedJob(photo, guide_mask, output or beside, guide=guide, placement=placement)
    raise typer.Exit(put_into_photo(request, job))
