"""Statistics of a pasted object and of the photo around it, from which a correction is predicted.

All are taken from a small copy: colours and light are visible there, and the cost does not depend
on the photo's size.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.objects.colour_transform import LUMA

Floats = NDArray[np.float32]
SIDE = 192
"""Pixels: the longest side of the small copy."""
COARSE = 4
"""Times the small copy's size: to this, large photos are scaled down in integers."""
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
STEP_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MANY = 1500
"""Pixels of a region that its quantiles are taken from, at most."""
_SLOPES = (0.25, 4.0)


def small_copy(rgb: NDArray[Any], opacity: Floats, unknown: Mask) -> tuple[Floats, Mask, Mask]:
    """The object with its surroundings, at most SIDE pixels a side.

    Args:
        rgb: (h, w, 3) uint8 or uint16.
        opacity: (h, w) float32, of the object, 0 to 1.
        unknown: (h, w) bool, True where pixels mean nothing.

    Returns:
        float32 (H, W, 3) in [0, 1]; the pixels that are the object's; those of the surroundings.
        Pixels that are partly the object's are neither. Both kinds exist, if need be by the pixels
        that are most of that kind.
    """
    inside = _with_surroundings(opacity > 0).slices
    theirs = ((opacity[inside] == 0) & ~unknown[inside]).astype(np.float32)
    scale = min(1.0, SIDE / max(theirs.shape))
    size = (max(2, round(theirs.shape[1] * scale)), max(2, round(theirs.shape[0] * scale)))
    planes = (np.ascontiguousarray(opacity[inside], np.float32), theirs)
    shares = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]
    top = np.float32(np.iinfo(rgb.dtype).max)
    part = rgb[inside]
    if scale < 1 / COARSE:  # integers first: a float copy of a large photo takes most of the time
        coarse = (COARSE * size[0], COARSE * size[1])
        part = cv2.resize(np.ascontiguousarray(part), coarse, interpolation=cv2.INTER_AREA)
    small = cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA) / top
    ours, around = (np.asarray(share >= min(0.99, share.max()), np.bool_) for share in shares)
    return np.asarray(small, np.float32), ours, around


def statistics(rgb: Floats, ours: Mask, theirs: Mask) -> Floats:
    """The statistics as one vector, float32; what their numbers mean, the regression has learned.

    Args:
        rgb: (h, w, 3) in [0, 1].
        ours: (h, w) bool, True on the object.
        theirs: (h, w) bool, True on its surroundings.
    """
    distance = _distance_to(ours)
    depth = _distance_to(~ours)
    radius = max(2.0, 0.04 * float(np.sqrt(rgb.shape[0] * rgb.shape[1])))
    near = theirs & (distance <= 3 * radius)
    edge = ours & (depth <= 2 * radius)
    parts = [
        _of_region(rgb, region)
        for region in (ours, edge if edge.any() else ours, near if near.any() else theirs, theirs)
    ]
    parts.append(_of_detail(rgb, ours, theirs))
    parts.append(_across_boundary(rgb, ours, theirs, radius))
    parts.append(np.array([np.log(ours.mean()), np.log(theirs.mean())], np.float32))
    return np.concatenate(parts)


def _with_surroundings(foreground: Mask) -> Box:
    extent = bounding_box(foreground)
    assert extent is not None  # noqa: S101 - nobody asks for the surroundings of nothing
    return extent.grown(max(16, *extent.size), *foreground.shape)


def _distance_to(mask: Mask) -> Floats:
    """(h, w) distance to the nearest True pixel."""
    planes = (~mask).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(planes, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _of_region(rgb: Floats, region: Mask) -> Floats:
    pixels = rgb[region]
    pixels = pixels[:: max(1, len(pixels) // _MANY)]
    luma = pixels @ LUMA
    chroma = pixels - luma[:, None]
    saturation = pixels.max(1) - pixels.min(1)
    deviations = pixels.std(0)
    covariance = np.cov(pixels.T) if len(pixels) > 1 else np.zeros((3, 3))
    correlation = covariance[np.triu_indices(3, 1)] / (
        deviations[[0, 0, 1]] * deviations[[1, 2, 2]] + 1e-4
    )
    return np.concatenate(
        [
            np.quantile(pixels, QUANTILES, axis=0).ravel(),
            pixels.mean(0),
            deviations,
            correlation,
            [luma.std(), saturation.mean(), saturation.std()],
            np.quantile(saturation, (0.1, 0.5, 0.9)),
            chroma.std(0),
            (pixels < 1 / 512).mean(0),
            (pixels > 1 - 1 / 512).mean(0),
        ]
    ).astype(np.float32)


def _of_detail(rgb: Floats, ours: Mask, theirs: Mask) -> Floats:
    """Log of the mean |Laplacian| of object and surroundings, in each channel."""
    detail = np.abs(cv2.Laplacian(rgb, cv2.CV_32F))
    small = np.ones((3, 3), np.uint8)
    found = []
    for region in (ours, theirs):
        inner = cv2.erode(region.astype(np.uint8), small) > 0
        chosen = detail[inner] if inner.any() else detail[region]
        found.append(np.log(chosen.mean(0) + 1e-3))
    return np.concatenate(found).astype(np.float32)


def _across_boundary(rgb: Floats, ours: Mask, theirs: Mask, radius: float) -> Floats:
    """How colours change across the object's boundary, and how constant that is along it.

    Means of both sides within a small square are compared along the boundary. Where the object
    shares a surface with the photo, one line maps the inner means to the outer ones.
    """
    side = 2 * round(radius) + 1
    inner, inner_share = _local_means(rgb, ours, side)
    outer, outer_share = _local_means(rgb, theirs, side)
    along = (_distance_to(ours) <= 1.5) & (inner_share > 0.15) & (outer_share > 0.15)
    if not along.any():
        return np.zeros(3 * (2 * len(STEP_QUANTILES) + 4) + 1, np.float32)
    x, y = inner[along], outer[along]
    step = y - x
    ratio = np.log((y + 0.02) / (x + 0.02))
    mean_x, mean_y = x.mean(0), y.mean(0)
    variance, covariance = x.var(0), ((x - mean_x) * (y - mean_y)).mean(0)
    slope = np.clip((covariance + 1e-3) / (variance + 1e-3), *_SLOPES)
    fit = covariance**2 / (variance * y.var(0) + 1e-6)
    rest = (y - mean_y - slope * (x - mean_x)).std(0)
    return np.concatenate(
        [
            np.quantile(step, STEP_QUANTILES, axis=0).ravel(),
            np.quantile(ratio, STEP_QUANTILES, axis=0).ravel(),
            slope,
            fit,
            rest,
            step.std(0),
            [along.sum() / np.sqrt(ours.sum() + 1.0)],
        ]
    ).astype(np.float32)


def _local_means(rgb: Floats, region: Mask, side: int) -> tuple[Floats, Floats]:
    weight = region.astype(np.float32)
    share = cv2.boxFilter(weight, -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    total = cv2.boxFilter(rgb * weight[..., None], -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total / np.maximum(share, 1e-3)[..., None], np.float32), np.asarray(
        share, np.float32
    )
