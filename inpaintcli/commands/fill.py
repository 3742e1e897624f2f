"""The command `fill`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from inpaintcli.commands.options import OutputOption, with_options
from inpaintcli.console import Console
from inpaintcli.errors import UsageError
from inpaintcli.options import (
    DryRunOption,
    FillOptions,
    MaskChoice,
    ModelChoice,
    OverwriteOption,
    WorkersOption,
)


@with_options
def fill(
    photo: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|FOLDER|LIST",
            help="A photo, a folder of them, or a list of pairs: .csv or .jsonl with the columns "
            "photo, mask, output. Each may be a URL (s3://, gs://, ...). - is standard input.",
        ),
    ],
    output: OutputOption = None,
    *,
    holes: MaskChoice,
    model: ModelChoice,
    options: FillOptions,
    format: Annotated[  # noqa: A002 - the name of the option
        str | None,
        typer.Option(
            metavar="SUFFIX", help="With -o -: png, jpg, tif, webp or bmp.  [the photo's own]"
        ),
    ] = None,
    attention_map: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Write where a model with attention looked, each hole pixel in colour.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only photos that match; may be given more than once."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="No photos that match; may be given more than once."),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Also try unreadable and unfitting photos again, unchanged."
        ),
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Begin no other photo once one has failed.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="A contact sheet of many photos, before and after."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="For the journal, where the outputs are in a store.  [your own]"
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Many photos on a Ray cluster: its address, auto for the one that this machine "
            "is in, local for one on this machine alone.",
        ),
    ] = None,
    console: Console,
) -> None:
    """Fill the holes of one photo, or of all photos in a folder or a list.

    Many photos: a journal in the output folder lets a second run do only what is missing or
    changed.

    Exit codes: 0 done, 1 some photos failed, 2 wrong command line, 3 unreadable photo or mask,
    4 mask and photo do not fit, 5 output exists or cannot be written, 6 model missing or damaged,
    7 engine or device not available, 8 engine failed, 70 fault of the program, 130 interrupted.
    """
    from inpaintcli.batch import fill_many, fill_one, standard_input
    from inpaintcli.batch.requests import FillRequest
    from inpaintcli.cluster.schedule import on_ray
    from inpaintcli.masks.source import source_of
    from inpaintcli.storage.locations import parse_location

    request = FillRequest(
        console=console,
        model=model,
        options=options,
        overwrite=overwrite,
        dry_run=dry_run,
        attention_map=attention_map,
        stdout_suffix=_suffix_of(format, output),
    )
    if photo in standard_input.NAMES and output is None:
        raise UsageError("A photo from standard input needs an output.", hint="Pass -o.")
    with standard_input.piped(photo, holes.mask) as (named, masks):
        console = standard_input.console_for(console, named, *masks)
        request = replace(request, console=console)
        mask = source_of(replace(holes, mask=masks))
        source, target = parse_location(named), None if output is None else parse_location(output)
        if fill_many.is_many(source):
            batch_options = fill_many.BatchOptions(
                source=source,
                mask=mask,
                output=target,
                include=tuple(include or ()),
                exclude=tuple(exclude or ()),
                retry_failed=retry_failed,
                fail_fast=fail_fast,
                report=report,
                workers=workers,
                scheduler=None if ray is None else on_ray(ray),
                journal=journal,
            )
            raise typer.Exit(fill_many.fill_many(request, batch_options))
        if not isinstance(source, Path) or source.exists():
            _refuse_for_one(
                include=include,
                exclude=exclude,
                report=report,
                journal=journal,
                ray=ray,
                retry_failed=retry_failed,
                fail_fast=fail_fast,
                workers=workers if workers != 1 else None,  # one photo is one at a time
            )
        raise typer.Exit(fill_one.fill_photo(request, source, mask, target))


def _refuse_for_one(**options: object) -> None:
    """Refuse options of many photos, which would have no effect on one.

    Raises:
        UsageError: one of the options was given.
    """
    for name, value in options.items():
        if value:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is for many photos.", hint="Name a folder or a list.")


def _suffix_of(name: str | None, output: str | None) -> str:
    """The suffix of a format that was named; empty where none was.

    Raises:
        UsageError: there is no such format, or the output is a file, which has a suffix of its own.
    """
    from inpaintcli.imaging.images import SUFFIXES

    if name is None:
        return ""
    if output != "-":
        raise UsageError("--format is for -o -.", hint="Name the output with the suffix you want.")
    suffix = f".{name.lower().removeprefix('.')}"
    if suffix not in SUFFIXES:
        raise UsageError(
            f"There is no format '{name}'.", hint="There are png, jpg, tif, webp, bmp."
        )
    return suffix
