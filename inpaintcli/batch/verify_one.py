"""The command `verify`, and the check of an output before it is written."""

from pathlib import Path, PurePath

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.errors import FaultError
from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.masks.finder import MaskFinder
from inpaintcli.masks.hole import hole_of
from inpaintcli.masks.source import MaskSource
from inpaintcli.options import FillOptions, MaskOptions, MetadataPolicy
from inpaintcli.storage.locations import local_path
from inpaintcli.verification.pixels import is_lossy
from inpaintcli.verification.report import Verification
from inpaintcli.verification.verify import File, verify_files


def verify_photo(
    before: Path,
    after: Path,
    source: MaskSource | None,
    *,
    options: MaskOptions,
    grow: int,
    metadata: MetadataPolicy,
) -> Verification:
    """What differs between a photo and what was made of it.

    Args:
        before: the photo.
        after: what was made of it.
        source: where the hole comes from; None where pixels may differ everywhere.
        options: how the mask is read.
        grow: pixels that the hole was widened by.
        metadata: what was asked for when it was filled.

    Raises:
        UnreadableError: a file cannot be read.
        MaskMismatchError: there is no mask, or it does not fit the photo.
    """
    first, second = File.read(before), File.read(after)
    hole = None if source is None else _hole(before, first.picture, source, options, grow)
    return verify_files(first, second, hole, metadata=metadata)


def check_output(
    job: LocalJob, photo: Picture, data: bytes, mask: Mask, options: FillOptions, lossless: bool
) -> bool | None:
    """Compare an output with its photo before it is written.

    How the file is made may differ, such as its compression; what it shows and says may not.

    Args:
        job: with the photo's file, and the name of the output.
        photo: the picture in that file.
        data: the output's bytes.
        mask: (h, w) bool, True in the hole.
        options: that it was filled with.
        lossless: whether a JPEG was coded anew only under the hole.

    Returns:
        True; None where the output's coding changes all pixels a little, and nothing else differs.

    Raises:
        FaultError: something differs that must not.
    """
    before = File(str(job.photo), job.photo.read_bytes(), photo)
    after = File.parse(data, str(job.output))
    hole = dilate(mask, options.grow)
    converted = photo.origin.format != after.picture.origin.format
    found = verify_files(before, after, hole, metadata=options.metadata, converted=converted)
    exact = lossless or not is_lossy(after.picture)
    ignored = ("structure",) if exact else ("structure", "pixels")
    faults = [one.in_words() for one in found.faults() if one.kind not in ignored]
    if faults:
        raise FaultError(
            f"{job.photo.name}: not only the hole would differ: {'; '.join(faults)}.",
            hint="Nothing was written. Please report it; without --verify it is written.",
        )
    return True if exact else None


def _hole(
    photo: Path, picture: Picture, source: MaskSource, options: MaskOptions, grow: int
) -> Mask:
    found = MaskFinder(source, [PurePath(photo.name)]).of(photo)
    file = None if found.file is None else local_path(found.file)
    return dilate(hole_of(picture, file, found.parts, options, photo.name), grow)
