"""Metadata that formats have no room or other rules for: nothing is lost in silence."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from inpaintcli.imaging.formats import jpeg
from inpaintcli.imaging.images import picture_bytes, read_picture
from inpaintcli.imaging.metadata import exif
from inpaintcli.imaging.metadata.ifd import UNDEFINED, entries, header
from inpaintcli.imaging.metadata.removals import Removals
from inpaintcli.imaging.picture import Origin, Picture
from tests.conftest import photo_pixels

SENTENCE = b"A sentence that people read. "


def block(*values: tuple[int, int, bytes]) -> bytes:
    """EXIF with a directory of these tags, types and values, of more than 4 bytes each."""
    head = b"II*\0" + struct.pack("<I", 8)
    first = struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 26) + bytes(4)
    at, table, data = 26 + 2 + 12 * len(values) + 4, b"", b""
    for tag, kind, value in values:
        table += struct.pack("<HHII", tag, kind, len(value), at + len(data))
        data += value
    return head + first + struct.pack("<H", len(values)) + table + bytes(4) + data


def written(origin: Origin, suffix: str) -> tuple[bytes, list[str]]:
    notes: list[str] = []
    picture = Picture(photo_pixels(20, 30), None, origin)
    data = picture_bytes(picture, suffix, name="photo", notes=notes.append)
    return data, notes


@pytest.mark.parametrize("length", [300, 70_000])
def test_what_a_jpeg_has_no_room_for_is_said(length):
    comment = b"ASCII\0\0\0" + (SENTENCE * length)[:length]
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/"
    packet += (
        b"22-rdf-syntax-ns#'><rdf:Description rdf:about='' xmlns:d='http://purl.org/dc/elements"
    )
    packet += (
        b"/1.1/'><d:description>" + comment[8:] + b"</d:description></rdf:Description></rdf:RDF>"
    )
    origin = Origin("PNG", exif=block((0x9286, 7, comment)), xmp=packet + b"</x:xmpmeta>")
    data, notes = written(origin, ".jpg")
    with Image.open(io.BytesIO(data)) as image:
        held = [bool(image.getexif().get_ifd(0x8769)), "xmp" in image.info]
    if length > jpeg.MAX_BLOCK:
        assert held == [False, False]
        assert notes == ["photo: JPEG cannot hold that much, so not kept: EXIF, XMP."]
    else:
        assert held == [True, True]
        assert notes == []
    for suffix in (".png", ".tif", ".webp"):
        assert written(origin, suffix)[1] == []


@pytest.mark.parametrize("code", [b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"UNICODE\0", bytes(8)])
@pytest.mark.parametrize("kind", [1, 7], ids=["BYTE", "UNDEFINED"])
def test_long_comments_of_every_code_stay(code, kind):
    text = SENTENCE * 100
    comment = code + (text.decode().encode("utf-16-le") if code[0:1] == b"U" else text)
    whole, removals = block((0x9286, kind, comment)), Removals()
    assert exif.cleaned(whole, removals) == whole
    assert removals.names() == []


def test_a_comment_that_holds_a_picture_does_not_stay():
    hidden = b"ASCII\0\0\0" + b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
    removals = Removals()
    assert b"\xff\xd8\xff" not in exif.cleaned(block((0x9286, 7, hidden)), removals)
    assert removals.names() == ["EXIF tag 37510"]


@pytest.mark.parametrize("source", ["png", "tif"])
def test_tiff_gives_bytes_of_exif_the_type_that_they_have_there(tmp_path, source):
    comment = b"ASCII\0\0\0" + SENTENCE
    values = ((0x9101, 7, b"\1\2\3\0\0"), (0x9286, 7, comment), (0xA302, 7, b"\2\0\2\0\0\1\1\2"))
    data, _ = written(Origin("PNG", exif=block(*values)), ".tif")
    if source == "tif":  # read and written again
        (tmp_path / "a.tif").write_bytes(data)
        picture = read_picture(tmp_path / "a.tif")
        data = picture_bytes(picture.with_pixels(255 - picture.pixels), ".tif")
    order, first = header(data)
    (pointer,) = (one for one in entries(data, order, first)[0] if one.tag == 0x8769)
    found = entries(data, order, pointer.pointer(order, data))[0]
    kinds = {one.tag: (one.kind, one.value(data)) for one in found}
    assert kinds == {tag: (UNDEFINED, value) for tag, _, value in values}
    with Image.open(io.BytesIO(data)) as image:
        assert np.asarray(image).shape == (20, 30, 3)
