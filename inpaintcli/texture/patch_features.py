"""Features that patches are compared by besides their colours: texture, guide, position, edges.

All of them are smooth, so the values at a patch's centre stand for the whole patch. Pure functions
over arrays.
"""

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from inpaintcli.texture.pyramid import PATCH_SIDE, Floats, Level, grey, pull_push


@dataclass(frozen=True, kw_only=True)
class FeatureWeights:
    """Weights of the features, relative to the colours of a patch. Defaults are measured values.

    texture: weight of the mean gradients.
    texture_sigma: pixels, on each level, over which gradients are averaged.
    guide: weight of the initial fill's low-passed colours, on the finest level.
    guide_decay: factor to that weight with each coarser level, where a patch covers more of the
        photo.
    guide_sigma: pixels, of that low-pass filter.
    edges: weight of the gradients of the low-passed initial fill, where it has an edge.
    edge_sigma: pixels, of that low-pass filter.
    edge_threshold: gradient, in root mean squares of the known part, that is an edge with a
        certainty of one half.
    distance: cost of a source as far away as the picture is long: equal to that of a colour
        difference of this many standard deviations of the photo.
    vertical_stretch: a vertical distance counts this many times: photos have a horizon.
    phases: cost of a source that is half a cell off in a pattern of the photo: that of a colour
        difference of twice as many standard deviations of the photo.
    """

    texture: float = 32.0
    texture_sigma: float = 2.0
    guide: float = 0.3
    guide_decay: float = 0.7
    guide_sigma: float = 3.0
    edges: float = 12.0
    edge_sigma: float = 2.0
    edge_threshold: float = 0.5
    distance: float = 0.5
    vertical_stretch: float = 2.0
    phases: float = 1.0


def patch_features(level: Level, weights: FeatureWeights) -> Floats:
    """Features of each pixel of a level.

    Scaled so that their squared differences add to the sum of squared differences of a patch's
    colours. Texture is measured at full resolution (Newson et al. 2014, section 3.3: a coarse level
    must still know what is smooth and what is not) and interpolated smoothly into the hole.

    Returns:
        (h, w, 10) float32: texture (2 channels), guide (3), position (2), edges (2), and the
        certainty of these edges (1), 0 to 1.
    """
    edges, certainty = _edges(level, weights)
    guide = weights.guide * weights.guide_decay ** math.log2(level.downscale)
    distance = 3 * (weights.distance * contrast(level)) ** 2
    found = [
        (_texture(level, weights), weights.texture),
        (cv2.GaussianBlur(level.rgb, (0, 0), weights.guide_sigma), guide),
        (_positions(level.hole.shape, weights.vertical_stretch), distance),
        (edges, weights.edges),
    ]
    channels = [
        cv2.split(values * np.float32(PATCH_SIDE * math.sqrt(weight))) for values, weight in found
    ]
    return np.asarray(cv2.merge([*itertools.chain(*channels), certainty]), np.float32)


def contrast(level: Level) -> float:
    """Standard deviation of the known pixels' grey values, in the picture's units."""
    _, deviation = cv2.meanStdDev(grey(level.rgb), mask=(~level.hole).astype(np.uint8))
    return float(deviation.item())


def _texture(level: Level, weights: FeatureWeights) -> Floats:
    """(h, w, 2) mean |dx| and |dy|."""
    blurred, share = (
        cv2.GaussianBlur(a, (0, 0), weights.texture_sigma)
        for a in (level.gradients, level.known_pairs)
    )
    gradients = np.asarray(blurred / np.maximum(share, 1e-4), np.float32)
    known = (np.minimum(share[..., 0], share[..., 1]) > 0.2) & ~level.hole
    return pull_push(gradients, known.astype(np.float32))


def _positions(shape: tuple[int, ...], vertical_stretch: float) -> Floats:
    """(h, w, 2) x and y, in sides of a square of the picture's area; y times `vertical_stretch`.

    Photos change with position, in perspective, light and focus: of two patches that match equally
    well, the nearer one is more plausible. They change most from top to bottom, from sky to ground.
    """
    rows, columns = np.indices(shape, np.float32)
    rows *= np.float32(vertical_stretch)
    positions = np.stack([columns, rows], axis=2) / np.float32(math.sqrt(rows.size))
    return np.asarray(positions, np.float32)


def _edges(level: Level, weights: FeatureWeights) -> tuple[Floats, Floats]:
    """(h, w, 2) gradient of the low-passed grey picture; (h, w) certainty of an edge, 0 to 1.

    Where the initial fill is flat, that says nothing, as networks blur: patches may have any edges.
    """
    shades = cv2.GaussianBlur(grey(level.rgb), (0, 0), weights.edge_sigma)
    edges = np.zeros((*shades.shape, 2), np.float32)
    edges[:, 1:-1, 0] = shades[:, 2:] - shades[:, :-2]
    edges[1:-1, :, 1] = shades[2:] - shades[:-2]
    power = edges[..., 0] ** 2 + edges[..., 1] ** 2
    usual = cv2.mean(power, mask=(~level.hole).astype(np.uint8))[0] + 1e-12
    return edges, power / (power + np.float32(usual * weights.edge_threshold**2))
