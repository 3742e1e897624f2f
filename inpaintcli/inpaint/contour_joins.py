"""Which contours of a photo go on through a hole.

Two ends at its boundary are joined where one continues the other and the colours on both their
sides agree. A contour that the hole follows to the border of the photo goes on straight to there,
if it is known for as long as it is missing, and straight. Positions are (x, y) in pixels, masks
bool.
"""

import math
from dataclasses import dataclass

import numpy as np

from inpaintcli.inpaint.contour_ends import MIN_LENGTH, ContourEnds, Points, mask_at
from inpaintcli.inpaint.contour_tracing import trace_back
from inpaintcli.texture.pyramid import Bools, Floats

MIN_CONTRAST = 3.0
"""Of 255, between the two sides of a contour."""
MAX_ANGLE = math.radians(25)
"""Between the direction of an end and the straight line to the other."""
BEND_TOLERANCE = (1.4, 0.035)
"""Tolerated deviation of a join from a straight line: pixels, and pixels for each of its length."""
COLOUR_TOLERANCE = (8.0, 0.35, 0.6)
"""Tolerated difference between the colours of two ends: of 255, and as a share of their contrast,
and of their noise."""
LENGTH_COST = 0.07
"""Cost of a join for each length of the shorter contour that it spans."""
NOISE_COST = 5e-5
"""Cost of a join for each pixel of its length and each level of its ends' noise: in foliage, lines
continue each other by chance."""
MAX_CONTOUR_LENGTH = 80.0
"""Pixels; longer contours count as this long."""
MAX_SPAN = 8.0
"""Longest join, in lengths of the shorter contour."""
MAX_COST = 1.6
"""Of a join: bend and difference in colours, as shares of their tolerances, and the other costs."""
MIN_SHARE_INSIDE = 0.8
"""Least share of a join's length that must be in the hole."""
DUPLICATE_DISTANCE = 2.0
"""Two joins whose ends are less than this many pixels apart are one."""
BORDER_RESERVE = 32.0
"""Pixels by which a contour is known for longer than it is continued to the border of the photo."""
BORDER_MIN_CONTRAST = 5.0
"""Least contrast of such a contour."""
BORDER_MAX_BEND = 2.0
"""Pixels that such a contour, bent as it is, may be off at the border."""


@dataclass(frozen=True)
class Join:
    """A contour through a hole: from an end to another one, or to the border of the photo.

    first, second: indices of ends; the second is None at the border. length: of the straight line,
    in pixels.
    """

    first: int
    second: int | None
    length: float


def find_joins(
    picture: Floats, hole: Bools, known: Bools, ends: ContourEnds
) -> tuple[ContourEnds, list[Join]]:
    """All joins of a hole: those between ends first.

    Args:
        picture: (h, w, 1 or 3) float32 in 0 to 255.
        hole: (h, w) bool, True where contours may be drawn.
        known: (h, w) bool, True where the picture is known.
        ends: from `find_contour_ends`.

    Returns:
        The ends, those of contours to the border with the direction of all of the contour; the
        joins of these ends. No two cross.
    """
    joins = join_ends(ends, ~known)
    used = {end for join in joins for end in (join.first, join.second)}
    clear = (ends.length >= MIN_LENGTH) & (ends.contrast() > BORDER_MIN_CONTRAST)
    for end in map(int, np.flatnonzero(clear)):
        if end in used or _distance_to_border(ends, end, hole) is None:
            continue
        found = _continued_to_border(picture, hole, known, ends, end)
        if found is not None and not _conflicts(_line(*found), _lines(ends, joins)):
            ends = found[0]
            joins.append(found[1])
    return ends, joins


def join_ends(ends: ContourEnds, unknown: Bools) -> list[Join]:
    """Joins between ends, the best first; each end is used once, and no two joins cross.

    Args:
        ends: from `find_contour_ends`.
        unknown: (h, w) bool, True where joins may lead.
    """
    cost, length = _costs(ends)
    pairs = np.argwhere(cost <= MAX_COST)
    free = np.ones(len(ends), np.bool_)
    joins: list[Join] = []
    drawn: Points = np.zeros((0, 2, 2))
    for first, second in pairs[np.argsort(cost[tuple(pairs.T)], kind="stable")]:
        if not (free[first] and free[second]):
            continue
        line = ends.position[[first, second]]
        if _share_inside(unknown, line) >= MIN_SHARE_INSIDE and not _conflicts(line, drawn):
            free[[first, second]] = False
            joins.append(Join(int(first), int(second), float(length[first, second])))
            drawn = np.concatenate([drawn, line[None]])
    return joins


def _line(ends: ContourEnds, join: Join) -> Points:
    """(2, 2): where a join begins and ends."""
    first = ends.position[join.first]
    if join.second is None:
        return np.stack([first, first + join.length * ends.direction[join.first]])
    return np.stack([first, ends.position[join.second]])


def _lines(ends: ContourEnds, joins: list[Join]) -> Points:
    return np.array([_line(ends, join) for join in joins]).reshape(-1, 2, 2)


def _costs(ends: ContourEnds) -> tuple[Points, Points]:
    """(n, n), (n, n): cost of the join of two ends, above the diagonal; its length."""
    vectors = ends.position[None] - ends.position[:, None]
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    units = vectors / np.maximum(length, 1e-9)[..., None]
    angles = np.arccos(np.clip((units * ends.direction[:, None]).sum(2), -1, 1))
    shorter = np.minimum(ends.length[:, None], ends.length[None])
    contrasts, noises = ends.contrast(), ends.noise
    contrast = np.minimum(contrasts[:, None], contrasts[None])
    noise = np.maximum(noises[:, None], noises[None])
    colours = ends.side_colours
    difference = np.abs(colours[:, None] - colours[None, :, ::-1]).mean((2, 3))
    bend = length * np.sin(np.minimum((angles + angles.T) / 2, np.pi / 2))
    base, by_contrast, by_noise = COLOUR_TOLERANCE
    cost = (
        bend / (BEND_TOLERANCE[0] + BEND_TOLERANCE[1] * length)
        + difference / (base + by_contrast * contrast + by_noise * noise)
        + LENGTH_COST * length / np.clip(shorter, 1, MAX_CONTOUR_LENGTH)
        + NOISE_COST * length * noise
    )
    possible = (np.maximum(angles, angles.T) < MAX_ANGLE) & (contrast > MIN_CONTRAST)
    possible &= (length >= MIN_LENGTH) & (length <= MAX_SPAN * shorter)
    return np.where(np.triu(possible, 1), cost, np.inf), length


def _share_inside(mask: Bools, line: Points) -> float:
    """Share of a line, but for its ends, that is in a mask."""
    length = math.dist(*line)
    steps = np.arange(2, length - 1)[:, None] / length
    found, _ = mask_at(mask, line[0] + (line[1] - line[0]) * steps)
    return float(found.mean())


def _conflicts(line: Points, others: Points) -> bool:
    """Whether a line, (2, 2), crosses one of the others, (n, 2, 2), or duplicates one.

    A contour found both in lightness and in colour has two ends on each side.
    """
    a, b = line
    c, d = others[:, 0], others[:, 1]
    distances = np.hypot(*np.moveaxis(others[:, None] - np.stack([[a, b], [b, a]]), -1, 0))
    if (distances.max(2) < DUPLICATE_DISTANCE).any():
        return True

    def side(p: Points, q: Points, r: Points) -> Points:
        u, v = q - p, r - p
        return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0], np.float64)

    apart = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return bool(apart.any())


def _continued_to_border(
    picture: Floats, hole: Bools, known: Bools, ends: ContourEnds, end: int
) -> tuple[ContourEnds, Join] | None:
    """The join of an end to the border of the photo; None where its contour is not such.

    It is as long as what is drawn of it, and straight: a curve would miss.
    """
    trace = trace_back(picture, known, ends, end)
    turned = ends.moved(end, trace.position, trace.direction)
    distance = _distance_to_border(turned, end, hole)
    if distance is None or distance + BORDER_RESERVE > trace.length:
        return None
    if distance * trace.bend > BORDER_MAX_BEND:
        return None
    return turned, Join(end, None, distance)


def _distance_to_border(ends: ContourEnds, end: int, hole: Bools) -> float | None:
    """Pixels from an end straight on to the photo's border; None where the hole ends before."""
    steps = np.arange(2, sum(hole.shape))
    found, inside = mask_at(hole, ends.position[end] + ends.direction[end] * steps[:, None])
    step = int(np.argmin(found))
    if found[step] or inside[step] or step < 4:
        return None
    return float(step + 1)
