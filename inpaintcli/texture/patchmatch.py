"""Compiled kernels of the texture pass: the search for the nearest patch, and the vote.

Importing Numba takes 0.25 s, so `inpaintcli.texture.synthesis` imports this module only when a hole is to be
filled. Compiling takes 6 to 8 s of one core with that of `melding`, once for each version of these
files, of Numba and of the processor.

The kernels let go of Python's lock and are called from plain threads, each on its own strip of the
targets. Numba's own `prange` was left alone: it compiles several times longer, and its fallback
threading layer ends the whole program when two threads enter it at once, as two photos of a batch
would.

Positions are flat: y * width + x. A patch is named by its centre.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.compiled import Call, kernel

Scalar = Any
"""A number in a kernel: Numba finds out of which type."""
Positions = NDArray[np.int32]
Floats = NDArray[np.float32]

PATCH = 7
"""Side of a patch: `pyramid.PATCH`, again because Numba's cache knows of changes of this file
alone."""
REACH = PATCH // 2
TEXTURE = 2
"""The first of the features are synthesized with the colours; the others stay as they are."""
EDGES = 7
"""From this feature on they are edges, which count by how sure the target is of its own: the last
one, 0 to 1."""
FEATURES = 10
"""Channels besides colour, compared at a patch's centre only since they are smooth."""
WINDOWS = np.array(
    [[1, 1, 1, 1, 1, 1, 1], [3, 10, 13, 12, 13, 10, 3], [1, 3, 6, 7, 6, 3, 1]], np.float32
)
"""Weight of a vote by its place in the patch, for patches 1, 2 and 3 pixels apart.

Patches that stand apart lie differently over one pixel than over the next. Where many of them are
alike, as on skin, that would be seen as ruled lines. With these weights the places of the patches
over a pixel have the same mean and mean square for every pixel (the conditions of Strang and Fix
1971, to order 3 or 4), so that alike patches add to one smooth surface."""
HUGE = np.float32(3e38)
GOLDEN = 0x9E3779B97F4A7C15


class Scene(NamedTuple):
    """One level of the pyramid, flat: n pixels of `width` columns."""

    picture: Floats  # (3 n): colours; those in the hole are the present guess
    features: Floats  # (FEATURES n): what a patch's centre is compared by besides
    usable: NDArray[np.bool_]  # (n): True at centres of patches that are wholly known
    numbers: Positions  # (n): number of the target patch centred here, -1 for none
    width: int
    overuse: Floats  # (n): what it costs a patch that it is shown so often already
    spacing: int  # pixels from one target patch to the next, in rows and in columns


class Field(NamedTuple):
    """For each of m target patches (those that overlap the hole) the source that it shows."""

    targets: Positions  # (m): centres in raster order
    sources: Positions  # (m): centres of the best usable patches so far
    costs: Floats  # (m): how much the two differ: sum of squares
    trust: Floats  # (m): weight of the patch's votes
    shifts: Floats  # (3 m): what is added to the colours that it shows


@kernel
def _unlike(picture: Floats, a: Scalar, b: Scalar, rows: tuple[Scalar, ...]) -> Scalar:
    """Sum of squared differences over some rows of two patches; `rows` are steps from the first.

    Several rows at once, or LLVM would unroll the loop over columns before it can vectorize it.
    """
    total = np.float32(0)
    for k in range(3 * PATCH):
        for row in rows:
            at = row + np.uint64(k)
            step = picture[a + at] - picture[b + at]
            total += step * step
    return total


@kernel
def _distance(scene: Scene, one: Scalar, other: Scalar, limit: Scalar) -> Scalar:
    """How much another patch differs from a target: a sum of squares, ended once past `limit`.

    With what the other one costs for being shown too often.

    Unsigned indices, or Numba would look for negative ones and LLVM could not vectorize.
    """
    picture, features = scene.picture, scene.features
    a, b = np.uint64(one) * np.uint64(FEATURES), np.uint64(other) * np.uint64(FEATURES)
    total = scene.overuse[np.uint64(other)]
    for k in range(EDGES):
        step = features[a + np.uint64(k)] - features[b + np.uint64(k)]
        total += step * step
    edges = np.float32(0)
    for k in range(EDGES, FEATURES - 1):
        step = features[a + np.uint64(k)] - features[b + np.uint64(k)]
        edges += step * step
    total += features[a + np.uint64(FEATURES - 1)] * edges
    corner = np.uint64(REACH * scene.width + REACH)
    a, b = (np.uint64(one) - corner) * np.uint64(3), (np.uint64(other) - corner) * np.uint64(3)
    row = np.uint64(3 * scene.width)
    if total < limit:
        total += _unlike(picture, a, b, (row, np.uint64(3) * row, np.uint64(5) * row))
    if total < limit:
        even = (np.uint64(0), np.uint64(2) * row, np.uint64(4) * row, np.uint64(6) * row)
        total += _unlike(picture, a, b, even)
    return total


@kernel
def _random(state: Scalar) -> Scalar:
    """The next of a series of 64-bit numbers (splitmix64, Steele et al. 2014)."""
    mixed = np.uint64(state)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@kernel
def _propagated(
    scene: Scene, field: Field, before: Positions, strip: tuple[int, int], i: Scalar, step: Scalar
) -> tuple[Scalar, Scalar]:
    """Try what the neighbours passed last show, moved as they are (Barnes 2009, section 3.2).

    A neighbour of another strip counts as it was before this sweep, whichever strip runs first.
    """
    p, best, cost = field.targets[i], field.sources[i], field.costs[i]
    for side in (step * scene.spacing, step * scene.spacing * scene.width):
        j = scene.numbers[p - side]
        if j < 0:
            continue
        shown = field.sources[j] if strip[0] <= j < strip[1] else before[j]
        found = shown + side
        if found == best or found < 0 or found >= scene.usable.size or not scene.usable[found]:
            continue
        distance = _distance(scene, p, found, cost)
        if distance < cost:
            best, cost = found, distance
    return best, cost


@kernel
def _searched(
    scene: Scene, p: Scalar, best: Scalar, cost: Scalar, radius: Scalar, state: Scalar
) -> tuple[Scalar, Scalar]:
    """Try random places around the best, ever nearer (Barnes 2009, equation 1)."""
    width = scene.width
    height = scene.usable.size // width
    number = np.uint64(state)
    while radius >= 1:
        number = _random(number + np.uint64(GOLDEN))
        span = np.uint64(2 * radius + 1)
        y = best // width + np.int64((number >> np.uint64(40)) % span) - radius
        x = best % width + np.int64((number & np.uint64(0xFFFFFF)) % span) - radius
        radius //= 2
        if y < 0 or x < 0 or y >= height or x >= width or not scene.usable[y * width + x]:
            continue
        distance = _distance(scene, p, y * width + x, cost)
        if distance < cost:
            best, cost = y * width + x, distance
    return best, cost


@kernel
def match(
    scene: Scene,
    field: Field,
    before: Positions,
    strip: tuple[int, int],
    fresh: Scalar,
    backwards: Scalar,
    radius: Scalar,
    seed: Scalar,
) -> None:
    """One sweep of PatchMatch over the targets of a strip: better sources, smaller costs.

    Args:
        scene: where to look.
        field: changed in place, in the strip only.
        before: `field.sources` as they were before the sweep, for what lies outside of the strip.
        strip: first target, and the one after the last.
        fresh: whether the picture has changed, so that costs are to be measured anew.
        backwards: from the last target to the first.
        radius: of the random search, in pixels.
        seed: of this sweep; what is drawn depends on it and on the target's number alone.
    """
    step = -1 if backwards else 1
    for n in range(strip[1] - strip[0]):
        i = strip[0] + n if step > 0 else strip[1] - 1 - n
        p = field.targets[i]
        if fresh:
            field.costs[i] = _distance(scene, p, field.sources[i], HUGE)
        best, cost = _propagated(scene, field, before, strip, i, step)
        state = _random(np.uint64(i) * np.uint64(GOLDEN) + np.uint64(seed))
        best, cost = _searched(scene, p, best, cost, radius, state)
        field.sources[i], field.costs[i] = best, cost


@kernel
def _exp(x: Scalar) -> Scalar:
    """exp(x) for x <= 0, off by at most 0.02: (1 + x / 16)^16; a third off a vote's time."""
    root = max(np.float32(0), np.float32(1) + x * np.float32(1 / 16))
    root *= root
    root *= root
    root *= root
    return root * root


@kernel
def _scale(scene: Scene, field: Field, p: Scalar) -> tuple[Scalar, Scalar]:
    """Least and mean cost of the patches over pixel `p`."""
    low, total, count = HUGE, np.float32(0), np.float32(0)
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            q = p + dy * scene.width + dx
            if 0 <= q < scene.numbers.size and scene.numbers[q] >= 0:
                cost = field.costs[scene.numbers[q]]
                low = min(low, cost)
                total += cost
                count += np.float32(1)
    return low, total / max(count, np.float32(1))


@kernel
def _weight(field: Field, i: Scalar, least: Scalar, slope: Scalar) -> Scalar:
    """Of a patch's vote, wherever in the patch it is."""
    return field.trust[i] * _exp((field.costs[i] - least) * slope)


@kernel
def vote(
    scene: Scene,
    field: Field,
    holes: Positions,
    strip: tuple[int, int],
    spread: Scalar,
    misfit: Floats,
) -> None:
    """Each pixel of the hole becomes the mean of what the patches over it show there.

    Weights are trust x exp(-(cost - least) / (spread x mean)), least and mean being those of the
    patches over the pixel (Wexler 2007, section 3.2, whose sigma is their 75th percentile), times
    those of WINDOWS.
    What is shown is known, so pixels can be written in place and in any order. A patch that
    would reach over the picture's side does not exist, so that no column wraps around.

    Args:
        scene: `picture` and the texture in `features` are changed in the hole.
        field: sources and costs.
        holes: (k) positions to fill.
        strip: first of `holes`, and the one after the last.
        spread: smaller lets the best patches decide: sharper, and more seams.
        misfit: (k) is set to the mean cost of the patches over each pixel.
    """
    picture, features = scene.picture, scene.features
    values = np.zeros(3 + TEXTURE, np.float32)
    window = WINDOWS[scene.spacing - 1]
    for n in range(strip[0], strip[1]):
        p = holes[n]
        least, mean = _scale(scene, field, p)
        slope = np.float32(-1) / (np.float32(spread) * mean + np.float32(1e-12))
        values[:] = 0
        weights = np.float32(0)
        for dy in range(-REACH, REACH + 1):
            for dx in range(-REACH, REACH + 1):
                q = p + dy * scene.width + dx
                if q < 0 or q >= scene.numbers.size or scene.numbers[q] < 0:
                    continue
                i = scene.numbers[q]
                weight = _weight(field, i, least, slope) * window[dy + REACH] * window[dx + REACH]
                shown = field.sources[i] - dy * scene.width - dx
                weights += weight
                for c in range(3):
                    values[c] += weight * (picture[3 * shown + c] + field.shifts[3 * i + c])
                for c in range(TEXTURE):
                    values[3 + c] += weight * features[FEATURES * shown + c]
        for c in range(3):
            picture[3 * p + c] = values[c] / weights
        for c in range(TEXTURE):
            features[FEATURES * p + c] = values[3 + c] / weights
        misfit[n] = mean


@kernel
def _finish(
    picture: Floats,
    at: Scalar,
    ahead: Scalar,
    steps: Floats,
    first: Scalar,
    weights: Scalar,
    sure: Scalar,
) -> None:
    """Sums of three steps become means, or as surely as there is an edge, the picture's own."""
    if weights > 0:
        for c in range(3):
            shown = steps[first + c] / weights
            own = picture[at + ahead + c] - picture[at + c]
            steps[first + c] = shown + sure * (own - shown)


@kernel
def vote_steps(
    scene: Scene,
    field: Field,
    places: Positions,
    strip: tuple[int, int],
    spread: Scalar,
    steps: Floats,
) -> None:
    """Steps of colour from pixels to the next ones, as the patches that lie over both show them.

    Weights are those of `vote`. Where the start has an edge, the picture's own steps stay.

    Args:
        scene: what is shown is its known part; `picture` was voted for.
        field: sources and costs.
        places: (k) positions to start from.
        strip: first of `places`, and the one after the last.
        spread: as in `vote`.
        steps: (6 k) is set: of three channels to the right, then down; 0 where no patch lies over
            both pixels.
    """
    picture, row = scene.picture, 3 * scene.width
    window = WINDOWS[scene.spacing - 1]
    for n in range(strip[0], strip[1]):
        p = places[n]
        least, mean = _scale(scene, field, p)
        slope = np.float32(-1) / (np.float32(spread) * mean + np.float32(1e-12))
        sure = scene.features[FEATURES * p + FEATURES - 1]
        right, down = np.float32(0), np.float32(0)
        steps[6 * n : 6 * n + 6] = 0
        for dy in range(-REACH, REACH + 1):
            for dx in range(-REACH, REACH + 1):
                q = p + dy * scene.width + dx
                if q < 0 or q >= scene.numbers.size or scene.numbers[q] < 0:
                    continue
                i = scene.numbers[q]
                weight = _weight(field, i, least, slope) * window[dy + REACH] * window[dx + REACH]
                at = 3 * (field.sources[i] - dy * scene.width - dx)
                if dx > -REACH:
                    right += weight
                    for c in range(3):
                        steps[6 * n + c] += weight * (picture[at + c + 3] - picture[at + c])
                if dy > -REACH:
                    down += weight
                    for c in range(3):
                        steps[6 * n + 3 + c] += weight * (picture[at + c + row] - picture[at + c])
        _finish(picture, 3 * p, 3, steps, 6 * n, right, sure)
        _finish(picture, 3 * p, row, steps, 6 * n + 3, down, sure)


def calls() -> list[Call]:
    """Each of the kernels that others call, with arguments of the types that it gets."""
    side = PATCH + 2
    centre = np.array([side * REACH + REACH], np.int32)
    numbers = np.full(side * side, -1, np.int32)
    numbers[centre] = 0
    zeros = np.zeros(side * side * FEATURES, np.float32)
    none, costless = np.zeros(side * side, np.bool_), np.zeros(side * side, np.float32)
    scene = Scene(zeros[: 3 * side * side], zeros, none, numbers, side, costless, 1)
    costs = np.zeros(1, np.float32)
    field = Field(centre, centre.copy(), costs, np.ones(1, np.float32), np.zeros(3, np.float32))
    return [
        (match, (scene, field, centre, (0, 1), True, False, 1, 0)),
        (vote, (scene, field, centre, (0, 1), 1.0, costs.copy())),
        (vote_steps, (scene, field, centre, (0, 1), 1.0, np.zeros(6, np.float32))),
    ]
