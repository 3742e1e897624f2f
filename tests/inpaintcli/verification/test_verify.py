"""What differs between a photo and an output is found and named, and nothing else."""

import io
import json
import os

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

import inpaintcli
from inpaintcli.errors import FaultError, UnreadableError
from inpaintcli.imaging.images import parse_picture, picture_bytes
from inpaintcli.verification.verify import File, verify_files

PHOTO = np.ascontiguousarray(skimage.data.astronaut()[:120, :160])
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[40:70, 50:90] = True
KINDS = ["jpg", "png", "tif", "webp", "bmp"]


def photo(suffix, pixels=PHOTO, **options) -> bytes:
    """A file of a format, lossless where that can be."""
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    options = {"jpg": {"quality": 90}, "webp": {"lossless": True}, "bmp": {}}.get(
        suffix, {}
    ) | options
    if suffix in ("jpg", "png", "webp"):
        options["exif"] = exif
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, Image.registered_extensions()[f".{suffix}"], **options)
    return out.getvalue()


def filled(data, suffix, where=HOLE, **options) -> bytes:
    """As `fill` writes it, with the hole in one colour."""
    picture = parse_picture(data, "photo")
    pixels = picture.pixels.copy()
    pixels[where] = 200
    return picture_bytes(picture.with_pixels(pixels), f".{suffix}", **options)


def compared(before, after, hole=HOLE, **options):
    return verify_files(File.parse(before, "before"), File.parse(after, "after"), hole, **options)


@pytest.mark.parametrize("suffix", KINDS)
def test_what_fill_writes_differs_in_the_hole_alone(suffix):
    before = photo(suffix)
    found = compared(before, filled(before, suffix))
    assert not [one for one in found.faults() if one.kind != "structure"]
    assert found.pixels.changed
    assert found.pixels.outside == 0
    assert found.pixels.by == ("coefficients" if suffix == "jpg" else "values")


@pytest.mark.parametrize("suffix", KINDS)
def test_one_pixel_outside_the_hole_is_found(suffix):
    before, other = photo(suffix), HOLE.copy()
    other[100, 30] = True
    found = compared(before, filled(before, suffix, other))
    assert not found.proven
    left, top, width, height = found.pixels.outside_box
    assert left <= 30 < left + width
    assert top <= 100 < top + height
    assert width * height <= 16 * 16


@pytest.mark.parametrize("suffix", KINDS)
def test_a_file_compared_with_itself_differs_in_nothing(suffix):
    found = compared(photo(suffix), photo(suffix))
    assert found.proven
    assert not found.differences
    assert "Nothing differs." in found.in_words()


def test_without_a_mask_pixels_may_differ_everywhere_and_the_place_is_named():
    before = photo("png")
    found = compared(before, filled(before, "png"), None)
    assert found.proven
    assert found.pixels.box == (50, 40, 40, 30)
    assert "50,40,40,30" in found.in_words()


def test_a_jpeg_that_was_coded_anew_as_a_whole_is_found_out():
    before = photo("jpg")
    found = compared(before, filled(before, "jpg", jpeg_method="whole"))
    assert not found.proven
    assert found.pixels.outside


def exif_changed(data):
    return data.replace(b"A maker", b"B maker")


def icc_added(_):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return photo("png", icc_profile=profile)


def text_added(_):
    texts = PngInfo()
    texts.add_text("Title", "of something else")
    return photo("png", pnginfo=texts)


@pytest.mark.parametrize(
    ("change", "kind", "named"),
    [
        (exif_changed, "metadata", "Make"),
        (icc_added, "profile", "ICC"),
        (text_added, "metadata", "tEXt"),
        (lambda data: filled(data, "bmp"), "format", "PNG -> BMP"),
        (lambda _: photo("png", PHOTO[:-1]), "size", "160x120 -> 160x119"),
        (lambda _: photo("png", np.dstack([PHOTO, PHOTO[..., :1]])), "alpha", "no -> yes"),
        (lambda _: photo("png", np.asarray(Image.fromarray(PHOTO).convert("L"))), "mode", "grey"),
    ],
)
def test_what_else_differs_is_named(change, kind, named):
    before = photo("png")
    after = change(before)
    assert after != before
    found = compared(before, after)
    assert not found.proven
    assert any(one.kind == kind and named in one.in_words() for one in found.faults())
    json.dumps(found.to_json())


def test_another_depth_is_named():
    grey = PHOTO[..., 0]
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    out = io.BytesIO()
    deep.save(out, "PNG")
    found = compared(photo("png", grey), out.getvalue())
    assert any("8 -> 16" in one.in_words() for one in found.faults())
    assert found.pixels is None


def test_another_compression_of_a_tiff_is_named():
    def made(compression):
        out = io.BytesIO()
        tifffile.imwrite(out, PHOTO, photometric="rgb", compression=compression)
        return out.getvalue()

    found = compared(made(None), made("zlib"))
    assert any(one.kind == "structure" and "compression" in one.what for one in found.faults())


def test_the_hole_is_as_displayed():
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.fromarray(PHOTO).save(out, "JPEG", exif=exif, quality=92)
    hole = np.zeros((160, 120), bool)
    hole[20:40, 60:110] = True
    found = compared(out.getvalue(), filled(out.getvalue(), "jpg", hole), hole)
    assert found.proven, found.in_words()


def test_metadata_that_was_asked_to_go_is_expected():
    before = photo("png")
    after = filled(before, "png", metadata="strip")
    assert not compared(before, after).proven
    assert compared(before, after, metadata="strip").proven


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(photo("jpg"))
    Image.fromarray(HOLE).save(tmp_path / "photo.mask.png")
    return tmp_path / "photo.jpg", tmp_path / "photo.mask.png"


def test_from_python(pair, tmp_path):
    before, mask = pair
    (tmp_path / "after.jpg").write_bytes(filled(photo("jpg"), "jpg"))
    assert inpaintcli.verify(before, tmp_path / "after.jpg", mask).proven
    assert not inpaintcli.verify(before, tmp_path / "after.jpg", box="0,0,9,9").proven
    assert inpaintcli.verify(os.fspath(before), tmp_path / "after.jpg").proven
    with pytest.raises(UnreadableError, match="nothing"):
        inpaintcli.verify(before, tmp_path / "nothing.jpg")
    with pytest.raises(TypeError, match="growth"):
        inpaintcli.verify(before, before, growth=3)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_output_is_verified_before_it_is_written(pair, tmp_path, grey_model, suffix):
    before, mask = pair
    out = tmp_path / f"out.{suffix}"
    assert inpaintcli.fill(before, mask, out, model=grey_model, verify=True) == out
    assert out.exists()


def test_one_that_would_differ_elsewhere_is_not_written(pair, tmp_path, grey_model, monkeypatch):
    before, mask = pair
    real = inpaintcli.batch.job_runner.picture_bytes

    def faulty(picture, suffix, **options):
        pixels = picture.pixels.copy()
        pixels[0, 0] ^= 64
        return real(picture.with_pixels(pixels), suffix, **options)

    monkeypatch.setattr("inpaintcli.batch.job_runner.picture_bytes", faulty)
    with pytest.raises(FaultError, match="outside the hole"):
        inpaintcli.fill(before, mask, tmp_path / "out.jpg", model=grey_model, verify=True)
    assert not (tmp_path / "out.jpg").exists()
