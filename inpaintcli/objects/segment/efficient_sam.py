"""EfficientSAM as the OpenCV zoo has it: one ONNX file.

It takes `batched_images` (1, 3, 1024, 1024) from 0 to 1, six points in that frame with labels as
those of Segment Anything, padded with -1, and gives `output_masks` (at least 0 is the object).
"""

from typing import ClassVar

import cv2
import numpy as np
from inpaintcli_engines.base import Engine
from numpy.typing import NDArray

from inpaintcli.objects.segment.mobile_sam import prompt_points
from inpaintcli.objects.segment.onnx_graphs import (
    as_taken,
    at_full_size,
    best_mask,
    input_names,
    sigmoid,
)
from inpaintcli.objects.segment.prompts import Question
from inpaintcli.objects.segment.segmenter import Segmenter

SIDE = 1024
POINTS = 6
INPUTS = {"batched_images", "batched_point_coords", "batched_point_labels"}


class EfficientSam(Segmenter):
    """See the module."""

    name: str = "EfficientSAM"
    margin: ClassVar[float] = 0.3
    takes_points: ClassVar[bool] = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def likelihood(self, question: Question) -> NDArray[np.float32]:
        """See `Segmenter`."""
        height, width = question.rgb.shape[:2]
        framed = np.asarray(cv2.resize(question.rgb, (SIDE, SIDE)), np.float32) / np.float32(255)
        points, labels = prompt_points(question, (SIDE / width, SIDE / height))
        padding = POINTS - len(points)
        arrays = {
            "batched_images": framed.transpose(2, 0, 1)[None],
            "batched_point_coords": np.pad(points, ((0, padding), (0, 0)))[None, None],
            "batched_point_labels": np.pad(labels, (0, padding), constant_values=-1)[None, None],
        }
        found = self._engine.run(as_taken(self._engine, arrays))
        logits = best_mask(found["output_masks"], found["iou_predictions"])
        return at_full_size(sigmoid(logits), question.rgb)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def recognises(engine: Engine) -> bool:
    """Whether a graph is EfficientSAM's."""
    return input_names(engine) == INPUTS
