#!/usr/bin/env python3
"""GIMP 3: Filters > Enhance > Inpaint Selection..., and Remove Object in Selection...

Written by `inpaintcli gimp install`, with `settings.json`, which says how the program is reached.
The plug-in reads the layer and the selection, asks a worker (see `protocol.py`), and writes the
answer: nothing is filled here.
"""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject

sys.path.insert(0, str(Path(__file__).resolve().parent))
from answers import FailureError, Status
from asking import fill, find, read_settings
from checks import (
    IN_PLACE,
    NEW_LAYER,
    SEEN,
    THIS_LAYER,
    Options,
    check_target,
    looks_different,
)
from layers import Task, task_of
from writing import write

MENU = "<Image>/Filters/Enhance"
WRITABLE = GObject.ParamFlags.READWRITE


class Progress:
    """GIMP's progress bar: it pulses until the first share is known."""

    def __init__(self, title: str) -> None:
        self._text, self._shared = "", False
        Gimp.progress_init(title)

    def show(self, status: "Status | None") -> None:
        """Show what is going on, or that something is."""
        if status is None:
            if not self._shared:
                Gimp.progress_pulse()
            return
        if status.text and status.text != self._text:
            self._text = status.text
            Gimp.progress_set_text(status.text)
        if status.share is not None:
            self._shared = True
            Gimp.progress_update(status.share)


def inpaint_selection(image: Gimp.Image, drawables: list, options: Options) -> str:
    """Fill the selection; what is worth saying afterwards is returned.

    Raises:
        FailureError: it could not be, and why.
    """
    layer = check_target(image, drawables)
    _fill_into(task_of(image, layer, options), "Inpaint Selection", finds=False)
    return looks_different(layer, options)


def remove_object(image: Gimp.Image, drawables: list, options: Options) -> str:
    """Find the object that the selection is drawn around, and fill what it covers.

    Raises:
        FailureError: it was not found, or could not be removed, and why.
    """
    layer = check_target(image, drawables)
    task = task_of(image, layer, replace(options, grow=0))
    task.options = options  # which grows the object, not the selection
    _fill_into(task, "Remove Object in Selection", finds=True)
    return looks_different(layer, options)


def _fill_into(task: Task, title: str, *, finds: bool) -> None:
    """Ask for a fill, of the object where one is to be found, and write it."""
    progress, settings = Progress(title), read_settings()
    try:
        if finds:
            request = task.request(os.getpid(), "find")
            task.take_object(find(request, task.payload, settings, progress.show))
        answer = fill(task.request(os.getpid()), task.payload, settings, progress.show)
        write(task, answer.data)
    finally:
        task.close()
        Gimp.progress_end()
    Gimp.displays_flush()


def selection_arguments(procedure: Gimp.ImageProcedure) -> None:
    """The arguments of `inpaint_selection`, which are its `Options`."""
    result = Gimp.Choice.new()
    result.add(NEW_LAYER, 0, "A new layer above", "Its transparency is the selection")
    result.add(IN_PLACE, 1, "In place", "The layer itself is changed")
    context = Gimp.Choice.new()
    context.add(THIS_LAYER, 0, "This layer", "The pixels of the chosen layer alone")
    context.add(SEEN, 1, "What is seen", "All visible layers, as they look together")
    detail = Gimp.Choice.new()
    detail.add("auto", 0, "Automatic", "Patches and the network, each where it serves")
    detail.add("network", 1, "The network's", "Smooth; fastest")
    detail.add("patches", 2, "Patches of the image", "The texture around, as it is")
    procedure.add_choice_argument(
        "result", "R_esult", "Where the fill goes", result, NEW_LAYER, WRITABLE
    )
    procedure.add_choice_argument(
        "context", "Loo_k at", "What the program may look at", context, THIS_LAYER, WRITABLE
    )
    procedure.add_choice_argument(
        "detail", "_Detail", "Whose texture fills the selection", detail, "auto", WRITABLE
    )
    procedure.add_int_argument(
        "grow", "_Grow", "Widen what is filled by so many pixels", 0, 1000, 0, WRITABLE
    )
    procedure.add_string_argument(
        "model", "_Model", "A model's name; empty for the default", "", WRITABLE
    )


def options_of(config: Gimp.ProcedureConfig) -> Options:
    """The arguments of a call."""
    return Options(**{name: config.get_property(name) for name in Options.__dataclass_fields__})


@dataclass(frozen=True)
class Entry:
    """One entry of the menu: a procedure, its arguments, and what it does with an image."""

    label: str
    title: str
    blurb: str
    arguments: "Callable[[Gimp.ImageProcedure], None]"
    work: "Callable[[Gimp.Image, list, Options], str]"


ENTRIES = {
    "plug-in-inpaint-selection": Entry(
        "_Inpaint Selection...",
        "Inpaint Selection",
        "Fill the selection from what is around it",
        selection_arguments,
        inpaint_selection,
    ),
    "plug-in-inpaint-remove-object": Entry(
        "_Remove Object in Selection...",
        "Remove Object in Selection",
        "Find the object that the selection is drawn around, and fill what it covers",
        selection_arguments,
        remove_object,
    ),
}
"""A further procedure is a further entry."""


class InpaintPlugIn(Gimp.PlugIn):
    """What GIMP asks for procedures."""

    def do_set_i18n(self, _name: str) -> bool:
        """No translations."""
        return False

    def do_query_procedures(self) -> list:
        """The names."""
        return list(ENTRIES)

    def do_create_procedure(self, name: str) -> Gimp.ImageProcedure:
        """One procedure, with its arguments."""
        entry = ENTRIES[name]
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label(entry.label)
        procedure.add_menu_path(MENU)
        procedure.set_documentation(
            entry.blurb, f"{entry.blurb}; the program inpaintcli does it.", name
        )
        procedure.set_attribution("The inpaintcli authors", "Apache-2.0", "2026")
        entry.arguments(procedure)
        return procedure


def run(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list,
    config: Gimp.ProcedureConfig,
    _data: object,
) -> Gimp.ValueArray:
    """What GIMP calls; every failure becomes a sentence of its own."""
    entry = ENTRIES[procedure.get_name()]
    try:
        interactive = run_mode == Gimp.RunMode.INTERACTIVE
        if interactive:
            check_target(image, drawables)
            import dialogs

            if not dialogs.ask(procedure, config, entry.title, read_settings()):
                return _ended(procedure, Gimp.PDBStatusType.CANCEL)
        remark = entry.work(image, drawables, options_of(config))
        if remark and interactive:
            Gimp.message(remark)
        return _ended(procedure, Gimp.PDBStatusType.SUCCESS)
    except FailureError as error:
        return _failed(procedure, error, entry.title, run_mode)
    except MemoryError:
        text = "The memory is too little for this image. Close other programs, or scale the image."
        return _ended(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, text)
    except Exception as error:  # noqa: BLE001 - GIMP would show nothing but "execution error"
        traceback.print_exc()
        text = f"A fault of the plug-in: {type(error).__name__}: {error}. Please report it."
        return _ended(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, text)


def _failed(
    procedure: Gimp.ImageProcedure, error: FailureError, title: str, run_mode: Gimp.RunMode
) -> Gimp.ValueArray:
    """Show the failure: with a command to copy where there is one, else as GIMP shows errors."""
    if error.command and run_mode == Gimp.RunMode.INTERACTIVE:
        import dialogs

        dialogs.show_command(title, error.message, error.command)
        return _ended(procedure, Gimp.PDBStatusType.CANCEL)
    text = f"{error.message} {error.command}".strip()
    return _ended(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, text)


def _ended(
    procedure: Gimp.ImageProcedure, status: Gimp.PDBStatusType, text: str = ""
) -> Gimp.ValueArray:
    error = GLib.Error(text, "inpaintcli", 1) if text else None
    return procedure.new_return_values(status, error)


if __name__ == "__main__":
    Gimp.main(InpaintPlugIn.__gtype__, sys.argv)
