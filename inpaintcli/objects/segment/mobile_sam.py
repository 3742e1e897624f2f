"""MobileSAM and other exports of Segment Anything: an encoder and a decoder, two ONNX files.

The encoder sees a crop with its longer side at 1024 pixels. That of MobileSAM takes `input_image`
(h, w, 3) in RGB from 0 to 255, and normalises and pads inside; others take (1, 3, 1024, 1024),
normalised and padded here. The decoder takes points in that frame with labels: 1 the object, 2 and
3 the corners of a box, -1 padding; a logit above 0 is the object.
"""

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from inpaintcli_engines.base import Engine
from numpy.typing import NDArray

from inpaintcli.errors import ModelError
from inpaintcli.objects.segment.onnx_graphs import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    as_taken,
    at_full_size,
    best_mask,
    input_names,
    open_graph,
    output_names,
    sigmoid,
)
from inpaintcli.objects.segment.prompts import Question
from inpaintcli.objects.segment.segmenter import Segmenter

Floats = NDArray[np.float32]
SIDE = 1024
EMBEDDINGS = "image_embeddings"
DECODER_INPUTS = {
    EMBEDDINGS,
    "point_coords",
    "point_labels",
    "mask_input",
    "has_mask_input",
    "orig_im_size",
}


class MobileSam(Segmenter):
    """See the module."""

    name: str = "MobileSAM"
    margin: ClassVar[float] = 0.3
    takes_points: ClassVar[bool] = True

    def __init__(self, encoder: Engine, decoder: Engine) -> None:
        self._encoder, self._decoder = encoder, decoder

    def likelihood(self, question: Question) -> Floats:
        """See `Segmenter`."""
        height, width = question.rgb.shape[:2]
        scale = SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        framed = np.asarray(cv2.resize(question.rgb, size), np.float32)
        embeddings = self._encoder.run(as_taken(self._encoder, self._encoder_input(framed)))
        points, labels = prompt_points(question, (size[0] / width, size[1] / height))
        arrays = {
            EMBEDDINGS: next(iter(embeddings.values())),
            "point_coords": points[None],
            "point_labels": labels[None],
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array(framed.shape[:2], np.float32),
        }
        found = self._decoder.run(as_taken(self._decoder, arrays))
        return at_full_size(
            sigmoid(best_mask(found["masks"], found["iou_predictions"])), question.rgb
        )

    def _encoder_input(self, framed: Floats) -> dict[str, Floats]:
        spec = self._encoder.inputs[0]
        if len(spec.shape) == 3:
            return {spec.name: framed}
        normal = (framed / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD
        padded = np.zeros((1, 3, SIDE, SIDE), np.float32)
        padded[0, :, : framed.shape[0], : framed.shape[1]] = normal.transpose(2, 0, 1)
        return {spec.name: padded}

    def close(self) -> None:
        """Close both engines."""
        self._encoder.close()
        self._decoder.close()


def prompt_points(question: Question, scale: tuple[float, float]) -> tuple[Floats, Floats]:
    """Points (n, 2) of x and y times `scale`, and their labels (n,), for what was asked.

    A point is followed by padding, as the graphs want it where there is no box.
    """
    if question.point is not None:
        row, column = question.point
        points, labels = [[column + 0.5, row + 0.5], [0.0, 0.0]], [1, -1]
    else:
        box = question.box
        points, labels = [[box.left, box.top], [box.right, box.bottom]], [2, 3]
    return np.array(points, np.float32) * np.array(scale, np.float32), np.array(labels, np.float32)


def is_encoder(engine: Engine) -> bool:
    """Whether a graph is an encoder of Segment Anything."""
    return len(engine.inputs) == 1 and EMBEDDINGS in output_names(engine)


def is_decoder(engine: Engine) -> bool:
    """Whether a graph is a decoder of Segment Anything."""
    return input_names(engine) == DECODER_INPUTS


def open_pair(opened: Engine, path: Path, engine: str, device: str) -> MobileSam:
    """The segmenter of an encoder or decoder that is open, and of its partner beside it.

    Raises:
        ModelError: there is no partner, or more than one.
        EngineError: it cannot be loaded.
    """
    with_encoder = is_encoder(opened)
    partner = open_graph(_partner(path, "decoder" if with_encoder else "encoder"), engine, device)
    return paired(opened, partner) if with_encoder else paired(partner, opened)


def paired(encoder: Engine, decoder: Engine) -> MobileSam:
    """The segmenter of two open graphs.

    Raises:
        ModelError: they are not an encoder and its decoder.
    """
    if not (is_encoder(encoder) and is_decoder(decoder)):
        raise ModelError(
            "These two files are not an encoder of Segment Anything and its decoder.",
            hint="Pass --segmenter ENCODER.onnx,DECODER.onnx.",
        )
    return MobileSam(encoder, decoder)


def _partner(path: Path, kind: str) -> Path:
    """The decoder beside an encoder, or the other way round, by its name."""
    other = "encoder" if kind == "decoder" else "decoder"
    same = path.with_name(path.name.replace(other, kind))
    if same != path and same.is_file():
        return same
    found = [one for one in sorted(path.parent.glob("*.onnx")) if kind in one.name.lower()]
    found = [one for one in found if one != path]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} files beside it have" if found else "no file beside it has"
    raise ModelError(
        f"{path.name} needs its {kind}, and {problem} '{kind}' in the name.",
        hint="Pass --segmenter ENCODER.onnx,DECODER.onnx.",
    )
