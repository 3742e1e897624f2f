import cv2
import numpy as np
import pytest
from PIL import ImageCms
from skimage import data

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.picture import Origin, Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.guided import put_in
from inpaintcli.objects.placement import Placement
from tests.conftest import photo_pixels

SEAM = 1.15
"""Mean gradient along the object's outline, as a multiple of that in the untouched photo there."""


def disk(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    inside = radius - np.hypot(rows - y, columns - x)
    return np.clip(inside + 0.5, 0, 1).astype(np.float32)


def pasted(photo, guide, opacity, place, region=None, **options):
    region = region or Box(0, 0, *opacity.shape)
    return put_in(photo, guide, opacity, region, place, **options)


def seam_gradient(pixels: np.ndarray, opacity: np.ndarray) -> float:
    """Mean |gradient| of the luma within two pixels of the outline."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    gradient = np.hypot(
        cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    inside = (opacity > 0.5).astype(np.uint8)
    kernel = np.ones((5, 5), np.uint8)
    band = cv2.dilate(inside, kernel) != cv2.erode(inside, kernel)
    return float(gradient[band].mean())


def test_no_step_of_the_gradient_gives_the_seam_away():
    """A part of a photo in other light is put back: the seam is that of a hard paste no longer."""
    photo = cv2.resize(data.chelsea(), (300, 200), interpolation=cv2.INTER_AREA)
    opacity = disk(200, 300, 95, 190, 45)
    other = np.clip(photo * [0.6, 0.55, 0.5], 0, 255).astype(np.uint8)
    made = pasted(Picture(photo), Picture(other), opacity, Box(0, 0, 200, 300)).picture.pixels
    hard = np.where(opacity[..., None] > 0.5, other, photo)
    truth = seam_gradient(photo, opacity)
    assert seam_gradient(hard, opacity) > 1.3 * truth
    assert seam_gradient(made, opacity) < SEAM * truth


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_outside_the_place_come_back_bit_for_bit(channels, depth):
    photo = Picture(photo_pixels(120, 160, channels, depth))
    guide = Picture(photo_pixels(70, 90))
    made = pasted(photo, guide, disk(70, 90, 35, 45, 30), Box(20, 40, 90, 130))
    outside = np.ones((120, 160), np.bool_)
    outside[made.box.slices] = False
    assert np.array_equal(made.picture.pixels[outside], photo.pixels[outside])
    assert made.picture.pixels.dtype == photo.pixels.dtype
    assert (made.picture.pixels != photo.pixels).any()


def test_nothing_of_the_guide_s_background_comes_along():
    """A red disk before green, mixed at its edge, on grey: no pixel turns green."""
    opacity = disk(80, 80, 40, 40, 25)
    opacity = cv2.GaussianBlur(opacity, (0, 0), 2)
    red, green = np.array([200, 30, 30]), np.array([20, 230, 20])
    guide = (opacity[..., None] * red + (1 - opacity[..., None]) * green).astype(np.uint8)
    photo = Picture(np.full((100, 100, 3), 120, np.uint8))
    opacity[opacity < 0.02] = 0
    made = pasted(photo, Picture(guide), opacity, Box(10, 10, 90, 90), amount=0).picture.pixels
    assert (made[..., 1].astype(int) <= np.maximum(made[..., 0], 120) + 1).all()
    assert made[..., 1].max() <= 121


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_an_object_is_resized_to_its_place(scale):
    side = round(60 * scale)
    photo = Picture(np.full((200, 200, 3), 90, np.uint8))
    guide = np.zeros((60, 60, 3), np.uint8) + np.uint8(200)
    made = pasted(
        photo, Picture(guide), disk(60, 60, 29.5, 29.5, 20), Box(9, 9, 9 + side, 9 + side), amount=0
    )
    area = (made.picture.pixels[..., 0] > 145).sum()
    assert area == pytest.approx(np.pi * (20 * scale) ** 2, rel=0.05)
    assert any("enlarged" in note for note in made.notes) == (scale > 1.5)


def test_depth_and_profile_of_the_guide_are_converted_and_said():
    """Pure numbers of Display P3 are other numbers of sRGB: red is more saturated there."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = Picture(photo_pixels(60, 60, 3, 16), origin=Origin(icc=profile))
    guide = Picture(np.full((40, 40, 3), 100, np.uint8))
    opacity, place = disk(40, 40, 20, 20, 15), Box(5, 5, 45, 45)
    made = pasted(photo, guide, opacity, place, amount=0)
    assert "from 8 to 16 bits" in "; ".join(made.notes)
    assert "converted from the colours of" in "; ".join(made.notes)
    np.testing.assert_allclose(made.picture.pixels[25, 25] / 257, 100, atol=2)
    strange = Picture(guide.pixels, origin=Origin(icc=lab))
    assert "cannot be converted" in "; ".join(pasted(photo, strange, opacity, place).notes)
    grey = Picture(photo_pixels(60, 60, 1))
    assert "grey" in "; ".join(pasted(grey, guide, opacity, place).notes)


def test_where_the_photo_is_transparent_the_object_is_opaque():
    alpha = np.zeros((60, 60), np.uint8)
    alpha[:, :30] = 255
    photo = Picture(photo_pixels(60, 60), alpha)
    opacity = disk(40, 40, 20, 20, 15)
    made = pasted(photo, Picture(photo_pixels(40, 40)), opacity, Box(10, 10, 50, 50)).picture
    assert made.alpha[30, 38] == 255
    assert np.array_equal(made.alpha[:, 52:], alpha[:, 52:])


def test_what_the_guide_has_erased_is_not_put_in():
    alpha = np.zeros((40, 40), np.uint8)
    alpha[10:20, 10:20] = 255
    guide = Picture(photo_pixels(40, 40), alpha)
    photo = Picture(np.full((60, 60, 3), 90, np.uint8))
    made = pasted(photo, guide, np.ones((40, 40), np.float32), Box(0, 0, 40, 40), amount=0)
    changed = (made.picture.pixels != 90).any(axis=2)
    assert changed[10:20, 10:20].mean() > 0.9
    changed[8:22, 8:22] = False
    assert not changed.any()


def test_a_part_outside_the_photo_is_left_out_and_said():
    photo = Picture(photo_pixels(60, 60))
    guide, opacity = Picture(photo_pixels(40, 40)), disk(40, 40, 20, 20, 15)
    made = pasted(photo, guide, opacity, Box(-20, 30, 20, 70))
    assert made.box == Box(0, 30, 20, 60)
    assert "lie outside" in "; ".join(made.notes)
    with pytest.raises(MaskMismatchError, match="outside the photo"):
        pasted(photo, guide, opacity, Box(60, 0, 100, 40))
    with pytest.raises(MaskMismatchError, match="Nothing of the object"):
        pasted(photo, guide, opacity, Box(-39, 0, 1, 40))
    with pytest.raises(MaskMismatchError, match="within the box of the guide"):
        pasted(photo, guide, opacity, Box(0, 0, 5, 5), region=Box(0, 0, 2, 2))


def test_places_are_pixels_or_shares_and_count_from_the_end():
    photo, opacity = Picture(photo_pixels(100, 200)), disk(50, 80, 25, 40, 20)
    placement = Placement.parse("50%,0,50%,50", "-60,10%", "25%,20")
    region = placement.region(opacity)
    assert region == Box(0, 40, 50, 80)
    assert placement.place(region, photo) == Box(10, 140, 30, 190)
    assert Placement.parse(None, (0, 0)).region(opacity) == Box(5, 20, 46, 61)


@pytest.mark.parametrize(
    ("box", "at", "size", "problem"),
    [
        ("1,2,3", "0,0", None, "four numbers"),
        ("0,0,9,9", "nan,0", None, "nan"),
        ("0,0,9,9", "0,0", "0,10", "0x10"),
        ("0,0,9,9", "0,0", "-5,10", "-5x10"),
        ("0,0,9,9", "0,0", "900000,10", "900000x10"),
    ],
)
def test_garbage_is_refused(box, at, size, problem):
    photo, opacity = Picture(photo_pixels(100, 200)), disk(50, 80, 25, 40, 20)

    def place() -> Box:
        placement = Placement.parse(box, at, size)
        return placement.place(placement.region(opacity), photo)

    with pytest.raises(UsageError, match=problem):
        place()


def test_a_box_outside_the_guide_is_refused():
    with pytest.raises(MaskMismatchError, match="box 90,0,9,9"):
        Placement.parse("90,0,9,9", "0,0").region(disk(50, 80, 25, 40, 20))
    with pytest.raises(MaskMismatchError, match="mask is empty"):
        Placement.parse(None, "0,0").region(np.zeros((50, 80), np.float32))
