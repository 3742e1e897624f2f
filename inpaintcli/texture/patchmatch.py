"""Kernels of patch synthesis, compiled by Numba: PatchMatch and voting.

Importing Numba takes 0.25 s, so `inpaintcli.texture.synthesis` imports this module only when a hole
is to be filled. Compiling takes 6 to 8 s of one core together with `screened_poisson`, once for
each version of these files, of Numba and of the processor.

The kernels release Python's global lock and are called from plain threads, each on its own strip of
the targets. Numba's `prange` is not used: it compiles several times longer, and its fallback
threading layer ends the whole program when two threads enter it at once, as two photos of a batch
would.

Positions are flat: y * width + x. The position of a patch is that of its centre. "Source of a
target" means the source patch that the nearest-neighbour field assigns to a target patch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.kernels.numba_kernels import Call, kernel
from inpaintcli.texture.level_arrays import LevelArrays, NearestNeighbourField

Scalar = Any
"""A number in a kernel; Numba infers its type."""
Positions = NDArray[np.int32]
Floats = NDArray[np.float32]

PATCH_SIDE = 7
"""Side of a patch, equal to `pyramid.PATCH_SIDE`; repeated here because Numba's cache notices only
changes of this file."""
PATCH_RADIUS = PATCH_SIDE // 2
COLUMN_WEIGHTS = np.repeat(np.array([1, 1, 1, 1, 1, 1, 1, 0], np.float32), 3)
"""Of the numbers in a row of a patch, and of one pixel more."""
VOTED_FEATURES = 2
"""So many features, the first ones, are voted for like colours; the others stay as they are."""
FIRST_EDGE = 7
"""Index of the first edge feature. Edge features are weighted by the target's last feature, the
certainty of its edges, 0 to 1."""
FEATURES = 10
"""Channels besides colour; compared at a patch's centre only, as they are smooth."""
VOTE_WINDOWS = np.array(
    [[1, 1, 1, 1, 1, 1, 1], [3, 10, 13, 12, 13, 10, 3], [1, 3, 6, 7, 6, 3, 1]], np.float32
)
"""Weight of a vote by its row or column in the patch, for patches 1, 2 and 3 pixels apart.

With patches more than one pixel apart, neighbouring pixels lie at different positions of the
patches over them. Where many patches are alike, as on skin, that would be visible as a line
pattern. With these weights the positions of the patches over a pixel have the same mean and mean
square for every pixel (the conditions of Strang and Fix 1971, to order 3 or 4), so that similar
patches add to one smooth surface."""
LARGEST = np.float32(3e38)
PHASES = 6
"""Numbers for each pixel in `LevelArrays.phases`."""
GOLDEN_RATIO_64 = 0x9E3779B97F4A7C15


@kernel
def _squared_differences(picture: Floats, a: Scalar, b: Scalar, rows: tuple[Scalar, ...]) -> Scalar:
    """Sum of squared differences over some rows, given by offsets, of two patches.

    Several rows at once, or LLVM would unroll the loop over columns before it can vectorize it. One
    column more than a patch has, of no weight, for whole vectors: half the time.
    """
    total = np.float32(0)
    for k in range(COLUMN_WEIGHTS.size):
        weight = COLUMN_WEIGHTS[np.uint64(k)]
        for row in rows:
            at = row + np.uint64(k)
            step = picture[a + at] - picture[b + at]
            total += weight * (step * step)
    return total


@kernel
def _phase_distance(phases: Floats, one: Scalar, other: Scalar) -> Scalar:
    """Squared difference of phases in a pattern; half of the most where they are not of one."""
    a, b = np.uint64(one) * np.uint64(PHASES), np.uint64(other) * np.uint64(PHASES)
    total = np.float32(0)
    if phases[a + np.uint64(5)] > 0:
        alike = phases[a + np.uint64(4)] == phases[b + np.uint64(4)]
        for k in range(4):
            own = phases[a + np.uint64(k)]
            step = own - phases[b + np.uint64(k)] if alike else own
            total += step * step
        total *= phases[a + np.uint64(5)]
    return total


@kernel
def _patch_distance(arrays: LevelArrays, one: Scalar, other: Scalar, limit: Scalar) -> Scalar:
    """Distance of a source patch from a target; a partial sum once that is beyond `limit`.

    The sum of squared differences of colours and features, and the source's repeat cost.
    Unsigned indices, or Numba would check for negative ones and LLVM could not vectorize.
    """
    picture, features = arrays.picture, arrays.features
    a, b = np.uint64(one) * np.uint64(FEATURES), np.uint64(other) * np.uint64(FEATURES)
    total = arrays.repeat_costs[np.uint64(other)]
    for k in range(FIRST_EDGE):
        step = features[a + np.uint64(k)] - features[b + np.uint64(k)]
        total += step * step
    edges = np.float32(0)
    for k in range(FIRST_EDGE, FEATURES - 1):
        step = features[a + np.uint64(k)] - features[b + np.uint64(k)]
        edges += step * step
    total += features[a + np.uint64(FEATURES - 1)] * edges
    if arrays.phases.size:
        total += _phase_distance(arrays.phases, one, other)
    corner = np.uint64(PATCH_RADIUS * arrays.width + PATCH_RADIUS)
    a, b = (np.uint64(one) - corner) * np.uint64(3), (np.uint64(other) - corner) * np.uint64(3)
    row = np.uint64(3 * arrays.width)
    if total < limit:
        total += _squared_differences(picture, a, b, (row, np.uint64(3) * row, np.uint64(5) * row))
    if total < limit:
        even = (np.uint64(0), np.uint64(2) * row, np.uint64(4) * row, np.uint64(6) * row)
        total += _squared_differences(picture, a, b, even)
    return total


@kernel
def _splitmix64(state: Scalar) -> Scalar:
    """A pseudo-random 64-bit number from a state (splitmix64, Steele et al. 2014)."""
    mixed = np.uint64(state)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@kernel
def _propagate(
    arrays: LevelArrays,
    field: NearestNeighbourField,
    before: Positions,
    strip: tuple[int, int],
    i: Scalar,
    step: Scalar,
) -> tuple[Scalar, Scalar]:
    """Propagation: try the sources of the two neighbours visited last, shifted by as much.

    Barnes et al. 2009, section 3.2. A neighbour in another strip counts with its source before this
    sweep, so that it does not matter which strip runs first. Returns the best source and its cost.
    """
    p, best, cost = field.targets[i], field.sources[i], field.costs[i]
    for shift in (step * arrays.spacing, step * arrays.spacing * arrays.width):
        j = arrays.target_index[p - shift]
        if j < 0:
            continue
        neighbour = field.sources[j] if strip[0] <= j < strip[1] else before[j]
        found = neighbour + shift
        if found == best or found < 0 or found >= arrays.usable.size or not arrays.usable[found]:
            continue
        distance = _patch_distance(arrays, p, found, cost)
        if distance < cost:
            best, cost = found, distance
    return best, cost


@kernel
def _random_search(
    arrays: LevelArrays, p: Scalar, best: Scalar, cost: Scalar, radius: Scalar, state: Scalar
) -> tuple[Scalar, Scalar]:
    """Random search around the best source, with a radius halved each time.

    Barnes et al. 2009, equation 1. Returns the best source and its cost.
    """
    width = arrays.width
    height = arrays.usable.size // width
    row, column = best // width, best % width
    number = np.uint64(state)
    while radius >= 1:
        number = _splitmix64(number + np.uint64(GOLDEN_RATIO_64))
        span = np.uint32(2 * radius + 1)
        y = row + np.int64(np.uint32(number >> np.uint64(40)) % span) - radius
        x = column + np.int64(np.uint32(number & np.uint64(0xFFFFFF)) % span) - radius
        radius //= 2
        if y < 0 or x < 0 or y >= height or x >= width or not arrays.usable[y * width + x]:
            continue
        distance = _patch_distance(arrays, p, y * width + x, cost)
        if distance < cost:
            best, cost, row, column = y * width + x, distance, y, x
    return best, cost


@kernel
def match(
    arrays: LevelArrays,
    field: NearestNeighbourField,
    before: Positions,
    strip: tuple[int, int],
    remeasure: Scalar,
    backwards: Scalar,
    radius: Scalar,
    seed: Scalar,
) -> None:
    """One sweep of PatchMatch over the targets of a strip: propagation, then random search.

    Args:
        arrays: of the level.
        field: sources and costs are improved in place, in the strip only.
        before: `field.sources` before the sweep, for neighbours outside of the strip.
        strip: index of the first target, and of the one after the last.
        remeasure: whether to measure the present costs first, as the picture has changed.
        backwards: from the last target to the first.
        radius: of the random search, in pixels.
        seed: of this sweep; random numbers depend on it and on the target's index alone.
    """
    step = -1 if backwards else 1
    for n in range(strip[1] - strip[0]):
        i = strip[0] + n if step > 0 else strip[1] - 1 - n
        p = field.targets[i]
        if remeasure:
            field.costs[i] = _patch_distance(arrays, p, field.sources[i], LARGEST)
        best, cost = _propagate(arrays, field, before, strip, i, step)
        state = _splitmix64(np.uint64(i) * np.uint64(GOLDEN_RATIO_64) + np.uint64(seed))
        best, cost = _random_search(arrays, p, best, cost, radius, state)
        field.sources[i], field.costs[i] = best, cost


@kernel
def _approximate_exp(x: Scalar) -> Scalar:
    """exp(x) for x <= 0, off by at most 0.02: (1 + x / 16)^16; saves a third of a vote."""
    root = max(np.float32(0), np.float32(1) + x * np.float32(1 / 16))
    root *= root
    root *= root
    root *= root
    return root * root


@kernel
def _cost_statistics(
    arrays: LevelArrays, field: NearestNeighbourField, p: Scalar
) -> tuple[Scalar, Scalar]:
    """Smallest and mean cost of the patches over pixel `p`."""
    low, total, count = LARGEST, np.float32(0), np.float32(0)
    for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
        for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            q = p + dy * arrays.width + dx
            if 0 <= q < arrays.target_index.size and arrays.target_index[q] >= 0:
                cost = field.costs[arrays.target_index[q]]
                low = min(low, cost)
                total += cost
                count += np.float32(1)
    return low, total / max(count, np.float32(1))


@kernel
def _vote_weight(field: NearestNeighbourField, i: Scalar, least: Scalar, rate: Scalar) -> Scalar:
    """Weight of a patch's vote, apart from its window."""
    return field.confidence[i] * _approximate_exp((field.costs[i] - least) * rate)


@kernel
def vote(
    arrays: LevelArrays,
    field: NearestNeighbourField,
    positions: Positions,
    strip: tuple[int, int],
    sigma: Scalar,
    misfit: Floats,
) -> None:
    """Each pixel of the hole becomes the weighted mean of its colours in the patches over it.

    Weights are confidence x exp(-(cost - least) / (sigma x mean)), with the least and the mean cost
    of the patches over the pixel (Wexler et al. 2007, section 3.2, whose sigma is the 75th
    percentile of the costs), times those of VOTE_WINDOWS. Source patches are wholly known, so
    pixels of the hole can be written in place and in any order. No target patch extends beyond the
    picture's border, so that no column wraps around.

    Args:
        arrays: `picture` and the first VOTED_FEATURES of `features` are changed in the hole.
        field: the patches that vote.
        positions: (k) of the pixels to fill.
        strip: index of the first of `positions` to work on, and of the one after the last.
        sigma: relative spread of the weights; a smaller one gives sharper colours and more seams.
        misfit: (k) is set to the mean cost of the patches over each pixel.
    """
    picture, features = arrays.picture, arrays.features
    values = np.zeros(3 + VOTED_FEATURES, np.float32)
    window = VOTE_WINDOWS[arrays.spacing - 1]
    for n in range(strip[0], strip[1]):
        p = positions[n]
        least, mean = _cost_statistics(arrays, field, p)
        rate = np.float32(-1) / (np.float32(sigma) * mean + np.float32(1e-12))
        values[:] = 0
        weights = np.float32(0)
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            window_y = window[dy + PATCH_RADIUS]
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                q = p + dy * arrays.width + dx
                if q < 0 or q >= arrays.target_index.size or arrays.target_index[q] < 0:
                    continue
                i = arrays.target_index[q]
                weight = _vote_weight(field, i, least, rate) * window_y * window[dx + PATCH_RADIUS]
                at = field.sources[i] - dy * arrays.width - dx
                weights += weight
                for c in range(3):
                    values[c] += weight * (picture[3 * at + c] + field.bias[3 * i + c])
                for c in range(VOTED_FEATURES):
                    values[3 + c] += weight * features[FEATURES * at + c]
        for c in range(3):
            picture[3 * p + c] = values[c] / weights
        for c in range(VOTED_FEATURES):
            features[FEATURES * p + c] = values[3 + c] / weights
        misfit[n] = mean


@kernel
def _blend_gradient(
    picture: Floats,
    at: Scalar,
    offset: Scalar,
    gradients: Floats,
    first: Scalar,
    weights: Scalar,
    certainty: Scalar,
) -> None:
    """Sums of votes for three differences become means; at an edge, the picture's differences."""
    if weights > 0:
        for c in range(3):
            voted = gradients[first + c] / weights
            own = picture[at + offset + c] - picture[at + c]
            gradients[first + c] = voted + certainty * (own - voted)


@kernel
def vote_gradients(
    arrays: LevelArrays,
    field: NearestNeighbourField,
    positions: Positions,
    strip: tuple[int, int],
    sigma: Scalar,
    gradients: Floats,
) -> None:
    """Votes for the colour differences from pixels to their next ones, by the patches over both.

    Weights are those of `vote`. Where the initial fill has an edge, the differences are those of
    the voted picture.

    Args:
        arrays: of the level, after the last vote.
        field: the patches that vote.
        positions: (k) of the first pixel of each pair.
        strip: index of the first of `positions` to work on, and of the one after the last.
        sigma: as in `vote`.
        gradients: (6 k) is set: three channels to the right, then three down; 0 where no patch lies
            over both pixels.
    """
    picture, row = arrays.picture, 3 * arrays.width
    window = VOTE_WINDOWS[arrays.spacing - 1]
    for n in range(strip[0], strip[1]):
        p = positions[n]
        least, mean = _cost_statistics(arrays, field, p)
        rate = np.float32(-1) / (np.float32(sigma) * mean + np.float32(1e-12))
        certainty = arrays.features[FEATURES * p + FEATURES - 1]
        right, down = np.float32(0), np.float32(0)
        gradients[6 * n : 6 * n + 6] = 0
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            window_y = window[dy + PATCH_RADIUS]
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                q = p + dy * arrays.width + dx
                if q < 0 or q >= arrays.target_index.size or arrays.target_index[q] < 0:
                    continue
                i = arrays.target_index[q]
                weight = _vote_weight(field, i, least, rate) * window_y * window[dx + PATCH_RADIUS]
                at = 3 * (field.sources[i] - dy * arrays.width - dx)
                if dx > -PATCH_RADIUS:
                    right += weight
                    for c in range(3):
                        gradients[6 * n + c] += weight * (picture[at + c + 3] - picture[at + c])
                if dy > -PATCH_RADIUS:
                    down += weight
                    for c in range(3):
                        gradients[6 * n + 3 + c] += weight * (
                            picture[at + c + row] - picture[at + c]
                        )
        _blend_gradient(picture, 3 * p, 3, gradients, 6 * n, right, certainty)
        _blend_gradient(picture, 3 * p, row, gradients, 6 * n + 3, down, certainty)


def warm_up_calls() -> list[Call]:
    """The kernels that are called from Python, with arguments of the types that they get."""
    side = PATCH_SIDE + 2
    centre = np.array([side * PATCH_RADIUS + PATCH_RADIUS], np.int32)
    target_index = np.full(side * side, -1, np.int32)
    target_index[centre] = 0
    zeros = np.zeros(side * side * FEATURES, np.float32)
    unusable, zero_costs = np.zeros(side * side, np.bool_), np.zeros(side * side, np.float32)
    arrays = LevelArrays(
        zeros[: 3 * side * side + 3], zeros, unusable, target_index, side, zero_costs, 1, zeros[:0]
    )
    costs = np.zeros(1, np.float32)
    field = NearestNeighbourField(
        centre, centre.copy(), costs, np.ones(1, np.float32), np.zeros(3, np.float32)
    )
    return [
        (match, (arrays, field, centre, (0, 1), True, False, 1, 0)),
        (vote, (arrays, field, centre, (0, 1), 1.0, costs.copy())),
        (vote_gradients, (arrays, field, centre, (0, 1), 1.0, np.zeros(6, np.float32))),
    ]
