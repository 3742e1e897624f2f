"""What patches are compared by besides their colours: texture, colours in the large, edges, place.

Each is smooth, so that a patch's centre stands for all of it. Arrays in, arrays out.
"""

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from inpaintcli.texture.pyramid import PATCH, Floats, Level, extended, grey


@dataclass(frozen=True, kw_only=True)
class Cues:
    """Weights against the colour of a patch's samples. The defaults are measured: docs/log.md."""

    texture: float = 32.0  # of mean slopes
    texture_sigma: float = 2.0  # over which slopes are averaged to a texture, on each level
    guide: float = 0.3  # of the start's low-passed colours, on the finest level
    guide_fall: float = 0.7  # ... times this with each coarser one, whose patches see more
    guide_sigma: float = 3.0
    edges: float = 12.0  # of the start's low-passed slopes, where it has an edge
    edge_sigma: float = 2.0
    edge_least: float = 0.5  # a slope that is half sure to be an edge, in root mean squares
    near: float = 0.5  # of a way as long as the picture: colours off by so many contrasts
    upright: float = 2.0  # a way up or down is so many times as long: photos have a horizon


def features(level: Level, cues: Cues) -> Floats:
    """(h, w, 10): texture, guide, place, edges, and how sure these are.

    Scaled so that squared differences add to those of a patch's colours. Texture is measured at
    full resolution (Newson 2014, section 3.3: a coarse level must still know what is smooth and
    what is not) and extended smoothly into the hole.
    """
    edges, sure = _edges(level, cues)
    guide = cues.guide * cues.guide_fall ** math.log2(level.step)
    near = 3 * (cues.near * contrast(level)) ** 2
    found = [
        (_texture(level, cues), cues.texture),
        (cv2.GaussianBlur(level.rgb, (0, 0), cues.guide_sigma), guide),
        (_places(level.hole.shape, cues.upright), near),
        (edges, cues.edges),
    ]
    every = [cv2.split(values * np.float32(PATCH * math.sqrt(weight))) for values, weight in found]
    return np.asarray(cv2.merge([*itertools.chain(*every), sure]), np.float32)


def contrast(level: Level) -> float:
    """Standard deviation of the known pixels' grey, in the picture's units."""
    _, deviation = cv2.meanStdDev(grey(level.rgb), mask=(~level.hole).astype(np.uint8))
    return float(deviation.item())


def _texture(level: Level, cues: Cues) -> Floats:
    """(h, w, 2) mean |dx| and |dy|."""
    blurred, share = (
        cv2.GaussianBlur(a, (0, 0), cues.texture_sigma) for a in (level.slopes, level.seen)
    )
    slopes = np.asarray(blurred / np.maximum(share, 1e-4), np.float32)
    known = (np.minimum(share[..., 0], share[..., 1]) > 0.2) & ~level.hole
    return extended(slopes, known.astype(np.float32))


def _places(shape: tuple[int, ...], upright: float) -> Floats:
    """(h, w, 2) x and y, in sides of a square as large as the picture; y times `upright`.

    Photos change from place to place, in perspective, light and focus: of two patches that fit
    alike, the nearer one belongs. They change most from top to bottom, from sky to ground.
    """
    rows, columns = np.indices(shape, np.float32)
    rows *= np.float32(upright)
    places = np.stack([columns, rows], axis=2) / np.float32(math.sqrt(rows.size))
    return np.asarray(places, np.float32)


def _edges(level: Level, cues: Cues) -> tuple[Floats, Floats]:
    """(h, w, 2) slopes of the low-passed grey picture; (h, w) how sure it is of an edge, 0 to 1.

    A network's blur is no news: where the start is flat, patches may show any edges.
    """
    shades = cv2.GaussianBlur(grey(level.rgb), (0, 0), cues.edge_sigma)
    edges = np.zeros((*shades.shape, 2), np.float32)
    edges[:, 1:-1, 0] = shades[:, 2:] - shades[:, :-2]
    edges[1:-1, :, 1] = shades[2:] - shades[:-2]
    power = edges[..., 0] ** 2 + edges[..., 1] ** 2
    usual = cv2.mean(power, mask=(~level.hole).astype(np.uint8))[0] + 1e-12
    return edges, power / (power + np.float32(usual * cues.edge_least**2))
