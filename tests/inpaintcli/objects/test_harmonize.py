from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from inpaintcli_training.data.recolouring import recoloured
from skimage import data

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models.cards import find_card, read_card
from inpaintcli.objects.harmonize import harmonize
from tests.conftest import GreyEngine, card, photo_pixels

METHODS = ("predicted", "reinhard", "model")


class LiftingEngine(GreyEngine):
    """Harmonizes by making everything lighter by 0.25 of [-1, 1], and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs = (*self.outputs, replace(self.outputs[0], name="harmonized"))

    def _run(self, arrays):
        return super()._run(arrays) | {"harmonized": arrays["image"] + np.float32(0.25)}


class PaintingEngine(LiftingEngine):
    """Paints over the object: its answer has nothing to do with what was pasted."""

    def _run(self, arrays):
        noise = np.random.default_rng(0).uniform(-1, 1, arrays["image"].shape)
        return super()._run(arrays) | {"harmonized": noise.astype(np.float32)}


@pytest.fixture
def lifting() -> Model:
    return Model(card(harmonizes=True), LiftingEngine(), "for tests")


def square(height: int, width: int, *box: int) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[box[0] : box[2], box[1] : box[3]] = True
    return mask


def fitted(pixels, foreground, method, model=None, **options) -> np.ndarray:
    model = model if method == "model" else None
    return harmonize(
        Picture(pixels), foreground, method=method, model=model, **options
    ).picture.pixels


def sharpness(pixels, foreground) -> float:
    """Mean |Laplacian| divided by the contrast."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    inner = cv2.erode(foreground.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.abs(cv2.Laplacian(luma, cv2.CV_32F))[inner].mean() / luma[inner].std()


def composites(count: int):
    photos = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    photos = [cv2.resize(photo, (320, 240), interpolation=cv2.INTER_AREA) for photo in photos]
    for number in range(count):
        rng = np.random.default_rng(number)
        yield recoloured(photos[number % 4], photos[(number + 1) % 4], rng, unchanged=0)


def test_objects_come_nearer_to_the_truth_than_unchanged_and_than_by_reinhard():
    """20 composites of the photos of scikit-image, whose truth is known."""

    def error(pixels, made) -> float:
        ours = pixels[made.foreground].astype(float)
        return float(((ours - made.truth[made.foreground]) ** 2).mean())

    errors = np.array(
        [
            [
                made.change,
                error(fitted(made.rgb, made.foreground, "predicted"), made),
                error(fitted(made.rgb, made.foreground, "reinhard"), made),
            ]
            for made in composites(20)
        ]
    )
    unchanged, predicted, reinhard = errors.T
    assert predicted.mean() < 0.6 * min(unchanged.mean(), reinhard.mean())
    assert (predicted < unchanged).sum() >= 14
    assert (predicted < reinhard).sum() >= 14


@pytest.mark.parametrize("method", METHODS)
def test_an_object_stays_as_sharp_but_for_its_contrast(method):
    painting = Model(card(harmonizes=True), PaintingEngine(), "for tests")
    for made in composites(8):
        after = fitted(made.rgb, made.foreground, method, painting)
        change = sharpness(after, made.foreground) / sharpness(made.rgb, made.foreground) - 1
        assert abs(change) <= 0.05


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (3, 8), (3, 16)])
def test_the_object_takes_what_the_model_changes_and_nothing_else_does(lifting, channels, depth):
    pixels = photo_pixels(90, 120, channels, depth) // 2
    foreground = square(90, 120, 20, 30, 50, 80)
    found = fitted(pixels, foreground, "model", lifting)
    assert found.dtype == pixels.dtype
    assert np.array_equal(found[~foreground], pixels[~foreground])
    lift = np.iinfo(pixels.dtype).max * 0.125
    change = found[foreground].astype(float) - pixels[foreground]
    np.testing.assert_allclose(change, lift, atol=0.02 * lift + 0.6)


def test_an_object_larger_than_a_tile_keeps_its_detail(lifting):
    """Noise of single pixels would be lost if the small answer itself were scaled up."""
    pixels = np.random.default_rng(0).integers(0, 200, (900, 1100, 3)).astype(np.uint8)
    foreground = square(900, 1100, 100, 100, 800, 1000)
    found = fitted(pixels, foreground, "model", lifting)
    assert max(lifting.engine.seen[0]["image"].shape) <= 512 + 16
    change = found[foreground].astype(float) - pixels[foreground]
    np.testing.assert_allclose(change, 255 * 0.125, atol=1.1)


def test_the_model_sees_the_object_as_a_half_and_what_is_transparent_as_a_hole(lifting):
    alpha = np.full((70, 90), 255, np.uint8)
    alpha[:, :20] = 0
    foreground = square(70, 90, 30, 15, 45, 60)
    harmonize(Picture(photo_pixels(70, 90), alpha), foreground, model=lifting)
    [seen] = lifting.engine.seen
    mask = seen["mask"][0, 0]
    assert seen["image"].shape == (1, 3, *mask.shape)
    assert all(side % 16 == 0 for side in mask.shape)
    assert (mask[30:45, 15:60] == 0.5).all()
    assert (mask[:30, :20] == 1).all()
    assert mask[:70, :90].sum() == foreground.sum() / 2 + 70 * 20 - 15 * 5


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(mask=hnp.arrays(np.bool_, (40, 50)), seed=st.integers(0, 3))
def test_other_pixels_come_back_bit_for_bit_under_any_mask(method, mask, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    mask[0, 0] = False
    found = fitted(pixels, mask, method, Model(card(), LiftingEngine(), "for tests"))
    assert np.array_equal(found[~mask], pixels[~mask])


@pytest.mark.parametrize("method", ["predicted", "reinhard"])
def test_flat_and_tiny_objects_are_no_special_case(method):
    pixels = np.full((40, 50, 3), 90, np.uint8)
    for box in [(10, 10, 20, 20), (5, 5, 6, 6), (0, 0, 40, 49)]:
        foreground = square(40, 50, *box)
        assert fitted(pixels, foreground, method).shape == pixels.shape


def test_alpha_stays_and_grey_stays_grey():
    alpha = np.random.default_rng(0).integers(1, 65536, (60, 80)).astype(np.uint16)
    picture = Picture(photo_pixels(60, 80, 1, 16), alpha)
    found = harmonize(picture, square(60, 80, 10, 10, 40, 40)).picture
    assert np.array_equal(found.alpha, alpha)
    assert (found.pixels.shape, found.pixels.dtype) == ((60, 80, 1), np.uint16)


def test_transparent_surroundings_do_not_count():
    pixels = photo_pixels(60, 80)
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[:, 50:] = 0
    foreground = square(60, 80, 10, 10, 40, 40)
    other = pixels.copy()
    other[:, 50:] = (255, 0, 0)
    first, second = (
        harmonize(Picture(one, alpha), foreground).picture.pixels for one in (pixels, other)
    )
    # Their mean takes part in the reduction to a small copy, but in no statistic.
    assert np.array_equal(first[foreground], second[foreground])


def test_the_amount_is_a_share_of_the_change():
    pixels = photo_pixels(60, 80, depth=16)
    foreground = square(60, 80, 10, 10, 40, 40)
    whole, half, none = (
        fitted(pixels, foreground, "reinhard", amount=amount).astype(float)
        for amount in (1, 0.5, 0)
    )
    assert np.array_equal(none, pixels)
    np.testing.assert_allclose(half - pixels, (whole - pixels) / 2, atol=1)
    assert abs(whole - pixels).max() > 1000


def test_a_soft_edge_has_no_halo():
    """A dark object before a bright sky: mixed pixels change as the object does, by their share."""
    height, width = 120, 160
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 400, (height, width, 1))
    opacity = np.clip((40 - np.hypot(y - 60, x - 80)) / 12 + 0.5, 0, 1).astype(np.float32)
    dark, bright = np.array([9000, 7000, 6000]), np.array([52000, 55000, 60000])
    mixed = bright + opacity[..., None] * (dark - bright) + noise
    found = fitted(np.rint(mixed).astype(np.uint16), opacity, "reinhard").astype(float)
    change = (found - np.rint(mixed)).mean(axis=2)
    inner, soft = opacity == 1, (opacity > 0.1) & (opacity < 0.9)
    assert abs(change[inner].mean()) > 3000
    np.testing.assert_allclose(
        change[soft] / opacity[soft], change[inner].mean(), rtol=0.1, atol=1200
    )
    assert np.array_equal(found[opacity == 0], np.rint(mixed)[opacity == 0])


def test_what_cannot_be_is_refused(grey_model):
    picture = Picture(photo_pixels(40, 50))
    small = square(40, 50, 0, 0, 9, 9)
    with pytest.raises(UsageError, match="'grey' does not harmonize"):
        harmonize(picture, small, model=grey_model)
    with pytest.raises(UsageError, match="needs a model"):
        harmonize(picture, small, method="model")
    for amount in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="amount"):
            harmonize(picture, small, amount=amount)
    with pytest.raises(MaskMismatchError, match="50x41 but the photo is 50x40"):
        harmonize(picture, square(41, 50, 0, 0, 9, 9))
    with pytest.raises(MaskMismatchError, match="whole picture"):
        harmonize(picture, np.ones((40, 50), np.bool_))
    alone = Picture(picture.pixels, np.where(small, 255, 0).astype(np.uint8))
    with pytest.raises(MaskMismatchError, match="transparent"):
        harmonize(alone, small)


def test_a_card_says_that_its_model_harmonizes(tmp_path):
    shipped = find_card("membrane")
    assert not shipped.harmonizes
    text = shipped.path.read_text(encoding="utf-8")
    path = tmp_path / "membrane.toml"
    path.write_text(text + '\n[output]\nfilled = "a"\nharmonized = "b"\n', encoding="utf-8")
    assert read_card(path).harmonizes
