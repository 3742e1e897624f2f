"""The list of all segmenters, and the one that was asked for."""

from pathlib import Path

from inpaintcli_engines.base import Engine

from inpaintcli.errors import ModelError, UsageError
from inpaintcli.objects.segment import efficient_sam, mobile_sam, saliency
from inpaintcli.objects.segment.grabcut import GrabCut
from inpaintcli.objects.segment.onnx_graphs import input_names, open_graph
from inpaintcli.objects.segment.segmenter import Segmenter

DEFAULT = "grabcut"


def open_segmenter(name: str = DEFAULT, *, engine: str = "auto", device: str = "auto") -> Segmenter:
    """The segmenter of a name, or that of an ONNX file.

    Args:
        name: grabcut, the path of an ONNX file, or those of an encoder and a decoder, with a comma.
        engine: what runs an ONNX file, as in `open_engine`.
        device: where, as in `open_engine`.

    Raises:
        UsageError: there is no segmenter of that name.
        ModelError: a file does not exist, or is no segmenter that is known.
        EngineError: a file cannot be loaded.
    """
    if name == DEFAULT:
        return GrabCut()
    paths = [Path(name)]
    if name.count(",") == 1 and not paths[0].exists():
        paths = [Path(part.strip()) for part in name.split(",")]
    if any(path.suffix.lower() != ".onnx" for path in paths):
        raise UsageError(
            f"There is no segmenter '{name}'.",
            hint="Pass grabcut, the path of a .onnx file, or ENCODER.onnx,DECODER.onnx.",
        )
    first = open_graph(paths[0], engine, device)
    if len(paths) == 2:
        return mobile_sam.paired(first, open_graph(paths[1], engine, device))
    if mobile_sam.is_encoder(first) or mobile_sam.is_decoder(first):
        return mobile_sam.open_pair(first, paths[0], engine, device)
    return _recognised(first, paths[0])


def _recognised(engine: Engine, path: Path) -> Segmenter:
    """The segmenter whose graph this is.

    Raises:
        ModelError: it is none that is known.
    """
    if efficient_sam.recognises(engine):
        return efficient_sam.EfficientSam(engine)
    if saliency.recognises(engine):
        return saliency.Saliency(engine)
    names = ", ".join(sorted(input_names(engine)))
    engine.close()
    raise ModelError(
        f"{path.name} is no segmenter that is known: it takes {names}.",
        hint="MobileSAM, EfficientSAM, u2net and ISNet are recognised.",
    )
