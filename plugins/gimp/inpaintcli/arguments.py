"""The arguments of each procedure, of which GIMP also makes the dialog."""

import gi

gi.require_version("Gimp", "3.0")
from checks import IN_PLACE, NEW_LAYER, SEEN, THIS_LAYER, Options
from gi.repository import Gimp, GObject

WRITABLE = GObject.ParamFlags.READWRITE


def selection_arguments(procedure: Gimp.ImageProcedure) -> None:
    """The arguments of `inpaint_selection`, which are its `Options`."""
    _result_and_context(procedure)
    detail = Gimp.Choice.new()
    detail.add("auto", 0, "Automatic", "Patches and the network, each where it serves")
    detail.add("network", 1, "The network's", "Smooth; fastest")
    detail.add("patches", 2, "Patches of the image", "The texture around, as it is")
    procedure.add_choice_argument(
        "detail", "_Detail", "Whose texture fills the selection", detail, "auto", WRITABLE
    )
    procedure.add_int_argument(
        "grow", "_Grow", "Widen what is filled by so many pixels", 0, 1000, 0, WRITABLE
    )
    procedure.add_string_argument(
        "model", "_Model", "A model's name; empty for the default", "", WRITABLE
    )


def guided_arguments(procedure: Gimp.ImageProcedure) -> None:
    """The arguments of `put_object_in`, which are its `GuidedOptions`."""
    procedure.add_drawable_argument(
        "guide",
        "_Guide",
        "The layer, of this image or another, with the object: it is searched for in the box of "
        "the selection of its own image",
        True,
        WRITABLE,
    )
    _result_and_context(procedure)
    method = Gimp.Choice.new()
    method.add("auto", 0, "Automatic", "A model where one is named, else predicted")
    method.add("predicted", 1, "Predicted", "From statistics of object and image")
    method.add("model", 2, "A model's", "What a harmonizing model answers")
    method.add("reinhard", 3, "Reinhard's transfer", "The colours around, as a whole")
    procedure.add_choice_argument(
        "method", "_Fitted by", "What chooses the object's new colours", method, "auto", WRITABLE
    )
    procedure.add_int_argument(
        "amount", "_Amount", "How much of that change is made, in percent", 0, 100, 100, WRITABLE
    )
    procedure.add_string_argument(
        "model", "_Model", "A model that harmonizes, by name; empty for none", "", WRITABLE
    )


def _result_and_context(procedure: Gimp.ImageProcedure) -> None:
    """The arguments that all have."""
    result = Gimp.Choice.new()
    result.add(NEW_LAYER, 0, "A new layer above", "Transparent where nothing changes")
    result.add(IN_PLACE, 1, "In place", "The layer itself is changed")
    context = Gimp.Choice.new()
    context.add(THIS_LAYER, 0, "This layer", "The pixels of the chosen layer alone")
    context.add(SEEN, 1, "What is seen", "All visible layers, as they look together")
    procedure.add_choice_argument(
        "result", "R_esult", "Where the fill goes", result, NEW_LAYER, WRITABLE
    )
    procedure.add_choice_argument(
        "context", "Loo_k at", "What the program may look at", context, THIS_LAYER, WRITABLE
    )


def options_of(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, kind: type) -> Options:
    """The arguments of a call, as far as the procedure has them."""
    named = {argument.get_name() for argument in procedure.get_arguments()}
    names = [name for name in kind.__dataclass_fields__ if name in named]
    return kind(**{name: config.get_property(name) for name in names})
