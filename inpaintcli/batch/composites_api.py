"""Pasted objects from Python: arrays to an array, or files to a file. Prints nothing."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from inpaintcli.batch.guided_one import (
    NAMES,
    GuidedJob,
    GuidedRequest,
    plan_guided,
    run_guided,
)
from inpaintcli.batch.harmonize_one import (
    HARMONIZED,
    HarmonizeRequest,
    foreground_source,
    local_job,
    run_harmonize,
)
from inpaintcli.batch.plan import plan_photo
from inpaintcli.console import Console
from inpaintcli.imaging.arrays import array_of_picture, picture_of_array
from inpaintcli.imaging.images import ignore_note
from inpaintcli.imaging.masks import fit_opacity, opacity_from_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.parse import BoxInput
from inpaintcli.objects.guided import put_in
from inpaintcli.objects.harmonize import harmonize as harmonize_picture
from inpaintcli.objects.placement import Placement
from inpaintcli.options import MaskOptions, MetadataPolicy, Method, ModelChoice

Source = str | os.PathLike[str]
_MIXED = "photo, guide and masks must all be files, or all arrays"


class CompositeKeywords(TypedDict, total=False):
    """The keyword arguments that `harmonize` and `guided` share.

    method: what chooses the object's new colours, "auto", "predicted", "model" or "reinhard".
    amount: how much of the change is made, 0 to 1. model: an open `Model` that harmonizes, or a
    card's name or path; for the methods "model" and "auto". engine, device, precision: how a model
    that is not open is opened. notes: takes sentences for the user. The others are the options of
    the command line.
    """

    method: Method
    amount: float
    model: Model | str | None
    engine: str
    device: str
    precision: str
    invert_mask: bool
    mask_threshold: int
    resize_mask: bool
    metadata: MetadataPolicy
    notes: Callable[[str], None]


@dataclass(frozen=True)
class _NotesConsole(Console):
    """Passes what a command would say to a function."""

    notes: Callable[[str], None] = ignore_note

    def say(self, text: str) -> None:
        self.notes(text)


@overload
def harmonize(
    photo: NDArray[Any], mask: NDArray[Any], **keywords: Unpack[CompositeKeywords]
) -> NDArray[Any]: ...


@overload
def harmonize(
    photo: Source,
    mask: Source,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[CompositeKeywords],
) -> Path: ...


def harmonize(
    photo: NDArray[Any] | Source,
    mask: NDArray[Any] | Source,
    output: Source | None = None,
    *,
    overwrite: bool = False,
    **keywords: Unpack[CompositeKeywords],
) -> NDArray[Any] | Path:
    """Make an object that was pasted into a photo fit it; every other pixel stays as it was.

    Args:
        photo: an array, uint8 or uint16, RGB, (h, w), (h, w, 1), (h, w, 3) or, with alpha,
            (h, w, 4); or a file.
        mask: the object's opacity: an array (h, w) of bool, floats from 0 to 1, uint8 or uint16; or
            a file, white on the object and grey on its soft edges.
        output: of a file; `NAME.harmonized.EXT` beside the photo if None.
        overwrite: whether an existing file is replaced.
        keywords: see `CompositeKeywords`.

    Returns:
        A new array of the shape and dtype of `photo`; or the path that was written.

    Raises:
        MaskMismatchError: mask and photo do not fit, or the object is the whole picture.
        UsageError: the method has no model, or the model does not harmonize.
        UnreadableError, OutputError, ModelError, EngineError, TypeError, ValueError: as for `fill`.
    """
    request = _request(HarmonizeRequest, "harmonize", keywords, overwrite)
    with ExitStack() as stack:
        if isinstance(photo, np.ndarray):
            _check_arrays(output, mask)
            picture = picture_of_array(photo)
            opacity = _opacity(mask, picture, request.options)
            model = _model(request, keywords, stack)
            made = harmonize_picture(
                picture, opacity, method=request.method, amount=request.amount, model=model
            )
            return array_of_picture(made.picture, photo)
        if isinstance(mask, np.ndarray):
            raise TypeError(_MIXED)
        source = foreground_source(os.fspath(mask))
        target = None if output is None else Path(output)
        planned = plan_photo(Path(photo), source, target, overwrite=overwrite, names=HARMONIZED)
        job = local_job(planned)
        run_harmonize(request, job, _model(request, keywords, stack))
        return job.output


@overload
def guided(
    photo: NDArray[Any],
    guide: NDArray[Any],
    *,
    at: BoxInput,
    box: BoxInput | None = None,
    size: BoxInput | None = None,
    guide_mask: NDArray[Any] | None = None,
    segmenter: str = "grabcut",
    **keywords: Unpack[CompositeKeywords],
) -> NDArray[Any]: ...


@overload
def guided(
    photo: Source,
    guide: Source,
    output: Source | None = None,
    *,
    at: BoxInput,
    box: BoxInput | None = None,
    size: BoxInput | None = None,
    guide_mask: Source | None = None,
    segmenter: str = "grabcut",
    overwrite: bool = False,
    **keywords: Unpack[CompositeKeywords],
) -> Path: ...


def guided(  # noqa: PLR0913 - an argument for each option of the command
    photo: NDArray[Any] | Source,
    guide: NDArray[Any] | Source,
    output: Source | None = None,
    *,
    at: BoxInput,
    box: BoxInput | None = None,
    size: BoxInput | None = None,
    guide_mask: NDArray[Any] | Source | None = None,
    segmenter: str = "grabcut",
    overwrite: bool = False,
    **keywords: Unpack[CompositeKeywords],
) -> NDArray[Any] | Path:
    """Put an object of another photo, the guide, into a photo, and make it fit.

    Args:
        photo: an array as for `harmonize`, or a file.
        guide: the same kind of thing, of any size and depth; files of any colour profile.
        output: of a file; `NAME.guided.EXT` beside the photo if None.
        at: the upper left corner of the box's place in the photo: a text "X,Y" or two numbers;
            pixels or shares, negative ones count from the right and bottom.
        box: around the object, in the guide: a text "X,Y,W,H" or four numbers. With a mask and
            without a box it is the mask's bounding box.
        size: width and height of the place in the photo; the box's own if None.
        guide_mask: the object's opacity in the guide, as `mask` of `harmonize`; None searches for
            the object in its box.
        segmenter: what finds it: "grabcut", or the path of an ONNX file.
        overwrite: whether an existing file is replaced.
        keywords: see `CompositeKeywords`; the mask options are for `guide_mask`.

    Returns:
        A new array of the shape and dtype of `photo`; or the path that was written.

    Raises:
        MaskMismatchError: no object was found; the box is outside the guide, or the place outside
            the photo.
        UsageError: nothing says where the object is; or a box, place or size is wrong.
        UnreadableError, OutputError, ModelError, EngineError, TypeError, ValueError: as for `fill`.
    """
    request = _request(GuidedRequest, "guided", keywords, overwrite)
    request = replace(request, segmenter=segmenter)
    placement = Placement.parse(box, at, size)
    with ExitStack() as stack:
        if isinstance(photo, np.ndarray):
            _check_arrays(output, guide)
            return _guided_array(request, photo, np.asarray(guide), placement, guide_mask, keywords)
        if isinstance(guide, np.ndarray) or isinstance(guide_mask, np.ndarray):
            raise TypeError(_MIXED)
        path = Path(photo)
        job = GuidedJob(
            path,
            None if guide_mask is None else Path(guide_mask),
            Path(output)
            if output is not None
            else path.with_name(f"{path.stem}{NAMES.beside}{path.suffix}"),
            guide=Path(guide),
            placement=placement,
        )
        job = plan_guided(job, overwrite=overwrite)
        run_guided(request, job, _model(request, keywords, stack))
        return job.output


def _guided_array(
    request: GuidedRequest,
    photo: NDArray[Any],
    guide: NDArray[Any],
    placement: Placement,
    guide_mask: Any,
    keywords: CompositeKeywords,
) -> NDArray[Any]:
    picture, source = picture_of_array(photo), picture_of_array(guide)
    if guide_mask is None:
        opacity = request.segmented(source, placement)
    else:
        opacity = _opacity(guide_mask, source, request.options)
    region = placement.region(opacity)
    with ExitStack() as stack:
        made = put_in(
            picture,
            source,
            opacity,
            region,
            placement.place(region, picture),
            method=request.method,
            amount=request.amount,
            model=_model(request, keywords, stack),
        )
    for note in made.notes:
        request.console.say(note)
    return array_of_picture(made.picture, photo)


def _opacity(mask: Any, picture: Picture, options: MaskOptions) -> NDArray[np.float32]:
    """An array as the opacity of an object.

    Raises:
        TypeError, ValueError: it is no array (h, w) of bool, floats, uint8 or uint16.
        MaskMismatchError: it does not fit the picture.
    """
    if not isinstance(mask, np.ndarray):
        raise TypeError(_MIXED)
    if mask.ndim != 2:
        raise ValueError(f"the mask is {mask.shape}, not (h, w)")
    if mask.dtype in (np.uint8, np.uint16):
        if mask.size and mask.max() == 1:
            raise ValueError("the mask holds 0 and 1 as numbers; pass mask.astype(bool)")
        opacity = opacity_from_picture(Picture(mask[..., None]))
    elif mask.dtype == np.bool_ or mask.dtype.kind == "f":
        opacity = mask.astype(np.float32)
    else:
        raise ValueError(f"the mask is {mask.dtype}, not bool, floats, uint8 or uint16")
    if not ((opacity >= 0) & (opacity <= 1)).all():
        raise ValueError("the mask holds numbers that are not between 0 and 1")
    if options.mask_threshold is not None:
        opacity = (opacity > options.mask_threshold / 255).astype(np.float32)
    opacity = 1 - opacity if options.invert_mask else opacity
    return fit_opacity(opacity, picture, resize=options.resize_mask)


def _request(kind: type[Any], name: str, keywords: CompositeKeywords, overwrite: bool) -> Any:
    """What is asked for.

    Raises:
        TypeError: there is no keyword of such a name.
        ValueError: a value is not allowed.
    """
    known = sorted(CompositeKeywords.__optional_keys__)
    for keyword in keywords:
        if keyword not in known:
            raise TypeError(f"{name}() has no option '{keyword}'; it has {', '.join(known)}")
    choice = _fields_of(ModelChoice, keywords)
    if isinstance(choice.get("model"), Model):
        del choice["model"]
    method = keywords.get("method", "auto")
    if method not in ("auto", "predicted", "model", "reinhard"):
        raise ValueError(
            f"there is no method '{method}'; there are auto, predicted, model, reinhard"
        )
    return kind(
        console=_NotesConsole(notes=keywords.get("notes", ignore_note)),
        model=ModelChoice(**choice),
        options=MaskOptions(**_fields_of(MaskOptions, keywords)),
        metadata=keywords.get("metadata", "safe"),
        method=method,
        amount=keywords.get("amount", 1.0),
        overwrite=overwrite,
    )


def _model(
    request: HarmonizeRequest, keywords: CompositeKeywords, stack: ExitStack
) -> Model | None:
    """The open model that was passed, or one that is open during this call, or none."""
    model = keywords.get("model")
    return model if isinstance(model, Model) else request.open_harmonizer(stack)


def _check_arrays(output: object, other: object) -> None:
    if output is not None:
        raise TypeError("output is for files; the photo is an array")
    if not isinstance(other, np.ndarray):
        raise TypeError(_MIXED)


def _fields_of(group: type, keywords: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(group)}
    return {name: value for name, value in keywords.items() if name in names}
