"""The steps of every fill: open the model, read a photo and its mask, fill.

They take the options of a run, see inpaintcli/options.py.
"""

from collections.abc import Callable
from pathlib import Path

from inpaintcli_engines.base import Reporter

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.masks import THRESHOLD, max_lightness
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.inpaint import pipeline
from inpaintcli.inpaint.attention import AttentionMap
from inpaintcli.inpaint.pipeline import Filled, Model
from inpaintcli.masks.hole import hole_of
from inpaintcli.masks.source import NO_PARTS, MaskParts
from inpaintcli.options import FillOptions, MaskOptions, ModelChoice
from inpaintcli.storage.folders import ANNOTATED
from inpaintcli.texture.synthesis import Progress, ignore_progress

EMPTY_MASK = "the mask is empty: nothing to do, the photo was copied"
DIM_MASK = (
    "the mask's lightest value is {} of 255, the hole begins above {} (--mask-threshold): "
    "nothing to do, the photo was copied"
)
Notify = Callable[[str], None]
"""Takes sentences for the user."""


def open_chosen_model(
    choice: ModelChoice, *, threads: int | None = None, report: Reporter | None = None
) -> Model:
    """The model and engine that the options ask for, as `pipeline.open_model`."""
    return pipeline.open_model(
        choice.model,
        engine=choice.engine,
        device=choice.device,
        precision=choice.precision,
        threads=threads,
        report=report,
    )


def read_pair(
    photo: Path, mask: Path | None, options: MaskOptions, parts: MaskParts = NO_PARTS
) -> tuple[Picture, Mask]:
    """A photo and its mask, of one size, True in the hole.

    Args:
        photo: the file.
        mask: the mask file, or None.
        options: how the mask is read.
        parts: what else is hole.

    Raises:
        UnreadableError: one of them cannot be read.
        MaskMismatchError: they do not fit each other.
    """
    picture = read_picture(photo)
    return picture, hole_of(picture, mask, parts, options, photo.name)


def empty_mask_note(job: LocalJob, options: MaskOptions) -> str:
    """What to say of a mask without a hole; its lightest value where that is not black.

    Raises:
        UnreadableError: the mask can no longer be read.
    """
    is_picture = job.mask is not None and job.mask.suffix.lower() != ANNOTATED
    if job.mask is None or not is_picture or options.invert_mask:
        return EMPTY_MASK
    value = max_lightness(job.mask)
    threshold = THRESHOLD if options.mask_threshold is None else options.mask_threshold
    return DIM_MASK.format(value, threshold) if value else EMPTY_MASK


def fill_picture(
    picture: Picture,
    mask: Mask,
    model: Model,
    options: FillOptions,
    *,
    mask_is_alpha: bool,
    notify: Notify,
    attention: AttentionMap | None = None,
    progress: Progress = ignore_progress,
) -> Filled:
    """`pipeline.fill` with the options of a run; a hole made of transparent pixels becomes opaque.

    Raises:
        MaskMismatchError: the hole is the whole picture.
        EngineError: the engine failed.
    """
    return pipeline.fill(
        picture,
        mask,
        model,
        grow_by=options.grow,
        feather=options.feather,
        reveal=mask_is_alpha,
        detail=options.detail,
        structure=options.structure,
        seed=options.seed,
        attention=attention,
        notes=notify,
        progress=progress,
    )
