"""Runs inside GIMP without windows: every function named case_... is a test, its facts a report.

GIMP runs this as a text with the path of its settings in CONFIG; it imports nothing of the project.
"""

import base64
import json
import os
import random
import struct
import time
import traceback

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Babl, Gegl, Gimp, Gio

SETTINGS = json.load(open(CONFIG))
NAME = "plug-in-inpaint-selection"
REMOVE = "plug-in-inpaint-remove-object"
GUIDED = "plug-in-inpaint-guided"
MODES = ("in-place", "new-layer")
P = Gimp.Precision
PRECISIONS = [
    f"{kind}_{curve}"
    for kind in ("U8", "U16", "U32", "HALF", "FLOAT", "DOUBLE")
    for curve in ("LINEAR", "NON_LINEAR", "PERCEPTUAL")
]


def worker(name):
    """Let the plug-in have that worker from now on."""
    with open(SETTINGS["plug_in"], "w") as file:
        json.dump(SETTINGS["workers"][name], file)


def image_of(width=40, height=30, base="RGB", precision="U8_NON_LINEAR"):
    return Gimp.Image.new_with_precision(
        width, height, getattr(Gimp.ImageBaseType, base), getattr(P, precision)
    )


def layer_of(image, width=40, height=30, alpha=False, at=(0, 0), name="photo", parent=None):
    base = "RGB" if image.get_base_type() == Gimp.ImageBaseType.RGB else "GRAY"
    kind = getattr(Gimp.ImageType, base + ("A" if alpha else "") + "_IMAGE")
    layer = Gimp.Layer.new(image, name, width, height, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, parent, 0)
    layer.set_offsets(*at)
    paint(layer)
    return layer


def native(layer, box=None):
    """A layer's very bytes."""
    x, y, width, height = box or (0, 0, layer.get_width(), layer.get_height())
    rectangle = Gegl.Rectangle.new(x, y, width, height)
    return bytes(layer.get_buffer().get(rectangle, 1.0, None, Gegl.AbyssPolicy.NONE))


def samples(layer, format_, box=None):
    x, y, width, height = box or (0, 0, layer.get_width(), layer.get_height())
    rectangle = Gegl.Rectangle.new(x, y, width, height)
    return bytes(layer.get_buffer().get(rectangle, 1.0, format_, Gegl.AbyssPolicy.NONE))


def pixel_bytes(layer):
    return len(native(layer, (0, 0, 1, 1)))


def paint(layer):
    """Random pixels, in floats also outside 0 to 1."""
    numbers = random.Random(layer.get_width())
    width, height = layer.get_width(), layer.get_height()
    count = width * height * pixel_bytes(layer)
    kinds = {P.HALF_LINEAR: "e", P.FLOAT_LINEAR: "f", P.DOUBLE_LINEAR: "d"}
    kinds.update({P.HALF_NON_LINEAR: "e", P.FLOAT_NON_LINEAR: "f", P.DOUBLE_NON_LINEAR: "d"})
    kinds.update({P.HALF_PERCEPTUAL: "e", P.FLOAT_PERCEPTUAL: "f", P.DOUBLE_PERCEPTUAL: "d"})
    kind = kinds.get(layer.get_image().get_precision())
    if kind:
        size = struct.calcsize(kind)
        values = [numbers.random() * 1.5 - 0.2 for _ in range(count // size)]
        data = struct.pack(f"={len(values)}{kind}", *values)
    else:
        data = numbers.randbytes(count)
    write(layer, data)


def write(layer, data, format_=None):
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    layer.get_buffer().set(rectangle, format_ or Babl.get_name(layer.get_format()), data)
    layer.get_buffer().flush()


def call(image, drawables, *, name=NAME, **arguments):
    """Call the plug-in; its status and its words."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    for argument, value in arguments.items():
        config.set_property(argument, value)
    status = procedure.run(config).index(0)
    words = "" if status == Gimp.PDBStatusType.SUCCESS else Gimp.get_pdb().get_last_error()
    return status, words


def fills(image, drawables, **arguments):
    status, words = call(image, drawables, **arguments)
    assert status == Gimp.PDBStatusType.SUCCESS, words


def refused(image, drawables, *words, **arguments):
    """The call fails in a sentence with those words, and the image is as it was."""
    before = state_of(image)
    status, said = call(image, drawables, **arguments)
    assert status != Gimp.PDBStatusType.SUCCESS, "it was not refused"
    for word in words:
        assert word.lower() in said.lower(), said
    assert said.strip()[-1] in ".)]" or "inpaintcli" in said.split(".")[-1], said
    assert state_of(image) == before, "the image has changed"
    return said


def state_of(image):
    """All that a user sees of an image."""
    layers = [
        (layer.get_name(), layer.get_id(), native(layer) if not layer.is_group() else b"")
        for layer in all_layers(image)
    ]
    selection = samples_of_selection(image)
    chosen = [item.get_id() for item in image.get_selected_layers()]
    return layers, selection, chosen, len(image.get_channels())


def all_layers(image):
    found, ahead = [], list(image.get_layers())
    while ahead:
        layer = ahead.pop(0)
        found.append(layer)
        if layer.is_group():
            ahead += layer.get_children()
    return found


def samples_of_selection(image):
    rectangle = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    buffer = image.get_selection().get_buffer()
    return bytes(buffer.get(rectangle, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))


def select(image, x, y, width, height):
    image.select_rectangle(Gimp.ChannelOps.REPLACE, x, y, width, height)


def weights_in(image, layer):
    """The selection as the layer lies, a byte a pixel."""
    selection, (_, ox, oy) = samples_of_selection(image), layer.get_offsets()
    width, height = image.get_width(), image.get_height()
    return bytes(
        selection[y * width + x] if 0 <= x < width and 0 <= y < height else 0
        for y in range(oy, oy + layer.get_height())
        for x in range(ox, ox + layer.get_width())
    )


def unchanged_outside(before, after, weights, size):
    """How many pixels of weight 0 changed a byte, and how many of full weight did not."""
    spilled = sum(
        before[at * size : at * size + size] != after[at * size : at * size + size]
        for at, weight in enumerate(weights)
        if weight == 0
    )
    missed = sum(
        before[at * size : at * size + size] == after[at * size : at * size + size]
        for at, weight in enumerate(weights)
        if weight == 255
    )
    return spilled, missed


def added(image, before):
    """The one layer that was not there before."""
    (new,) = [layer for layer in all_layers(image) if layer.get_id() not in before]
    return new


def ids(image):
    return {layer.get_id() for layer in all_layers(image)}


def near(values, wanted, tolerance):
    return all(abs(value - wanted) <= tolerance for value in values)


# --- What is registered


def case_registered_in_the_menu_with_its_types():
    procedure = Gimp.get_pdb().lookup_procedure(NAME)
    assert procedure.get_menu_label() == "_Inpaint Selection..."
    assert procedure.get_menu_paths() == ["<Image>/Filters/Enhance"]
    assert procedure.get_image_types() == "RGB*, GRAY*"
    names = {argument.get_name() for argument in procedure.get_arguments()}
    assert {"result", "model", "detail", "grow", "context"} <= names, names


def case_remove_object_is_registered_with_the_same_arguments():
    fill, remove = (Gimp.get_pdb().lookup_procedure(name) for name in (NAME, REMOVE))
    assert remove.get_menu_label() == "Remove _Object in Selection..."
    assert remove.get_menu_paths() == ["<Image>/Filters/Enhance"]
    assert remove.get_image_types() == "RGB*, GRAY*"
    names = [{one.get_name() for one in each.get_arguments()} for each in (fill, remove)]
    assert names[0] == names[1]


# --- Objects


def case_an_object_is_removed_and_not_the_rest_of_the_selection():
    """A blue disk on grass; the selection is a box around it, with a corner that no disk has."""
    worker("real")
    facts = {}
    for mode in MODES:
        image = image_of(160, 120)
        layer = layer_of(image, 160, 120)
        disk = _disk_on_grass(layer, 80, 60, 20)
        select(image, 52, 32, 56, 56)
        before, known, selection = native(layer), ids(image), samples_of_selection(image)
        fills(image, [layer], name=REMOVE, result=mode)
        assert samples_of_selection(image) == selection
        if mode == "in-place":
            after = native(layer)
            changed = [before[3 * n : 3 * n + 3] != after[3 * n : 3 * n + 3] for n in range(19200)]
            blue = [after[3 * n + 2] > after[3 * n + 1] + 40 for n in range(19200)]
            assert sum(blue) == 0, sum(blue)
        else:
            assert native(layer) == before
            changed = _opaque_on_canvas(added(image, known), 160, 120)
        missed = sum(inside and not now for inside, now in zip(disk, changed, strict=True))
        far = sum(
            now and (n % 160 - 80) ** 2 + (n // 160 - 60) ** 2 > 29**2
            for n, now in enumerate(changed)
        )
        assert missed <= 0.02 * sum(disk), missed
        assert far == 0, far
        facts[mode] = sum(changed)
        image.delete()
    return facts


def _disk_on_grass(layer, x, y, radius):
    """Paint it; which pixels are the disk's."""
    numbers = random.Random(4)
    width, height = layer.get_width(), layer.get_height()
    disk = [
        (n % width - x) ** 2 + (n // width - y) ** 2 <= radius**2 for n in range(width * height)
    ]
    data = bytearray()
    for inside in disk:
        noise = numbers.randrange(40)
        data += bytes((20, 40 + noise // 4, 220) if inside else (60 + noise, 120 + noise, 40))
    write(layer, bytes(data))
    return disk


def _opaque_on_canvas(layer, width, height):
    """Where a layer shows anything, on the whole canvas."""
    _, x, y = layer.get_offsets()
    inside, columns = samples(layer, "A u8"), layer.get_width()
    shown = [False] * (width * height)
    for n, alpha in enumerate(inside):
        shown[(y + n // columns) * width + x + n % columns] = alpha > 0
    return shown


def case_what_was_found_changes_and_grows_and_one_undo_step_takes_it_back():
    worker("scribble")
    for mode in MODES:
        image = image_of(60, 50)
        layer = layer_of(image, 60, 50)
        select(image, 20, 15, 12, 10)
        before, known = native(layer), ids(image)
        fills(image, [layer], name=REMOVE, result=mode, grow=2)
        if mode == "in-place":
            after = native(layer)
            rows = [
                n // 60
                for n in range(3000)
                if before[3 * n : 3 * n + 3] != after[3 * n : 3 * n + 3]
            ]
            assert (min(rows), max(rows)) == (13, 25), (min(rows), max(rows))
        else:
            new = added(image, known)
            assert (new.get_width(), new.get_height()) == (16, 13)
            assert new.get_offsets()[1:] == (18, 13)
        image.delete()


def case_an_object_outside_of_the_picture_is_refused():
    worker("found_outside")
    image = image_of()
    layer = layer_of(image)
    select(image, 5, 6, 9, 7)
    refused(image, [layer], "outside of the picture", name=REMOVE)
    image.delete()


def case_an_object_that_is_not_found_is_said():
    worker("real")
    image = image_of(160, 120)
    layer = layer_of(image, 160, 120)
    write(layer, bytes([90, 120, 60]) * (160 * 120))
    select(image, 52, 32, 56, 56)
    refused(image, [layer], "object", name=REMOVE, result="in-place")
    image.delete()


# --- An object of another image

PLACE = (50, 30, 60, 54)
"""Where it goes; its box in the guide is 40x36 pixels."""


def guide_with_a_disk(at=(20, 12), box=(20, 12, 40, 36), base="RGB"):
    """A red disk on a dark ground, in an image of its own, in which a box around it is selected."""
    numbers, image = random.Random(7), image_of(80, 60, base)
    layer = layer_of(image, 80, 60)
    data = bytearray()
    for n in range(4800):
        noise = numbers.randrange(30)
        inside = (n % 80 - at[0] - 20) ** 2 + (n // 80 - at[1] - 18) ** 2 <= 13**2
        pixel = (230, 60, 40) if inside else (noise, 20 + noise, 10 + noise)
        data += bytes(pixel) if base == "RGB" else bytes(pixel[:1])
    write(layer, bytes(data))
    select(image, *box)
    return layer


def case_guided_is_registered_with_its_types():
    procedure = Gimp.get_pdb().lookup_procedure(GUIDED)
    assert procedure.get_menu_label() == "_Fill with Object from Another Image..."
    assert procedure.get_menu_paths() == ["<Image>/Filters/Enhance"]
    assert procedure.get_image_types() == "RGB*, GRAY*"
    names = {argument.get_name() for argument in procedure.get_arguments()}
    assert {"guide", "result", "context", "method", "amount", "model"} <= names, names


def case_an_object_of_another_image_is_put_into_the_selections_box():
    worker("real")
    guide, facts = guide_with_a_disk(), {}
    for mode in MODES:
        image = image_of(160, 120)
        layer = layer_of(image, 160, 120)
        _disk_on_grass(layer, 300, 300, 1)  # grass alone
        select(image, *PLACE)
        before, known, selection = native(layer), ids(image), samples_of_selection(image)
        of_guide = native(guide)
        fills(image, [layer], name=GUIDED, guide=guide, result=mode, amount=0)
        assert samples_of_selection(image) == selection
        assert native(guide) == of_guide
        assert len(Gimp.get_images()) == 2
        if mode == "in-place":
            after = native(layer)
            changed = [before[3 * n : 3 * n + 3] != after[3 * n : 3 * n + 3] for n in range(19200)]
            reddest = max(after[3 * n] - after[3 * n + 1] for n in range(19200))
            assert reddest > 140, reddest
        else:
            assert native(layer) == before
            changed = _opaque_on_canvas(added(image, known), 160, 120)
        # The disk's radius is 13 pixels of a box that is enlarged 1.5 times.
        far = [(n % 160 - 80) ** 2 + (n // 160 - 57) ** 2 for n, now in enumerate(changed) if now]
        assert max(far) <= 24**2, max(far) ** 0.5
        assert len(far) >= 0.9 * 3.1416 * 19.5**2, len(far)
        facts[mode] = len(far)
        image.delete()
    return facts


def case_the_guide_may_be_another_layer_of_the_same_image():
    worker("scribble")
    image = image_of(60, 50)
    guide = layer_of(image, 60, 50, name="guide")
    layer = layer_of(image, 60, 50, name="photo")
    select(image, 20, 15, 12, 10)
    before, of_guide = native(layer), native(guide)
    fills(image, [layer], name=GUIDED, guide=guide, result="in-place")
    upper = bytes(255 if 20 <= x < 32 and 15 <= y < 20 else 0 for y in range(50) for x in range(60))
    assert unchanged_outside(before, native(layer), upper, 3) == (0, 0)
    assert native(guide) == of_guide
    image.delete()


def case_what_is_put_in_stays_within_layer_and_place():
    """Every precision, with an offset, in a place that goes beyond the layer; in a group."""
    worker("scribble")
    guide = guide_with_a_disk()
    for precision in PRECISIONS:
        for alpha in (False, True):
            image = image_of(60, 50, precision=precision)
            layer = layer_of(image, 40, 30, alpha=alpha, at=(15, 12))
            select(image, 20, 4, 50, 20)
            before, size = native(layer), pixel_bytes(layer)
            fills(image, [layer], name=GUIDED, guide=guide, result="in-place")
            # Of the place 12 rows are in the layer, 12 to 23; the upper six have the object.
            upper = bytes(255 if x >= 5 and y < 6 else 0 for y in range(30) for x in range(40))
            spilled, missed = unchanged_outside(before, native(layer), upper, size)
            assert (spilled, missed) == (0, 0), (precision, alpha, spilled, missed)
            known = ids(image)
            fills(image, [layer], name=GUIDED, guide=guide)
            new = added(image, known)
            assert (new.get_width(), new.get_height()) == (35, 6)
            assert new.get_offsets()[1:] == (20, 12)
            image.delete()
    image = image_of(60, 50)
    group = Gimp.GroupLayer.new(image, "people")
    image.insert_layer(group, None, 0)
    inner = layer_of(image, 60, 50, parent=group)
    select(image, 20, 15, 12, 10)
    known = ids(image)
    fills(image, [inner], name=GUIDED, guide=guide)
    assert added(image, known).get_parent().get_id() == group.get_id()


def case_of_what_is_seen_an_object_goes_above_all_or_into_the_layer():
    worker("scribble")
    guide, image = guide_with_a_disk(), image_of(60, 50)
    layer_of(image, 60, 50, name="ground")
    layer = layer_of(image, 20, 20, at=(15, 12), name="half")
    layer_of(image, 60, 50, alpha=True, name="top")
    select(image, 20, 14, 30, 10)
    before, known = native(layer), ids(image)
    fills(image, [layer], name=GUIDED, guide=guide, context="seen")
    new = added(image, known)
    assert image.get_item_position(new) == 0
    assert (new.get_width(), new.get_height()) == (30, 5)
    assert new.get_offsets()[1:] == (20, 14)
    assert native(layer) == before
    fills(image, [layer], name=GUIDED, guide=guide, context="seen", result="in-place")
    upper = bytes(255 if x >= 5 and 2 <= y < 7 else 0 for y in range(20) for x in range(20))
    assert unchanged_outside(before, native(layer), upper, 3) == (0, 0)


def case_a_guide_of_another_kind_is_converted():
    """Grey, other precisions, indexed, with a live filter, a layer with an offset."""
    worker("real")
    wrong = {}
    for base in ("RGB", "GRAY"):
        for other in ("GRAY", "U16_NON_LINEAR", "FLOAT_LINEAR", "indexed", "filter", "offset"):
            seen = _middle_of_object(base, other)
            wanted = {"GRAY": (230, 230, 230), "filter": (25, 195, 215)}.get(other, (230, 60, 40))
            if base == "GRAY" and other != "GRAY":
                good = len(set(seen)) == 1
            else:
                good = all(abs(a - b) <= 12 for a, b in zip(seen, wanted, strict=True))
            if not good:
                wrong[f"{other} into {base}"] = list(seen)
    assert not wrong, wrong


def _middle_of_object(base, other):
    """The colour in the middle of an object that was put in, not fitted."""
    guide = guide_with_a_disk(base="GRAY" if other == "GRAY" else "RGB")
    source = guide.get_image()
    if other.startswith(("U16", "FLOAT")):
        source.convert_precision(getattr(P, other))
    if other == "indexed":
        kinds = Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE
        source.convert_indexed(*kinds, 64, False, False, "")
    if other == "filter":
        guide.append_filter(Gimp.DrawableFilter.new(guide, "gegl:invert-gamma", ""))
    if other == "offset":
        guide.set_offsets(7, -5)
        select(source, 27, 7, 40, 36)
    image = image_of(160, 120, base)
    layer = layer_of(image, 160, 120)
    write(layer, bytes([120]) * (19200 * (3 if base == "RGB" else 1)))
    select(image, *PLACE)
    known = ids(image)
    fills(image, [layer], name=GUIDED, guide=guide, amount=0)
    new = added(image, known)
    colour = samples(new, "R'G'B' u8", (new.get_width() // 2, new.get_height() // 2, 1, 1))
    image.delete()
    source.delete()
    return colour


def case_guides_that_cannot_be_used_are_told():
    worker("scribble")
    guide, image = guide_with_a_disk(), image_of(60, 50)
    layer = layer_of(image, 60, 50)
    select(image, 20, 15, 12, 10)
    refused(image, [layer], "choose the guide", name=GUIDED)
    refused(image, [layer], "layer itself", name=GUIDED, guide=layer)
    guide.set_offsets(70, 0)
    refused(image, [layer], "outside of the guide", name=GUIDED, guide=guide)
    Gimp.Selection.none(guide.get_image())
    refused(image, [layer], "nothing is selected", "draw a box", name=GUIDED, guide=guide)
    Gimp.Selection.none(image)
    refused(image, [layer], "nothing is selected", name=GUIDED, guide=guide)
    small = layer_of(image, 5, 5, name="small")
    select(image, 20, 15, 12, 10)
    refused(image, [small], "outside", "small", name=GUIDED, guide=guide)
    layer.set_lock_content(True)
    refused(image, [layer], "locked", name=GUIDED, guide=guide, result="in-place")


def case_an_object_that_the_guide_has_not_is_said():
    worker("real")
    guide = guide_with_a_disk()
    write(guide, bytes([90, 120, 60]) * 4800)
    image = image_of(160, 120)
    layer = layer_of(image, 160, 120)
    select(image, *PLACE)
    refused(image, [layer], "object", name=GUIDED, guide=guide, result="in-place")
    refused(image, [layer], "no model", name=GUIDED, guide=guide, model="nonesuch")


def case_failures_of_a_worker_leave_no_trace_of_an_object():
    for name in ("crash", "garbage", "too_few", "silence", "missing", "kill"):
        for procedure in (REMOVE, GUIDED):
            worker(name)
            image = image_of()
            layer = layer_of(image)
            select(image, 5, 5, 10, 10)
            arguments = {"guide": guide_with_a_disk()} if procedure == GUIDED else {}
            before = state_of(image)
            for mode in MODES:
                status, _ = call(image, [layer], name=procedure, result=mode, **arguments)
                assert status != Gimp.PDBStatusType.SUCCESS
                assert state_of(image) == before, (name, procedure)
            worker("scribble")
            fills(image, [layer], name=procedure, result="in-place", **arguments)
            assert state_of(image) != before


def case_the_same_object_as_the_command_line():
    """Removed and put in; the results are compared outside."""
    worker("real")
    facts = {}
    for name, box in SETTINGS["objects"].items():
        for procedure in (REMOVE, GUIDED):
            guide_path = SETTINGS["guides"][name]
            path = guide_path if procedure == REMOVE else SETTINGS["photos"][name]
            image, guide = (_opened(one) for one in (path, guide_path))
            (layer,), (of_guide,) = image.get_layers(), guide.get_layers()
            select(image, *(box if procedure == REMOVE else PLACE))
            select(guide, *box)
            arguments = {"guide": of_guide} if procedure == GUIDED else {}
            fills(image, [layer], name=procedure, result="in-place", **arguments)
            facts[f"{name} {procedure}"] = base64.b64encode(native(layer)).decode()
            image.delete()
            guide.delete()
    return facts


def _opened(path):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))


def case_objects_from_script_fu():
    worker("scribble")
    guide = guide_with_a_disk()
    for name, more in ((REMOVE, ""), (GUIDED, f"#:guide {guide.get_id()} #:amount 50")):
        image = image_of()
        layer = layer_of(image)
        select(image, 5, 5, 10, 10)
        before = native(layer)
        script_fu(
            f"(begin (script-fu-use-v3) ({name} #:run-mode RUN-NONINTERACTIVE #:image "
            f'{image.get_id()} #:drawables (vector {layer.get_id()}) #:result "in-place" {more}))'
        )
        assert native(layer) != before
        assert unchanged_outside(before, native(layer), weights_in(image, layer), 3)[0] == 0


# --- Which pixels change


def case_every_precision_changes_the_selection_alone():
    worker("scribble")
    facts = {}
    for base in ("RGB", "GRAY"):
        for precision in PRECISIONS:
            for alpha in (False, True):
                # A new layer has alpha in any case: half of them show all that there is.
                for mode in MODES if alpha == (base == "GRAY") else MODES[:1]:
                    name = f"{precision} {base}{' alpha' if alpha else ''} {mode}"
                    facts[name] = _one_precision(base, precision, alpha, mode)
    assert len(facts) == 18 * (2 * 2 + 2)
    wrong = {name: fact for name, fact in facts.items() if fact}
    assert not wrong, wrong
    return {"pictures": len(facts)}


def _one_precision(base, precision, alpha, mode):
    image = image_of(base=base, precision=precision)
    layer = layer_of(image, alpha=alpha)
    select(image, 5, 6, 9, 7)
    before, known = native(layer), ids(image)
    image.clean_all()
    fills(image, [layer], result=mode)
    after = native(layer)
    problem = ""
    if mode == "in-place":
        spilled, _ = unchanged_outside(before, after, weights_in(image, layer), pixel_bytes(layer))
        if spilled:
            problem = f"{spilled} pixels outside changed"
    else:
        new = added(image, known)
        if after != before:
            problem = "the layer itself changed"
        opacity = samples(new, "A float")
        values = struct.unpack(f"={len(opacity) // 4}f", opacity)
        if (new.get_width(), new.get_height()) != (9, 7) or not near(values, 1, 0.001):
            problem += " the new layer is not the selection"
        if new.get_offsets()[1:] != (5, 6):
            problem += f" it lies at {new.get_offsets()[1:]}"
        layer = new
    box = (5, 6, 9, 7) if mode == "in-place" else None
    colours = samples(layer, "R'G'B' float", box)
    values = struct.unpack(f"={len(colours) // 4}f", colours)
    wanted = 91 / 255 if precision == "U8_NON_LINEAR" else 0.375
    if precision == "U16_NON_LINEAR":
        wanted = 23387 / 65535
    if not near(values, wanted, 0.03 if precision == "U8_LINEAR" else 0.005):
        problem += f" colours are {min(values)} to {max(values)}"
    if not image.is_dirty():
        problem += " the image is not marked as changed"
    image.delete()
    return problem


def case_soft_selections_fade_and_spare_what_is_not_selected():
    worker("scribble")
    facts = {}
    for mode in MODES:
        for alpha in (False, True):
            image = image_of(60, 50)
            layer = layer_of(image, 60, 50, alpha=alpha)
            if alpha:
                write(layer, bytes([10, 20, 30, 255]) * 3000)
            select(image, 20, 15, 20, 20)
            Gimp.Selection.feather(image, 6)
            before, known = native(layer), ids(image)
            weights = weights_in(image, layer)
            assert sum(0 < w < 255 for w in weights) > 0
            fills(image, [layer], result=mode)
            if mode == "in-place":
                size, after = pixel_bytes(layer), native(layer)
                spilled, _ = unchanged_outside(before, after, weights, size)
                wanted = [
                    (before[at * size + c] * (255 - w) + 91 * w + 127) // 255
                    for at, w in enumerate(weights)
                    for c in range(3)
                ]
                if not alpha:
                    assert spilled == 0
                    assert list(after) == wanted
                else:
                    assert spilled == 0
            else:
                assert native(layer) == before
                new = added(image, known)
                _, x, y = new.get_offsets()
                box = (x, y, new.get_width(), new.get_height())
                inside = [
                    weights[(y + row) * 60 + x + column]
                    for row in range(box[3])
                    for column in range(box[2])
                ]
                assert list(samples(new, "A u8")) == inside
                assert sum(w > 0 for w in inside) == sum(w > 0 for w in weights)
            facts[f"{mode} {alpha}"] = sum(0 < w < 255 for w in weights)
            image.delete()
    return facts


def case_a_selection_in_several_parts_changes_nothing_between():
    worker("scribble")
    image = image_of()
    layer = layer_of(image)
    select(image, 2, 2, 5, 5)
    image.select_ellipse(Gimp.ChannelOps.ADD, 20, 12, 15, 15)
    before = native(layer)
    fills(image, [layer], result="in-place")
    spilled, missed = unchanged_outside(before, native(layer), weights_in(image, layer), 3)
    assert (spilled, missed) == (0, 0)


def case_grown_as_the_command_line_grows():
    worker("scribble")
    for mode in MODES:
        image = image_of()
        layer = layer_of(image)
        select(image, 15, 12, 6, 5)
        before, known, selection = native(layer), ids(image), samples_of_selection(image)
        fills(image, [layer], result=mode, grow=4)
        wanted = bytes(
            255 if _distance(x, y, 15, 12, 6, 5) <= 4 else 0 for y in range(30) for x in range(40)
        )
        assert samples_of_selection(image) == selection
        assert not image.get_channels()
        assert image.get_selected_layers() == [layer]
        if mode == "in-place":
            assert unchanged_outside(before, native(layer), wanted, 3) == (0, 0)
        else:
            new = added(image, known)
            assert sum(a > 0 for a in samples(new, "A u8")) == sum(w > 0 for w in wanted)
            assert new.get_offsets()[1:] == (11, 8)
        image.delete()


def _distance(x, y, left, top, width, height):
    dx = max(left - x, 0, x - (left + width - 1))
    dy = max(top - y, 0, y - (top + height - 1))
    return (dx * dx + dy * dy) ** 0.5


# --- Geometry


def _geometry(at, size, selection, mode, canvas=(40, 30)):
    image = image_of(*canvas)
    layer = layer_of(image, *size, at=at)
    select(image, *selection)
    before, known = native(layer), ids(image)
    fills(image, [layer], result=mode)
    weights = weights_in(image, layer)
    if mode == "in-place":
        assert unchanged_outside(before, native(layer), weights, 3) == (0, 0)
    else:
        assert native(layer) == before
        new = added(image, known)
        assert new.get_width() * new.get_height() == sum(w > 0 for w in weights)
    image.delete()


def case_layers_with_offsets_smaller_larger_and_partly_outside():
    worker("scribble")
    for mode in MODES:
        _geometry((5, 4), (20, 15), (8, 6, 6, 5), mode)  # small, with an offset
        _geometry((5, 4), (20, 15), (0, 0, 12, 10), mode)  # the selection partly outside
        _geometry((-10, -8), (30, 25), (0, 0, 9, 9), mode)  # the layer partly outside
        _geometry((-10, -8), (80, 60), (30, 20, 10, 10), mode)  # larger than the canvas
        _geometry((25, 20), (30, 25), (30, 22, 10, 8), mode)  # beyond the lower right corner
        _geometry((0, 0), (40, 30), (0, 0, 40, 3), mode)  # along an edge
        _geometry((0, 0), (40, 30), (39, 29, 1, 1), mode)  # one pixel in the corner


def case_in_a_group_the_new_layer_is_above_in_the_same_group():
    worker("scribble")
    image = image_of()
    layer_of(image, name="ground")
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    layer = layer_of(image, parent=group, name="inner", at=(3, 2))
    top = layer_of(image, parent=group, name="upper", at=(1, 1))
    select(image, 10, 10, 8, 8)
    known = ids(image)
    fills(image, [layer])
    new = added(image, known)
    assert new.get_parent().get_id() == group.get_id()
    order = [item.get_name() for item in group.get_children()]
    assert order == ["upper", "inner (inpainted)", "inner"], order
    assert new.get_offsets()[1:] == (10, 10)
    assert top.get_name() == "upper"
    before = native(layer)
    fills(image, [layer], result="in-place")
    weights = weights_in(image, layer)
    assert unchanged_outside(before, native(layer), weights, 3) == (0, 0)


def case_a_layer_with_a_mask_keeps_it():
    worker("scribble")
    for mode in MODES:
        image = image_of()
        layer = layer_of(image, alpha=True)
        mask = layer.create_mask(Gimp.AddMaskType.BLACK)
        layer.add_mask(mask)
        layer.set_edit_mask(False)
        select(image, 10, 10, 8, 8)
        before, hidden = native(layer), native(mask)
        fills(image, [layer], result=mode)
        assert native(layer.get_mask()) == hidden
        if mode == "in-place":
            assert unchanged_outside(before, native(layer), weights_in(image, layer), 4) == (0, 0)
        image.delete()


def case_a_hidden_layer_is_filled():
    worker("scribble")
    image = image_of()
    layer = layer_of(image)
    layer.set_visible(False)
    select(image, 10, 10, 8, 8)
    before = native(layer)
    fills(image, [layer], result="in-place")
    assert unchanged_outside(before, native(layer), weights_in(image, layer), 3) == (0, 0)
    assert layer.get_visible() is False


def case_live_filters_stay_and_a_new_layer_has_them_in():
    worker("real")
    for mode in MODES:
        image = image_of(120, 100)
        layer = layer_of(image, 120, 100)
        write(layer, bytes([40, 40, 40]) * 12000)
        filter_ = Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "invert")
        layer.append_filter(filter_)
        select(image, 40, 40, 20, 20)
        known = ids(image)
        fills(image, [layer], result=mode, detail="network")
        assert len(layer.get_filters()) == 1
        if mode == "in-place":
            values = samples(layer, "R'G'B' u8")
            assert near(values, 40, 12), (min(values), max(values))
        else:
            new = added(image, known)
            values = samples(new, "R'G'B' u8")
            assert near(values, 215, 12), (min(values), max(values))
            assert len(all_layers(image)) == 2
        image.delete()


def case_what_is_seen_is_looked_at_and_goes_above_all():
    worker("real")
    image = image_of(120, 100)
    ground = layer_of(image, 120, 100, name="ground")
    write(ground, bytes([200, 30, 30]) * 12000)
    layer = layer_of(image, 60, 100, name="half")
    write(layer, bytes([30, 30, 200]) * 6000)
    select(image, 70, 40, 30, 20)  # beside the chosen layer
    known = ids(image)
    fills(image, [layer], context="seen", detail="network")
    new = added(image, known)
    assert image.get_item_position(new) == 0
    values = samples(new, "R'G'B' u8")
    assert near(values[::3], 200, 12), values[:9]
    assert near(values[2::3], 30, 12), values[:9]
    empty = layer_of(image, 120, 100, alpha=True, name="empty")
    write(empty, bytes(4 * 12000))
    new.set_visible(False)
    before = native(empty)
    fills(image, [empty], context="seen", result="in-place", detail="network")
    weights = weights_in(image, empty)
    assert unchanged_outside(before, native(empty), weights, 4) == (0, 0)
    inside = samples(empty, "R'G'B'A u8", (70, 40, 30, 20))
    assert near(inside[3::4], 255, 0)
    assert near(inside[::4], 200, 12)


def case_a_transparent_hole_becomes_opaque_and_a_cut_out_keeps_its_ground():
    worker("real")
    image = image_of(120, 100)
    layer = layer_of(image, 120, 100, alpha=True)
    rows = [
        [200, 120, 30, 0 if (40 <= x < 60 and 40 <= y < 60) or x >= 100 else 255]
        for y in range(100)
        for x in range(120)
    ]
    data = bytes(value for pixel in rows for value in pixel)
    write(layer, data)
    select(image, 35, 35, 30, 30)
    fills(image, [layer], result="in-place", detail="network")
    assert near(samples(layer, "A u8", (35, 35, 30, 30)), 255, 0)
    assert near(samples(layer, "R'G'B'A u8", (40, 40, 20, 20))[::4], 200, 12)
    write(layer, data)
    select(image, 90, 40, 20, 20)  # over the edge of the cut-out
    fills(image, [layer], result="in-place", detail="network")
    assert samples(layer, "A u8") == data[3::4]
    write(layer, data)
    layer.set_lock_alpha(True)
    select(image, 35, 35, 30, 30)
    fills(image, [layer], result="in-place", detail="network")
    assert samples(layer, "A u8") == data[3::4]


def case_the_transparency_of_a_locked_layer_stays_whatever_is_answered():
    worker("scribble")
    image = image_of()
    layer = layer_of(image, alpha=True)
    layer.set_lock_alpha(True)
    select(image, 5, 5, 20, 20)
    before = native(layer)
    fills(image, [layer], result="in-place")
    assert native(layer)[3::4] == before[3::4]
    assert near(native(layer, (5, 5, 20, 20))[::4], 91, 0)


# --- What is refused


def case_refused_without_a_selection():
    worker("scribble")
    image = image_of()
    refused(image, [layer_of(image)], "nothing is selected")


def case_refused_outside_the_layer():
    worker("scribble")
    for mode in MODES:
        image = image_of()
        layer = layer_of(image, 10, 10, name="small")
        select(image, 20, 20, 5, 5)
        refused(image, [layer], "outside", "small", result=mode)


def case_refused_when_all_is_selected():
    worker("scribble")
    for context in ("layer", "seen"):
        image = image_of()
        layer = layer_of(image)
        Gimp.Selection.all(image)
        refused(image, [layer], "all is selected", context=context)
        select(image, 1, 1, 38, 28)
        refused(image, [layer], "all is selected", context=context, grow=2)


def case_refused_indexed():
    worker("scribble")
    image = image_of()
    layer = layer_of(image)
    dither, kind = Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE
    image.convert_indexed(dither, kind, 16, False, False, "")
    select(image, 5, 5, 5, 5)
    refused(image, [layer], "indexed", "Mode > RGB")


def case_refused_without_exactly_one_layer():
    worker("scribble")
    image = image_of()
    layers = [layer_of(image), layer_of(image)]
    select(image, 5, 5, 5, 5)
    refused(image, [], "one layer")
    refused(image, layers, "one layer", "2 layers")


def case_refused_on_a_mask_or_a_channel():
    worker("scribble")
    image = image_of()
    layer = layer_of(image)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.WHITE))
    select(image, 5, 5, 5, 5)
    refused(image, [layer.get_mask()], "mask")
    channel = Gimp.Channel.new(image, "channel", 40, 30, 50.0, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    refused(image, [channel], "channel")


def case_refused_on_a_group():
    worker("scribble")
    image = image_of()
    group = Gimp.GroupLayer.new(image, "people")
    image.insert_layer(group, None, 0)
    layer_of(image, parent=group)
    select(image, 5, 5, 5, 5)
    for mode in MODES:
        refused(image, [group], "group", "people", result=mode)
    fills(image, [group], context="seen")


def case_refused_on_text_in_place_and_filled_above_it():
    worker("scribble")
    image = image_of(200, 100)
    ground = layer_of(image, 200, 100)
    font = Gimp.context_get_font()
    text = Gimp.TextLayer.new(image, "Hello", font, 40, Gimp.Unit.pixel())
    image.insert_layer(text, None, 0)
    select(image, 5, 5, 10, 10)
    refused(image, [text], "text layer", "new layer", result="in-place")
    fills(image, [text])
    assert isinstance(image.get_layers()[1], Gimp.TextLayer)
    assert ground.get_name() == "photo"


def case_refused_on_locked_pixels():
    worker("scribble")
    image = image_of()
    layer = layer_of(image, name="kept")
    layer.set_lock_content(True)
    select(image, 5, 5, 5, 5)
    refused(image, [layer], "locked", "kept", result="in-place")
    fills(image, [layer])
    layer.set_lock_content(False)
    group = Gimp.GroupLayer.new(image, "shut")
    image.insert_layer(group, None, 0)
    inner = layer_of(image, parent=group)
    group.set_lock_content(True)
    refused(image, [inner], "locked", "shut", result="in-place")


def case_refused_on_a_floating_selection():
    worker("scribble")
    image = image_of()
    layer = layer_of(image)
    select(image, 5, 5, 10, 10)
    Gimp.edit_copy([layer])
    (floating,) = Gimp.edit_paste(layer, False)
    assert floating.is_floating_sel()
    status, words = call(image, [floating])
    assert status != Gimp.PDBStatusType.SUCCESS
    assert "float" in words.lower(), words


# --- What goes wrong in the worker


def _failing(name, *words, **arguments):
    """It fails in those words, and leaves nothing open: the image is filled afterwards."""
    worker(name)
    image = image_of()
    layer = layer_of(image)
    image.clean_all()
    select(image, 5, 5, 10, 10)
    dirty = image.is_dirty()
    said = refused(image, [layer], *words, result="in-place", **arguments)
    assert image.is_dirty() == dirty
    worker("scribble")
    before = native(layer)
    fills(image, [layer], result="in-place")
    assert unchanged_outside(before, native(layer), weights_in(image, layer), 3) == (0, 0)
    return {"said": said}


def case_a_worker_that_crashes():
    return _failing("crash", "broke off", "unchanged")


def case_a_worker_that_answers_garbage():
    return _failing("garbage", "broke off", "unchanged")


def case_a_worker_that_answers_too_little():
    return _failing("too_few", "broke off", "bytes")


def case_a_worker_that_ends_in_the_middle_of_its_answer():
    return _failing("broken_answer", "broke off", "unchanged")


def case_a_worker_that_says_nothing():
    started = time.monotonic()
    facts = _failing("silence", "has not answered", "worker --stop")
    assert time.monotonic() - started < 60
    return facts


def case_too_little_memory():
    return _failing("out_of_memory", "memory is too little", "buy")


def case_a_program_that_is_missing():
    return _failing("missing", "cannot be started", "inpaintcli gimp install")


def case_a_program_that_is_too_old():
    return _failing("old_program", "older than this plug-in", "upgrade")


def case_a_program_that_ends_at_once():
    return _failing("broken_program", "ended at once", "code 7", "no such library")


def case_a_worker_of_another_version():
    return _failing("other_version", "cannot be started")


def case_a_sandbox_is_told_the_command():
    return _failing("confined", "sandbox", "inpaintcli gimp worker --state /some/where")


def case_a_model_that_there_is_not():
    return _failing("real", "no model", "nonesuch", model="nonesuch")


def case_a_model_cannot_be_a_path():
    return _failing("real", "name, not by a path", model="/etc/passwd.toml")


def case_killed_by_cancel():
    worker("kill")
    for mode in MODES:
        image = image_of()
        layer = layer_of(image)
        select(image, 5, 5, 10, 10)
        before = state_of(image)
        status, _ = call(image, [layer], result=mode)
        assert status != Gimp.PDBStatusType.SUCCESS
        assert state_of(image) == before
        worker("scribble")
        fills(image, [layer], result="in-place")
        worker("kill")
        image.delete()


# --- The real worker


def _hard_selection(image):
    Gimp.context_set_antialias(False)
    Gimp.context_set_feather(False)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 30, 25)
    image.select_ellipse(Gimp.ChannelOps.ADD, 80, 50, 30, 22)


def case_the_same_bytes_as_the_command_line():
    """The fills themselves are compared outside."""
    worker("real")
    facts = {}
    for name, path in SETTINGS["photos"].items():
        for mode in MODES:
            image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
            (layer,) = image.get_layers()
            _hard_selection(image)
            selection, known, before = samples_of_selection(image), ids(image), native(layer)
            fills(image, [layer], result=mode)
            if mode == "in-place":
                x, y, filled = 0, 0, layer
                spilled, _ = unchanged_outside(
                    before, native(layer), weights_in(image, layer), pixel_bytes(layer)
                )
                assert spilled == 0
            else:
                filled = added(image, known)
                _, x, y = filled.get_offsets()
            facts[f"{name} {mode}"] = {
                "x": x,
                "y": y,
                "width": filled.get_width(),
                "height": filled.get_height(),
                "format": Babl.get_name(filled.get_format()),
                "pixels": base64.b64encode(native(filled)).decode(),
                "selection": base64.b64encode(selection).decode(),
            }
            image.delete()
    return facts


def case_floats_beyond_one_are_filled_as_bright():
    worker("real")
    image = image_of(120, 100, precision="FLOAT_LINEAR")
    layer = layer_of(image, 120, 100)
    value = struct.pack("=3f", 3.0, 2.5, 2.0)
    write(layer, value * 12000)
    select(image, 40, 40, 20, 20)
    before = native(layer)
    fills(image, [layer], result="in-place", detail="network")
    after = native(layer)
    assert unchanged_outside(before, after, weights_in(image, layer), 12)[0] == 0
    inside = struct.unpack("=1200f", native(layer, (40, 40, 20, 20)))
    assert near(inside[::3], 3.0, 0.4), (min(inside[::3]), max(inside[::3]))
    return {"red": [min(inside[::3]), max(inside[::3])]}


def case_a_profile_is_kept_and_its_values_are_native():
    worker("scribble")
    for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_NON_LINEAR"):
        image = image_of(precision=precision)
        layer = layer_of(image)
        profile = Gimp.ColorProfile.new_rgb_adobe()
        image.set_color_profile(profile)
        select(image, 5, 5, 10, 10)
        before = native(layer)
        fills(image, [layer], result="in-place")
        size = pixel_bytes(layer)
        assert unchanged_outside(before, native(layer), weights_in(image, layer), size) == (0, 0)
        inside = native(layer, (5, 5, 10, 10))
        wanted = {
            "U8_NON_LINEAR": bytes([91]) * 300,
            "U16_NON_LINEAR": struct.pack("=H", 23387) * 300,
            "FLOAT_NON_LINEAR": struct.pack("=f", 0.375) * 300,
        }[precision]
        if precision == "FLOAT_NON_LINEAR":
            assert near(struct.unpack("=300f", inside), 0.375, 1e-5)
        else:
            assert inside == wanted, inside[:12]
        assert image.get_color_profile().get_label() == profile.get_label()
        image.delete()


def script_fu(text):
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-script-fu-eval")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    for argument in procedure.get_arguments():
        if argument.get_name() in ("script", "code"):
            config.set_property(argument.get_name(), text)
    status = procedure.run(config).index(0)
    assert status == Gimp.PDBStatusType.SUCCESS, Gimp.get_pdb().get_last_error()


def case_from_script_fu():
    worker("scribble")
    image = image_of()
    layer = layer_of(image)
    select(image, 5, 5, 10, 10)
    before = native(layer)
    text = (
        f"(begin (script-fu-use-v3) (plug-in-inpaint-selection #:run-mode RUN-NONINTERACTIVE "
        f'#:image {image.get_id()} #:drawables (vector {layer.get_id()}) #:result "in-place"))'
    )
    script_fu(text)
    assert unchanged_outside(before, native(layer), weights_in(image, layer), 3) == (0, 0)


def case_without_a_worker_one_is_started_and_stays():
    worker("started")
    image = image_of(120, 100)
    layer = layer_of(image, 120, 100)
    select(image, 40, 40, 20, 20)
    started = time.monotonic()
    fills(image, [layer])
    first = time.monotonic() - started
    state = json.load(open(SETTINGS["started_state"]))
    started = time.monotonic()
    fills(image, [layer])
    again = json.load(open(SETTINGS["started_state"]))
    assert state == again
    return {
        "first_s": round(first, 2),
        "second_s": round(time.monotonic() - started, 2),
        "process": state["process"],
        "mode": oct(os.stat(SETTINGS["started_state"]).st_mode & 0o777),
    }


def run_all():
    report = {}
    only = SETTINGS.get("only")
    for name, function in sorted(globals().items()):
        if not name.startswith("case_") or (only and name not in only):
            continue
        started = time.monotonic()
        try:
            report[name] = {"ok": True, "facts": function()}
        except BaseException:
            report[name] = {"ok": False, "error": traceback.format_exc()}
        report[name]["seconds"] = round(time.monotonic() - started, 2)
        for image in Gimp.get_images():
            image.delete()
    with open(SETTINGS["report"] + ".part", "w") as file:
        json.dump(report, file)
    os.replace(SETTINGS["report"] + ".part", SETTINGS["report"])


run_all()
