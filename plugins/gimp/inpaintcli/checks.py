"""Which layers can be filled, and what is said of those that cannot; the options that decide it."""

from dataclasses import dataclass

import gi

gi.require_version("Gimp", "3.0")
from answers import FailureError
from gi.repository import Gimp

NEW_LAYER, IN_PLACE = "new-layer", "in-place"
THIS_LAYER, SEEN = "layer", "seen"
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
