"""An object of another layer, the guide, and the place in this image where it goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import gi

gi.require_version("Gimp", "3.0")
from answers import FailureError
from buffers import format_name, read_strips
from checks import Options, check_layer
from gi.repository import Gimp
from layers import Task, extents, selection_box, task_with, with_filters
from picture_request import SAMPLE_BYTES, FillRequest, Guide
from selected import bounds, common, cut, hole_of, part_shown


@dataclass(frozen=True)
class GuidedOptions(Options):
    """What the dialog asks. method, amount: how the object is fitted, the amount in percent."""

    guide: "Gimp.Drawable | None" = None
    method: str = "auto"
    amount: int = 100


@dataclass
class GuideShown:
    """A guide: the layer whose pixels are shown, and what of it.

    area: x, y, width, height of what is shown, box: around the object; both in the guide's image.
    origin: of `source`'s buffer there.
    """

    source: Gimp.Drawable
    origin: "tuple[int, int]"
    area: "tuple[int, int, int, int]"
    box: "tuple[int, int, int, int]"
    channels: int
    temporary: list = field(default_factory=list)

    def strips(self, task: Task) -> "Iterator[bytes]":
        """The pixels, in the colours of the other layer where both are RGB or both grey."""
        alike = (self.channels < 3) == (task.channels < 3)
        format_ = format_name(task.source if alike else self.source, self.channels, task.samples)
        size = self.channels * SAMPLE_BYTES[task.samples]
        return read_strips(self.source, self.origin, self.area, format_, size)

    def close(self) -> None:
        """Remove what was made to be read."""
        while self.temporary:
            self.temporary.pop().delete()


def place_of(image: Gimp.Image, layer: Gimp.Layer, options: Options) -> Task:
    """The box of the selection, as a task.

    Raises:
        FailureError: nothing can go there, and why.
    """
    check_layer(layer, options)
    shown, limit = extents(image, layer, options)
    place = selection_box(image)
    if min(common(place, limit)[2:]) <= 0:
        raise FailureError(
            f"The selection lies outside of the layer “{layer.get_name()}”. Choose the layer that "
            "it lies on, or let the program look at what is seen and make a new layer."
        )
    box = common(place, shown)
    return task_with(image, layer, options, box, b"\xff" * (box[2] * box[3]))


def guide_of(layer: Gimp.Layer, guide: "Gimp.Drawable | None") -> GuideShown:
    """The guide, its object in the box of its own image's selection.

    Raises:
        FailureError: none is chosen, or it has no object selected.
    """
    if guide is None or not guide.is_valid():
        raise FailureError("Choose the guide: the layer, or other image, that the object is in.")
    if guide.get_id() == layer.get_id():
        raise FailureError("The guide is the layer itself. Choose another layer, or image.")
    image = guide.get_image()
    if Gimp.Selection.is_empty(image):
        raise FailureError(
            f"In the guide “{image.get_name()}” nothing is selected. Draw a box around the object "
            "there, and try again."
        )
    _, x, y = guide.get_offsets()
    whole = (x, y, guide.get_width(), guide.get_height())
    box = common(selection_box(image), whole)
    if min(box[2:]) <= 0:
        raise FailureError(
            f"The selection of “{image.get_name()}” lies outside of the guide "
            f"“{guide.get_name()}”. Select the object on it, or choose its own layer."
        )
    source, temporary = with_filters(guide)
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    channels = (1 if grey else 3) + bool(guide.has_alpha())
    return GuideShown(source, (x, y), part_shown(whole, box), box, channels, temporary)


def possible_guides(layer: Gimp.Layer) -> "list[Gimp.Layer]":
    """All other layers of all open images, those with an object selected in another image first."""
    own = layer.get_image().get_id()
    images = sorted(
        Gimp.get_images(), key=lambda one: (one.get_id() == own, Gimp.Selection.is_empty(one))
    )
    found = []
    for image in images:
        ahead = list(image.get_selected_layers())
        for one in _layers_of(image.get_layers()):
            if all(one.get_id() != known.get_id() for known in ahead):
                ahead.append(one)
        found += [one for one in ahead if one.get_id() != layer.get_id()]
    return found


def _layers_of(layers: "list[Gimp.Layer]") -> "Iterator[Gimp.Layer]":
    for layer in layers:
        if layer.is_group():
            yield from _layers_of(layer.get_children())
        else:
            yield layer


def guide_name(guide: Gimp.Layer) -> str:
    """A guide as the dialog lists it; the image as the title of its window names it."""
    image = guide.get_image()
    missing = "  (nothing is selected)" if Gimp.Selection.is_empty(image) else ""
    return f"{guide.get_name()}, {image.get_name()}-{image.get_id()}{missing}"


def guided_request(
    task: Task, guide: GuideShown, options: GuidedOptions, process: int
) -> FillRequest:
    """As the worker is asked.

    Raises:
        FailureError: it is too much for one request, or names no model.
    """
    place, area = selection_box(task.image), task.area
    asked = Guide(
        width=guide.area[2],
        height=guide.area[3],
        channels=guide.channels,
        box=_moved(guide.box, guide.area),
        place=_moved(place, area),
    )
    return task.request(
        process,
        request="guided",
        reveal=False,
        guide=asked,
        method=options.method,
        amount=options.amount,
    )


def _moved(
    box: "tuple[int, int, int, int]", area: "tuple[int, int, int, int]"
) -> "tuple[int, int, int, int]":
    return box[0] - area[0], box[1] - area[1], box[2], box[3]


def take_answer(task: Task, request: FillRequest, data: bytes) -> bytes:
    """The samples of an answer; what changes, and where, becomes the task's.

    Raises:
        FailureError: nothing of the object lies where it may change.
    """
    count, size = request.hole_bytes, request.pixel_bytes
    opacity, samples = data[:count], data[count:]
    box, width = task.box, task.box[2]
    left, top, columns, rows = common(box, task.limit)
    part = (left - box[0], top - box[1], columns, rows)
    weights = cut(opacity, width, part)
    inside = bounds(weights, columns)
    if inside is None:
        raise FailureError("Nothing of the object lies in the layer. Select its place elsewhere.")
    part = (part[0] + inside[0], part[1] + inside[1], inside[2], inside[3])
    task.weights = cut(opacity, width, part)
    task.box = (box[0] + part[0], box[1] + part[1], part[2], part[3])
    task.of_object = True
    if task.is_in_place:
        task.weights = hole_of(task.weights)
    return cut(samples, width * size, (part[0] * size, part[1], part[2] * size, part[3]))
