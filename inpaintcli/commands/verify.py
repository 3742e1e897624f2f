"""The command `verify`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode
from inpaintcli.options import GrowOption, MaskChoice, MaskOptions, MetadataOption


@with_options
def verify(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The photo.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="What was made of it.")],
    *,
    holes: MaskChoice,
    options: MaskOptions,
    grow: GrowOption = 0,
    metadata: MetadataOption = "safe",
    console: Console,
) -> None:
    """Say what differs between a photo and what was made of it.

    Pixels (of JPEG files coefficients), metadata by tag, colour profile, size, depth and the
    structure of the file. With the mask options of fill, pixels may differ in the hole alone; with
    none of them, everywhere.

    Exit codes: 0 only the hole differs, 1 something else does, 3 unreadable photo or mask, 4 mask
    and photo do not fit.
    """
    from inpaintcli.batch.verify_one import verify_photo
    from inpaintcli.masks.source import source_of

    with_mask = any(value is not None for value in asdict(holes).values())
    found = verify_photo(
        before,
        after,
        source_of(holes) if with_mask else None,
        options=options,
        grow=grow,
        metadata=metadata,
    )
    if console.json:
        console.record(found.to_json())
    elif not console.quiet:
        console.data(found.in_words())
    raise typer.Exit(ExitCode.OK if found.proven else ExitCode.SOME_FAILED)
