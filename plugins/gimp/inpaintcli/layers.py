"""What is filled in an image: the part that is shown to the worker, and the selection in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import gi

gi.require_version("Gimp", "3.0")
from answers import FailureError, Found
from buffers import format_name, read, read_strips, samples_of
from checks import IN_PLACE, NEW_LAYER, SEEN, Options, check_layer
from gi.repository import Gimp
from picture_request import SAMPLE_BYTES, FillRequest, RequestError
from selected import bounds, common, cut, grown, hole_of, padded, part_shown


@dataclass
class Task:
    """One fill: what is shown to the worker, and where its answer goes.

    area: x, y, width, height of what is shown, in the image. limit: of what may change. box: of
    what changes. weights: a byte a pixel of the box. of_object: they are not the selection but an
    object in it. origin: of `source`'s buffer in the image. samples: u8, u16
    or f32; channels: of what is shown.
    """

    image: Gimp.Image
    layer: Gimp.Layer
    options: Options
    source: Gimp.Layer
    origin: "tuple[int, int]"
    area: "tuple[int, int, int, int]"
    limit: "tuple[int, int, int, int]"
    box: "tuple[int, int, int, int]"
    weights: bytes
    samples: str
    channels: int
    of_object: bool = False
    temporary: list = field(default_factory=list)

    @property
    def is_in_place(self) -> bool:
        """Whether the layer itself is changed."""
        return self.options.result == IN_PLACE

    def request(self, process: int, **more: object) -> FillRequest:
        """As the worker is asked to fill, or with other and further fields.

        Raises:
            FailureError: it is too much for one request, or names no model.
        """
        left, top = self.box[0] - self.area[0], self.box[1] - self.area[1]
        options, layer = self.options, self.layer
        fields = {
            "width": self.area[2],
            "height": self.area[3],
            "channels": self.channels,
            "samples": self.samples,
            "box": (left, top, self.box[2], self.box[3]),
            "model": options.model.strip(),
            "detail": options.detail,
            "reveal": self.is_in_place and layer.has_alpha() and not layer.get_lock_alpha(),
            "process": process,
        }
        try:
            return FillRequest(**{**fields, **more})
        except RequestError as error:
            hint = " Fill smaller selections, or scale the image." if "bytes" in str(error) else ""
            raise FailureError(f"This cannot be asked for: {error}.{hint}") from error

    def payload(self) -> "Iterator[bytes]":
        """The pixels of the area, strip by strip, then the hole."""
        format_ = format_name(self.source, self.channels, self.samples)
        size = self.channels * SAMPLE_BYTES[self.samples]
        yield from read_strips(self.source, self.origin, self.area, format_, size)
        yield hole_of(self.weights)

    def take_object(self, found: Found) -> None:
        """Let what was found change instead of the selection, grown as the options say.

        Raises:
            FailureError: nothing of it lies where it may change.
        """
        left, top, width, height = found.box
        place = (self.area[0] + left, self.area[1] + top, width, height)
        place, weights = _grown_within(place, found.weights, self.options.grow, self.area)
        part = _part_within(place, weights, self.limit)
        if part is None:
            raise FailureError("What was found lies outside of the layer; choose its own layer.")
        self.box, self.weights = part
        self.of_object = True

    def close(self) -> None:
        """Remove what was made to be read."""
        while self.temporary:
            self.temporary.pop().delete()


def task_of(image: Gimp.Image, layer: Gimp.Layer, options: Options) -> Task:
    """What is to be done.

    Raises:
        FailureError: it cannot be, and why.
    """
    check_layer(layer, options)
    shown, limit = extents(image, layer, options)
    box, weights = _selected(image, limit, options.grow, layer)
    if box == shown and 0 not in weights:
        raise FailureError(
            "All is selected, so that nothing is left to fill it from. Select what is to go alone."
        )
    return task_with(image, layer, options, box, weights)


def extents(
    image: Gimp.Image, layer: Gimp.Layer, options: Options
) -> "tuple[tuple[int, int, int, int], tuple[int, int, int, int]]":
    """What can be shown to the worker, and what may change, both in the image."""
    canvas = (0, 0, image.get_width(), image.get_height())
    _, x, y = layer.get_offsets()
    whole = (x, y, layer.get_width(), layer.get_height())
    seen = options.context == SEEN
    shown = canvas if seen else whole
    limit = canvas if seen and options.result == NEW_LAYER else common(canvas, whole)
    return shown, limit


def task_with(
    image: Gimp.Image,
    layer: Gimp.Layer,
    options: Options,
    box: "tuple[int, int, int, int]",
    weights: bytes,
) -> Task:
    """A task that changes so much of a box."""
    shown, limit = extents(image, layer, options)
    source, temporary = _source(image, layer, options)
    origin = (0, 0) if options.context == SEEN else tuple(layer.get_offsets()[1:])
    colours = 3 if image.get_base_type() == Gimp.ImageBaseType.RGB else 1
    channels = colours + bool(source.has_alpha())
    return Task(
        image=image,
        layer=layer,
        options=options,
        source=source,
        origin=origin,
        area=part_shown(shown, box),
        limit=limit,
        box=box,
        weights=weights,
        samples=samples_of(image),
        channels=channels,
        temporary=temporary,
    )


def _source(image: Gimp.Image, layer: Gimp.Layer, options: Options) -> "tuple[Gimp.Layer, list]":
    """The layer whose pixels are shown to the worker, and what is to be deleted afterwards.

    A layer's buffer lies below its filters. A fill in place goes below them, too; for a new layer
    above them it is made of pixels with the filters in.
    """
    if options.context == SEEN:
        seen = Gimp.Layer.new_from_visible(image, image, "inpaintcli")
        return seen, [seen]
    return with_filters(layer) if options.result == NEW_LAYER else (layer, [])


def with_filters(layer: Gimp.Layer) -> "tuple[Gimp.Layer, list]":
    """A layer whose buffer has the visible filters of this one in, and what is to be deleted."""
    filters = layer.get_filters() if hasattr(layer, "get_filters") else []
    if not any(one.get_visible() for one in filters):
        return layer, []
    copy = layer.copy()
    copy.merge_filters()
    return copy, [copy]


def selection_box(image: Gimp.Image) -> "tuple[int, int, int, int]":
    """The box of the selection; it must not be empty."""
    _, _, left, top, right, bottom = Gimp.Selection.bounds(image)
    return left, top, right - left, bottom - top


def _selected(
    image: Gimp.Image, limit: "tuple[int, int, int, int]", grow: int, layer: Gimp.Layer
) -> "tuple[tuple[int, int, int, int], bytes]":
    """The box that changes, in the image, and the selection in it, grown.

    Raises:
        FailureError: nothing of it lies within `limit`.
    """
    part = _part_within(*_grown_selection(image, grow), limit)
    if part is None:
        raise FailureError(
            f"The selection lies outside of the layer “{layer.get_name()}”. Choose the layer that "
            "it lies on, or let the program look at what is seen and make a new layer."
        )
    return part


def _part_within(
    place: "tuple[int, int, int, int]", weights: bytes, limit: "tuple[int, int, int, int]"
) -> "tuple[tuple[int, int, int, int], bytes] | None":
    """The box of the weights that are not 0 within a limit, and these; None where all are 0."""
    shared = common(place, limit)
    if shared[2] <= 0 or shared[3] <= 0:
        return None
    part = (shared[0] - place[0], shared[1] - place[1], shared[2], shared[3])
    weights = cut(weights, place[2], part)
    inside = bounds(weights, shared[2])
    if inside is None:
        return None
    box = (shared[0] + inside[0], shared[1] + inside[1], inside[2], inside[3])
    return box, cut(weights, shared[2], inside)


def _grown_selection(image: Gimp.Image, grow: int) -> "tuple[tuple[int, int, int, int], bytes]":
    """The selection, grown as far as the image goes, and where it lies."""
    place = selection_box(image)
    buffer = image.get_selection().get_buffer()
    weights = read(buffer, place, "Y u8", place[2] * place[3])
    canvas = (0, 0, image.get_width(), image.get_height())
    return _grown_within(place, weights, grow, canvas)


def _grown_within(
    place: "tuple[int, int, int, int]",
    weights: bytes,
    grow: int,
    limit: "tuple[int, int, int, int]",
) -> "tuple[tuple[int, int, int, int], bytes]":
    """Weights of a place, widened as far as the limit goes, and their place."""
    if not grow:
        return place, weights
    left, top, width, height = place
    right, bottom = limit[0] + limit[2], limit[1] + limit[3]
    before = (min(grow, left - limit[0]), min(grow, top - limit[1]))
    after = (min(grow, right - left - width), min(grow, bottom - top - height))
    wide = (
        left - before[0], top - before[1],
        before[0] + width + after[0], before[1] + height + after[1],
    )  # fmt: skip
    return wide, grown(padded(weights, width, (*before, *after)), wide[2], grow)
