"""Files of the VGG Image Annotator: projects and exports of VIA 2, projects of VIA 3.

VIA 2 has `regions` for each picture; VIA 3 has `metadata` with the shape's kind as the first number
(`_via_shape` of via-3: 1 point, 2 rectangle, 3 circle, 4 ellipse, 5 line, 6 polyline, 7 polygon,
8 rectangle through four points). Neither says how large the picture was.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from inpaintcli.errors import UnreadableError
from inpaintcli.masks.annotated import (
    AnnotatedShape,
    Ellipse,
    Line,
    ShapeError,
    circle,
    numbers,
    outlines,
    pack,
    point,
    rectangle,
)
from inpaintcli.masks.drawings import AnnotatedPicture, Drawing
from inpaintcli.masks.json_stream import open_json

KEYS_2 = ("_via_settings", "_via_img_metadata", "_via_attributes")
KEYS_3 = ("project", "config", "attribute", "file", "view", "metadata")
"""Members of such files, and of no other that is read."""


def read_2(
    path: Path, wants: Callable[[str], bool], labels: tuple[str, ...]
) -> Iterator[AnnotatedPicture]:
    """The photos of a project of VIA 2, or of its annotations as JSON, as `annotations.read`."""
    with open_json(path) as stream:
        for name in stream.members():
            if name == "_via_img_metadata":
                pictures: Iterable[Any] = (value for _, value in stream.entries())
            elif name.startswith("_via_"):
                continue
            else:
                pictures = [stream.value()]
            for picture in pictures:
                if not isinstance(picture, dict) or "regions" not in picture:
                    continue
                file_name = str(picture.get("filename", ""))
                if wants(file_name):
                    yield _picture(path, file_name, _regions(picture), labels)


def _regions(picture: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The shape and the attributes of each region; VIA 1 wrote an object in place of a list."""
    regions = picture["regions"]
    found = list(regions.values()) if isinstance(regions, dict) else regions
    if not isinstance(found, list):
        return [(None, None)]
    return [
        (one.get("shape_attributes"), one.get("region_attributes"))
        if isinstance(one, dict)
        else (None, None)
        for one in found
    ]


def read_3(
    path: Path, wants: Callable[[str], bool], labels: tuple[str, ...]
) -> Iterator[AnnotatedPicture]:
    """The photos of a project of VIA 3, as `annotations.read`."""
    members: dict[str, dict[str, Any]] = {}
    with open_json(path) as stream:
        for name in stream.members():
            if name in {"file", "view", "metadata"}:
                members[name] = dict(stream.entries())
    shapes: defaultdict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for entry in members.get("metadata", {}).values():
        if isinstance(entry, dict) and entry.get("xy"):  # without: it is on the whole picture
            shapes[str(entry.get("vid"))].append((entry["xy"], entry.get("av")))
    for view_id, view in members.get("view", {}).items():
        files = [str(one) for one in view.get("fid_list", [])] if isinstance(view, dict) else []
        entries = [members.get("file", {}).get(one) for one in files[:1]]
        for entry in entries:
            file_name = str(entry.get("fname", "")) if isinstance(entry, dict) else ""
            if wants(file_name):
                yield _picture(path, file_name, shapes[view_id], labels)


def _picture(
    path: Path, file_name: str, regions: Iterable[tuple[Any, Any]], labels: tuple[str, ...]
) -> AnnotatedPicture:
    shapes = []
    for number, (shape, attributes) in enumerate(regions, 1):
        if labels and not _has_label(attributes, labels):
            continue
        place = f"region {number} of {file_name} in {path.name}"
        try:
            shapes.append(_shape(place, shape))
        except ShapeError as error:
            reason = UnreadableError(f"R{place[1:]} is wrong: {error}.")
            return AnnotatedPicture(file_name, error=reason)
    return AnnotatedPicture(file_name, (Drawing(tuple(shapes), None, path.name),))


def _has_label(attributes: Any, labels: tuple[str, ...]) -> bool:
    """Whether an attribute of a region is a label; of a group of choices, a chosen one."""
    values = attributes.values() if isinstance(attributes, dict) else ()
    chosen = (
        [key for key, on in one.items() if on] if isinstance(one, dict) else [one] for one in values
    )
    return any(str(one) in labels for one in chain.from_iterable(chosen))


def _shape(place: str, shape: Any) -> AnnotatedShape:
    if isinstance(shape, dict):
        return _of_attributes(place, shape)
    if isinstance(shape, list):
        kind, *values = numbers(shape)
        return _of_numbers(place, int(kind), values)
    raise ShapeError("it has no shape")


def _of_attributes(place: str, shape: dict[str, Any]) -> AnnotatedShape:
    """A shape of VIA 2."""

    def named(*names: str) -> list[float]:
        return numbers([shape.get(name) for name in names])

    kind = shape.get("name")
    if kind == "rect":
        return rectangle(place, *named("x", "y", "width", "height"))
    if kind == "circle":
        return circle(place, *named("cx", "cy", "r"))
    if kind == "ellipse":
        x, y, first, second = named("cx", "cy", "rx", "ry")
        theta = numbers([shape.get("theta", 0)])[0]
        return Ellipse(place, (x, y), (abs(first), abs(second)), theta)
    if kind == "point":
        return point(place, *named("cx", "cy"))
    if kind not in {"polygon", "polyline"}:
        raise ShapeError(
            f"it is a {kind}; there are rect, circle, ellipse, polygon, polyline, point"
        )
    x_values, y_values = numbers(shape.get("all_points_x")), numbers(shape.get("all_points_y"))
    if len(x_values) != len(y_values):
        raise ShapeError("it has not as many x as y")
    values = list(chain.from_iterable(zip(x_values, y_values, strict=True)))
    return outlines(place, [values]) if kind == "polygon" else Line(place, pack(values))


def _of_numbers(place: str, kind: int, values: list[float]) -> AnnotatedShape:
    """A shape of VIA 3."""
    needed = {1: 2, 2: 4, 3: 3, 4: 4, 5: 4, 8: 8}.get(kind)
    if needed is not None and len(values) != needed:
        raise ShapeError(f"it has {len(values)} numbers, not {needed}")
    if kind == 8:
        left, right = min(values[::2]), max(values[::2])
        top, bottom = min(values[1::2]), max(values[1::2])
        return rectangle(place, left, top, right - left, bottom - top)
    if kind == 4:
        x, y, first, second = values
        return Ellipse(place, (x, y), (abs(first), abs(second)))
    if kind in (5, 6) and len(values) >= 4 and len(values) % 2 == 0:
        return Line(place, pack(values))
    if kind == 7:
        return outlines(place, [values])
    simple: dict[int, Callable[..., AnnotatedShape]] = {1: point, 2: rectangle, 3: circle}
    if kind not in simple:
        raise ShapeError(f"its kind {kind} is not known, or it has too few numbers")
    return simple[kind](place, *values)
