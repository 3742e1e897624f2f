"""Objects removed from Python: an array to an array, or a file to a file. Prints nothing."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from inpaintcli.batch.fill_steps import open_chosen_model
from inpaintcli.batch.remove_one import RemovalJob, Remover, beside, plan_removal
from inpaintcli.imaging.arrays import array_of_picture, picture_of_array
from inpaintcli.imaging.images import ignore_note
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.parse import BoxInput, PolygonInput, boxes_of, polygons_of
from inpaintcli.objects.segment.select import DEFAULT, open_segmenter
from inpaintcli.objects.segment.targets import Targets
from inpaintcli.options import (
    Detail,
    FillOptions,
    HoleOptions,
    JpegMethod,
    MetadataPolicy,
    ModelChoice,
    Shadow,
    Structure,
)

Source = str | os.PathLike[str]
BoxesInput = BoxInput | Sequence[BoxInput]
PolygonsInput = PolygonInput | Sequence[PolygonInput]


class RemoveKeywords(TypedDict, total=False):
    """The keyword arguments of `remove`; defaults and limits are in inpaintcli/options.py.

    segmenter: "grabcut", the path of an ONNX file, or "ENCODER.onnx,DECODER.onnx". shadow: "auto"
    also removes a cast shadow where one is found. model: an open `Model`, or a card's name or path;
    None is the default model. engine, device, precision: how a model that is not open is opened.
    notes: takes sentences for the user. The others are the options of the command line.
    """

    segmenter: str
    shadow: Shadow
    model: Model | str | None
    engine: str
    device: str
    precision: str
    detail: Detail
    structure: Structure
    grow: int
    feather: int
    seed: int
    metadata: MetadataPolicy
    jpeg: JpegMethod
    notes: Callable[[str], None]


@overload
def remove(
    photo: NDArray[Any],
    *,
    box: BoxesInput | None = None,
    point: BoxesInput | None = None,
    polygon: PolygonsInput | None = None,
    **keywords: Unpack[RemoveKeywords],
) -> NDArray[Any]: ...


@overload
def remove(
    photo: Source,
    output: Source | None = None,
    *,
    box: BoxesInput | None = None,
    point: BoxesInput | None = None,
    polygon: PolygonsInput | None = None,
    mask_out: Source | None = None,
    overwrite: bool = False,
    **keywords: Unpack[RemoveKeywords],
) -> Path: ...


def remove(
    photo: NDArray[Any] | Source,
    output: Source | None = None,
    *,
    box: BoxesInput | None = None,
    point: BoxesInput | None = None,
    polygon: PolygonsInput | None = None,
    mask_out: Source | None = None,
    overwrite: bool = False,
    **keywords: Unpack[RemoveKeywords],
) -> NDArray[Any] | Path:
    """Find objects from boxes, points or outlines, and fill what they covered.

    Args:
        photo: an array, uint8 or uint16, RGB, (h, w), (h, w, 1), (h, w, 3) or, with alpha,
            (h, w, 4); or a file.
        output: of a file, as on the command line; `NAME.filled.EXT` beside the photo if None.
        box: around an object, one or several: a text "X,Y,W,H" or four numbers; pixels of the photo
            as displayed, or shares such as "70%"; negative ones count from the right and bottom.
        point: on an object, one or several: a text "X,Y" or two numbers.
        polygon: a loose outline, one or several: a text "X,Y;X,Y;..." or its points.
        mask_out: of a file: where to write what was filled, as a mask.
        overwrite: whether existing files are replaced.
        keywords: see `RemoveKeywords`.

    Returns:
        A new array of the shape and dtype of `photo`; or the path that was written.

    Raises:
        MaskMismatchError: an object was not found, or lies outside the photo.
        UsageError: no object is named; or a box, point, polygon or segmenter is wrong.
        UnreadableError, OutputError, ModelError, EngineError, TypeError, ValueError: as for `fill`.
    """
    _check_names(keywords)
    targets = Targets.parse(boxes_of(box), boxes_of(point), polygons_of(polygon))
    if not isinstance(photo, np.ndarray):
        target = beside(Path(photo)) if output is None else Path(output)
        mask = None if mask_out is None else Path(mask_out)
        planned = RemovalJob(Path(photo), mask, target, targets=targets)
        job = plan_removal(planned, overwrite=overwrite)
        with _remover(keywords, overwrite=overwrite) as remover:
            remover.run(job)
        return job.output
    if output is not None or mask_out is not None or overwrite:
        raise TypeError("output, mask_out and overwrite are for files; the photo is an array")
    picture = picture_of_array(photo)
    targets.check_any()
    with _remover(keywords) as remover:
        _, filled = remover.removed(picture, targets, remover.notify)
    return array_of_picture(filled.picture, photo)


@contextmanager
def _remover(keywords: RemoveKeywords, *, overwrite: bool = False) -> Iterator[Remover]:
    """What removes objects, with an open segmenter, and the model that was passed or a new one.

    Raises:
        UsageError, ModelError, EngineError: segmenter or model cannot be opened.
        ValueError: a value is out of its limits.
    """
    options = FillOptions(**_fields_of(HoleOptions, keywords))
    choice, model = keywords.get("segmenter", DEFAULT), keywords.get("model")
    how = {name: keywords.get(name, "auto") for name in ("engine", "device")}
    with open_segmenter(choice, engine=str(how["engine"]), device=str(how["device"])) as segmenter:

        def remover(opened: Model) -> Remover:
            return Remover(
                model=opened,
                segmenter=segmenter,
                options=options,
                shadow=keywords.get("shadow", "auto"),
                notify=keywords.get("notes", ignore_note),
                overwrite=overwrite,
            )

        if isinstance(model, Model):
            yield remover(model)
            return
        with open_chosen_model(ModelChoice(**_fields_of(ModelChoice, keywords))) as opened:
            yield remover(opened)


def _check_names(keywords: Mapping[str, Any]) -> None:
    """Refuse keywords that `remove` does not have.

    Raises:
        TypeError: there is no keyword of such a name.
    """
    known = sorted(RemoveKeywords.__optional_keys__)
    for name in keywords:
        if name not in known:
            raise TypeError(f"remove() has no option '{name}'; it has {', '.join(known)}")
    if keywords.get("shadow", "auto") not in ("auto", "off"):
        raise ValueError(f"there is no shadow '{keywords['shadow']}'; there are auto, off")


def _fields_of(group: type, keywords: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(group)}
    return {name: value for name, value in keywords.items() if name in names}
