"""What is the same for all photos of a run; a photo read with its mask, and filled by it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from inpaintcli.batch.jobs import Job, LocalJob
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.masks import fit_mask, mask_from_alpha, max_lightness, read_mask
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.inpaint.attention import AttentionMap
from inpaintcli.inpaint.detail import Detail
from inpaintcli.inpaint.pipeline import Filled, Model, fill

EMPTY = "the mask is empty: nothing to do, the photo was copied"
DIM = "the mask's lightest value is {} of 255, the hole begins above {} (--mask-threshold): "
Notes = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FillSettings:
    """What is the same for all photos of a run. Lengths in pixels of the photo."""

    invert_mask: bool = False
    mask_threshold: int = 127
    grow: int = 0
    feather: int = 0
    resize_mask: bool = False
    detail: Detail = "auto"
    overwrite: bool = False

    def of_pixels(self) -> dict[str, Any]:
        """Those on which the pixels of an output depend, as JSON holds them."""
        return {name: value for name, value in asdict(self).items() if name != "overwrite"}


def read_pair(job: LocalJob, settings: FillSettings) -> tuple[Picture, Mask]:
    """The photo and its mask, of one size, True in the hole.

    Raises:
        UnreadableError: one of them cannot be read.
        MaskMismatchError: they do not fit each other.
    """
    picture = read_picture(job.photo)
    if job.mask is None:
        return picture, mask_from_alpha(
            picture,
            threshold=settings.mask_threshold,
            invert=settings.invert_mask,
            name=job.photo.name,
        )
    mask = read_mask(job.mask, threshold=settings.mask_threshold, invert=settings.invert_mask)
    return picture, fit_mask(
        mask,
        picture,
        resize=settings.resize_mask,
        mask_name=job.mask.name,
        picture_name=job.photo.name,
    )


def empty_note(job: LocalJob, settings: FillSettings) -> str:
    """What to say of a mask without a hole; some are drawn in values far from white.

    Raises:
        UnreadableError: the mask cannot be read any more.
    """
    if job.mask is None or settings.invert_mask:
        return EMPTY
    value = max_lightness(job.mask)
    if not value:
        return EMPTY
    return DIM.format(value, settings.mask_threshold) + EMPTY.partition(": ")[2]


def fill_picture(
    job: Job,
    picture: Picture,
    mask: Mask,
    model: Model,
    settings: FillSettings,
    notes: Notes,
    attention: AttentionMap | None = None,
) -> Filled:
    """`fill` with the settings of a run; holes that are the transparent pixels become opaque."""
    return fill(
        picture,
        mask,
        model,
        grow_by=settings.grow,
        feather=settings.feather,
        reveal=job.mask is None,
        detail=settings.detail,
        attention=attention,
        notes=notes,
    )
