"""A picture is read by its content, and written whole or not at all."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.errors import ExitCode, OutputError, UnreadableError
from inpaintcli.imaging import images
from inpaintcli.imaging.images import (
    SUFFIXES,
    check_writable,
    encode_picture,
    picture_bytes,
    read_picture,
    write_picture,
)
from inpaintcli.imaging.picture import Picture

RGB = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
PICTURE = Picture(RGB)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_is_written_and_read(tmp_path, suffix):
    for name in ("a" + suffix, "b" + suffix.upper()):
        write_picture(PICTURE, tmp_path / name)
        found = read_picture(tmp_path / name)
        assert found.pixels.shape == RGB.shape
        if found.origin.format != "JPEG":
            assert np.array_equal(found.pixels, RGB)
    assert len(left_in(tmp_path)) == 2


def test_content_decides_what_a_file_is(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode_picture(PICTURE, ".png"))
    assert read_picture(path).origin.format == "PNG"
    write_picture(read_picture(path), tmp_path / "out.jpg")
    assert read_picture(tmp_path / "out.jpg").origin.format == "JPEG"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello world, this is no picture at all", "is not a picture"),
        (b"GIF89a" + bytes(50), "is a GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
        (b"\x89PNG\r\n\x1a\n", "damaged or incomplete PNG"),
        (b"\xff\xd8\xff", "damaged or incomplete JPEG"),
        (b"BM", "damaged or incomplete BMP"),
        (b"II*\0", "damaged or incomplete TIFF"),
        (b"RIFF\0\0\0\0WEBP", "damaged or incomplete WebP"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path, content, words):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=words) as caught:
        read_picture(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.code == ExitCode.UNREADABLE == 3


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(UnreadableError, match="does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(UnreadableError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_picture(Path("a\0b.png"))


def test_an_existing_file_is_kept_unless_overwriting(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists") as caught:
        write_picture(PICTURE, path)
    assert "--overwrite" in caught.value.hint
    assert path.read_bytes() == b"precious"
    write_picture(PICTURE, path, overwrite=True)
    assert np.array_equal(read_picture(path).pixels, RGB)
    assert left_in(tmp_path) == ["out.png"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    encode = images.picture_bytes

    def slow(*arguments, **keywords):
        path.write_bytes(b"somebody else's")
        return encode(*arguments, **keywords)

    monkeypatch.setattr(images, "picture_bytes", slow)
    with pytest.raises(OutputError, match="exists"):
        write_picture(PICTURE, path)
    assert path.read_bytes() == b"somebody else's"
    assert left_in(tmp_path) == ["out.png"]


@pytest.mark.parametrize("links", [True, False])
def test_of_many_writers_one_wins_and_the_file_is_whole(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", _no_links)
    path, results = tmp_path / "out.bmp", []

    def write(shade):
        try:
            write_picture(Picture(np.full((40, 40, 1), shade, np.uint8)), path)
            results.append(shade)
        except OutputError:
            results.append(None)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [shade for shade in results if shade is not None]
    assert len(winners) == 1
    assert (read_picture(path).pixels == winners[0]).all()
    assert left_in(tmp_path) == ["out.bmp"]


def _no_links(*_):
    raise PermissionError(1, "Operation not permitted")


def test_without_hard_links_an_existing_file_is_still_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "hardlink_to", _no_links)
    path = tmp_path / "out.png"
    images.write_bytes(b"one", path)
    with pytest.raises(OutputError, match="exists"):
        images.write_bytes(b"two", path)
    assert path.read_bytes() == b"one"
    assert left_in(tmp_path) == ["out.png"]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_picture(PICTURE, tmp_path / "out.png")
    assert caught.value.code == ExitCode.OUTPUT
    assert left_in(tmp_path) == []


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_picture(PICTURE, tmp_path / "out.png")
    assert left_in(tmp_path) == []


def test_places_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(OutputError, match="is not a folder"):
        write_picture(PICTURE, tmp_path / "none" / "out.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_picture(PICTURE, tmp_path / "folder.png", overwrite=True)
    with pytest.raises(OutputError, match="cannot be written"):
        write_picture(PICTURE, tmp_path / ("x" * 300 + ".png"))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder nobody may write")
def test_a_folder_without_rights_is_refused():
    with pytest.raises(OutputError, match="cannot be written"):
        write_picture(PICTURE, Path("/proc/self/out.png"))


@pytest.mark.parametrize("name", ["out", "out.gif", "out.png.bak"])
def test_suffixes_of_no_format_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_picture(PICTURE, tmp_path / name)
    assert ".png" in caught.value.hint


def test_the_input_is_never_the_output(tmp_path):
    path = tmp_path / "photo.png"
    write_picture(PICTURE, path)
    before = path.read_bytes()
    for other in (path, tmp_path / "." / "photo.png"):
        with pytest.raises(OutputError, match="is the input itself"):
            check_writable(other, source=path, overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="rights are POSIX's")
def test_the_file_has_the_rights_that_new_files_have(tmp_path):
    write_picture(PICTURE, tmp_path / "out.png")
    (tmp_path / "plain").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out.png", "plain")]
    assert modes[0] == modes[1]


def test_without_a_source_the_bytes_are_the_encoding():
    assert picture_bytes(PICTURE, ".png") == encode_picture(PICTURE, ".png")


def test_a_video_or_pictures_behind_a_jpeg_are_not_dropped_in_silence(tmp_path):
    one, many = Image.fromarray(RGB), tmp_path / "many.jpg"
    one.save(many, "MPO", save_all=True, append_images=[one, one])
    video, plain = tmp_path / "video.jpg", tmp_path / "plain.jpg"
    one.save(plain, "JPEG")
    video.write_bytes(plain.read_bytes() + b"\0\0\0\x18ftypmp42" + bytes(99))
    heard = []
    for source in (many, video, plain):
        picture_bytes(read_picture(source), ".jpg", name=source.name, notes=heard.append)
    assert heard == [
        "many.jpg: not kept: 2 more pictures, or maps of light or depth.",
        "video.jpg: not kept: a video.",
    ]


def test_importing_is_light():
    code = (
        "import sys, inpaintcli.imaging.images, inpaintcli.imaging.masks; "
        "print([m for m in ('cv2', 'PIL', 'tifffile') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_pillow_agrees_with_what_is_written(tmp_path):
    write_picture(PICTURE, tmp_path / "a.tiff")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.tiff")), RGB)


def test_a_photo_of_another_format_than_its_name_is_said(tmp_path):
    path = tmp_path / "photo.png"
    write_picture(Picture(np.zeros((8, 8, 3), np.uint8)), path)
    picture, said = read_picture(path), []
    picture_bytes(picture, ".jpg", name="photo.jpg", notes=said.append)
    assert any("photo.jpg is a PNG file by its content; written as JPEG" in note for note in said)
    said.clear()
    picture_bytes(picture, ".jpg", name="photo.png", notes=said.append)
    picture_bytes(picture, ".png", name="photo.png", notes=said.append)
    assert not said
