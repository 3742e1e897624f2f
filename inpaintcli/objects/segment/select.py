"""The list of all segmenters, and the one that was asked for."""

from inpaintcli.errors import UsageError
from inpaintcli.objects.segment.grabcut import GrabCut
from inpaintcli.objects.segment.segmenter import Segmenter

DEFAULT = "grabcut"


def open_segmenter(name: str = DEFAULT) -> Segmenter:
    """The segmenter of a name, or that of an ONNX file.

    Args:
        name: grabcut, or the path of an ONNX file.

    Raises:
        UsageError: there is no such segmenter.
    """
    if name == DEFAULT:
        return GrabCut()
    raise UsageError(
        f"There is no segmenter '{name}'.", hint="Pass grabcut or the path of a .onnx."
    )
