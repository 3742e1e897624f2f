"""The command `harmonize`."""

from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import (
    DryRunOption,
    MaskOptions,
    MetadataOption,
    ModelChoice,
    OverwriteOption,
)


@with_options
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
    *,
    model: ModelChoice,
    options: MaskOptions,
    metadata: MetadataOption = "safe",
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    console: Console,
) -> None:
    """Make an object that was pasted into a photo fit it; all else comes back untouched.

    Needs a model that does it, see docs/papers/block-wise.md. Exit codes: as for fill.
    """
    from inpaintcli.batch.harmonize_one import harmonize_photo
    from inpaintcli.batch.requests import PhotoRequest

    request = PhotoRequest(
        console=console,
        model=model,
        options=options,
        overwrite=overwrite,
        dry_run=dry_run,
        metadata=metadata,
    )
    raise typer.Exit(harmonize_photo(request, photo, mask, output))
