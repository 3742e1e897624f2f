"""ONNX files of segmenters: opened, and what each of their graphs takes and gives."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from inpaintcli_engines.base import Engine
from inpaintcli_engines.select import open_engine
from numpy.typing import NDArray

from inpaintcli.errors import ModelError
from inpaintcli.objects.segment.refine import guided_upsampling, resized

Floats = NDArray[np.float32]
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)
GUIDE = 360
"""Pixels: the longer side of the copy on which an answer is brought to the edges of the photo."""


def open_graph(path: Path, engine: str, device: str) -> Engine:
    """The engine of an ONNX file.

    Raises:
        ModelError: there is no such file.
        EngineError: it cannot be loaded.
    """
    if not path.is_file():
        raise ModelError(
            f"{path} does not exist.", hint="--segmenter takes grabcut or the path of a .onnx file."
        )
    return open_engine(path, engine=engine, device=device, precision="fp32").engine


def input_names(engine: Engine) -> set[str]:
    """The names of what a graph takes."""
    return {spec.name for spec in engine.inputs}


def output_names(engine: Engine) -> set[str]:
    """The names of what a graph gives."""
    return {spec.name for spec in engine.outputs}


def as_taken(engine: Engine, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays that a graph takes, each in its dtype."""
    return {spec.name: arrays[spec.name].astype(spec.dtype) for spec in engine.inputs}


def best_mask(masks: NDArray[Any], scores: NDArray[Any]) -> Floats:
    """(h, w): of several masks, that with the highest predicted quality."""
    planes = masks.reshape(-1, *masks.shape[-2:])
    ranked = scores.ravel()[: len(planes)]
    return np.asarray(planes[int(np.argmax(ranked))], np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Logits to likelihoods."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def at_full_size(likelihood: Floats, rgb: NDArray[np.uint8]) -> Floats:
    """A likelihood of another size than the crop, at the crop's.

    Args:
        likelihood: (h, w) in [0, 1], of all of the crop.
        rgb: uint8 (H, W, 3), the crop.
    """
    height, width = rgb.shape[:2]
    if likelihood.shape[0] >= height or max(height, width) <= GUIDE:
        full = cv2.resize(likelihood, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(np.clip(full, 0, 1), np.float32)
    scale = GUIDE / max(height, width)
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    small = np.asarray(cv2.resize(likelihood, size, interpolation=cv2.INTER_AREA), np.float32)
    return guided_upsampling(small, resized(rgb, size), rgb)
