"""Predicts the colour transform that makes an object fit, from statistics of it and of the photo.

A small regression: two hidden layers, learned from composites of photos whose truth is known
(benchmarks/harmonize_fit.py). Its numbers are in harmonize_table.npz.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.objects.colour_transform import MAX_CURVE, CurveAndMatrix
from inpaintcli.objects.object_statistics import statistics

Floats = NDArray[np.float32]
MOST_DEVIATIONS = 4.0
"""Statistics farther from the mean of the composites learned from count as this far."""
SCALES = np.array([1.0] * 3 + [0.5] * 12, np.float32)
"""Of the outputs: three exponents, three shifts, nine numbers of a matrix."""


@dataclass(frozen=True, eq=False)
class Regression:
    """Networks of two hidden layers whose outputs are averaged; k networks of width n.

    mean, deviation: (f,) of the statistics. weights1: (k, f, n), bias1: (k, 1, n), weights2:
    (k, n, n), bias2: (k, 1, n), weights3: (k, n, 15), bias3: (k, 1, 15).
    """

    mean: Floats
    deviation: Floats
    weights1: Floats
    bias1: Floats
    weights2: Floats
    bias2: Floats
    weights3: Floats
    bias3: Floats

    @classmethod
    @cache
    def shipped(cls) -> Self:
        """The one in the package."""
        source = files("inpaintcli.objects") / "harmonize_table.npz"
        with source.open("rb") as file, np.load(file) as table:
            return cls(**{name: table[name].astype(np.float32) for name in table.files})

    def __call__(self, vector: Floats) -> Floats:
        """Fifteen numbers, see SCALES, of a vector of statistics (f,)."""
        x = (vector - self.mean) / self.deviation
        x = np.clip(x, -MOST_DEVIATIONS, MOST_DEVIATIONS)[None]
        x = _silu(x @ self.weights1 + self.bias1)
        x = _silu(x @ self.weights2 + self.bias2)
        outputs = (x @ self.weights3 + self.bias3).mean(axis=(0, 1))
        return np.asarray(outputs * SCALES, np.float32)


def predict(rgb: Floats, ours: Mask, theirs: Mask) -> CurveAndMatrix:
    """The transform for an object.

    Args:
        rgb: (h, w, 3) in [0, 1], a small copy of the object and its surroundings.
        ours: (h, w) bool, True on the object.
        theirs: (h, w) bool, True on the surroundings.
    """
    outputs = Regression.shipped()(statistics(rgb, ours, theirs))
    return transform_of(outputs, rgb[ours])


def transform_of(outputs: Floats, ours: Floats) -> CurveAndMatrix:
    """The transform that fifteen numbers stand for, around the object's colours (n, 3)."""
    exponents = np.exp(np.tanh(outputs[:3]) * MAX_CURVE)
    matrix = np.eye(3, dtype=np.float32) + outputs[6:].reshape(3, 3)
    return CurveAndMatrix.around(ours, exponents, matrix, outputs[3:6])


def _silu(x: Floats) -> Floats:
    return np.asarray(x / (1 + np.exp(-x)), np.float32)
