#!/usr/bin/env python3
"""GIMP 3, Filters > Enhance: Inpaint Selection, Remove Object, Fill with Object of Another Image.

Written by `inpaintcli gimp install`, with `settings.json`, which says how the program is reached.
The plug-in reads the layer and the selection, asks a worker (see `protocol.py`), and writes the
answer: nothing is filled here.
"""

import itertools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib

sys.path.insert(0, str(Path(__file__).resolve().parent))
from answers import FailureError, Status
from arguments import guided_arguments, options_of, selection_arguments
from asking import fill, find, read_settings
from checks import Options, check_target, looks_different
from guides import GuidedOptions, guide_of, guided_request, place_of, take_answer
from layers import Task, task_of
from writing import write

MENU = "<Image>/Filters/Enhance"


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
            request = task.request(os.getpid(), request="find")
            task.take_object(find(request, task.payload, settings, progress.show))
        answer = fill(task.request(os.getpid()), task.payload, settings, progress.show)
        write(task, answer.data)
    finally:
        task.close()
        Gimp.progress_end()
    Gimp.displays_flush()


def put_object_in(image: Gimp.Image, drawables: list, options: GuidedOptions) -> str:
    """Put the object that is selected in the guide into the selection's box.

    Raises:
        FailureError: it was not found, or could not be put in, and why.
    """
    layer = check_target(image, drawables)
    task, guide = place_of(image, layer, options), guide_of(layer, options.guide)
    progress = Progress("Fill with Object")
    try:
        request = guided_request(task, guide, options, os.getpid())

        def payload() -> "Iterator[bytes]":
            return itertools.chain(task.payload(), guide.strips(task))

        answer = fill(request, payload, read_settings(), progress.show)
        write(task, take_answer(task, request, answer.data))
    finally:
        task.close()
        guide.close()
        Gimp.progress_end()
    Gimp.displays_flush()
    notes = [f"{note[:1].upper()}{note[1:]}." for note in answer.fields.get("notes") or ()]
    return " ".join([*notes, looks_different(layer, options)]).strip()


@dataclass(frozen=True)
class Entry:
    """One entry of the menu: a procedure, its arguments, and what it does with an image."""

    label: str
    title: str
    blurb: str
    arguments: "Callable[[Gimp.ImageProcedure], None]"
    work: "Callable[[Gimp.Image, list, Options], str]"
    options: type = Options


ENTRIES = {
    "plug-in-inpaint-selection": Entry(
        "_Inpaint Selection...",
        "Inpaint Selection",
        "Fill the selection from what is around it",
        selection_arguments,
        inpaint_selection,
    ),
    "plug-in-inpaint-remove-object": Entry(
        "Remove _Object in Selection...",
        "Remove Object in Selection",
        "Find the object that the selection is drawn around, and fill what it covers",
        selection_arguments,
        remove_object,
    ),
    "plug-in-inpaint-guided": Entry(
        "_Fill with Object from Another Image...",
        "Fill with Object from Another Image",
        "Put an object that is selected in another image or layer into the selection's box",
        guided_arguments,
        put_object_in,
        GuidedOptions,
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
            layer = check_target(image, drawables)
            import dialogs

            if not dialogs.ask(procedure, config, layer, entry.title, read_settings()):
                return _ended(procedure, Gimp.PDBStatusType.CANCEL)
        remark = entry.work(image, drawables, options_of(procedure, config, entry.options))
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
