"""The windows: what to ask before a fill, and a command to copy where one is needed."""

from contextlib import suppress

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from asking import Settings
from gi.repository import Gimp, GimpUi, GLib, GObject, Gtk

_BINARY = "inpaintcli"
_ROWS = ("guide", "result", "context", "detail", "grow", "method", "amount")
"""The arguments that GIMP makes a row of, in this order, where a procedure has them."""


def ask(
    procedure: Gimp.ImageProcedure,
    config: Gimp.ProcedureConfig,
    image: Gimp.Image,
    title: str,
    settings: Settings,
) -> bool:
    """Show the dialog of a procedure; whether to go on. GIMP remembers the last values."""
    GimpUi.init(_BINARY)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
    names = [argument.get_name() for argument in procedure.get_arguments()]
    shown = [name for name in _ROWS if name in names]
    if "guide" in names:
        _suggest_guide(config, image)
    dialog.fill(shown)
    row, label = _model_row(config, settings, fills="guide" not in names)
    _align(label, dialog, shown[-1])
    area = dialog.get_content_area()
    area.pack_start(row, False, False, 0)
    area.show_all()
    agreed = dialog.run()
    dialog.destroy()
    _settle()
    return bool(agreed)


def _suggest_guide(config: Gimp.ProcedureConfig, image: Gimp.Image) -> None:
    """Begin with a layer of another open image, one with a selection before one without."""
    chosen = config.get_property("guide")
    if chosen is not None and chosen.is_valid() and chosen.get_image().get_id() != image.get_id():
        return
    others = [one for one in Gimp.get_images() if one.get_id() != image.get_id()]
    others.sort(key=Gimp.Selection.is_empty)
    layers = [layer for one in others for layer in one.get_selected_layers()[:1]]
    if layers:
        config.set_property("guide", layers[0])


def _align(label: Gtk.Label, dialog: GimpUi.ProcedureDialog, row: str) -> None:
    """Make a label as wide as those that GIMP has made."""
    group = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    group.add_widget(label)
    with suppress(AttributeError, TypeError):  # another GIMP may make its rows of other widgets
        group.add_widget(dialog.get_widget(row, GObject.TYPE_NONE).get_label())


def _model_row(
    config: Gimp.ProcedureConfig, settings: Settings, *, fills: bool
) -> "tuple[Gtk.Box, Gtk.Label]":
    """A list of the models that install knew, in which another name can be written.

    `fills`: an empty name is the default model; else it is none.
    """
    row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
    label = Gtk.Label.new_with_mnemonic("_Model")
    label.set_xalign(0)
    names = Gtk.ComboBoxText.new_with_entry()
    for name in settings.models:
        names.append_text(name)
    entry = names.get_child()
    default = settings.models[0] if settings.models else "default"
    entry.set_placeholder_text(f"{default} (default)" if fills else "none")
    label.set_mnemonic_widget(names)
    flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property("model", entry, "text", flags)
    row.pack_start(label, False, False, 0)
    row.pack_start(names, True, True, 0)
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
