"""The windows: what to ask before a fill, and a command to copy where one is needed."""

from contextlib import suppress

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from answers import FailureError
from asking import Settings
from gi.repository import Gimp, GimpUi, GLib, GObject, Gtk
from guides import guide_name, possible_guides

_BINARY = "inpaintcli"
_ROWS = ("result", "context", "detail", "grow", "method", "amount")
"""The arguments that GIMP makes a row of, in this order, where a procedure has them."""


def ask(
    procedure: Gimp.ImageProcedure,
    config: Gimp.ProcedureConfig,
    layer: Gimp.Layer,
    title: str,
    settings: Settings,
) -> bool:
    """Show the dialog of a procedure for a layer; whether to go on. GIMP remembers the values.

    Raises:
        FailureError: there is nothing to choose from.
    """
    GimpUi.init(_BINARY)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
    names = [argument.get_name() for argument in procedure.get_arguments()]
    guided = "guide" in names
    shown = [name for name in _ROWS if name in names]
    rows = [_guide_row(config, layer)] if guided else []
    rows.append(_model_row(config, settings, fills=not guided))
    dialog.fill(shown)
    _align([label for _, label in rows], dialog, shown[-1])
    area = dialog.get_content_area()
    for row, _ in rows:
        area.pack_start(row, False, False, 0)
    if guided:
        area.reorder_child(rows[0][0], 0)
    area.show_all()
    agreed = dialog.run()
    dialog.destroy()
    _settle()
    return bool(agreed)


def _guide_row(config: Gimp.ProcedureConfig, layer: Gimp.Layer) -> "tuple[Gtk.Box, Gtk.Label]":
    """A list of the layers that can be the guide of a layer, the best guess chosen."""
    guides = possible_guides(layer)
    if not guides:
        raise FailureError(
            "No other image is open, and this one has no other layer. Open the image with the "
            "object, draw a box around it there, and try again."
        )
    names = Gtk.ComboBoxText.new()
    for guide in guides:
        names.append(str(guide.get_id()), guide_name(guide))

    def choose(_list: Gtk.ComboBoxText) -> None:
        config.set_property("guide", Gimp.Drawable.get_by_id(int(names.get_active_id())))

    def keep(*_: object) -> None:
        if config.get_property("guide") is None:  # GIMP's own button has reset all
            choose(names)

    names.connect("changed", choose)
    config.connect("notify::guide", keep)
    before = config.get_property("guide")  # of an image that may have been closed since
    if before is None or not names.set_active_id(str(before.get_id())):
        names.set_active(0)
    return _row("_Guide", names)


def _align(labels: "list[Gtk.Label]", dialog: GimpUi.ProcedureDialog, row: str) -> None:
    """Make labels as wide as those that GIMP has made."""
    group = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for label in labels:
        group.add_widget(label)
    with suppress(AttributeError, TypeError):  # another GIMP may make its rows of other widgets
        group.add_widget(dialog.get_widget(row, GObject.TYPE_NONE).get_label())


def _model_row(
    config: Gimp.ProcedureConfig, settings: Settings, *, fills: bool
) -> "tuple[Gtk.Box, Gtk.Label]":
    """A list of the models that install knew, in which another name can be written.

    `fills`: an empty name is the default model; else it is none.
    """
    names = Gtk.ComboBoxText.new_with_entry()
    for name in settings.models:
        names.append_text(name)
    entry = names.get_child()
    default = settings.models[0] if settings.models else "default"
    entry.set_placeholder_text(f"{default} (default)" if fills else "none")
    flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property("model", entry, "text", flags)
    return _row("_Model", names)


def _row(name: str, widget: Gtk.Widget) -> "tuple[Gtk.Box, Gtk.Label]":
    """A widget and its label, as GIMP lays them out."""
    row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
    label = Gtk.Label.new_with_mnemonic(name)
    label.set_xalign(0)
    label.set_mnemonic_widget(widget)
    row.pack_start(label, False, False, 0)
    row.pack_start(widget, True, True, 0)
    return row, label


def show_command(title: str, message: str, command: str) -> None:
    """A failure, and the command that helps, to be copied."""
    GimpUi.init(_BINARY)
    dialog = Gtk.Dialog(title=f"{title}: a Command to Type")
    dialog.add_button("_Copy Command", Gtk.ResponseType.APPLY)
    dialog.add_button("_OK", Gtk.ResponseType.OK)
    dialog.set_default_response(Gtk.ResponseType.OK)
    area = dialog.get_content_area()
    area.set_spacing(12)
    area.set_border_width(18)
    label = Gtk.Label(label=message, wrap=True, xalign=0, max_width_chars=70, selectable=True)
    entry = Gtk.Entry(text=command, editable=False, width_chars=60)
    area.pack_start(label, False, False, 0)
    area.pack_start(entry, False, False, 0)
    dialog.show_all()
    while dialog.run() == Gtk.ResponseType.APPLY:
        clipboard = Gtk.Clipboard.get_default(dialog.get_display())
        clipboard.set_text(command, -1)
        clipboard.store()
    dialog.destroy()
    _settle()


def _settle() -> None:
    """Let a closed window go before the work begins."""
    while GLib.MainContext.default().iteration(False):
        pass
