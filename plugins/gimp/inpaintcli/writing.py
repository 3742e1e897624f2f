"""How a fill is written: into the layer or a new one, as one step of undo."""

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from buffers import format_name, read
from checks import SEEN
from gi.repository import Babl, Gegl, Gimp
from layers import Task
from picture_request import SAMPLE_BYTES
from selected import alpha_kept, kept_outside, mixed, with_alpha, without_alpha


def write(task: Task, filled: bytes) -> None:
    """Put the fill into the image."""
    if task.is_in_place:
        _write_in_place(task, filled)
    else:
        _write_new_layer(task, filled)


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
    format_ = format_name(layer, channels, task.samples)
    buffer = layer.get_buffer()
    native = read(buffer, place, None, 0)
    old = read(buffer, place, format_, pixels * channels * SAMPLE_BYTES[task.samples])
    new = mixed(old, _as_layer(task, filled, old, channels), task.weights, channels, task.samples)
    image = task.image
    image.undo_group_start()
    try:
        shadow = layer.get_shadow_buffer()
        shadow.set(rectangle, format_, new)
        shadow.flush()
        exact = read(shadow, place, None, len(native))
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
    """Merge the shadow; with the box for a selection, where more than the selection changes."""
    image = task.image
    if not task.options.grow and not task.of_object:
        layer.merge_shadow(True)
        return
    kept = Gimp.Selection.save(image)
    Gimp.context_push()
    try:
        Gimp.context_set_feather(False)
        image.select_rectangle(Gimp.ChannelOps.REPLACE, *task.box)
        layer.merge_shadow(True)
    finally:
        image.select_item(Gimp.ChannelOps.REPLACE, kept)
        image.remove_channel(kept)
        image.set_selected_layers([layer])
        Gimp.context_pop()


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
    format_ = format_name(layer, 2 if grey else 4, task.samples)
    buffer = new.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, box[2], box[3]), format_, pixels)
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
