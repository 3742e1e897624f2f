"""Filling from Python: arrays to an array, or files to a file. Prints nothing, never exits."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from inpaintcli.batch.fill_steps import fill_picture, open_chosen_model
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.mask_lookup import ALPHA
from inpaintcli.batch.plan import plan_photo
from inpaintcli.imaging.images import ignore_note
from inpaintcli.imaging.masks import fit_mask, mask_from_alpha, mask_from_picture
from inpaintcli.imaging.picture import Mask, Picture, Samples
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.options import (
    Detail,
    FillOptions,
    MaskOptions,
    MetadataPolicy,
    ModelChoice,
    Structure,
)
from inpaintcli.storage.locations import local_path

Source = str | os.PathLike[str]


class FillKeywords(TypedDict, total=False):
    """The keyword arguments of `fill`; defaults and limits are in inpaintcli/options.py.

    model: an open `Model`, or a card's name or path; None is the default model. engine, device,
    precision: how a model that is not open is opened. notes: takes sentences for the user. The
    others are the options of the command line.
    """

    model: Model | str | None
    engine: str
    device: str
    precision: str
    detail: Detail
    structure: Structure
    grow: int
    feather: int
    invert_mask: bool
    mask_threshold: int
    resize_mask: bool
    metadata: MetadataPolicy
    notes: Callable[[str], None]


@overload
def fill(
    photo: NDArray[Any], mask: NDArray[Any] | Literal["alpha"], **keywords: Unpack[FillKeywords]
) -> NDArray[Any]: ...


@overload
def fill(
    photo: Source,
    mask: Source | None = None,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[FillKeywords],
) -> Path: ...


def fill(
    photo: NDArray[Any] | Source,
    mask: NDArray[Any] | Source | None = None,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[FillKeywords],
) -> NDArray[Any] | Path:
    """Fill the holes of one photo; every other pixel comes back as it was.

    Arrays: `photo` is uint8 or uint16, RGB, (h, w), (h, w, 1), (h, w, 3) or, with alpha,
    (h, w, 4); `mask` is (h, w), bool with True in the hole, or integers with the hole above
    `mask_threshold` of 255; "alpha" takes the transparent pixels. The result is a new array of the
    shape and dtype of `photo`, which stays as it is.

    Files: as on the command line. Without `mask` it is the mask beside the photo, without `output`
    that is `NAME.filled.EXT` beside it. The result is the path that was written.

    Without an open model one is opened for the call (a few tenths of a second). For many photos
    open it once, `with inpaintcli.open_model() as model`, and pass it as `model`. Threads may
    share it: its network serves them in turn.

    Raises:
        UnreadableError: photo or mask cannot be read.
        MaskMismatchError: mask and photo do not fit, or the hole is the whole picture.
        OutputError: the output exists and `overwrite` is false, or it cannot be written.
        ModelError: the model is missing or damaged.
        EngineError: the engine is not available, or failed.
        TypeError, ValueError: an argument is of the wrong kind, or out of its limits.
    """
    if isinstance(photo, np.ndarray):
        if output is not None or overwrite:
            raise TypeError("output and overwrite are for files; the photo is an array")
        return _fill_array(photo, mask, keywords)
    if isinstance(mask, np.ndarray):
        raise TypeError("photo is a file and mask an array; both must be files, or both arrays")
    return _fill_file(Path(photo), mask, output, overwrite, keywords)


def _fill_array(photo: NDArray[Any], mask: Any, keywords: FillKeywords) -> NDArray[Any]:
    options = _fill_options(keywords)
    picture = _picture(_native(photo))
    hole = fit_mask(_hole(mask, picture, options), picture, resize=options.resize_mask)
    if not hole.any():
        return photo.copy()
    with _open_model(keywords) as model:
        filled = fill_picture(
            picture,
            hole,
            model,
            options,
            mask_is_alpha=isinstance(mask, str),
            notify=keywords.get("notes", ignore_note),
        ).picture
    planes = [filled.pixels] if filled.alpha is None else [filled.pixels, filled.alpha[..., None]]
    return np.concatenate(planes, axis=2).reshape(photo.shape).astype(photo.dtype, copy=False)


def _fill_file(
    photo: Path,
    mask: Source | None,
    output: Source | None,
    overwrite: bool,
    keywords: FillKeywords,
) -> Path:
    options, notify = _fill_options(keywords), keywords.get("notes", ignore_note)
    mask_text = None if mask is None else os.fspath(mask)
    target = None if output is None else Path(output)
    job = plan_photo(photo, mask_text, target, overwrite=overwrite)
    with _open_model(keywords) as model:
        JobRunner.for_one(model, options, notify, overwrite=overwrite).run_or_raise(job)
    return local_path(job.output)


def _fill_options(keywords: FillKeywords) -> FillOptions:
    """The options on which pixels depend.

    Raises:
        TypeError: there is no keyword of such a name.
        ValueError: a value is not allowed.
    """
    known = FillKeywords.__optional_keys__
    for name in keywords:
        if name not in known:
            raise TypeError(f"fill() has no option '{name}'; it has {', '.join(sorted(known))}")
    return FillOptions(**_fields_of(FillOptions, keywords))


def _fields_of(group: type, keywords: FillKeywords) -> dict[str, Any]:
    """Those keywords that are fields of a dataclass of options."""
    names = {field.name for field in fields(group)}
    return {name: value for name, value in keywords.items() if name in names}


@contextmanager
def _open_model(keywords: FillKeywords) -> Iterator[Model]:
    """The open model that was passed, or one that is open during this call."""
    model = keywords.get("model")
    if isinstance(model, Model):
        yield model
        return
    with open_chosen_model(ModelChoice(**_fields_of(ModelChoice, keywords))) as opened:
        yield opened


def _picture(photo: NDArray[Any]) -> Picture:
    """An array as a picture.

    Raises:
        ValueError: the shape or dtype is none of those that `fill` takes.
    """
    shaped = photo[..., None] if photo.ndim == 2 else photo
    if photo.dtype not in (np.uint8, np.uint16) or shaped.ndim != 3:
        raise ValueError(f"the photo is {photo.dtype} {photo.shape}, not uint8 or uint16 (h, w, c)")
    if not photo.size:
        raise ValueError(f"the photo is {photo.shape}; it has no pixels")
    if shaped.shape[2] not in (1, 3, 4):
        raise ValueError(f"the photo is {photo.shape}; it has 1, 3 or 4 channels, the last axis")
    samples = cast("Samples", shaped)
    if shaped.shape[2] == 4:
        return Picture(samples[..., :3], samples[..., 3])
    return Picture(samples)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """The array in this machine's byte order; readers of TIFF may give the file's."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _hole(mask: Any, picture: Picture, options: MaskOptions) -> Mask:
    """True in the hole.

    Raises:
        TypeError: the mask is no array, nor "alpha".
        ValueError: its shape or dtype is none of those that `fill` takes, or it is 0 and 1.
        MaskMismatchError: it is "alpha" and the photo has none.
    """
    threshold, invert = options.mask_threshold, options.invert_mask
    if isinstance(mask, str) and mask == ALPHA:
        return mask_from_alpha(picture, threshold=threshold, invert=invert, name="the photo")
    if not isinstance(mask, np.ndarray):
        raise TypeError(f"the mask of an array is an array or 'alpha', not {type(mask).__name__}")
    mask = _native(mask)
    if mask.ndim != 2:
        raise ValueError(f"the mask is {mask.shape}, not (h, w)")
    if mask.dtype == np.bool_:
        return np.asarray(mask ^ invert, np.bool_)
    if mask.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the mask is {mask.dtype}, not bool, uint8 or uint16")
    if mask.size and mask.max() == 1:
        raise ValueError("the mask holds 0 and 1 as numbers; pass mask.astype(bool)")
    return mask_from_picture(Picture(mask[..., None]), threshold=threshold, invert=invert)
