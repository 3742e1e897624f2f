"""The command `harmonize`."""

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
def harmonize(
    photo: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE|FOLDER", help="A photo with an object pasted in, or a folder of them."
        ),
    ],
    mask: Annotated[
        str,
        typer.Option(
            "--mask",
            metavar="FILE|FOLDER",
            help="White is the pasted object; grey levels are its soft edges.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File or folder; - is standard output. [NAME.harmonized.EXT]"
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
    """Make an object that was pasted into a photo fit it; all else comes back untouched.

    Its colours and light change smoothly, so that no detail is lost. Exit codes: as for fill.
    """
    from inpaintcli.batch.harmonize_many import harmonize_folder
    from inpaintcli.batch.harmonize_one import HarmonizeRequest, harmonize_photo

    request = HarmonizeRequest(
        console=console,
        model=model,
        options=options,
        overwrite=overwrite,
        dry_run=dry_run,
        metadata=metadata,
        method=method,
        amount=share_of(amount),
    )
    run = harmonize_folder if photo.is_dir() else harmonize_photo
    raise typer.Exit(run(request, photo, mask, output))
