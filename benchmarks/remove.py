"""How well `remove` finds objects, and what it costs beside the fill.

Objects of known shape are pasted into photos of a folder: shaded colours, stripes, and parts of
other photos, in blobs, ellipses, stars and rectangles, with the edge of a lens. Each is searched
for in a box, by a point and in a loose outline. Prints JSON.

    python benchmarks/remove.py PHOTOS [--scenes N] [--seed N] [--megapixels N]
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import InpaintError
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.inpaint.pipeline import fill, open_model
from inpaintcli.objects.remove import find_objects
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.select import open_segmenter

Floats = NDArray[np.float32]
SHAPES = ("blob", "ellipse", "star", "rectangle")
TEXTURES = ("shaded", "photo", "stripes")
LOOSE = (0.0, 0.04, 0.1)
"""Of the object's side: what the box leaves around it, scene by scene."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo with an object. shape: (h, w) bool, True on it. box: around it, perhaps loosely."""

    pixels: NDArray[np.uint8]
    shape: Mask
    box: Box
    kind: str


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megapixels", type=float, default=24.0)
    options = parser.parse_args()
    paths = sorted(options.photos.glob("*.jpg"))
    scenes = list(made_scenes(paths, options.scenes, options.seed))
    results = {prompt: [scored(scene, prompt) for scene in scenes] for prompt in PROMPTS}
    found = {prompt: summary(rows) for prompt, rows in results.items()}
    report = {"scenes": len(scenes), **found, "time": timed(paths, options)}
    print(json.dumps(report, indent=1))


def made_scenes(paths: list[Path], count: int, seed: int) -> Iterator[Scene]:
    """Photos with objects; the same for the same seed."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        photo = rgb_of(paths[rng.integers(len(paths))])
        other = rgb_of(paths[rng.integers(len(paths))])
        side = int(min(photo.shape[:2]) * rng.uniform(0.25, 0.5))
        yield scene_of(photo, other, side, number, rng)


def scene_of(
    photo: Floats, other: Floats, side: int, number: int, rng: np.random.Generator
) -> Scene:
    """One object, of `side` pixels, pasted at a random place."""
    shape, texture = SHAPES[number % len(SHAPES)], TEXTURES[number % len(TEXTURES)]
    alpha, colours = outline(shape, side, rng), textured(texture, side, other, rng)
    height, width = photo.shape[:2]
    top, left = (int(rng.integers(8, length - side - 8)) for length in (height, width))
    inside = slice(top, top + side), slice(left, left + side)
    pixels, opacity = photo.copy(), np.zeros((height, width), np.float32)
    opacity[inside] = alpha
    pixels[inside] += alpha[..., None] * (colours - pixels[inside])
    loose = round(LOOSE[number % len(LOOSE)] * side)
    box = (bounding_box(opacity > 0) or Box(top, left, top, left)).grown(loose, height, width)
    return Scene(np.rint(pixels).astype(np.uint8), opacity > 0.5, box, f"{shape}, {texture}")


def outline(shape: str, side: int, rng: np.random.Generator) -> Floats:
    """(side, side): the opacity of a shape, with an edge of about a pixel."""
    fine = np.linspace(-1, 1, 4 * side)
    y, x = np.meshgrid(fine, fine, indexing="ij")
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    if shape == "ellipse":
        inside = (along / 0.95) ** 2 + (across / rng.uniform(0.5, 0.95)) ** 2 < 1
    elif shape == "rectangle":
        inside = (abs(along) < 0.75) & (abs(across) < rng.uniform(0.3, 0.6))
    elif shape == "star":
        inside = radius < 0.65 + 0.28 * np.cos(rng.integers(4, 7) * angle + turn)
    else:
        waves = sum(
            rng.normal(0, 0.12 / wave**0.5) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
            for wave in range(2, 7)
        )
        inside = radius < np.clip(0.7 + waves, 0.2, 0.97)
    opacity = cv2.resize(inside.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(opacity, (0, 0), 0.6), np.float32)


def textured(kind: str, side: int, other: Floats, rng: np.random.Generator) -> Floats:
    """(side, side, 3) in levels: the colours of an object."""
    if kind == "photo":
        size = min(other.shape[:2])
        square = cv2.resize(other[:size, :size], (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(square, np.float32)
    ramp = np.linspace(-20, 20, side)
    light = (ramp[:, None] * rng.normal() + ramp[None] * rng.normal())[..., None]
    colours = rng.uniform(20, 235, 3) + light
    if kind == "stripes":
        second = rng.uniform(20, 235, 3) + light
        odd = (np.arange(side) * 8 // side) % 2 == 1
        colours = np.where(odd[:, None, None], second, colours)
    return np.asarray(np.clip(colours + rng.normal(0, 4, (side, side, 3)), 0, 255), np.float32)


def rgb_of(path: Path) -> Floats:
    """A photo's pixels as float32 (h, w, 3)."""
    pixels = read_picture(path).pixels
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.float32)


def prompt_in_box(scene: Scene) -> Prompt:
    """The scene's box."""
    return Prompt.of_box(scene.box, (scene.shape.shape[0], scene.shape.shape[1]))


def prompt_at_point(scene: Scene) -> Prompt:
    """The pixel that is deepest in the object."""
    depth = cv2.distanceTransform(scene.shape.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return Prompt.of_point(float(x), float(y), (depth.shape[0], depth.shape[1]))


def prompt_in_outline(scene: Scene) -> Prompt:
    """The shape, grown by 8 pixels."""
    grown = cv2.dilate(scene.shape.astype(np.uint8), np.ones((17, 17), np.uint8))
    return Prompt.of_area(np.asarray(grown > 0, np.bool_))


PROMPTS = {"box": prompt_in_box, "point": prompt_at_point, "outline": prompt_in_outline}


def scored(scene: Scene, prompt: str) -> dict[str, float | str]:
    """Intersection over union of the object, and the share of it that would not be filled."""
    with open_segmenter() as segmenter:
        try:
            found = find_objects(Picture(scene.pixels), [PROMPTS[prompt](scene)], segmenter)
            objects, hole = found.objects, found.hole
        except InpaintError:
            objects = hole = np.zeros_like(scene.shape)
    truth = scene.shape
    return {
        "kind": scene.kind,
        "iou": round(float((objects & truth).sum() / (objects | truth).sum()), 3),
        "hole_iou": round(float((hole & truth).sum() / (hole | truth).sum()), 3),
        "left": round(float((truth & ~hole).sum() / truth.sum()), 4),
    }


def summary(rows: list[dict[str, float | str]]) -> dict[str, object]:
    """Means and worst of scores, and the single ones."""
    scores = {name: [float(row[name]) for row in rows] for name in ("iou", "hole_iou", "left")}
    return {
        "mean_iou": round(float(np.mean(scores["iou"])), 3),
        "least_iou": min(scores["iou"]),
        "mean_hole_iou": round(float(np.mean(scores["hole_iou"])), 3),
        "nothing_left_in": sum(share == 0 for share in scores["left"]),
        "less_than_a_hundredth_left_in": sum(share < 0.01 for share in scores["left"]),
        "rows": rows,
    }


def timed(paths: list[Path], options: argparse.Namespace) -> dict[str, float]:
    """Seconds of the search and of the fill, for an object of 400 pixels in a large photo."""
    rng = np.random.default_rng(options.seed)
    small = rgb_of(paths[0])
    factor = (options.megapixels * 1e6 / (small.shape[0] * small.shape[1])) ** 0.5
    photo = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    scene = scene_of(np.clip(photo, 0, 255).astype(np.float32), small, 400, 0, rng)
    picture = Picture(scene.pixels)
    with open_segmenter() as segmenter, open_model() as model:
        started = time.perf_counter()
        found = find_objects(picture, [prompt_in_box(scene)], segmenter)
        searched = time.perf_counter()
        fill(picture, found.hole, model)
        filled = time.perf_counter()
    return {
        "megapixels": round(scene.shape.size / 1e6, 1),
        "search_s": round(searched - started, 2),
        "fill_s": round(filled - searched, 2),
        "search_by_fill": round((searched - started) / (filled - searched), 2),
    }


if __name__ == "__main__":
    main()
