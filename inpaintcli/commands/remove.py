"""The command `remove`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import OutputOption, with_options
from inpaintcli.console import Console
from inpaintcli.errors import UsageError
from inpaintcli.options import (
    DryRunOption,
    FillOptions,
    HoleOptions,
    ModelChoice,
    Option,
    OverwriteOption,
    Shadow,
)


@with_options
def remove(
    photo: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|LIST",
            help="A photo, or a list of them: .csv or .jsonl with the columns photo, box, point, "
            "polygon, output.",
        ),
    ],
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,W,H",
            help="Around an object; shares (70%) and negative numbers count as for fill. "
            "May be repeated.",
        ),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y", help="On an object. May be repeated."),
    ] = None,
    polygon: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y;X,Y;...", help="A loose outline around an object. May be repeated."
        ),
    ] = None,
    segmenter: Annotated[
        str,
        typer.Option(
            metavar="grabcut|FILE.onnx",
            help="What finds the object: MobileSAM (its encoder, or ENCODER.onnx,DECODER.onnx), "
            "EfficientSAM, u2net and ISNet are recognised.",
        ),
    ] = "grabcut",
    shadow: Annotated[
        Shadow,
        Option(help="auto also removes the shadow that an object casts, where one is found."),
    ] = "auto",
    mask_out: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Write what was filled, as a mask.")
    ] = None,
    output: OutputOption = None,
    *,
    model: ModelChoice,
    options: HoleOptions,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    console: Console,
) -> None:
    """Find an object from a box, a point or an outline, and remove it.

    Exit codes: as for fill; 4 where no object is found.
    """
    from inpaintcli.batch.remove_list import is_removal_list, remove_from_list
    from inpaintcli.batch.remove_one import RemoveRequest, remove_from_photo
    from inpaintcli.objects.segment.targets import Targets

    request = RemoveRequest(
        console=console,
        model=model,
        options=FillOptions(**asdict(options)),
        overwrite=overwrite,
        dry_run=dry_run,
        segmenter=segmenter,
        shadow=shadow,
    )
    targets = Targets.parse(box or (), point or (), polygon or ())
    source, target = Path(photo), None if output is None else Path(output)
    if is_removal_list(source):
        if mask_out is not None:
            raise UsageError("--mask-out is for one photo.", hint="Remove from photos one by one.")
        raise typer.Exit(remove_from_list(request, source, targets, target))
    raise typer.Exit(remove_from_photo(request, source, targets, mask_out, target))
