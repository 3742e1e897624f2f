"""Colour profiles that are none, and instructions beside XMP, carry no picture over."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from inpaintcli.imaging.images import parse_picture, picture_bytes
from inpaintcli.imaging.metadata import icc
from inpaintcli.imaging.metadata.removals import Removals
from tests.conftest import photo_pixels

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SUFFIXES = [".jpg", ".png", ".tif", ".webp"]
XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
    b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' "
    b"xmlns:d='http://purl.org/dc/elements/1.1/' d:title='kept'/></rdf:RDF></x:xmpmeta>"
)


def hidden() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        out, "JPEG"
    )
    return out.getvalue()


HIDDEN = hidden()
TAIL = HIDDEN[-200:-140]
"""Of its coded pixels: its tables are those of every JPEG."""


def photo(kind, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo_pixels(60, 70)).save(out, kind, **options)
    return out.getvalue()


def written(data, suffix, policy="safe") -> tuple[bytes, list[str]]:
    notes = []
    picture = parse_picture(data, "photo")
    changed = picture.with_pixels(picture.pixels // 2)
    out = picture_bytes(changed, suffix, metadata=policy, notes=notes.append, name="photo")
    origin = parse_picture(out, "out").origin
    return out + (origin.icc or b"") + (origin.xmp or b""), notes


@pytest.mark.parametrize("policy", ["safe", "strip"])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("profile", [HIDDEN, PROFILE + HIDDEN], ids=["none", "and more"])
def test_a_picture_in_a_colour_profile_stays_behind(profile, kind, suffix, policy):
    options = {"lossless": True} if kind == "WEBP" else {}
    held, notes = written(photo(kind, icc_profile=profile, **options), suffix, policy)
    assert TAIL not in held
    assert policy == "strip" or any("colour profile" in note for note in notes)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_colour_profile_stays_byte_for_byte(kind, suffix):
    data = photo(kind, icc_profile=PROFILE)
    out = picture_bytes(parse_picture(data, "photo"), suffix)
    assert parse_picture(out, "out").origin.icc == PROFILE


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("form", [b"<?x %s?>", b"<!--%s-->"], ids=["instruction", "comment"])
def test_an_instruction_beside_xmp_stays_behind(form, kind, suffix):
    packet = XMP + form % base64.b64encode(HIDDEN)
    if kind == "PNG":
        texts = PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = photo(kind, pnginfo=texts)
    else:
        data = photo(kind, xmp=packet)
    held, notes = written(data, suffix)
    assert base64.b64encode(HIDDEN)[200:260] not in held
    assert b"kept" in held
    assert any("beside XMP" in note for note in notes)


def test_a_small_profile_that_is_not_understood_stays():
    assert icc.cleaned(b"no profile", Removals()) == b"no profile"
