"""Made-up pictures of patterns in perspective, with holes: the truth of them is known."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.lattice import Lattice

KINDS = ("chequer", "bricks", "windows", "hexagons", "stripes")
HORIZONS = ((0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5), (0.3, 0.3))
TURNS = (0.0, 0.35)
PERSPECTIVES = tuple((horizon, turn) for horizon in HORIZONS for turn in TURNS)
"""Twelve: by how much the depth changes from the middle to the border, and a turn in radians."""


@dataclass(frozen=True, eq=False)
class Case:
    """A picture (h, w, 3) float32 in 0 to 255, its hole (h, w), and the lattice of its pattern."""

    picture: NDArray[np.float32]
    hole: NDArray[np.bool_]
    lattice: Lattice


def case(
    kind: str,
    perspective: tuple[tuple[float, float], float],
    *,
    side: int = 240,
    cell: float = 24.0,
    share: float = 0.15,
    noise: float = 3.0,
    blur: float = 0.7,
    falloff: float = 0.3,
    seed: int = 0,
) -> Case:
    """A picture of one pattern.

    Args:
        kind: one of KINDS.
        perspective: one of PERSPECTIVES.
        side: of the picture.
        cell: side of a cell in the middle, in pixels.
        share: of the picture that is the hole, a rectangle beside the middle.
        noise: standard deviation, of 255.
        blur: sigma in pixels.
        falloff: share of the light that is lost from left to right.
        seed: of noise, and of what differs from cell to cell.
    """
    lattice = _lattice(perspective, side, cell)
    rows, columns = np.indices((3 * side, 3 * side), np.float64)
    places = (np.stack([columns, rows], axis=2) + 0.5) / 3 - 0.5
    u, v = np.moveaxis(np.nan_to_num(lattice.coordinates(places)), 2, 0)
    rng = np.random.default_rng(seed)
    fine = _shades(kind, u, v, rng.uniform(0.9, 1.1, (64, 64)))
    shades = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
    shades = cv2.GaussianBlur(shades, (0, 0), blur) if blur else shades
    light = 1 - falloff * np.arange(side) / side
    colours = (shades * light)[..., None] * np.array([220, 190, 160])
    colours += 20 + rng.normal(0, noise, (side, side, 3))
    return Case(np.clip(colours, 0, 255).astype(np.float32), _hole(side, share), lattice)


def blurred(case: Case, sigma: float = 12.0) -> NDArray[np.float32]:
    """The picture with its surroundings blurred into the hole, as a poor network fills."""
    known = (~case.hole).astype(np.float32)
    total = cv2.GaussianBlur(case.picture * known[..., None], (0, 0), sigma)
    share = np.maximum(cv2.GaussianBlur(known, (0, 0), sigma), 1e-6)
    return np.where(case.hole[..., None], total / share[..., None], case.picture).astype(np.float32)


def _lattice(perspective: tuple[tuple[float, float], float], side: int, cell: float) -> Lattice:
    horizon, turn = perspective
    across = cell * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([side / 2, side / 2])
    return Lattice(middle, across, np.asarray(horizon, np.float64) / (side / 2))


def _hole(side: int, share: float) -> NDArray[np.bool_]:
    hole = np.zeros((side, side), np.bool_)
    length = round(side * share**0.5)
    top, left = (side - length) // 2, min(side - length, (side - length) // 2 + side // 12)
    hole[top : top + length, left : left + length] = True
    return hole


def _shades(
    kind: str, u: NDArray[np.float64], v: NDArray[np.float64], lights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(h, w) in 0 to 1: the pattern at lattice coordinates, a cell being 1 by 1."""
    light = lights[np.floor(u).astype(int) % 64, np.floor(v).astype(int) % 64]
    if kind == "chequer":
        shades = 0.2 + 0.7 * ((np.floor(2 * u) + np.floor(2 * v)) % 2)
    elif kind == "bricks":
        row = np.floor(2 * v)
        joint = ((u + row / 2) % 1 < 0.12) | (2 * v % 1 < 0.2)
        shades = np.where(joint, 0.9, 0.4)
    elif kind == "windows":
        frame = (abs(u % 1 - 0.5) < 0.33) & (abs(v % 1 - 0.5) < 0.36)
        pane = (abs(u % 1 - 0.5) < 0.25) & (abs(v % 1 - 0.5) < 0.28)
        shades = np.where(pane, 0.15 * light, np.where(frame, 0.95, 0.55))
    elif kind == "hexagons":
        shades = np.where(_hexagon_edge(u, v) < 0.1, 0.1, 0.75)
    elif kind == "stripes":
        shades = np.where(u % 1 < 0.5, 0.2, 0.8)
    else:
        raise ValueError(kind)
    return shades.astype(np.float32)


def _hexagon_edge(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much further the second nearest centre of a honeycomb is than the nearest, in cells."""
    away = np.sort(
        [
            np.hypot((u - shift + 0.5) % 1 - 0.5, 3**0.5 * ((v - shift + 0.5) % 1 - 0.5))
            for shift in (0.0, 0.5)
        ]
        + [
            np.hypot(1 - abs((u - shift + 0.5) % 1 - 0.5), 3**0.5 * ((v - shift + 0.5) % 1 - 0.5))
            for shift in (0.0, 0.5)
        ],
        axis=0,
    )
    return np.asarray(away[1] - away[0])
