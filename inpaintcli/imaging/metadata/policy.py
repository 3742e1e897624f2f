"""The one place where it is decided what of a photo's metadata goes into the filled file."""

from dataclasses import replace

from inpaintcli.imaging.metadata import exif, icc, photoshop, xmp
from inpaintcli.imaging.metadata.orientation import block_of, orientation
from inpaintcli.imaging.metadata.removals import Removals
from inpaintcli.imaging.picture import Origin
from inpaintcli.options import MetadataPolicy


def applied(origin: Origin, policy: MetadataPolicy, removals: Removals) -> Origin:
    """The origin with the metadata that may be written.

    Args:
        origin: of the photo as read.
        policy: keep: all, as it is. safe: nothing that may show the photo unfilled, or is no longer
            true. strip: nothing but the colour profile; the pixels are stored as displayed.
        removals: takes the names of what does not stay; under keep, of what would not.
    """
    if policy == "strip":
        return _stripped(origin, removals)
    for name in origin.copies:
        removals.preview(name)
    safe = _cleaned(origin, removals)
    return origin if policy == "keep" else safe


def _cleaned(origin: Origin, removals: Removals) -> Origin:
    encoding = origin.encoding.cleaned(removals)
    return replace(
        origin,
        icc=icc.cleaned(origin.icc, removals) if origin.icc else None,
        exif=cleaned_exif(origin.exif, removals),
        xmp=xmp.cleaned(origin.xmp, removals) if origin.xmp else None,
        photoshop=photoshop.cleaned(origin.photoshop, removals) if origin.photoshop else None,
        encoding=encoding,
    )


def cleaned_exif(block: bytes | None, removals: Removals) -> bytes | None:
    """As `exif.cleaned`; of a block that cannot be understood the orientation stays."""
    if not block:
        return None
    turned = orientation(block)
    found = exif.cleaned(block, removals)
    if orientation(found) != turned:
        return block_of(turned)
    return found


def _stripped(origin: Origin, removals: Removals) -> Origin:
    return replace(
        origin,
        orientation=1,
        icc=icc.cleaned(origin.icc, removals) if origin.icc else None,
        exif=None,
        xmp=None,
        photoshop=None,
        dpi=None,
        encoding=origin.encoding.stripped(),
    )
