"""What is filled in an image, whether it can be, and how the fill is written: GIMP's side of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from asking import FailureError
from gi.repository import Babl, Gegl, Gimp
from protocol import FillRequest, ProtocolError
from selected import (
    alpha_kept,
    bounds,
    cut,
    grown,
    hole_of,
    kept_outside,
    mixed,
    padded,
    with_alpha,
    without_alpha,
)

NEW_LAYER, IN_PLACE = "new-layer", "in-place"
THIS_LAYER, SEEN = "layer", "seen"
MOST_PIXELS = 100_000_000
"""A larger picture is shown to the worker around the selection only."""
WINDOW = 2048
"""Pixels around the selection that are shown of such a picture."""
_STRIP_BYTES = 16 * 2**20
_NAMES = {1: "Y'", 2: "Y'A", 3: "R'G'B'", 4: "R'G'B'A"}
_SAMPLES = {"u8": "u8", "u16": "u16", "f32": "float"}
_SAMPLE_BYTES = {"u8": 1, "u16": 2, "f32": 4}
_NEW_LAYER_HINT = "Choose “A new layer above” as the result"


@dataclass(frozen=True)
class Options:
    """What the dialog asks. grow: pixels; the rest as the procedure's arguments."""

    result: str = NEW_LAYER
    context: str = THIS_LAYER
    model: str = ""
    detail: str = "auto"
    grow: int = 0


def check_target(image: Gimp.Image, drawables: list) -> Gimp.Layer:
    """The layer that is meant.

    Raises:
        FailureError: none is, or nothing is selected; whatever the options are.
    """
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise FailureError(
            "The image is indexed: it has too few colours for a fill. Choose Image > Mode > RGB, "
            "fill, and go back to indexed afterwards."
        )
    if len(drawables) != 1:
        count = len(drawables) or "no"
        raise FailureError(f"Choose one layer: {count} layers are chosen.")
    layer = drawables[0]
    if isinstance(layer, (Gimp.LayerMask, Gimp.Channel)) or not isinstance(layer, Gimp.Layer):
        kind = "layer mask" if isinstance(layer, Gimp.LayerMask) else "channel"
        raise FailureError(f"A {kind} is being edited. Click on the picture of the layer instead.")
    if layer.is_floating_sel():
        raise FailureError("The selection floats. Anchor it first: Layer > Anchor Layer.")
    if Gimp.Selection.is_empty(image):
        raise FailureError("Nothing is selected. Select what is to go, and try again.")
    return layer


def check_layer(layer: Gimp.Layer, options: Options) -> None:
    """Check that the layer can be read and written as the options want it.

    Raises:
        FailureError: it cannot.
    """
    if layer.is_group() and not (options.result == NEW_LAYER and options.context == SEEN):
        raise FailureError(
            f"“{layer.get_name()}” is a group and has no pixels of its own. Choose a layer in it, "
            "or let the program look at what is seen and make a new layer."
        )
    if options.result != IN_PLACE:
        return
    kind = _kind_without_pixels(layer)
    if kind:
        raise FailureError(
            f"“{layer.get_name()}” is a {kind}, which writing into would end. {_NEW_LAYER_HINT}, "
            "or make it an ordinary layer first."
        )
    locked = _locked(layer)
    if locked is not None:
        raise FailureError(
            f"The pixels of “{locked.get_name()}” are locked. Take the lock off (Layers dialog), "
            f"or: {_NEW_LAYER_HINT.lower()}."
        )


def _kind_without_pixels(layer: Gimp.Layer) -> str:
    """Text, link and vector layers lose what they are when pixels are written."""
    kinds = {"TextLayer": "text layer", "LinkLayer": "link layer", "VectorLayer": "vector layer"}
    for name, words in kinds.items():
        if hasattr(Gimp, name) and isinstance(layer, getattr(Gimp, name)):
            return words
    return ""


def _locked(layer: Gimp.Item) -> "Gimp.Item | None":
    """The layer, or a group around it, that is locked."""
    item = layer
    while item is not None:
        if item.get_lock_content():
            return item
        item = item.get_parent()
    return None


@dataclass
class Task:
    """One fill: what is shown to the worker, and where its answer goes.

    area: x, y, width, height of what is shown, in the image. box: of what changes, in the image.
    weights: a byte a pixel of the box. origin: of `source`'s buffer in the image. samples: u8, u16
    or f32; channels: of what is shown.
    """

    image: Gimp.Image
    layer: Gimp.Layer
    options: Options
    source: Gimp.Layer
    origin: "tuple[int, int]"
    area: "tuple[int, int, int, int]"
    box: "tuple[int, int, int, int]"
    weights: bytes
    samples: str
    channels: int
    temporary: list = field(default_factory=list)

    def request(self, process: int) -> FillRequest:
        """As the worker is asked.

        Raises:
            FailureError: it is too much for one request, or names no model.
        """
        left, top = self.box[0] - self.area[0], self.box[1] - self.area[1]
        options, layer = self.options, self.layer
        try:
            return FillRequest(
                width=self.area[2],
                height=self.area[3],
                channels=self.channels,
                samples=self.samples,
                box=(left, top, self.box[2], self.box[3]),
                model=options.model.strip(),
                detail=options.detail,
                reveal=options.result == IN_PLACE
                and layer.has_alpha()
                and not layer.get_lock_alpha(),
                process=process,
            )
        except ProtocolError as error:
            raise FailureError(
                f"This cannot be asked for: {error}. "
                "Where the image is too large, fill smaller selections, or scale it."
            ) from error

    def payload(self) -> "Iterator[bytes]":
        """The pixels of the area, strip by strip, then the hole."""
        x, y, width, height = self.area
        row = width * self.channels * _SAMPLE_BYTES[self.samples]
        rows = max(1, _STRIP_BYTES // row)
        buffer, format_ = self.source.get_buffer(), _format(self.source, self)
        for at in range(0, height, rows):
            count = min(rows, height - at)
            place = (x - self.origin[0], y - self.origin[1] + at, width, count)
            yield _read(buffer, place, format_, count * row)
        yield hole_of(self.weights)

    def write(self, filled: bytes) -> None:
        """Put the fill into the image, as one step of undo."""
        if self.options.result == IN_PLACE:
            _write_in_place(self, filled)
        else:
            _write_new_layer(self, filled)

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
    canvas = (0, 0, image.get_width(), image.get_height())
    _, x, y = layer.get_offsets()
    whole = (x, y, layer.get_width(), layer.get_height())
    seen = options.context == SEEN
    shown = canvas if seen else whole
    limit = canvas if seen and options.result == NEW_LAYER else _common(canvas, whole)
    box, weights = _selected(image, limit, options.grow, layer)
    if box == shown and 0 not in weights:
        raise FailureError(
            "All is selected, so that nothing is left to fill it from. Select what is to go alone."
        )
    area = _area(shown, box)
    samples = _samples_of(image)
    source, temporary = _source(image, layer, options)
    origin = (0, 0) if seen else (x, y)
    colours = 3 if image.get_base_type() == Gimp.ImageBaseType.RGB else 1
    channels = colours + bool(source.has_alpha())
    return Task(
        image, layer, options, source, origin, area, box, weights, samples, channels, temporary
    )


def _source(image: Gimp.Image, layer: Gimp.Layer, options: Options) -> "tuple[Gimp.Layer, list]":
    """The layer whose pixels are shown to the worker, and what is to be deleted afterwards.

    A layer's buffer lies below its filters. A fill in place goes below them, too; for a new layer
    above them it is made of pixels with the filters in.
    """
    if options.context == SEEN:
        seen = Gimp.Layer.new_from_visible(image, image, "inpaintcli")
        return seen, [seen]
    filters = layer.get_filters() if hasattr(layer, "get_filters") else []
    if options.result == NEW_LAYER and any(one.get_visible() for one in filters):
        copy = layer.copy()
        copy.merge_filters()
        return copy, [copy]
    return layer, []


def _selected(
    image: Gimp.Image, limit: "tuple[int, int, int, int]", grow: int, layer: Gimp.Layer
) -> "tuple[tuple[int, int, int, int], bytes]":
    """The box that changes, in the image, and the selection in it, grown.

    Raises:
        FailureError: nothing of it lies within `limit`.
    """
    _, _, left, top, right, bottom = Gimp.Selection.bounds(image)
    margins = (
        min(grow, left), min(grow, top),
        min(grow, image.get_width() - right), min(grow, image.get_height() - bottom),
    )  # fmt: skip
    width = right - left
    weights = _read(
        image.get_selection().get_buffer(), (left, top, width, bottom - top), "Y u8",
        width * (bottom - top),
    )  # fmt: skip
    if grow:
        weights = grown(padded(weights, width, margins), margins[0] + width + margins[2], grow)
    x, y = left - margins[0], top - margins[1]
    size = (margins[0] + width + margins[2], margins[1] + bottom - top + margins[3])
    common = _common((x, y, *size), limit)
    inside = None
    if common[2] > 0 and common[3] > 0:
        place = (common[0] - x, common[1] - y, common[2], common[3])
        weights = cut(weights, size[0], place)
        inside = bounds(weights, common[2])
    if inside is None:
        raise FailureError(
            f"The selection lies outside of the layer “{layer.get_name()}”. Choose the layer that "
            "it lies on, or let the program look at what is seen and make a new layer."
        )
    box = (common[0] + inside[0], common[1] + inside[1], inside[2], inside[3])
    return box, cut(weights, common[2], inside)


def _common(
    one: "tuple[int, int, int, int]", other: "tuple[int, int, int, int]"
) -> "tuple[int, int, int, int]":
    """The rectangle that two have in common; its width or height is below 1 where there is none."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right = min(one[0] + one[2], other[0] + other[2])
    bottom = min(one[1] + one[3], other[1] + other[3])
    return left, top, right - left, bottom - top


def _area(
    shown: "tuple[int, int, int, int]", box: "tuple[int, int, int, int]"
) -> "tuple[int, int, int, int]":
    """All that can be shown, or a window around the box where that is too much."""
    if shown[2] * shown[3] <= MOST_PIXELS:
        return shown
    wide = (box[0] - WINDOW, box[1] - WINDOW, box[2] + 2 * WINDOW, box[3] + 2 * WINDOW)
    return _common(shown, wide)


def _samples_of(image: Gimp.Image) -> str:
    """How samples are passed on: 8 and 16 bit as they are where they have the profile's curve."""
    kinds = {Gimp.Precision.U8_NON_LINEAR: "u8", Gimp.Precision.U16_NON_LINEAR: "u16"}
    return kinds.get(image.get_precision(), "f32")


def _format(layer: Gimp.Layer, task: Task, channels: int = 0) -> str:
    """The name of the format in which pixels are passed on, in the layer's own colour space."""
    plain = f"{_NAMES[channels or task.channels]} {_SAMPLES[task.samples]}"
    return Babl.get_name(Babl.format_with_space(plain, layer.get_format()))


def _read(
    buffer: Gegl.Buffer, place: "tuple[int, int, int, int]", format_: "str | None", count: int
) -> bytes:
    """The bytes of a rectangle; `count` is how many there must be, 0 where any number goes."""
    x, y, width, height = place
    rectangle = Gegl.Rectangle.new(x, y, width, height)
    data = bytes(buffer.get(rectangle, 1.0, format_, Gegl.AbyssPolicy.NONE))
    if count and len(data) != count:
        raise FailureError(f"GIMP gave {len(data)} bytes of pixels instead of {count}.")
    return data


def _write_in_place(task: Task, filled: bytes) -> None:
    """Change the selection's pixels and no byte of any other.

    GIMP's own merge of the shadow buffer makes the step of undo and tells the image that it has
    changed; but it computes in linear light and in 32-bit floats, so that what it leaves is not
    exactly the fill. So the same rectangle is written once more, byte for byte.
    """
    layer, box = task.layer, task.box
    _, x, y = layer.get_offsets()
    place = (box[0] - x, box[1] - y, box[2], box[3])
    rectangle = Gegl.Rectangle.new(*place)
    channels = task.channels - (task.channels % 2 == 0) + bool(layer.has_alpha())
    pixels = box[2] * box[3]
    format_ = _format(layer, task, channels)
    buffer = layer.get_buffer()
    native = _read(buffer, place, None, 0)
    old = _read(buffer, place, format_, pixels * channels * _SAMPLE_BYTES[task.samples])
    new = mixed(old, _as_layer(task, filled, old, channels), task.weights, channels, task.samples)
    image = task.image
    image.undo_group_start()
    try:
        shadow = layer.get_shadow_buffer()
        shadow.set(rectangle, format_, new)
        shadow.flush()
        exact = _read(shadow, place, None, len(native))
        exact = kept_outside(native, exact, task.weights, len(native) // pixels)
        own = Babl.get_name(layer.get_format())
        shadow.set(rectangle, own, exact)
        shadow.flush()
        _merged(task, layer)
        buffer = layer.get_buffer()
        buffer.set(rectangle, own, exact)
        buffer.flush()
        layer.update(*place)
    finally:
        image.undo_group_end()


def _merged(task: Task, layer: Gimp.Layer) -> None:
    """Merge the shadow; where the selection has grown, with the box for a selection."""
    image = task.image
    if not task.options.grow:
        layer.merge_shadow(True)
        return
    kept = Gimp.Selection.save(image)
    try:
        image.select_rectangle(Gimp.ChannelOps.REPLACE, *task.box)
        layer.merge_shadow(True)
    finally:
        image.select_item(Gimp.ChannelOps.REPLACE, kept)
        image.remove_channel(kept)
        image.set_selected_layers([layer])


def _as_layer(task: Task, filled: bytes, old: bytes, channels: int) -> bytes:
    """The fill with the layer's own channels.

    Alpha is the layer's own where it is locked; of what is seen it is full, so that one can fill
    into an empty layer above.
    """
    if channels in (1, 3):
        return without_alpha(filled, task.channels, task.samples)
    if task.layer.get_lock_alpha():
        opaque = _opaque(task, filled)
        return alpha_kept(opaque, old, channels, task.samples)
    return _opaque(task, filled) if task.options.context == SEEN else filled


def _opaque(task: Task, filled: bytes) -> bytes:
    return with_alpha(filled, b"\xff" * len(task.weights), task.channels, task.samples)


def _write_new_layer(task: Task, filled: bytes) -> None:
    """A layer of the fill, its alpha the selection, above the layer or, of what is seen, above all.

    The layer that was chosen stays chosen, so that the next selection is filled from it.
    """
    image, layer, box = task.image, task.layer, task.box
    grey = task.channels < 3
    kind = Gimp.ImageType.GRAYA_IMAGE if grey else Gimp.ImageType.RGBA_IMAGE
    name = f"{layer.get_name()} (inpainted)"
    mode = image.get_default_new_layer_mode()
    new = Gimp.Layer.new(image, name, box[2], box[3], kind, 100.0, mode)
    new.set_offsets(box[0], box[1])
    pixels = with_alpha(filled, task.weights, task.channels, task.samples)
    buffer = new.get_buffer()
    buffer.set(
        Gegl.Rectangle.new(0, 0, box[2], box[3]), _format(layer, task, 2 if grey else 4), pixels
    )
    buffer.flush()
    chosen = image.get_selected_layers()
    image.undo_group_start()
    try:
        if task.options.context == SEEN:
            image.insert_layer(new, None, 0)
        else:
            image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
        image.set_selected_layers(chosen)
    finally:
        image.undo_group_end()


def looks_different(layer: Gimp.Layer, options: Options) -> str:
    """Why a new layer would not look as the filled layer does; empty where it does."""
    if options.result == IN_PLACE or options.context == SEEN:
        return ""
    plain = (Gimp.LayerMode.NORMAL, Gimp.LayerMode.NORMAL_LEGACY)
    if layer.get_opacity() >= 99.95 and layer.get_mode() in plain:
        return ""
    return (
        f"“{layer.get_name()}” is not drawn as it is (its opacity or mode): the new layer above it "
        "may look different. Undo and choose “In place”, or let the program look at what is seen."
    )
