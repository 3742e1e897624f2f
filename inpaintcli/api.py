"""Filling from Python: arrays to an array, or files to a file. Prints nothing, never exits."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from inpaintcli.batch.fill_steps import fill_picture, open_chosen_model, read_pair
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.plan import plan_photo
from inpaintcli.batch.verify_one import verify_photo
from inpaintcli.imaging.arrays import array_of_picture, mask_of_array, picture_of_array
from inpaintcli.imaging.images import ignore_note, write_picture
from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.finder import MaskFinder
from inpaintcli.masks.hole import hole_of
from inpaintcli.masks.parse import BoxInput, PolygonInput, boxes_of, polygons_of
from inpaintcli.masks.source import MaskSource, mask_source
from inpaintcli.masks.views import mask_picture
from inpaintcli.options import (
    Detail,
    FillOptions,
    JpegMethod,
    MaskOptions,
    MetadataPolicy,
    ModelChoice,
    Structure,
)
from inpaintcli.storage.locations import local_path
from inpaintcli.verification.report import Verification

Source = str | os.PathLike[str]
_MIXED = "photo is a file and mask an array; both must be files, or both arrays"
Masks = Source | Sequence[Source]
"""A mask file, a folder of masks, "alpha", "color:#RRGGBB~N", a .json file; or several."""


class MaskKeywords(TypedDict, total=False):
    """The keyword arguments of `mask`, which `fill` has too; all parts of a hole add up.

    box: one or several, each a text "X,Y,W,H" or four numbers; a number is pixels of the photo as
    displayed, or a share such as "70%"; a negative X or Y counts from the right or the bottom.
    polygon: one or several, each a text "X,Y;X,Y;..." or its points. label: of the shapes of a
    .json file only those. The others are the options of the command line.
    """

    box: BoxInput | Sequence[BoxInput]
    polygon: PolygonInput | Sequence[PolygonInput]
    label: str | Sequence[str]
    grow: int
    invert_mask: bool
    mask_threshold: int
    resize_mask: bool


class FillKeywords(MaskKeywords, total=False):
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
    feather: int
    seed: int
    metadata: MetadataPolicy
    jpeg: JpegMethod
    verify: bool
    notes: Callable[[str], None]


@overload
def fill(
    photo: NDArray[Any],
    mask: NDArray[Any] | str | Sequence[str] | None = None,
    **keywords: Unpack[FillKeywords],
) -> NDArray[Any]: ...


@overload
def fill(
    photo: Source,
    mask: Masks | None = None,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[FillKeywords],
) -> Path: ...


def fill(
    photo: NDArray[Any] | Source,
    mask: NDArray[Any] | Masks | None = None,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[FillKeywords],
) -> NDArray[Any] | Path:
    """Fill the holes of one photo; every other pixel comes back as it was.

    Arrays: `photo` is uint8 or uint16, RGB, (h, w), (h, w, 1), (h, w, 3) or, with alpha,
    (h, w, 4); `mask` is (h, w), bool with True in the hole, or integers with the hole above
    `mask_threshold` of 255; "alpha" takes the transparent pixels, "color:#RRGGBB~N" those of a
    colour. The result is a new array of the shape and dtype of `photo`, which stays as it is.

    Files: as on the command line. Without `mask`, `box` and `polygon` it is the mask beside the
    photo, without `output` that is `NAME.filled.EXT` beside it. The result is the path that was
    written.

    Without an open model one is opened for the call (a few tenths of a second). For many photos
    open it once, `with inpaintcli.open_model() as model`, and pass it as `model`. Threads may
    share it: its network serves them in turn.

    Raises:
        UnreadableError: photo or mask cannot be read.
        MaskMismatchError: mask and photo do not fit, or the hole is the whole picture.
        UsageError: no hole is named; or a box, polygon or colour is wrong.
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
        raise TypeError(_MIXED)
    return _fill_file(Path(photo), mask, output, overwrite, keywords)


def mask(
    photo: NDArray[Any] | Source,
    mask: NDArray[Any] | Masks | None = None,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[MaskKeywords],
) -> Mask:
    """The hole that `fill` would fill, without filling it.

    Args:
        photo: as for `fill`.
        mask: as for `fill`.
        output: a PNG file to write it to as well, 255 in the hole and 0 elsewhere; or None.
        overwrite: whether an existing file is replaced.
        keywords: as for `fill`.

    Returns:
        Bool (h, w), of the photo as displayed, True in the hole.

    Raises:
        UnreadableError, MaskMismatchError, UsageError, OutputError, TypeError, ValueError: as for
            `fill`.
    """
    _check_names("mask", keywords, MaskKeywords)
    options = MaskOptions(**_fields_of(MaskOptions, keywords))
    if isinstance(photo, np.ndarray):
        hole, _ = _hole_of_array(mask, picture_of_array(photo), options, keywords)
    elif isinstance(mask, np.ndarray):
        raise TypeError(_MIXED)
    else:
        path = Path(photo)
        found = MaskFinder(_source(mask, keywords), [PurePath(path.name)]).of(path)
        file = None if found.file is None else local_path(found.file)
        _, hole = read_pair(path, file, options, found.parts)
    hole = dilate(hole, keywords.get("grow", 0))
    if output is not None:
        if Path(output).suffix.lower() != ".png":
            raise ValueError(f"output is {output}; a mask is written as .png")
        source = None if isinstance(photo, np.ndarray) else Path(photo)
        write_picture(mask_picture(hole), Path(output), source=source, overwrite=overwrite)
    return hole


def verify(
    before: Source,
    after: Source,
    mask: Masks | None = None,
    *,
    metadata: MetadataPolicy = "safe",
    **keywords: Unpack[MaskKeywords],
) -> Verification:
    """Say what differs between a photo and what was made of it.

    Args:
        before: the photo's file.
        after: the file that was made of it.
        mask: as for `fill`. Without it and without box and polygon, pixels may differ everywhere.
        metadata: what was asked for when it was filled.
        keywords: as for `fill`.

    Returns:
        All differences; `proven` is whether nothing but the hole differs, `in_words()` says what
        does, `to_json()` is the line of the command's `--json`.

    Raises:
        UnreadableError, MaskMismatchError, UsageError, TypeError, ValueError: as for `fill`.
    """
    _check_names("verify", keywords, MaskKeywords)
    has_mask = mask is not None or "box" in keywords or "polygon" in keywords
    return verify_photo(
        Path(before),
        Path(after),
        _source(mask, keywords) if has_mask else None,
        options=MaskOptions(**_fields_of(MaskOptions, keywords)),
        grow=keywords.get("grow", 0),
        metadata=metadata,
    )


def _fill_array(photo: NDArray[Any], mask: Any, keywords: FillKeywords) -> NDArray[Any]:
    options = _fill_options(keywords)
    picture = picture_of_array(photo)
    hole, source = _hole_of_array(mask, picture, options, keywords)
    if not hole.any():
        return photo.copy()
    with _open_model(keywords) as model:
        filled = fill_picture(
            picture,
            hole,
            model,
            options,
            mask_is_alpha=source.is_alpha,
            notify=keywords.get("notes", ignore_note),
        ).picture
    return array_of_picture(filled, photo)


def _hole_of_array(
    mask: Any, picture: Picture, options: MaskOptions, keywords: MaskKeywords
) -> tuple[Mask, MaskSource]:
    """The hole of a photo that is an array, and where it comes from besides an array.

    Raises:
        TypeError: the mask is of another kind, or there is none.
    """
    given = mask if isinstance(mask, np.ndarray) else None
    source = _source(None if given is not None else mask, keywords)
    if source.masks is not None or source.annotations:
        raise TypeError(f"the mask of an array is an array, 'alpha' or a colour, not {mask}")
    if given is None and not source.parts:
        raise TypeError("the photo has no mask: pass an array, 'alpha', a colour, box or polygon")
    array = None if given is None else mask_of_array(given, picture, options)
    return hole_of(picture, array, source.parts, options), source


def _source(mask: Masks | None, keywords: MaskKeywords) -> MaskSource:
    """Where the hole comes from, besides an array.

    Raises:
        TypeError: the mask is no path or text.
        UsageError: a box, polygon or colour is wrong.
    """
    paths = [] if mask is None else [mask] if isinstance(mask, str | os.PathLike) else list(mask)
    labels = keywords.get("label", ())
    return mask_source(
        [os.fspath(path) for path in paths],
        boxes=boxes_of(keywords.get("box")),
        polygons=polygons_of(keywords.get("polygon")),
        labels=[labels] if isinstance(labels, str) else labels,
    )


def _fill_file(
    photo: Path,
    mask: Masks | None,
    output: Source | None,
    overwrite: bool,
    keywords: FillKeywords,
) -> Path:
    options, notify = _fill_options(keywords), keywords.get("notes", ignore_note)
    target = None if output is None else Path(output)
    job = plan_photo(photo, _source(mask, keywords), target, overwrite=overwrite)
    with _open_model(keywords) as model:
        JobRunner.for_one(model, options, notify, overwrite=overwrite).run_or_raise(job)
    return local_path(job.output)


def _fill_options(keywords: FillKeywords) -> FillOptions:
    """The options on which pixels depend.

    Raises:
        TypeError: there is no keyword of such a name.
        ValueError: a value is not allowed.
    """
    _check_names("fill", keywords, FillKeywords)
    return FillOptions(**_fields_of(FillOptions, keywords))


def _check_names(function: str, keywords: Mapping[str, Any], known: Any) -> None:
    """Refuse keywords that a TypedDict does not have.

    Raises:
        TypeError: there is no keyword of such a name.
    """
    names = known.__optional_keys__
    for name in keywords:
        if name not in names:
            raise TypeError(
                f"{function}() has no option '{name}'; it has {', '.join(sorted(names))}"
            )


def _fields_of(group: type, keywords: Mapping[str, Any]) -> dict[str, Any]:
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
