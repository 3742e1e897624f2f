"""A horizon that a hole cuts at the side of the picture stays straight, in the whole fill."""

import cv2
import numpy as np
import pytest

from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint import pipeline

SHAPE = (400, 600)


def seen(seed, slope, blur):
    """Sky over a sea with waves and grain; the row of the horizon for each column."""
    numbers = np.random.default_rng(seed)
    rows, columns = np.indices(SHAPE).astype(np.float32)
    horizon = 200 + slope * (columns - 300)

    def waves(size, height):
        coarse = numbers.normal(0, height, (SHAPE[0] // size, SHAPE[1] // size))
        return cv2.resize(coarse.astype(np.float32), SHAPE[::-1], interpolation=cv2.INTER_CUBIC)

    below = np.clip((rows - horizon) / blur + 0.5, 0, 1)
    sky = 190 + 0.1 * (200 - rows) + waves(60, 6) + waves(1, 2)
    water = 90 + waves(8, 7) + waves(3, 5) + waves(1, 3)
    shade = sky * (1 - below) + water * below
    rgb = shade[..., None] * np.array([0.9, 0.95, 1.0])
    return np.clip(rgb, 0, 255).astype(np.uint8), horizon[0]


def found(pixels, columns):
    """Where the picture gets darker from top to bottom most, by column."""
    smooth = cv2.GaussianBlur(pixels.mean(2).astype(np.float32), (0, 0), 1.5)
    drop = smooth[100:294, columns] - smooth[106:300, columns]
    return np.argmax(drop, axis=0) + 103


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize(("slope", "blur"), [(0.0, 2), (0.03, 4), (-0.06, 2)])
def test_a_horizon_at_the_side_goes_on_straight_over_200_pixels(slope, blur, right):
    photo, horizon = seen(1, slope, blur)
    hole = np.zeros(SHAPE, bool)
    hole[100:300, 400:] = True
    if not right:
        photo, horizon, hole = photo[:, ::-1].copy(), horizon[::-1], hole[:, ::-1].copy()
    with pipeline.open_model(threads=2) as model:
        filled = pipeline.fill(Picture(photo), hole, model)
    columns = np.flatnonzero(hole[200])[5:-5:10]
    error = np.abs(found(filled.picture.pixels, columns) - horizon[columns])
    assert error.mean() <= 0.6
    assert error.max() <= 1.5, "found in whole pixels"
