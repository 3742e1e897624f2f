"""The command `harmonize`."""

from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import (
    DeviceOption,
    DryRunOption,
    EngineName,
    EngineOption,
    InvertOption,
    JsonOption,
    ModelOption,
    OverwriteOption,
    PrecisionName,
    PrecisionOption,
    QuietOption,
    ResizeOption,
    ThresholdOption,
    VerboseOption,
)
from inpaintcli.console import Console


def harmonize(
    photo: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="A photo with an object pasted in.")
    ],
    mask: Annotated[
        str, typer.Option("--mask", metavar="FILE|FOLDER", help="White is the pasted object.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File or folder; - is standard output. [NAME.harmonized.EXT]"
        ),
    ] = None,
    model: ModelOption = None,
    engine: EngineOption = EngineName.auto,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.auto,
    invert_mask: InvertOption = False,
    mask_threshold: ThresholdOption = 127,
    resize_mask: ResizeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make an object that was pasted into a photo fit it; all else comes back untouched.

    Needs a model that does it, see docs/papers/block-wise.md. Exit codes: as for fill.
    """
    from inpaintcli.batch.fill_one import FillRequest
    from inpaintcli.batch.fill_settings import FillSettings
    from inpaintcli.batch.harmonize_one import harmonize_photo

    settings = FillSettings(
        invert_mask=invert_mask,
        mask_threshold=mask_threshold,
        resize_mask=resize_mask,
        overwrite=overwrite,
    )
    run = FillRequest(
        settings=settings,
        console=Console(json=json, quiet=quiet, verbose=verbose),
        model=model,
        engine=engine.value,
        device=device,
        precision=precision.value,
        dry_run=dry_run,
    )
    raise typer.Exit(harmonize_photo(run, photo, mask, output))
