"""What the photo said of itself stays, wherever its picture goes."""

import json
import os
import signal
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, IptcImagePlugin

from inpaintcli.imaging import metadata
from inpaintcli.imaging.images import picture_bytes, read_picture, write_picture
from inpaintcli.imaging.picture import Picture

needs_exiftool = pytest.mark.skipif(not metadata.available(), reason="exiftool is not installed")
Y, X = np.mgrid[:60, :80]
RGB = np.stack([X * 2, Y * 3, X + Y], axis=2).astype(np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KEPT = {
    "EXIF:Make": "Canon",
    "EXIF:Artist": "Me",
    "EXIF:DateTimeOriginal": "2024:01:02 03:04:05",
    "EXIF:GPSLatitude": 12.5,
    "EXIF:Orientation": 6,
    "EXIF:XResolution": 300,
    "XMP:Title": "Tïtle",
    "XMP:Subject": ["x", "y"],
    "IPTC:City": "Bern",
    "IPTC:Keywords": ["a", "b"],
}
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li '
    'xml:lang="x-default">Tïtle</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>'
    "</x:xmpmeta>"
).encode()
SUFFIXES = (".jpg", ".png", ".tif", ".webp")


def tags(path):
    done = subprocess.run(
        ["exiftool", "-j", "-G", "-n", "-a", str(path)], capture_output=True, check=True, timeout=60
    )
    return json.loads(done.stdout)[0]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Photos with all of `KEPT`, and a thumbnail."""
    folder = tmp_path_factory.mktemp("sources")
    Image.fromarray(RGB[:16, :16]).save(folder / "thumbnail.jpg")
    for suffix in SUFFIXES:
        path = folder / f"photo{suffix}"
        Image.fromarray(RGB).save(path, icc_profile=ICC, lossless=True)
        options = [f"-{tag}#={value}" for tag, value in KEPT.items() if not isinstance(value, list)]
        options += [
            f"-{tag}={v}" for tag, value in KEPT.items() if isinstance(value, list) for v in value
        ]
        options += [
            "-EXIF:GPSLatitudeRef=N",
            "-EXIF:YResolution=300",
            "-EXIF:ResolutionUnit=inches",
        ]
        options += [f"-ThumbnailImage<={folder / 'thumbnail.jpg'}"] if suffix != ".tif" else []
        subprocess.run(
            ["exiftool", "-q", "-m", "-overwrite_original", *options, str(path)],
            check=True,
            timeout=60,
            capture_output=True,
        )
    return folder


@pytest.fixture(scope="module")
def plain_sources(tmp_path_factory):
    """Photos with the metadata that Pillow can write, and IPTC in the JPEG: need no exiftool."""
    folder = tmp_path_factory.mktemp("plain")
    exif = Image.Exif()
    exif[271], exif[274], exif[315] = "Canon", 6, "Me"
    with Image.open(BytesIO(jpeg_with(exif))) as image:
        image.load()
        image.save(folder / "photo.tif", icc_profile=ICC, tiffinfo={**exif, 700: XMP})
        image.save(folder / "photo.png", exif=exif, icc_profile=ICC)
    (folder / "photo.jpg").write_bytes(jpeg_with(exif))
    return folder


def jpeg_with(exif):
    """A JPEG with EXIF, XMP, ICC, and IPTC as Photoshop writes it: record 2, dataset 90 (city)."""
    city = b"\x1c\x02\x5a" + struct.pack(">H", 4) + b"Bern"
    photoshop = (
        b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(city)) + city + b"\0"
    )
    segment = b"\xff\xed" + struct.pack(">H", 2 + len(photoshop)) + photoshop
    buffer = BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", exif=exif, icc_profile=ICC, xmp=XMP, extra=segment)
    return buffer.getvalue()


@needs_exiftool
@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_metadata_go_over(sources, tmp_path, source, target):
    path, out, heard = sources / f"photo{source}", tmp_path / f"out{target}", []
    before = path.read_bytes()
    picture = read_picture(path)
    write_picture(picture, out, source=path, notes=heard.append)
    found = tags(out)
    wanted = {
        tag: v for tag, v in KEPT.items() if not (".webp" in (source, target) and "IPTC" in tag)
    }
    assert {tag: found.get(tag) for tag in wanted} == wanted
    assert read_picture(out).origin.icc == ICC
    assert "EXIF:ThumbnailImage" not in found
    again = read_picture(out)
    assert again.pixels.shape == (80, 60, 3)
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 3
    assert heard == []
    assert path.read_bytes() == before


@needs_exiftool
def test_16_bit_tiff_keeps_its_metadata_and_samples(tmp_path):
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    deep = Picture(RGB.astype(np.uint16) * 257 + 3)
    write_picture(deep, path)
    subprocess.run(
        ["exiftool", "-q", "-overwrite_original", "-IPTC:City=Bern", "-EXIF:ISO=200", str(path)],
        check=True,
        timeout=60,
    )
    write_picture(read_picture(path), out, source=path)
    assert (tags(out)["IPTC:City"], tags(out)["EXIF:ISO"]) == ("Bern", 200)
    assert np.array_equal(read_picture(out).pixels, deep.pixels)


def test_without_exiftool_the_rest_is_kept_and_one_note_given(plain_sources, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata.shutil, "which", lambda _: None)
    monkeypatch.setattr(metadata, "_noted", set())
    heard = []
    for suffix in (".jpg", ".tif"):
        path = plain_sources / f"photo{suffix}"
        for target in (".png", ".webp"):
            out = tmp_path / f"{path.suffix[1:]}{target}"
            write_picture(read_picture(path), out, source=path, notes=heard.append)
            with Image.open(out) as found:
                assert found.info["icc_profile"] == ICC
                assert found.getexif()[274] == 6
                assert found.getexif()[271] == "Canon"
                assert "Tïtle".encode() in found.info["xmp"]
    assert len(heard) == 1
    assert "libimage-exiftool-perl" in heard[0]


def test_a_jpeg_rewritten_as_jpeg_keeps_all_without_exiftool(plain_sources, tmp_path, monkeypatch):
    path, heard = plain_sources / "photo.jpg", []
    with monkeypatch.context() as patch:
        patch.setattr(metadata.shutil, "which", lambda _: None)
        write_picture(read_picture(path), tmp_path / "o.jpg", source=path, notes=heard.append)
    assert heard == []
    with Image.open(tmp_path / "o.jpg") as found:
        exif = found.getexif()
        assert (exif[271], exif[274], exif[315]) == ("Canon", 6, "Me")
        assert found.info["icc_profile"] == ICC
        assert "Tïtle".encode() in found.info["xmp"]
        assert IptcImagePlugin.getiptcinfo(found)[2, 90] == b"Bern"


def test_a_format_without_metadata_says_so(plain_sources):
    heard = []
    path = plain_sources / "photo.png"
    data = picture_bytes(read_picture(path), ".bmp", source=path, notes=heard.append)
    assert data.startswith(b"BM")
    assert "BMP holds no metadata" in heard[0]


@needs_exiftool
@pytest.mark.parametrize(
    "name", ["100%d %f.jpg", "-all=.jpg", "ünïcode.jpg", "a 'b' \"c\" $d.jpg", "@x.jpg"]
)
def test_names_that_mean_something_to_exiftool(sources, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes((sources / "photo.jpg").read_bytes())
    heard = []
    write_picture(read_picture(path), tmp_path / "o.png", source=path, notes=heard.append)
    assert heard == []
    assert tags(tmp_path / "o.png")["IPTC:City"] == "Bern"


@needs_exiftool
def test_a_source_that_exiftool_refuses_costs_a_note_not_the_picture(sources, tmp_path):
    gone, heard = tmp_path / "gone.jpg", []
    picture = read_picture(sources / "photo.jpg")
    data = picture_bytes(picture, ".png", source=gone, notes=heard.append)
    assert data.startswith(b"\x89PNG")
    assert heard
    assert "gone.jpg" in heard[0]


@needs_exiftool
def test_one_process_serves_many_threads(sources):
    path = sources / "photo.jpg"
    picture = read_picture(path)
    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(lambda _: picture_bytes(picture, ".png", source=path), range(16)))
    assert len(results) == 1
    first = metadata._session()
    assert picture_bytes(picture, ".png", source=path) in results
    assert metadata._session() is first


@needs_exiftool
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("blow", ["SIGKILL", "SIGSTOP"])
def test_a_dead_or_stuck_exiftool_costs_a_note_and_is_replaced(sources, monkeypatch, blow):
    path, heard = sources / "photo.jpg", []
    picture = read_picture(path)
    assert metadata.with_tags_of(path, picture_bytes(picture, ".png"), ".png", heard.append)
    process = metadata._session()._process()
    os.kill(process.pid, getattr(signal, blow))
    if blow == "SIGKILL":
        process.wait(10)
    else:
        monkeypatch.setattr(metadata, "TIMEOUT_S", 0.5)
    picture_bytes(picture, ".png", source=path, notes=heard.append)
    monkeypatch.setattr(metadata, "TIMEOUT_S", 60)
    assert len(heard) == (blow == "SIGSTOP")
    again = []
    found = picture_bytes(picture, ".png", source=path, notes=again.append)
    assert b"iptc" in found
    assert again == []


@needs_exiftool
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_ctrl_c_which_reaches_all_programs_of_a_terminal_leaves_exiftool_at_work(sources):
    path, session = sources / "photo.jpg", metadata._session()
    session.run(b"-ver")
    before = session._process().pid
    os.kill(before, signal.SIGINT)
    assert b"iptc" in picture_bytes(read_picture(path), ".png", source=path)
    assert session._process().pid == before


@needs_exiftool
def test_exiftool_dying_at_work_is_noticed(sources):
    path, heard = sources / "photo.jpg", []
    session = metadata._session()
    session.run(b"-ver")
    os.kill(session._process().pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            picture_bytes, read_picture(path), ".png", source=path, notes=heard.append
        )
        os.kill(session._process().pid, signal.SIGKILL)
        assert waiting.result(20).startswith(b"\x89PNG")
    assert session.run(b"-ver") == ""


@needs_exiftool
def test_exiftool_ends_with_the_program():
    code = (
        "from pathlib import Path; from inpaintcli.imaging import metadata; "
        "s = metadata._session(); s.run(b'-ver'); print(s._process().pid)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
