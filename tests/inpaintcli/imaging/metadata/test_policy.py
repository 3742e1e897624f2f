"""No output shows, in its metadata, what was filled; what the photo said of itself stays."""

import base64
import io
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import exiftool
import numpy as np
import pytest
from PIL import Image

from inpaintcli.imaging.formats import png
from inpaintcli.imaging.formats._png_metadata import Text
from inpaintcli.imaging.images import picture_bytes, read_picture
from inpaintcli.imaging.metadata import photoshop
from tests.inpaintcli.imaging.metadata import carriers
from tests.inpaintcli.imaging.metadata.carriers import CARRIERS, RGB, THUMBNAIL

TARGETS = (".jpg", ".png", ".tif", ".webp")
FILES = [
    pytest.param(suffix, data, id=f"{name} {number}")
    for name, files in CARRIERS.items()
    for number, (suffix, data) in enumerate(files)
]
DOCS = Path(__file__).parents[4] / "docs/reference/metadata.md"


def shows_the_thumbnail(data):
    """Whether a long part of the thumbnail is in a file: as it is, as base64, as hexadecimal."""
    texts = [data]
    if data.startswith(png.MAGIC):
        for kind, content in png._whole_chunks(data)[0]:
            text = Text.of(kind, content) if kind in (b"tEXt", b"zTXt", b"iTXt") else None
            texts.append(text.text if text else b"")
    for text in texts:
        packed = re.sub(rb"\s", b"", text)
        for at in range(750, len(THUMBNAIL) - 150, 150):  # behind the tables that all JPEGs share
            piece = THUMBNAIL[at : at + 150]
            # 150 is a multiple of 3: pieces of base64 are those of the whole.
            if piece in text or base64.b64encode(piece) in packed or piece.hex().encode() in packed:
                return True
    return False


def written(data, source_suffix, target, tmp_path, **options):
    path = tmp_path / f"photo.{source_suffix}"
    path.write_bytes(data)
    heard = []
    keywords = {"name": path.name, "notes": heard.append, "removed": heard.append} | options
    return picture_bytes(read_picture(path), target, **keywords), heard


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("suffix", "data"), FILES)
def test_no_copy_of_the_unfilled_picture_stays(suffix, data, target, tmp_path):
    found, heard = written(data, suffix, target, tmp_path)
    assert not shows_the_thumbnail(found)
    assert heard, "what was removed is said"
    assert np.abs(np.asarray(Image.open(io.BytesIO(found)).convert("RGB")).astype(int)).any()


@pytest.mark.parametrize(("suffix", "data"), FILES)
def test_the_copies_are_in_the_files_and_stay_only_where_asked_for(suffix, data, tmp_path):
    # The XMP in a raw profile is base64 in hexadecimal digits, the second page other pixels.
    assert shows_the_thumbnail(data) or b"Raw profile" in data or data == carriers.tiff_of_two()
    found, heard = written(data, suffix, f".{suffix}", tmp_path, metadata="keep")
    assert heard
    assert "kept as asked" in " ".join(heard) or not shows_the_thumbnail(found)


def test_a_second_page_that_is_a_reduced_copy_is_not_written(tmp_path):
    found, heard = written(carriers.tiff_of_two(), "tif", ".tif", tmp_path)
    assert Image.open(io.BytesIO(found)).n_frames == 1
    assert "reduced copies" in heard[0]


@pytest.mark.parametrize("target", TARGETS)
def test_camera_date_and_place_stay_beside_a_removed_thumbnail(target, tmp_path):
    data = carriers.jpeg(carriers.app1(carriers.exif(second=THUMBNAIL)))
    found, _ = written(data, "jpg", target, tmp_path)
    exif = Image.open(io.BytesIO(found)).getexif()
    assert (exif[0x10F], exif[0x112]) == ("Me1", 6)
    assert exif.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05"
    assert exif.get_ifd(0x8825)[2] == (46.0, 57.0, 0.0)


@pytest.mark.parametrize("target", TARGETS)
def test_other_properties_of_xmp_stay(target, tmp_path):
    found, _ = written(
        carriers.jpeg(carriers.xap(carriers.xmp_thumbnails())), "jpg", target, tmp_path
    )
    (tmp_path / "out").write_bytes(found)
    assert b"Kept source" in (read_picture(tmp_path / "out").origin.xmp or b"")


@pytest.mark.parametrize("target", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("source", ["jpg", "png", "tif"])
def test_iptc_goes_over_between_formats(source, target, tmp_path):
    resources = carriers.photoshop()
    data = {
        "jpg": carriers.jpeg(carriers.segment(0xED, b"Photoshop 3.0\0" + resources)),
        "png": carriers.png(carriers.raw_profile("iptc", resources, label="IPTC profile")),
        "tif": carriers.tiff([(33723, 7, carriers.CITY)]),
    }[source]
    found, _ = written(data, source, target, tmp_path)
    (tmp_path / "out").write_bytes(found)
    origin = read_picture(tmp_path / "out").origin
    assert photoshop.iptc_of(origin.photoshop) == carriers.CITY


@pytest.mark.parametrize("number", range(4))
def test_what_is_understood_of_a_maker_note_stays(number, tmp_path):
    suffix, data = CARRIERS["previews in maker notes"][number]
    for target in (".jpg", ".png", ".webp"):
        found, heard = written(data, suffix, target, tmp_path)
        assert b"Lens 50" in found
        assert "maker note" in heard[0]


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("http://ns.google.com/photos/1.0/camera/", "MotionPhoto"),
        ("http://ns.google.com/photos/1.0/camera/", "MicroVideoOffset"),
        ("http://ns.google.com/photos/1.0/container/", "Directory"),
        ("http://ns.adobe.com/hdr-gain-map/1.0/", "Version"),
        ("http://ns.apple.com/HDRGainMap/1.0/", "HDRGainMapVersion"),
        ("http://purl.org/dc/terms/", "provenance"),
    ],
)
@pytest.mark.parametrize("form", ["attribute", "element"])
def test_xmp_that_is_no_longer_true_goes(namespace, name, form, tmp_path):
    start = f'xmlns:any="{namespace}"'
    as_element = (start, f"<any:{name}>1</any:{name}>")
    packet = (
        carriers.xmp(*as_element) if form == "element" else carriers.xmp(f'{start} any:{name}="1"')
    )
    found, heard = written(carriers.jpeg(carriers.xap(packet)), "jpg", ".jpg", tmp_path)
    assert name.encode() not in found
    assert b"Kept source" in found
    assert "no longer true" in heard[0]


def test_metadata_without_any_copy_stay_byte_for_byte(tmp_path):
    block, packet = carriers.exif(), carriers.xmp()
    resources = carriers.resource(1028, carriers.CITY)
    pieces = [carriers.app1(block), carriers.xap(packet)]
    pieces.append(carriers.segment(0xED, b"Photoshop 3.0\0" + resources))
    pieces.append(carriers.segment(0xFE, b"a comment"))
    found, heard = written(carriers.jpeg(*pieces), "jpg", ".jpg", tmp_path)
    assert heard == []
    assert [piece for piece in pieces if piece not in found] == []


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", ["jpg", "png", "tif", "webp"])
def test_strip_leaves_the_profile_and_the_pixels_as_displayed(source, target, tmp_path):
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = (
        {"exif": b"Exif\0\0" + carriers.exif()}
        if source != "tif"
        else {"tiffinfo": {271: "Me1", 274: 6}}
    )
    form = {"jpg": "JPEG", "tif": "TIFF", "webp": "WebP", "png": "PNG"}[source]
    data = carriers.saved(Image.fromarray(RGB), form, icc_profile=icc, **options)
    found, _ = written(data, source, target, tmp_path, metadata="strip")
    (tmp_path / "out").write_bytes(found)
    origin = read_picture(tmp_path / "out").origin
    assert b"Me1" not in found
    assert (origin.orientation, origin.icc, origin.xmp, origin.photoshop) == (1, icc, None, None)
    assert Image.open(io.BytesIO(found)).size == (60, 80)


def test_nothing_else_on_the_machine_is_used(tmp_path):
    """Neither other programs nor the temporary folder: as where there is none, or it is full."""
    path, out = tmp_path / "photo.jpg", tmp_path / "out.png"
    path.write_bytes(CARRIERS["EXIF thumbnail"][0][1])
    code = (
        "import sys; from pathlib import Path; from inpaintcli.imaging.images import *; "
        "write_picture(read_picture(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    environment = {"PATH": "/nonexistent", "TMPDIR": "/nonexistent"}
    command = [sys.executable, "-c", code, str(path), str(out)]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert not shows_the_thumbnail(out.read_bytes())


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("target", TARGETS)
def test_exiftool_agrees_that_no_preview_is_left(target, tmp_path):
    for suffix, data in CARRIERS["EXIF thumbnail"] + CARRIERS["previews in maker notes"]:
        found, _ = written(data, suffix, target, tmp_path)
        (tmp_path / f"out{target}").write_bytes(found)
        arguments = ["-a", "-b", "-preview:all", str(tmp_path / f"out{target}")]
        with exiftool.ExifTool() as reader:
            assert reader.execute(*arguments, raw_bytes=True) == b""


def test_damaged_blocks_never_raise(tmp_path):
    rng = np.random.default_rng(0)
    blocks = [carriers.exif(carriers.nikon_note(), THUMBNAIL), carriers.photoshop()]
    for turn in range(200):
        damaged = [bytearray(block[: rng.integers(len(block)) + 1]) for block in blocks]
        for block in damaged:
            block[rng.integers(len(block))] = rng.integers(256)
        segments = [carriers.app1(bytes(damaged[0]))[:60000]]
        segments.append(carriers.segment(0xED, b"Photoshop 3.0\0" + bytes(damaged[1])))
        found, _ = written(carriers.jpeg(*segments), "jpg", TARGETS[turn % 4], tmp_path)
        assert not shows_the_thumbnail(found)


def test_the_documentation_names_every_carrier():
    table = DOCS.read_text().split("\n| carrier |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(CARRIERS)


def test_a_text_of_many_bytes_is_kept():
    text = b"sentence of words, " * 100_000
    data = carriers.png(carriers.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text)))
    picture = png.read(data, "x")
    assert text in zlib.decompress(picture.origin.encoding.chunks[0][1].split(b"\0\0", 1)[1])
