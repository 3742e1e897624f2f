"""Runs inside GIMP with windows, on a virtual screen, and opens the dialog from the menu.

GIMP runs this as a text with the path of its settings in CONFIG. What is seen goes into the folder
`shots`; what is found into the report. Keys and clicks are made by xdotool.
"""

import hashlib
import json
import os
import subprocess
import time
import traceback

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio

SETTINGS = json.load(open(CONFIG))
SHOTS = SETTINGS["shots"]
BOX = SETTINGS["box"]
DIALOG = "^Inpaint Selection$"
REMOVE_DIALOG = "^Remove Object in Selection$"
GUIDED_DIALOG = "^Fill with Object from Another Image$"
facts = {}


def worker(name):
    with open(SETTINGS["plug_in"], "w") as file:
        json.dump(SETTINGS["workers"][name], file)


def tool(*words):
    """What xdotool prints; empty where it finds nothing."""
    done = subprocess.run(["xdotool", *map(str, words)], capture_output=True, text=True)
    return done.stdout.strip()


def keys(*names, pause=0.35):
    for name in names:
        tool("key", "--clearmodifiers", name)
        time.sleep(pause)


def shot(name):
    """The whole screen, as PNG."""
    time.sleep(0.6)
    subprocess.run(["import", "-window", "root", f"{SHOTS}/{name}.png"], check=True)


def until(what, found, limit_s=60):
    """Wait until something is true."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    shot("failed")
    raise AssertionError(f"never seen: {what}")


def window(title):
    return tool("search", "--onlyvisible", "--name", title)


def focus_image():
    number = until("the image's window", lambda: window("GIMP$")).split()[-1]
    tool("windowactivate", "--sync", number)
    tool("windowfocus", "--sync", number)
    time.sleep(0.3)


def pixels(image):
    """All that undo must give back."""
    found = []
    for layer in image.get_layers():
        rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
        data = layer.get_buffer().get(rectangle, 1.0, None, Gegl.AbyssPolicy.NONE)
        found.append((layer.get_name(), hashlib.sha256(bytes(data)).hexdigest()))
    _, some, *corners = Gimp.Selection.bounds(image)
    return found, some, corners, len(image.get_channels())


def open_dialog(first=False, key="i", dialog=DIALOG):
    """Filters > Enhance > Inpaint Selection..., or another entry, by the keys of the menu."""
    focus_image()
    keys("alt+r", "h", pause=0.8)
    if first:
        tool("mousemove", *SETTINGS["entry"])
        shot("menu")
    keys(key)
    until("the dialog", lambda: window(dialog))
    tool("mousemove", *SETTINGS["aside"])
    time.sleep(0.8)


def press_ok(dialog=DIALOG):
    keys("alt+o")
    until("the dialog to close", lambda: not window(dialog))


def open_image(box=BOX):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(SETTINGS["photo"]))
    display = Gimp.Display.new(image)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, *box)
    Gimp.displays_flush()
    tool("mousemove", *SETTINGS["aside"])
    time.sleep(2)
    return image, display


def undo_gives_back(image, before, after, name):
    """Undo, redo, undo: one step each."""
    focus_image()
    keys("ctrl+z", pause=0.8)
    assert pixels(image) == before, f"{name}: undo"
    keys("ctrl+y", pause=0.8)
    assert pixels(image) == after, f"{name}: redo"
    keys("ctrl+z", pause=0.8)
    assert pixels(image) == before, f"{name}: undo again"


def step_menu_dialog_fill_undo_redo():
    """The default: a new layer."""
    worker("real")
    image, display = open_image()
    before = pixels(image)
    shot("before")
    open_dialog(first=True)
    shot("dialog")
    press_ok()
    until("the new layer", lambda: len(image.get_layers()) == 2, 120)
    time.sleep(1)
    after = pixels(image)
    assert after[0][1] == before[0][0], "the layer itself changed"
    shot("after")
    undo_gives_back(image, before, after, "new layer")
    display.delete()


def step_in_place_is_remembered_and_one_step_of_undo():
    worker("real")
    image, display = open_image()
    before = pixels(image)
    open_dialog()
    keys("alt+e")  # the result: down to "in place"
    keys("space", pause=0.6)
    keys("Down")
    keys("Return", pause=0.6)
    shot("in-place-dialog")
    press_ok()
    until("the fill", lambda: pixels(image) != before, 120)
    time.sleep(1)
    after = pixels(image)
    assert len(after[0]) == 1
    undo_gives_back(image, before, after, "in place")
    facts["remembered"] = True
    open_dialog()
    press_ok()
    until("the fill with the last values", lambda: pixels(image) != before, 120)
    time.sleep(1)
    assert len(pixels(image)[0]) == 1, "the last values were not remembered"
    display.delete()


def step_remove_object_by_the_menu_and_undo():
    worker("real")
    image, display = open_image(SETTINGS["object"])
    before = pixels(image)
    open_dialog(key="o", dialog=REMOVE_DIALOG)
    shot("remove-dialog")
    press_ok(REMOVE_DIALOG)
    until("the new layer", lambda: len(image.get_layers()) == 2, 120)
    time.sleep(1)
    after = pixels(image)
    assert after[0][1] == before[0][0], "the layer itself changed"
    shot("removed")
    undo_gives_back(image, before, after, "remove object")
    display.delete()


def step_an_object_of_another_image_by_the_menu_and_undo():
    """The dialog offers the other open image that has a selection."""
    worker("real")
    guide, of_guide = open_image(SETTINGS["object"])
    image, display = open_image(SETTINGS["place"])
    before, kept = pixels(image), pixels(guide)
    open_dialog(key="f", dialog=GUIDED_DIALOG)
    shot("guided-dialog")
    press_ok(GUIDED_DIALOG)
    until("the new layer", lambda: len(image.get_layers()) == 2, 120)
    time.sleep(1)
    after = pixels(image)
    assert after[0][1] == before[0][0], "the layer itself changed"
    shot("guided")
    undo_gives_back(image, before, after, "guided")
    assert pixels(guide) == kept
    display.delete()
    of_guide.delete()


def step_cancelled_while_an_object_is_searched_for():
    worker("slow")
    gone = os.path.join(os.path.dirname(SETTINGS["workers"]["slow"]["state"]), "gone")
    if os.path.exists(gone):
        os.remove(gone)
    image, display = open_image()
    before = pixels(image)
    open_dialog(key="o", dialog=REMOVE_DIALOG)
    press_ok(REMOVE_DIALOG)
    time.sleep(2)
    focus_image()
    tool("mousemove", *SETTINGS["cancel"], "click", 1)
    until("the worker to be left", lambda: os.path.exists(gone), 20)
    assert pixels(image) == before
    display.delete()
    os.remove(gone)


def step_failed_leaves_image_and_undo_as_they_were():
    worker("crash")
    image, display = open_image()
    first = pixels(image)
    image.get_layers()[0].invert(False)  # a step of undo that must be the next one
    Gimp.displays_flush()
    before = pixels(image)
    open_dialog()
    press_ok()
    until("GIMP's message", lambda: window("GIMP Message|Inpaint|Message"), 60)
    shot("failed-worker")
    assert pixels(image) == before
    keys("Escape", pause=0.8)
    focus_image()
    keys("ctrl+z", pause=0.8)
    assert pixels(image) == first, "undo after a failure"
    display.delete()


def step_cancelled_leaves_image_and_undo_as_they_were():
    worker("slow")
    image, display = open_image()
    first = pixels(image)
    image.get_layers()[0].invert(False)
    Gimp.displays_flush()
    before = pixels(image)
    open_dialog()
    press_ok()
    time.sleep(2)
    shot("progress")
    focus_image()
    tool("mousemove", *SETTINGS["cancel"], "click", 1)
    gone = os.path.join(os.path.dirname(SETTINGS["workers"]["slow"]["state"]), "gone")
    until("the worker to be left", lambda: os.path.exists(gone), 20)
    assert pixels(image) == before
    focus_image()
    keys("ctrl+z", pause=0.8)
    assert pixels(image) == first, "undo after a cancel"
    worker("real")
    open_dialog()
    press_ok()
    until("a fill after a cancel", lambda: pixels(image) != first, 120)
    display.delete()


def step_a_sandbox_shows_the_command_to_copy():
    worker("confined")
    image, display = open_image()
    before = pixels(image)
    open_dialog()
    press_ok()
    until("the command", lambda: window("a Command to Type"))
    shot("command")
    keys("Escape", pause=0.8)
    assert pixels(image) == before
    display.delete()


def step_without_a_selection_no_dialog_but_a_sentence():
    worker("real")
    image, display = open_image()
    Gimp.Selection.none(image)
    Gimp.displays_flush()
    focus_image()
    keys("alt+r", "h", pause=0.8)
    keys("i", pause=1.5)
    assert not window(DIALOG)
    shot("no-selection")
    keys("Escape")
    display.delete()


def step_without_a_guide_no_dialog_but_a_sentence():
    worker("real")
    image, display = open_image()
    before = pixels(image)
    focus_image()
    keys("alt+r", "h", pause=0.8)
    keys("f", pause=1.5)
    assert not window(GUIDED_DIALOG)
    shot("no-guide")
    keys("Escape")
    assert pixels(image) == before
    display.delete()


def run_all():
    report = {}
    only = SETTINGS.get("only")
    for name, function in list(globals().items()):
        if not name.startswith("step_") or (only and name not in only):
            continue
        try:
            function()
            report[name] = {"ok": True}
        except BaseException:
            report[name] = {"ok": False, "error": traceback.format_exc()}
            keys("Escape", "Escape", "Escape")
    report["facts"] = facts
    with open(SETTINGS["report"] + ".part", "w") as file:
        json.dump(report, file)
    os.replace(SETTINGS["report"] + ".part", SETTINGS["report"])


time.sleep(SETTINGS.get("settle_s", 3))
run_all()
