"""Smooth colour transforms: all that ever reaches the pixels of an object.

They map each pixel by its colour alone, with a bounded gain, so that no detail of the object can be
lost or invented.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask

Floats = NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in the luma of a colour (ITU-R BT.601)."""
MAX_GAIN = 3.0
"""The matrix of a transform stretches colours by at most this, and shrinks them by no more."""
MAX_CURVE = 0.7
"""Largest absolute logarithm of the exponent of a curve."""
TOE = 1 / 64
"""Curves are power functions from this value of [0, 1] on, so that they are not steep at black."""
RIDGE = 0.002
"""Variance by which a fitted matrix is held to the identity."""
MAX_SHARPNESS_CHANGE = 0.04
"""Relative, of the mean |Laplacian| beyond what the change of contrast makes of it."""
TINY = 1e-6
_MAX_CONTRAST = 3.0  # of Reinhard's transfer: the noise of a flat object would become coarse


class ColourTransform(Protocol):
    """Maps colours to colours."""

    def apply(self, rgb: Floats) -> Floats:
        """Colours (..., 3) float32 in [0, 1], mapped; the result may leave [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class CurveAndMatrix:
    """A curve for each channel, then an affine map: matrix @ curve(rgb) + offset.

    exponents: (3,), 1 is a straight line. matrix: (3, 3). offset: (3,), in units of [0, 1].
    """

    exponents: Floats
    matrix: Floats
    offset: Floats

    @classmethod
    def around(cls, rgb: Floats, exponents: Floats, matrix: Floats, shift: Floats) -> Self:
        """The transform that moves the mean of some colours by `shift` after the curves.

        Exponents and matrix are limited, see MAX_CURVE and MAX_GAIN.

        Args:
            rgb: (n, 3) the colours.
            exponents: (3,).
            matrix: (3, 3), applied around the mean of the colours.
            shift: (3,), in units of [0, 1].
        """
        exponents = np.exp(np.clip(np.log(exponents), -MAX_CURVE, MAX_CURVE))
        mean = curve(rgb, exponents).mean(axis=0)
        limited = _limited(matrix)
        offset = mean + shift - limited @ mean
        return cls(*(np.asarray(part, np.float32) for part in (exponents, limited, offset)))

    def apply(self, rgb: Floats) -> Floats:
        """See `ColourTransform`."""
        bent = curve(rgb, self.exponents)
        return np.asarray(bent @ self.matrix.T + self.offset, np.float32)


@dataclass(frozen=True, eq=False)
class MeanAndDeviation:
    """Moves mean and deviation of each axis of CIELAB (Reinhard et al. 2001, equations 10, 11).

    before, after: (3,) means; gain: (3,) ratios of the deviations.
    """

    before: Floats
    after: Floats
    gain: Floats

    def apply(self, rgb: Floats) -> Floats:
        """See `ColourTransform`."""
        lab = to_lab(rgb)
        return from_lab((lab - self.before) * self.gain + self.after)


@dataclass(frozen=True, eq=False)
class Mixture:
    """The weighted mean of two transforms; `share` is the weight of the first."""

    first: ColourTransform
    second: ColourTransform
    share: float

    def apply(self, rgb: Floats) -> Floats:
        """See `ColourTransform`."""
        first, second = self.first.apply(rgb), self.second.apply(rgb)
        return np.asarray(second + np.float32(self.share) * (first - second), np.float32)


UNCHANGED = CurveAndMatrix(
    np.ones(3, np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
)
"""The transform that leaves colours as they are."""


def reinhard(ours: Floats, theirs: Floats) -> MeanAndDeviation:
    """The transfer of colour statistics of Reinhard et al. 2001, in CIELAB.

    Deviations grow at most threefold.

    Args:
        ours: (n, 3) colours of the object, in [0, 1].
        theirs: (m, 3) colours that it is to look like.
    """
    before, after = to_lab(ours), to_lab(theirs)
    gain = after.std(axis=0) / np.maximum(before.std(axis=0), 1e-3)
    gain = np.minimum(gain, _MAX_CONTRAST).astype(np.float32)
    return MeanAndDeviation(before.mean(axis=0), after.mean(axis=0), gain)


def affine_fit(before: Floats, after: Floats) -> CurveAndMatrix:
    """The affine map of colours nearest to an answer, in the sense of least squares.

    The matrix is held to the identity where the colours do not determine it, by `RIDGE`.

    Args:
        before: (n, 3) colours, in [0, 1].
        after: (n, 3) what the answer made of them.
    """
    centred = before - before.mean(axis=0)
    change = after - before
    change_centred = change - change.mean(axis=0)
    covariance = centred.T @ centred / len(centred) + RIDGE * np.eye(3)
    slope = np.linalg.solve(covariance, centred.T @ change_centred / len(centred)).T
    matrix = np.asarray(np.eye(3) + slope, np.float32)
    return CurveAndMatrix.around(before, np.ones(3, np.float32), matrix, change.mean(axis=0))


def kept_sharp(transform: ColourTransform, rgb: Floats, ours: Mask, top: int) -> ColourTransform:
    """The transform, nearer to a plain stretch if need be, so that the object stays as sharp.

    Curves weigh the detail of dark and light parts differently, and clipping removes some. The
    mean |Laplacian| divided by the contrast is to stay within MAX_SHARPNESS_CHANGE of what it was.

    Args:
        transform: of the object's colours.
        rgb: (h, w, 3) in [0, 1], the object at full size.
        ours: (h, w) bool, True on the object.
        top: the value that 1 is stored as; rounding makes little contrast coarse.
    """
    if not ours.any():
        return transform
    before = _sharpness(rgb, ours)
    plain = _plain_stretch(rgb[ours], np.clip(transform.apply(rgb[ours]), 0, 1))
    for candidate in (*_mixtures(transform, plain), *_mixtures(plain, UNCHANGED)):
        stored = np.rint(np.clip(candidate.apply(rgb), 0, 1) * np.float32(top)) / np.float32(top)
        after = _sharpness(stored, ours)
        if abs(np.log(after / before)) <= np.log(1 + MAX_SHARPNESS_CHANGE):
            return candidate
    return UNCHANGED


def _mixtures(first: ColourTransform, second: ColourTransform) -> list[ColourTransform]:
    """From the first transform towards the second."""
    return [first, *(Mixture(first, second, share) for share in (0.75, 0.5, 0.25))]


def _plain_stretch(before: Floats, after: Floats) -> CurveAndMatrix:
    """One gain for all channels and a shift, nearest to what a transform does."""
    centred = before - before.mean(axis=0)
    gain = float((centred * (after - after.mean(axis=0))).mean() / ((centred**2).mean() + 1e-6))
    matrix = gain * np.eye(3, dtype=np.float32)
    shift = (after - before).mean(axis=0)
    return CurveAndMatrix.around(before, np.ones(3, np.float32), matrix, shift)


def _sharpness(rgb: Floats, ours: Mask) -> float:
    """Mean |Laplacian| of the luma, inside the object, divided by its standard deviation."""
    luma = np.ascontiguousarray(rgb @ LUMA)
    inner = cv2.erode(ours.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    where = inner if inner.any() else ours
    detail = np.abs(cv2.Laplacian(luma, cv2.CV_32F))
    return float((detail[where].mean() + TINY) / (luma[where].std() + TINY))


def curve(rgb: Floats, exponents: Floats) -> Floats:
    """Power functions with a toe: 0 to 0 and 1 to 1, with a finite slope everywhere.

    Args:
        rgb: (..., 3); values outside [0, 1] are clipped.
        exponents: (3,).
    """
    if (exponents == 1).all():
        return rgb
    low = TOE**exponents
    bent = (np.clip(rgb, 0, 1) + TOE) ** exponents - low
    return np.asarray(bent / ((1 + TOE) ** exponents - low), np.float32)


def to_lab(rgb: Floats) -> Floats:
    """Colours (n, 3) of sRGB in [0, 1] to CIELAB (n, 3), D65."""
    clipped = np.clip(rgb, 0, 1).reshape(-1, 1, 3).astype(np.float32)
    return np.asarray(cv2.cvtColor(clipped, cv2.COLOR_RGB2Lab), np.float32).reshape(rgb.shape)


def from_lab(lab: Floats) -> Floats:
    """Colours (n, 3) of CIELAB to sRGB, clipped to [0, 1]."""
    rgb = cv2.cvtColor(lab.reshape(-1, 1, 3).astype(np.float32), cv2.COLOR_Lab2RGB)
    return np.asarray(rgb, np.float32).reshape(lab.shape)


def _limited(matrix: Floats) -> Floats:
    """The matrix with its singular values within 1 / MAX_GAIN and MAX_GAIN."""
    left, values, right = np.linalg.svd(matrix)
    return np.asarray(left * np.clip(values, 1 / MAX_GAIN, MAX_GAIN) @ right, np.float32)
