"""Which pixels a selection may change, and how: rows of bytes, without NumPy, which GIMP lacks.

A selection's part is `weights`: one byte a pixel, row after row, 0 where nothing may change, 255
where all of it is the fill's. The rules are kept here, whatever the worker answers: a pixel of
weight 0 keeps its very bytes, one between is a mixture.
"""

import re
from array import array

_SOFT = re.compile(rb"[\x01-\xfe]")
_CHANGED = re.compile(rb"[\x01-\xff]+")
_ONES = re.compile(rb"1+")
MOST_LEVELS = 16
"""A soft selection that grows is grown level by level, at most so many."""
MOST_PIXELS = 100_000_000
"""A larger picture is shown to the worker around the selection only."""
WINDOW = 2048
"""Pixels around the selection that are shown of such a picture."""
_TYPES = {"u8": "B", "u16": "H", "f32": "f"}
_TOPS = {"u8": 255, "u16": 65535, "f32": 1.0}


def hole_of(weights: bytes) -> bytes:
    """The hole for the worker, 255 where a pixel is to change in any part, else 0."""
    return weights.translate(bytes([0] + [255] * 255))


def bounds(weights: bytes, width: int) -> "tuple[int, int, int, int] | None":
    """Left, top, width and height of the part that is not 0; None where there is none."""
    rows = [weights[at : at + width] for at in range(0, len(weights), width)]
    used = [number for number, row in enumerate(rows) if any(row)]
    if not used:
        return None
    left = min(len(row) - len(row.lstrip(b"\0")) for row in rows if any(row))
    right = max(len(row.rstrip(b"\0")) for row in rows)
    return left, used[0], right - left, used[-1] + 1 - used[0]


def cut(weights: bytes, width: int, box: "tuple[int, int, int, int]") -> bytes:
    """The part of the weights in a box: left, top, width, height."""
    left, top, columns, rows = box
    return b"".join(
        weights[y * width + left : y * width + left + columns] for y in range(top, top + rows)
    )


def common(
    one: "tuple[int, int, int, int]", other: "tuple[int, int, int, int]"
) -> "tuple[int, int, int, int]":
    """The rectangle that two have in common; its width or height is below 1 where there is none."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right = min(one[0] + one[2], other[0] + other[2])
    bottom = min(one[1] + one[3], other[1] + other[3])
    return left, top, right - left, bottom - top


def part_shown(
    shown: "tuple[int, int, int, int]", box: "tuple[int, int, int, int]"
) -> "tuple[int, int, int, int]":
    """All that can be shown, or a window around the box where that is too much."""
    if shown[2] * shown[3] <= MOST_PIXELS:
        return shown
    wide = (box[0] - WINDOW, box[1] - WINDOW, box[2] + 2 * WINDOW, box[3] + 2 * WINDOW)
    return common(shown, wide)


def padded(weights: bytes, width: int, margins: "tuple[int, int, int, int]") -> bytes:
    """The weights with so many columns and rows of 0 more: left, top, right, bottom."""
    left, top, right, bottom = margins
    rows = (weights[at : at + width] for at in range(0, len(weights), width))
    wide = left + width + right
    middle = b"".join(bytes(left) + row + bytes(right) for row in rows)
    return bytes(top * wide) + middle + bytes(bottom * wide)


def grown(weights: bytes, width: int, by: int) -> bytes:
    """The weights widened: each pixel the largest within `by` pixels (Euclidean, as `--grow`).

    Soft weights are taken in at most `MOST_LEVELS` levels; full ones are exact.
    """
    if by <= 0 or not weights:
        return weights
    levels = sorted(set(weights) - {0})
    if len(levels) > MOST_LEVELS:
        step = len(levels) / MOST_LEVELS
        levels = sorted({levels[int(step * n)] for n in range(MOST_LEVELS)} | {levels[-1]})
    reach = _reach(by)
    result = bytearray(weights)
    for level in levels:
        rows = _bits(weights, width, level)
        for y, row in enumerate(_dilated(rows, width, reach)):
            for run in _ONES.finditer(format(row, f"0{width}b").encode()):
                _raise(result, y * width + run.start(), run.end() - run.start(), level)
    return bytes(result)


def _raise(result: bytearray, at: int, count: int, level: int) -> None:
    """Make a run of weights at least a level."""
    part = bytes(result[at : at + count])
    table = bytes(max(level, value) for value in range(256))
    result[at : at + count] = part.translate(table)


def _reach(by: int) -> "list[int]":
    """How far a disk of radius `by` reaches to the side, for each row from its middle."""
    return [int((by * by - dy * dy) ** 0.5 + 1e-9) for dy in range(by + 1)]


def _bits(weights: bytes, width: int, level: int) -> "list[int]":
    """Each row as an integer of `width` bits, 1 where the weight is at least the level."""
    table = bytes([ord("0")] * level + [ord("1")] * (256 - level))
    text = weights.translate(table)
    return [int(text[at : at + width], 2) for at in range(0, len(text), width)]


def _dilated(rows: "list[int]", width: int, reach: "list[int]") -> "list[int]":
    """Rows of bits widened by a disk."""
    full = (1 << width) - 1
    result = [0] * len(rows)
    for y, row in enumerate(rows):
        if not row:
            continue
        wide, spans = row, {0: row}
        for side in range(1, reach[0] + 1):
            wide |= (row << side) | (row >> side)
            spans[side] = wide & full
        for dy, side in enumerate(reach):
            for target in {y - dy, y + dy}:
                if 0 <= target < len(rows):
                    result[target] |= spans[side]
    return result


def mixed(old: bytes, new: bytes, weights: bytes, channels: int, samples: str) -> bytes:
    """The fill where the weight is full, mixtures with the old pixels where it is soft.

    Mixtures are of the samples as they are, not of linear light. Where alpha changes as well, the
    colours count by their opacity: what lay under a transparent pixel must not shine through.

    Args:
        old: pixels as they were, `channels` samples each.
        new: the fill, as large.
        weights: a byte a pixel.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        samples: u8, u16 or f32, in this machine's byte order.
    """
    soft = [found.start() for found in _SOFT.finditer(weights)]
    if not soft:
        return new
    before, after = array(_TYPES[samples], old), array(_TYPES[samples], new)
    whole = samples != "f32"
    fading = soft
    if channels in (2, 4):
        last = channels - 1
        turned = [at for at in soft if before[at * channels + last] != after[at * channels + last]]
        _mix_by_opacity(before, after, weights, turned, channels, _TOPS[samples], whole)
        done = set(turned)
        fading = [at for at in soft if at not in done] if done else soft
    for channel in range(channels):
        for at in fading:
            place, weight = at * channels + channel, weights[at]
            new, kept = after[place] * weight, before[place] * (255 - weight)
            after[place] = int(new + kept + 127) // 255 if whole else (new + kept) / 255
    return after.tobytes()


def _mix_by_opacity(
    before: array, after: array, weights: bytes, places: "list[int]", channels: int, top: float,
    whole: bool,
) -> None:  # fmt: skip
    """Mix pixels that change their alpha, in `after`."""
    for at in places:
        first, last = at * channels, at * channels + channels - 1
        share = weights[at] / 255
        old, new = before[last] / top * (1 - share), after[last] / top * share
        opacity = old + new
        for place in range(first, last):
            colour = (before[place] * old + after[place] * new) / opacity if opacity else 0
            after[place] = int(colour + 0.5) if whole else colour
        after[last] = int(opacity * top + 0.5) if whole else opacity * top


def kept_outside(old: bytes, new: bytes, weights: bytes, pixel_bytes: int) -> bytes:
    """The new pixels where the weight is not 0, the very bytes of the old elsewhere."""
    result = bytearray(old)
    for run in _CHANGED.finditer(weights):
        start, end = run.start() * pixel_bytes, run.end() * pixel_bytes
        result[start:end] = new[start:end]
    return bytes(result)


def with_alpha(pixels: bytes, alpha: bytes, channels: int, samples: str) -> bytes:
    """The pixels with another alpha, a byte a pixel; those without alpha get one.

    `channels` are those of `pixels`; the result has 2 or 4.
    """
    colours = 1 if channels < 3 else 3
    given = array(_TYPES[samples], pixels)
    result = array(_TYPES[samples], bytes(len(alpha) * (colours + 1) * given.itemsize))
    for channel in range(colours):
        result[channel :: colours + 1] = given[channel::channels]
    result[colours :: colours + 1] = _as_samples(alpha, samples)
    return result.tobytes()


def without_alpha(pixels: bytes, channels: int, samples: str) -> bytes:
    """The colours alone."""
    if channels in (1, 3):
        return pixels
    given = array(_TYPES[samples], pixels)
    colours = channels - 1
    result = array(_TYPES[samples], bytes(len(given) // channels * colours * given.itemsize))
    for channel in range(colours):
        result[channel::colours] = given[channel::channels]
    return result.tobytes()


def alpha_kept(pixels: bytes, old: bytes, channels: int, samples: str) -> bytes:
    """The pixels with the alpha of `old`; both have `channels` samples, the last of them alpha."""
    result, before = array(_TYPES[samples], pixels), array(_TYPES[samples], old)
    result[channels - 1 :: channels] = before[channels - 1 :: channels]
    return result.tobytes()


def _as_samples(alpha: bytes, samples: str) -> array:
    """Bytes as samples of a kind, 255 as its top."""
    if samples == "u8":
        return array("B", alpha)
    if samples == "u16":
        doubled = bytearray(2 * len(alpha))  # 257 times a byte is the byte twice
        doubled[::2], doubled[1::2] = alpha, alpha
        return array("H", bytes(doubled))
    table = [value / 255 for value in range(256)]
    return array("f", [table[value] for value in alpha])
