"""Adds the photo's texture to the thick parts of a filled hole.

The network knows which colour goes where, and blurs where the hole is thick; patches of the photo
have its texture, and fail where nothing similar is in it. Thin parts stay the network's alone,
thick ones get a blend: `blending` decides for each pixel, by its depth in the hole and by the
texture of the photo around and of the patches.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, Region, bounding_box, hole_depth, thick_regions
from inpaintcli.inpaint.blending import blend
from inpaintcli.inpaint.contours import continue_contours
from inpaintcli.inpaint.overlapping import in_threads
from inpaintcli.inpaint.structure import PatternSearch, Window
from inpaintcli.options import Detail, Structure
from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern
from inpaintcli.texture.lattice_drawing import drawn
from inpaintcli.texture.pyramid import Floats
from inpaintcli.texture.synthesis import (
    Progress,
    TooFewPatchesError,
    context_for,
    ignore_progress,
    is_compiled,
    prepare,
    synthesize,
    why_not,
    why_not_kept,
)

MIN_THICKNESS = 12.0
"""Pixels; in thinner parts patches were measured to be no better than the network."""
MIN_PATTERN_THICKNESS = 40.0
"""Pixels; thinner parts are nearer to the photo without its patterns (docs/log.md)."""
COMPILE_S = 8
"""About how long compiling the kernels takes."""
MAX_PIXELS = 5_000_000
"""Of a part and its context: about 1 GB in patch synthesis. Larger ones are scaled down for it."""


@dataclass(frozen=True)
class FoundPattern:
    """A pattern of the photo, as a decision says.

    steps: its two steps near the hole, (x, y) in pixels of the photo. cells: how many are known,
    about. predicted: share of their detail that other cells predict, see `texture.lattice_guard`.
    share: of the part that is in the pattern, 0 to 1.
    """

    steps: tuple[tuple[float, float], tuple[float, float]]
    cells: int
    predicted: float
    share: float

    def to_json(self) -> dict[str, Any]:
        """The fields of the command's JSON."""
        steps = [[round(value, 1) for value in step] for step in self.steps]
        share = round(self.share, 2)
        return {
            "steps": steps,
            "cells": self.cells,
            "predicted": round(self.predicted, 2),
            "share": share,
        }

    def in_words(self) -> str:
        """Part of a line of the command's messages."""
        first, second = (round(math.hypot(*step)) for step in self.steps)
        return f"a pattern of {self.cells} cells ({first} and {second} px)"


@dataclass(frozen=True)
class Decision:
    """What filled one thick part of a hole.

    box: of the part and its context, in the photo.
    thickness: in pixels.
    choice: the network's fill, patches, or a blend of both; the network's where patches could not
        be synthesized.
    contours: number of contours of the photo around that were continued through the part.
    patterns: of the photo around that the part's texture keeps to.
    misfit: mean misfit of the patches over the part, in grey levels of 255, see
        `synthesis.Texture`; None without patches.
    """

    box: Box
    thickness: float
    choice: Literal["network", "patches", "blend"]
    contours: int = 0
    misfit: float | None = None
    patterns: tuple[FoundPattern, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields of the command's JSON; the box as left, top, width, height."""
        box = [self.box.left, self.box.top, self.box.width, self.box.height]
        return {
            "box": box,
            "thickness": round(self.thickness, 1),
            "choice": self.choice,
            "contours": self.contours,
            "patterns": [pattern.to_json() for pattern in self.patterns],
            "misfit": None if self.misfit is None else round(self.misfit, 1),
        }

    def in_words(self) -> str:
        """One line of the command's messages."""
        where = f"{self.box.width}x{self.box.height} at {self.box.left},{self.box.top}"
        text = f"{where}, {self.thickness:.0f} px thick: {self.choice}"
        if self.contours:
            text += f", {self.contours} contour{'s' * (self.contours != 1)} carried through"
        for pattern in self.patterns:
            text += f", {pattern.in_words()}"
        return text if self.misfit is None else f"{text}, misfit {self.misfit:.1f}"


def add_texture(  # noqa: PLR0913 - the options of a fill
    pixels: NDArray[Any],
    hole: Mask,
    known: Mask,
    detail: Detail,
    *,
    structure: Structure = "auto",
    seed: int = 0,
    threads: int,
    notes: Callable[[str], None],
    progress: Progress = ignore_progress,
) -> list[Decision]:
    """Give the thick parts of a filled hole the texture of the photo around, in place.

    Args:
        pixels: (h, w, 1 or 3) uint8 or uint16, the holes filled by the network.
        hole: (h, w) bool, True where the network filled.
        known: (h, w) bool, True where texture may be copied from.
        detail: `patches`, `auto` (a blend with the network's fill, see `blending.blend`), or
            `network`, which changes nothing.
        structure: `auto` carries patterns and contours of the photo through the hole, `off` leaves
            that to network and patches.
        seed: of the random search for patches.
        threads: to work with.
        notes: called with messages for the user.
        progress: called with the share that is done, 0 to 1; what it raises ends the work.

    Returns:
        A decision for each thick part.
    """
    parts = thick_regions(hole, MIN_THICKNESS, context_for) if detail != "network" else []
    if not parts:
        return []
    reason = why_not()
    if reason is not None:
        notes(f"No texture from patches: {reason}.")
        return []
    if not is_compiled():
        _compile(notes)
    search = PatternSearch(pixels, known, threads) if structure == "auto" else None
    windows = [search.window(part.box) if search else None for part in parts]
    shares = _Shares(progress, len(parts))
    how = _How(detail, seed, threads)

    def add_to(number: int) -> Decision:
        report = partial(shares.report, number)
        part, window = parts[number], windows[number]
        decision = _add_to_part(pixels, known, part, how, window, notes, report)
        report(1.0)
        return decision

    largest = max(part.mask.size for part in parts)
    at_a_time = threads if threads * largest <= MAX_PIXELS else 1
    return in_threads([part.box for part in parts], add_to, at_a_time)


@dataclass(frozen=True)
class _How:
    """How the parts of a hole get their texture; the arguments of `add_texture`."""

    detail: Detail
    seed: int
    threads: int


class _Shares:
    """The progress of parts that are worked on at the same time, as that of all."""

    def __init__(self, progress: Progress, parts: int) -> None:
        """Report to `progress`."""
        self._progress, self._done = progress, [0.0] * parts
        self._lock = threading.Lock()

    def report(self, number: int, share: float) -> None:
        """Of a part."""
        with self._lock:
            self._done[number] = share
            self._progress(sum(self._done) / len(self._done))


def _compile(notes: Callable[[str], None]) -> None:
    is_kept = not why_not_kept()
    once = ", once on this machine" if is_kept else ""
    notes(f"Compiling the texture pass{once}: about {COMPILE_S} s.")
    prepare()
    reason = why_not_kept()
    if reason:
        notes(
            f"The compiled texture pass is not kept for the next run: {reason}. "
            "Name another folder in NUMBA_CACHE_DIR."
        )


def _add_to_part(
    pixels: NDArray[Any],
    known: Mask,
    part: Region,
    how: _How,
    window: Window | None,
    notes: Callable[[str], None],
    progress: Progress,
) -> Decision:
    """Add texture to one part, in place; without enough patches the network's fill stays."""
    inside = part.box.slices
    top = np.iinfo(pixels.dtype).max
    unit = np.float32(255 / top)
    filled = pixels[inside].astype(np.float32) * unit
    thickness = 2 * float(hole_depth(part.mask).max())
    scale = min(1.0, math.sqrt(MAX_PIXELS / part.mask.size))
    small, target = _scaled(filled, scale), _scaled_mask(part.mask, scale)
    source = ~_scaled_mask(~known[inside], scale)
    thick = thickness >= MIN_PATTERN_THICKNESS
    patterns = window.around(part.box, target, scale) if window and thick else []
    initial, contours = continue_contours(small, target, source) if window else (small, 0)
    for pattern in patterns:
        initial = drawn(initial, target, source, pattern)
    try:
        texture = synthesize(
            initial,
            initial,
            target,
            source=source,
            seed=how.seed,
            threads=how.threads,
            patterns=patterns,
            progress=progress,
        )
    except TooFewPatchesError as error:
        notes(f"{error} The network's own fill stays.")
        return Decision(part.box, thickness, "network")
    misfit = float(texture.misfit[target].mean())
    found = tuple(_found(pattern, target, scale) for pattern in patterns)
    textured = blend(texture, initial, target) if how.detail == "auto" else texture.pixels
    choice: Literal["blend", "patches"] = "blend" if how.detail == "auto" else "patches"
    decision = Decision(part.box, thickness, choice, contours, misfit, found)
    answer = filled + _scaled(textured - small, 1.0, part.mask.shape)
    _write_rounded(pixels[inside], answer / unit, part.mask)
    return decision


def _found(pattern: Pattern, hole: Mask, scale: float) -> FoundPattern:
    """A pattern as the photo has it, before it was scaled."""
    (a_x, b_x), (a_y, b_y) = pattern.lattice.steps / scale
    share = float((pattern.certainty[hole] >= MIN_CERTAINTY).mean())
    steps = ((float(a_x), float(a_y)), (float(b_x), float(b_y)))
    return FoundPattern(steps, round(pattern.cells), pattern.predicted, share)


def _scaled(
    pixels: NDArray[np.float32], scale: float, shape: tuple[int, ...] | None = None
) -> NDArray[np.float32]:
    """(h, w, c) scaled by at most 1, or up to `shape`."""
    height, width = shape or (round(side * scale) for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    interpolation = cv2.INTER_CUBIC if shape else cv2.INTER_AREA
    scaled = np.asarray(
        cv2.resize(pixels, (width, height), interpolation=interpolation), np.float32
    )
    return scaled.reshape(height, width, pixels.shape[2])  # OpenCV drops a single channel


def _write_rounded(pixels: NDArray[Any], answer: Floats, target: Mask) -> None:
    """Round an answer to integers and write it to `pixels`, where `target` is True."""
    box = bounding_box(target)
    if box is not None:
        core = box.slices
        rounded = np.clip(np.rint(answer[core]), 0, np.iinfo(pixels.dtype).max)
        np.copyto(pixels[core], rounded.astype(pixels.dtype), where=target[core][..., None])


def _scaled_mask(mask: Mask, scale: float) -> Mask:
    """Scaled by at most 1; True where any pixel was."""
    if scale == 1:
        return mask
    return np.asarray(_scaled(mask[..., None].astype(np.float32), scale)[..., 0] > 0, np.bool_)
