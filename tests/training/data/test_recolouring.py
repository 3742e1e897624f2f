import numpy as np
from inpaintcli_training.data.recolouring import (
    LEAST_CHANGE,
    SHARE,
    find_object,
    random_light,
    recoloured,
)
from skimage import data

from tests.conftest import photo_pixels


def test_only_the_object_has_other_colours():
    photo, guide = data.chelsea()[:200, :240], data.coffee()[:180, :260]
    for seed in range(12):
        made = recoloured(photo, guide, np.random.default_rng(seed), unchanged=0)
        assert np.array_equal(made.rgb[~made.foreground], photo[~made.foreground])
        assert np.array_equal(made.truth, photo)
        assert made.change > LEAST_CHANGE
        assert SHARE[0] <= made.foreground.mean() <= SHARE[1]


def test_an_object_can_stay_as_it_is():
    photo = data.chelsea()[:200, :240]
    made = recoloured(photo, photo, np.random.default_rng(0), unchanged=1)
    assert np.array_equal(made.rgb, photo)
    assert made.foreground.any()


def test_what_is_flat_has_an_object_too():
    flat = np.full((64, 96, 3), 120, np.uint8)
    for seed in range(12):
        assert find_object(flat, np.random.default_rng(seed)).any()


def test_light_changes_differ_and_stay_pixels():
    pixels = photo_pixels(40, 50).reshape(-1, 3)
    made = [random_light(pixels, np.random.default_rng(seed)) for seed in range(20)]
    assert all(one.dtype == np.uint8 and one.shape == pixels.shape for one in made)
    changes = {round(float(np.abs(one.astype(float) - pixels).mean())) for one in made}
    assert len(changes) > 5
