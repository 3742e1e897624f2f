"""Make the before and after pictures of README.md and the how-to pages.

    python examples/pictures.py FOLDER

The photos are scikit-image's bundled samples; nothing is fetched. The pictures in docs/images were
made by this script and by examples/how_a_hole_is_filled.py.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

import inpaintcli

Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]
GAP = 12
"""Pixels of white between two pictures side by side."""
SPOON = "395,60;430,70;410,150;410,360;330,380;310,330;360,220"
"""A loose outline around the spoon of scikit-image's `coffee`."""


def polygon(photo: Rgb, corners: list[tuple[int, int]]) -> Mask:
    """A mask (h, w), True inside a polygon of (x, y) corners."""
    drawn = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(drawn, [np.array(corners, np.int32)], 255)
    return drawn > 0


def shuttle(photo: Rgb) -> Mask:
    """True on the model of the space shuttle behind the astronaut."""
    corners = [(362, 55), (396, -1), (440, -1), (462, 60), (476, 210), (474, 284), (366, 286)]
    corners += [(362, 240), (346, 228), (346, 206), (362, 180)]
    return polygon(photo, corners)


def rocket(photo: Rgb) -> Mask:
    """True on the rocket of scikit-image's `rocket`."""
    corners = [(310, 118), (330, 118), (345, 200), (348, 405), (296, 405), (300, 200)]
    return polygon(photo, corners)


def date_stamp(photo: Rgb) -> Mask:
    """True on the figures of a date stamp in the lower right corner, as cameras print it."""
    height, width = photo.shape[:2]
    drawn = np.zeros((height, width), np.uint8)
    place = (round(width * 0.6), height - 22)
    cv2.putText(drawn, "'98  7 21", place, cv2.FONT_HERSHEY_DUPLEX, width / 560, 255, 3)
    return drawn > 0


def scratches(photo: Rgb) -> Mask:
    """True on scratches and specks of dust, as on a scan of a slide."""
    height, width = photo.shape[:2]
    drawn = np.zeros((height, width), np.uint8)
    numbers = np.random.default_rng(5)
    for _ in range(7):
        x, drift = numbers.integers(0, width), numbers.integers(-40, 40)
        ends = np.array([[x, 0], [x + drift // 2, height // 2], [x + drift, height]], np.int32)
        cv2.polylines(drawn, [ends], False, 255, int(numbers.integers(1, 4)))
    for _ in range(60):
        centre = tuple(map(int, numbers.integers(0, (width, height))))
        cv2.circle(drawn, centre, int(numbers.integers(1, 4)), 255, -1)
    return drawn > 0


def damaged(photo: Rgb, mask: Mask, colour: tuple[int, int, int]) -> Rgb:
    """The photo with the masked pixels in one colour (red, green, blue)."""
    return np.where(mask[..., None], np.array(colour, np.uint8), photo)


def beside(pictures: list[Rgb]) -> Rgb:
    """Pictures of one height side by side, with white between them."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    return np.hstack([part for picture in pictures for part in (gap, picture)][1:])


def below(pictures: list[Rgb]) -> Rgb:
    """Pictures of one width, one below the other, with white between them."""
    return np.swapaxes(beside([np.swapaxes(picture, 0, 1) for picture in pictures]), 0, 1)


def save(path: Path, picture: Rgb, width: int, quality: int = 82) -> None:
    """Write a JPEG, scaled down to a width in pixels where it is wider."""
    height = round(picture.shape[0] * width / picture.shape[1])
    if width < picture.shape[1]:
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(path), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def cut_out(photo: Rgb, hole: Mask) -> Rgb:
    """The photo over a chequerboard, which stands for transparency, in the hole."""
    rows, columns = np.indices(hole.shape) // 10
    board = np.where((rows + columns) % 2, np.uint8(204), np.uint8(255))
    return np.where(hole[..., None], board[..., None], photo)


def main(folder: Path) -> None:
    """Write before-after.jpg, date-stamp.jpg, scratches.jpg, cut-out.jpg and remove-object.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    launch, cat = skimage.data.rocket(), skimage.data.chelsea()
    with inpaintcli.open_model() as model:

        def filled(photo: Rgb, mask: Mask, grow: int = 0) -> Rgb:
            return np.asarray(inpaintcli.fill(photo, mask, model=model, grow=grow), np.uint8)

        stamp = damaged(coffee, date_stamp(coffee), (255, 128, 48))
        pairs = [
            (astronaut[:342], filled(astronaut, shuttle(astronaut))[:342]),
            (stamp[58:], filled(stamp, date_stamp(coffee), grow=2)[58:]),
        ]
        wide = [(_to_width(before, 600), _to_width(after, 600)) for before, after in pairs]
        save(folder / "before-after.jpg", below([beside(list(pair)) for pair in wide]), 1000)
        save(folder / "date-stamp.jpg", beside(list(pairs[1])), 840)
        old = damaged(cat, scratches(cat), (236, 230, 220))
        save(folder / "scratches.jpg", beside([old, filled(old, scratches(cat), grow=1)]), 840)
        hole = rocket(launch)
        save(folder / "cut-out.jpg", beside([cut_out(launch, hole), filled(launch, hole)]), 840)
        empty = np.asarray(inpaintcli.remove(coffee, polygon=SPOON, model=model), np.uint8)
        cup = [picture[30:, 80:500] for picture in (coffee, empty)]
        save(folder / "remove-object.jpg", beside(cup), 420, 60)


def _to_width(photo: Rgb, width: int) -> Rgb:
    size = (width, round(photo.shape[0] * width / photo.shape[1]))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
