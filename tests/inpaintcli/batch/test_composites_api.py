import numpy as np
import pytest
from PIL import Image

import inpaintcli
from tests.conftest import photo_pixels

MASK = np.zeros((60, 80), np.bool_)
MASK[10:40, 10:40] = True


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 1), (60, 80, 3), (60, 80, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_keep_shape_and_dtype_and_all_but_the_object(shape, dtype):
    photo = photo_pixels(60, 80, 4, 8 * np.dtype(dtype).itemsize)
    photo = photo[..., 0].reshape(shape) if np.prod(shape) == 4800 else photo[..., : shape[2]]
    made = inpaintcli.harmonize(photo, MASK, method="reinhard")
    assert (made.shape, made.dtype) == (photo.shape, photo.dtype)
    assert np.array_equal(made[~MASK], photo[~MASK])
    assert not np.array_equal(made[MASK], photo[MASK])
    put = inpaintcli.guided(photo, photo_pixels(30, 30), at=(5, 5), guide_mask=MASK[:30, :30])
    assert (put.shape, put.dtype) == (photo.shape, photo.dtype)
    assert np.array_equal(put[40:], photo[40:])


def test_masks_are_bool_floats_or_grey_levels():
    photo = photo_pixels(60, 80)
    first = inpaintcli.harmonize(photo, MASK)
    assert np.array_equal(inpaintcli.harmonize(photo, MASK.astype(np.float64)), first)
    assert np.array_equal(inpaintcli.harmonize(photo, MASK.astype(np.uint8) * 255), first)
    assert np.array_equal(inpaintcli.harmonize(photo, ~MASK, invert_mask=True), first)
    assert np.array_equal(inpaintcli.harmonize(photo, MASK, amount=0), photo)


def test_files_go_to_files(tmp_path):
    photo, mask, guide = (tmp_path / f"{name}.png" for name in ("photo", "mask", "guide"))
    Image.fromarray(photo_pixels(60, 80)).save(photo)
    Image.fromarray(photo_pixels(60, 80)[::-1]).save(guide)
    Image.fromarray(MASK).save(mask)
    assert inpaintcli.harmonize(photo, mask) == tmp_path / "photo.harmonized.png"
    notes = []
    made = inpaintcli.guided(
        photo, guide, at="50%,0", guide_mask=mask, size=(60, 60), notes=notes.append
    )
    assert made == tmp_path / "photo.guided.png"
    assert made.exists()
    with pytest.raises(inpaintcli.InpaintError, match="exists"):
        inpaintcli.harmonize(photo, mask)


def test_wrong_arguments_are_refused(tmp_path):
    photo = photo_pixels(60, 80)
    with pytest.raises(TypeError, match="no option 'strength'"):
        inpaintcli.harmonize(photo, MASK, strength=1)
    with pytest.raises(ValueError, match="no method 'magic'"):
        inpaintcli.harmonize(photo, MASK, method="magic")
    with pytest.raises(ValueError, match="0 and 1 as numbers"):
        inpaintcli.harmonize(photo, MASK.astype(np.uint8))
    with pytest.raises(ValueError, match="between 0 and 1"):
        inpaintcli.harmonize(photo, np.full((60, 80), np.nan))
    with pytest.raises(TypeError, match="all be files"):
        inpaintcli.harmonize(photo, "mask.png")
    with pytest.raises(TypeError, match="all be files"):
        inpaintcli.guided(tmp_path / "a.png", photo, at="0,0")
    with pytest.raises(inpaintcli.InpaintError, match="where in the guide"):
        inpaintcli.guided(photo, photo, at="0,0")
