"""Metrics of how similar a fill is to the photo; arrays in, numbers out.

Pictures are uint8 or uint16 (h, w, 1 or 3); values are in shares of full scale (255 or 65535), so
that both depths give the same scores. `where` is a bool mask (h, w) of the pixels that count, such
as the hole; None counts the whole picture. Where no pixel counts the result is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask, Samples

Floats = NDArray[np.float64]
_LEAST_MSE = 1e-9 / 255**2  # equal pictures have 138 dB, not infinity, so that means are finite


def l1(filled: Samples, photo: Samples, where: Mask | None = None) -> float:
    """Mean absolute error over pixels and channels, 0 to 1."""
    return _mean(np.abs(_difference(filled, photo, where)))


def l2(filled: Samples, photo: Samples, where: Mask | None = None) -> float:
    """Mean squared error over pixels and channels, 0 to 1."""
    return _mean(_difference(filled, photo, where) ** 2)


def psnr(filled: Samples, photo: Samples, where: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB: -10 log10 of `l2`; 138.1 for equal pictures."""
    return float(-10 * np.log10(np.maximum(l2(filled, photo, where), _LEAST_MSE)))


def ssim(filled: Samples, photo: Samples, where: Mask | None = None) -> float:
    """Structural similarity, 1 for equal pictures (Wang et al. 2004, equation 13).

    Windows of 7x7 pixels of equal weight and sample covariances, as scikit-image's
    `structural_similarity` has by default (the paper's are Gaussian); mean over channels. Of the
    whole picture the mean leaves out a border of 3 pixels, where windows would stick out; of
    `where` it is over the windows centred there, mirrored at the picture's edge.
    """
    similar = ssim_map(filled, photo)
    if where is not None:
        return _mean(similar[where])
    return _mean(similar[3:-3, 3:-3] if min(similar.shape) > 6 else similar)


def ssim_map(filled: Samples, photo: Samples) -> Floats:
    """The similarity (h, w) of the windows centred at each pixel, mean over channels."""
    x, y = _scaled(filled), _scaled(photo)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    sample = 49 / 48  # covariances of a sample, not of the whole
    var_x = sample * (_window_mean(x * x) - mean_x**2)
    var_y = sample * (_window_mean(y * y) - mean_y**2)
    covariance = sample * (_window_mean(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return np.asarray((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(axis=2))


def total_variation(pixels: Samples, where: Mask | None = None) -> float:
    """Total variation of one picture, for each pixel (Rudin et al. 1992).

    The sum of absolute differences of neighbours, across and down, mean over channels, divided by
    the number of pixels that count. A pair counts where either of its pixels does, so that the
    seam around a hole is in it.
    """
    x = _scaled(pixels)
    counted = np.ones(x.shape[:2], np.bool_) if where is None else where
    if not counted.any():
        return float("nan")
    across = np.abs(np.diff(x, axis=1)).mean(axis=2)[counted[:, 1:] | counted[:, :-1]]
    down = np.abs(np.diff(x, axis=0)).mean(axis=2)[counted[1:] | counted[:-1]]
    return float((across.sum() + down.sum()) / counted.sum())


def sharpness(filled: Samples, photo: Samples, hole: Mask) -> float:
    """Mean |Laplacian| of the luma inside the hole, the fill's over the photo's; below 1 is blur.

    The hole's outermost 2 pixels are left out where more than 50 pixels remain. Both means are
    raised by 0.3 of 255 grey levels, so that a plain sky is no division by zero.
    """
    if not hole.any():
        return float("nan")
    inner = cv2.erode(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    inner = inner if inner.sum() > 50 else hole
    return _detail(filled, inner) / _detail(photo, inner)


def _detail(pixels: Samples, where: NDArray[np.bool_]) -> float:
    grey: NDArray[Any] = pixels[:, :, 0]
    if pixels.shape[2] == 3:
        grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    levels = grey.astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)
    return float(np.abs(cv2.Laplacian(levels, cv2.CV_32F))[where].mean()) + 0.3


class Moments:
    """Mean and covariance of vectors that are added in parts (Chan, Golub and LeVeque 1983)."""

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self.mean: Floats = np.zeros(dimension)
        self._scatter: Floats = np.zeros((dimension, dimension))

    def add(self, vectors: NDArray[Any]) -> None:
        """Add vectors (n, dimension)."""
        if len(vectors):
            mean = vectors.mean(axis=0, dtype=np.float64)
            centred = vectors - mean
            self._merge(len(vectors), mean, centred.T @ centred)

    def merge(self, other: "Moments") -> None:
        """Add the vectors of another one."""
        if other.count:
            self._merge(other.count, other.mean, other._scatter)  # noqa: SLF001 - of the same class

    def _merge(self, count: int, mean: Floats, scatter: Floats) -> None:
        total = self.count + count
        step = mean - self.mean
        self._scatter = (
            self._scatter + scatter + np.outer(step, step) * (self.count * count / total)
        )
        self.mean = self.mean + step * (count / total)
        self.count = total

    @property
    def covariance(self) -> Floats:
        """The sample covariance (dimension, dimension)."""
        return self._scatter / (self.count - 1)


def frechet(one: Moments, other: Moments) -> float:
    """Frechet distance of two normal distributions (Heusel et al. 2017, equation 6).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)); the last trace is that of the roots of the
    eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric. NaN with less than two vectors.
    """
    if min(one.count, other.count) < 2:
        return float("nan")
    first, second = one.covariance, other.covariance
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    means = ((one.mean - other.mean) ** 2).sum()
    return float(means + np.trace(first) + np.trace(second) - 2 * cross)


def frechet_of(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The same from the vectors themselves, (n, dimension) each; for n below the dimension.

    With X and Y the centred vectors, each divided by (n - 1)^(1/2), the trace of (C1 C2)^(1/2) is
    the sum of the singular values of X Y^T: no root is taken of an eigenvalue that is 0 but for
    rounding, of which there are many where vectors are fewer than their dimension.
    """
    if min(len(one), len(other)) < 2:
        return float("nan")
    first, second = _centred(one), _centred(other)
    cross = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    means = ((one.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)) ** 2).sum()
    return float(means + (first**2).sum() + (second**2).sum() - 2 * cross)


def _centred(vectors: NDArray[Any]) -> Floats:
    """A matrix X whose product X^T X is the vectors' covariance."""
    count, dimension = vectors.shape
    centred = (vectors - vectors.mean(axis=0, dtype=np.float64)) / np.sqrt(count - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if count > dimension else centred


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: its name, how its values are shown, and which are better.

    `key` is its name in JSON, where values stay as computed; shown they are multiplied by `scale`.
    `better` says which value is better: more, less, or the nearest to one.
    """

    key: str
    label: str
    meaning: str
    digits: int
    scale: float = 1.0
    better: Literal["more", "less", "one", "none"] = "less"
    typical: Literal["mean", "median"] = "mean"
    brief: bool = True  # shown on the console too, not only in JSON and the report

    def shown(self, value: float) -> str:
        """The value as text; a dash for NaN."""
        return "-" if np.isnan(value) else f"{value * self.scale:.{self.digits}f}"

    def best(self, values: list[float]) -> float:
        """The best of some values; NaN where there is none."""
        known = [value for value in values if not np.isnan(value)]
        if self.better == "none" or not known:
            return float("nan")
        keys: dict[str, Callable[[float], float]] = {
            "more": lambda v: -v,
            "less": lambda v: v,
            "one": lambda v: abs(np.log(max(v, 1e-9))),
        }
        return min(known, key=keys[self.better])


METRICS = (
    Metric(key="hole_l1", label="hole L1 %", digits=2, scale=100,
           meaning="mean absolute error over the hole, of full scale"),
    Metric(key="hole_l2", label="hole L2 %", digits=2, scale=100,
           meaning="mean squared error over the hole, of full scale"),
    Metric(key="hole_psnr", label="hole PSNR", digits=2, better="more",
           meaning="peak signal-to-noise ratio over the hole, in dB"),
    Metric(key="hole_ssim", label="hole SSIM", digits=3, better="more",
           meaning="structural similarity of the windows centred in the hole"),
    Metric(key="hole_tv", label="hole TV %", digits=2, scale=100, better="none",
           meaning="total variation of the fill a pixel of the hole; best as near the photo's own"),
    Metric(key="l1", label="L1 %", digits=3, scale=100, brief=False,
           meaning="as in the hole, over the whole picture"),
    Metric(key="l2", label="L2 %", digits=3, scale=100, brief=False,
           meaning="as in the hole, over the whole picture"),
    Metric(key="psnr", label="PSNR", digits=2, better="more",
           meaning="as in the hole, over the whole picture"),
    Metric(key="ssim", label="SSIM", digits=4, better="more",
           meaning="as in the hole, over the whole picture"),
    Metric(key="tv", label="TV %", digits=2, scale=100, better="none", brief=False,
           meaning="total variation of the whole picture a pixel"),
    Metric(key="sharpness", label="sharpness", digits=2, better="one", typical="median",
           meaning="mean |Laplacian| in the hole, the fill's over the photo's; median over photos"),
)  # fmt: skip
"""The metrics that `scores` computes, in order."""


def scores(
    filled: Samples, photo: Samples, hole: Mask, visible: Mask | None = None
) -> dict[str, float]:
    """All METRICS of one fill.

    Args:
        filled: the whole picture, filled.
        photo: the original.
        hole: True where it was filled.
        visible: True where the photo is not wholly transparent; None for everywhere.
    """
    inside = hole if visible is None else hole & visible
    return {
        "hole_l1": l1(filled, photo, inside),
        "hole_l2": l2(filled, photo, inside),
        "hole_psnr": psnr(filled, photo, inside),
        "hole_ssim": ssim(filled, photo, inside),
        "hole_tv": total_variation(filled, inside),
        "l1": l1(filled, photo, visible),
        "l2": l2(filled, photo, visible),
        "psnr": psnr(filled, photo, visible),
        "ssim": ssim(filled, photo, visible),
        "tv": total_variation(filled, visible),
        "sharpness": sharpness(filled, photo, inside),
    }


def _scaled(pixels: Samples) -> Floats:
    return pixels.astype(np.float64) / np.iinfo(pixels.dtype).max


def _difference(filled: Samples, photo: Samples, where: Mask | None) -> Floats:
    """Of the pixels that count, (n, channels) in shares of full scale.

    Raises:
        ValueError: the pictures differ in shape or depth.
    """
    if (filled.shape, filled.dtype) != (photo.shape, photo.dtype):
        raise ValueError(f"{filled.dtype} {filled.shape} against {photo.dtype} {photo.shape}")
    if where is None:
        return _scaled(filled) - _scaled(photo)
    return _scaled(filled[where]) - _scaled(photo[where])


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _window_mean(x: Floats) -> Floats:
    means = cv2.boxFilter(x, -1, (7, 7), borderType=cv2.BORDER_REFLECT)
    return np.asarray(means, np.float64).reshape(x.shape)
