"""Make the pictures of docs/explanation/how-a-hole-is-filled.md: one for each step of a fill.

    python examples/how_a_hole_is_filled.py FOLDER

The steps are those of `inpaintcli.inpaint.pipeline.fill`, called one by one on scikit-image's
`coffee`; nothing is fetched.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from pictures import Mask, Rgb, beside, damaged, date_stamp, save

import inpaintcli
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box, Region, thick_regions
from inpaintcli.imaging.tiles import Tile, model_input, plan_tiles
from inpaintcli.inpaint.blending import blend
from inpaintcli.inpaint.contours import continue_contours
from inpaintcli.inpaint.detail import MIN_THICKNESS
from inpaintcli.inpaint.grain import add_grain
from inpaintcli.inpaint.pipeline import Model, fill, tile_sizes
from inpaintcli.texture.synthesis import context_for, synthesize

Floats = NDArray[np.float32]
SHOWN = Box(20, 0, 220, 260)
"""The part of the photo in the pictures of a step: a hole over the edge of the table."""
NOISY = Box(195, 90, 335, 290)
"""The part in the picture of the grain: strokes over the saucer."""


def holes(photo: Rgb) -> Mask:
    """True on a disk over the table's edge, on one over the saucer's rim, and on a date stamp."""
    drawn = date_stamp(photo).astype(np.uint8)
    cv2.circle(drawn, (90, 110), 45, 1, -1)
    cv2.circle(drawn, (478, 190), 40, 1, -1)
    return drawn > 0


def with_tiles(photo: Rgb, tiles: list[Tile]) -> Rgb:
    """The photo with the box of each tile drawn, and its number in the order of work."""
    drawn = photo.copy()
    for number, tile in enumerate(tiles, 1):
        box = tile.box
        corners = (box.left + 2, box.top + 2), (box.right - 3, box.bottom - 3)
        cv2.rectangle(drawn, *corners, (0, 255, 255), 2)
        place = (box.left + 8, box.top + 26)
        cv2.putText(drawn, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 255, 255), 2)
    return drawn


def seen_by_the_model(photo: Rgb, hole: Mask, tile: Tile, model: Model) -> Rgb:
    """What the model is given of a tile: known pixels, and mid-grey where the photo is unknown."""
    part = photo[tile.box.slices].astype(np.float32) / np.float32(127.5) - np.float32(1)
    rgb_hwc, _ = model_input(part, hole[tile.box.slices], tile.scale, model.card.size_multiple)
    return as_picture((rgb_hwc + 1) * np.float32(127.5))


def as_picture(pixels: Floats) -> Rgb:
    """Rounded to uint8."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def enlarged(picture: Rgb, box: Box = SHOWN) -> Rgb:
    """A part of a picture, at twice its size."""
    part = np.ascontiguousarray(picture[box.slices])
    return np.asarray(cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)


def textures(initial: Floats, known: Mask, part: Region) -> tuple[Floats, Floats]:
    """A thick part of a hole by patches alone, and blended with their initial fill."""
    texture = synthesize(initial, initial, part.mask, source=known)
    return texture.pixels, blend(texture, initial, part.mask)


def main(folder: Path) -> None:
    """Write step-1-tiles.jpg to step-6-grain.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = skimage.data.coffee()
    hole = holes(photo)
    white = damaged(photo, hole, (255, 255, 255))

    def pair(name: str, before: Rgb, after: Rgb) -> None:
        save(folder / name, beside([before, after]), 840, 76)

    with inpaintcli.open_model() as model:
        tiles = plan_tiles(hole, tile_sizes(model.card))
        pair("step-1-tiles.jpg", white, with_tiles(white, tiles))
        network = fill(Picture(photo), hole, model, detail="network").picture.pixels
        first = seen_by_the_model(photo, hole, tiles[0], model)
        answer = network[tiles[0].box.slices]
        everything = Box(0, 0, *answer.shape[:2])
        pair("step-2-network.jpg", enlarged(first, everything), enlarged(answer, everything))

        part = thick_regions(hole, MIN_THICKNESS, context_for)[0]
        inside = part.box.slices
        filled, known = network[inside].astype(np.float32), ~hole[inside]
        initial, _ = continue_contours(filled, part.mask, known)
        patches, mixed = textures(initial, known, part)
        steps = [enlarged(as_picture(step)) for step in (filled, initial, patches, mixed)]
        for name, place in (("3-contours", 0), ("4-patches", 1), ("5-blend", 2)):
            pair(f"step-{name}.jpg", steps[place], steps[place + 1])
        pair("step-6-grain.jpg", *grain(photo, model))


def grain(photo: Rgb, model: Model) -> tuple[Rgb, Rgb]:
    """Strokes in a noisy photo, filled without and with the noise that the fill lacks; enlarged."""
    noise = np.random.default_rng(1).normal(0, 9, photo.shape[:2])[..., None]
    noisy = as_picture((photo + noise).astype(np.float32))
    drawn = np.zeros(photo.shape[:2], np.uint8)
    cv2.polylines(drawn, [np.array([(100, 205), (170, 290), (250, 325)], np.int32)], False, 1, 11)
    hole = drawn > 0
    clean = fill(Picture(noisy), hole, model, detail="network").picture.pixels
    grainy = clean.copy()
    add_grain(grainy, hole, ~hole)
    return enlarged(clean, NOISY), enlarged(grainy, NOISY)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
