"""Filled JPEGs keep every coefficient that the hole does not touch, whoever wrote the file."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from inpaintcli.imaging.formats import jpeg
from inpaintcli.imaging.formats._jpeg_blocks import Source, placed
from inpaintcli.imaging.jpeg_blocks import checking, coefficients, decoding
from inpaintcli.imaging.jpeg_blocks.huffman import HuffmanTable, best_table, lookup
from inpaintcli.imaging.jpeg_blocks.structure import NotBlockwiseError
from tests.inpaintcli.imaging.jpeg_blocks import files

SIXTY = files.sixty()
HOLE = (slice(21, 49), slice(30, 55))


def with_hole(picture, hole=HOLE, seed=0):
    """The picture, with something else in the hole."""
    pixels = picture.pixels.copy()
    height, width = pixels[hole].shape[:2]
    other = files.PHOTO[300 + seed : 300 + seed + height, 200 : 200 + width]
    other = other if pixels.shape[2] == 3 else other[:, :, :1]
    pixels[hole] = other
    return picture.with_pixels(pixels)


def written(picture):
    """The file, and whether it is lossless outside the hole, with the reason where it is not."""
    results, notes = [], []
    data = jpeg.write_preserving(picture, results.append, notes.append)
    return data, results[0]


def by_jpeglib(data, tmp_path):
    """The coefficients of each component (rows, columns, 8, 8), by libjpeg."""
    jpeglib = pytest.importorskip("jpeglib")
    path = tmp_path / "file.jpg"
    path.write_bytes(data)
    found = jpeglib.read_dct(str(path))
    return [plane for plane in (found.Y, found.Cb, found.Cr) if plane is not None]


def units_of(structure, hole, shape):
    """(rows, columns) of the units, True where the hole touches one."""
    mask = np.zeros(shape, bool)
    mask[hole] = True
    down, across = (8 * factor for factor in structure.most)
    mask = np.pad(mask, ((0, -shape[0] % down), (0, -shape[1] % across)))
    return mask.reshape(mask.shape[0] // down, down, -1, across).any(axis=(1, 3))


def test_there_are_sixty_different_files():
    assert len(set(SIXTY.values())) == 60


@pytest.mark.parametrize("data", SIXTY.values(), ids=SIXTY)
def test_coefficients_come_back_bit_for_bit(data):
    """With nothing replaced the file is the same, byte for byte: codes, runs and restarts too."""
    assert coefficients.encoded(data, coefficients.read_coefficients(data), lambda _: None) == data


@pytest.mark.parametrize("data", SIXTY.values(), ids=SIXTY)
def test_our_coefficients_are_those_of_libjpeg(data, tmp_path):
    ours = coefficients.read_coefficients(data)
    places = np.empty(64, int)
    places[:] = [8 * y + x for y, x in sorted(np.ndindex(8, 8), key=zigzag)]
    for n, theirs in enumerate(by_jpeglib(data, tmp_path)):
        rows, columns = ours.structure.components[n].own
        plane = ours.plane(n)[:rows, :columns]
        found = theirs[:rows, :columns].reshape(rows, columns, 64)
        assert (found[:, :, places] == plane).all()


def zigzag(place):
    y, x = place
    return y + x, x if (y + x) % 2 == 0 else y


@pytest.mark.parametrize("data", SIXTY.values(), ids=SIXTY)
def test_units_without_a_hole_keep_their_coefficients(data, tmp_path):
    picture = jpeg.read(data, "photo.jpg")
    filled, result = written(with_hole(picture))
    assert result.lossless, result.reason
    structure = coefficients.read_coefficients(data).structure
    touched = units_of(structure, HOLE, picture.pixels.shape[:2])
    before, after = by_jpeglib(data, tmp_path), by_jpeglib(filled, tmp_path)
    for one, old, new in zip(structure.components, before, after, strict=True):
        blocks = touched.repeat(one.down, axis=0).repeat(one.across, axis=1)
        same = (old == new).all(axis=(2, 3))
        assert same[~blocks[: same.shape[0], : same.shape[1]]].all()
        assert not same.all()


@pytest.mark.parametrize("data", SIXTY.values(), ids=SIXTY)
def test_other_pixels_stay_and_the_hole_shows_the_fill(data):
    """By OpenCV, which has a libjpeg of its own: outside the touched units and a pixel around."""
    picture = jpeg.read(data, "photo.jpg")
    meant = with_hole(picture)
    filled, _ = written(meant)
    flags = cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR
    before, after = (
        cv2.imdecode(np.frombuffer(file, np.uint8), flags)[:, :, ::-1] for file in (data, filled)
    )
    structure = coefficients.read_coefficients(data).structure
    touched = units_of(structure, HOLE, before.shape[:2])
    down, across = (8 * factor for factor in structure.most)
    near = touched.repeat(down, axis=0).repeat(across, axis=1)[: before.shape[0], : before.shape[1]]
    near = cv2.dilate(near.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert (before == after)[~near].all()
    whole = jpeg.read(jpeg.write(whole_of(meant)), "whole.jpg").pixels
    errors = [np.abs(one[HOLE].astype(float) - meant.pixels[HOLE]).mean() for one in (after, whole)]
    assert errors[0] < errors[1] * 1.15 + 0.5


def whole_of(picture):
    from dataclasses import replace

    origin = replace(picture.origin, encoding=picture.origin.encoding.whole())
    return replace(picture, origin=origin)


@pytest.mark.parametrize("data", SIXTY.values(), ids=SIXTY)
def test_the_size_is_that_of_the_photo_plus_what_the_hole_needs(data):
    picture = jpeg.read(data, "photo.jpg")
    filled, _ = written(with_hole(picture))
    alone = jpeg.read(filled, "filled.jpg").pixels[16:64, 16:64]
    patch = files.pillow(alone if alone.shape[2] == 3 else alone[:, :, 0], quality=98)
    assert abs(len(filled) - len(data)) < 0.02 * len(data) + len(patch)


def test_ten_fills_lose_nothing_elsewhere(tmp_path):
    pixels = np.ascontiguousarray(files.PHOTO[:240, :320])
    first = data = files.pillow(pixels, quality=80, subsampling=2)
    changed = np.zeros((15, 20), bool)
    for turn in range(10):
        y, x = 16 * turn + 3, 30 * turn + 5
        hole = (slice(y, y + 20), slice(x, x + 18))
        picture = jpeg.read(data, "photo.jpg")
        data, result = written(with_hole(picture, hole, seed=turn))
        assert result.lossless
        changed |= units_of(coefficients.read_coefficients(first).structure, hole, (240, 320))
    before, after = by_jpeglib(first, tmp_path), by_jpeglib(data, tmp_path)
    blocks = changed.repeat(2, axis=0).repeat(2, axis=1)
    assert (before[0] == after[0])[~blocks].all()
    for n in (1, 2):
        assert (before[n] == after[n])[~changed].all()


def test_a_block_that_the_hole_does_not_touch_stays_within_a_touched_unit():
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:64, :64]), subsampling=2)
    filled, _ = written(with_hole(jpeg.read(data, "x"), (slice(17, 20), slice(17, 20))))
    old, new = (coefficients.read_coefficients(one) for one in (data, filled))
    same = (old.plane(0) == new.plane(0)).all(axis=2)
    assert np.argwhere(~same).tolist() == [[2, 2]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_hole_is_turned_and_not_the_photo(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = files.pillow(
        np.ascontiguousarray(files.PHOTO[:70, :90]), exif=exif, subsampling=0, quality=96
    )
    picture = jpeg.read(data, "x")
    meant = with_hole(picture, (slice(10, 30), slice(40, 50)))
    filled, result = written(meant)
    assert result.lossless
    again = jpeg.read(filled, "x")
    assert again.origin.orientation == orientation
    assert np.abs(again.pixels.astype(int) - meant.pixels)[10:30, 40:50].mean() < 6
    far = np.ones(picture.pixels.shape[:2], bool)
    far[0:48, 24:66] = False
    assert (again.pixels == picture.pixels)[far].all()


def test_all_other_bytes_stay():
    """Markers in their order, comments between tables, restarts: nothing but coded data differs."""
    plain = files.pillow(
        np.ascontiguousarray(files.PHOTO[:64, :64]), restart_marker_blocks=4, dpi=(123, 45)
    )
    comment = coefficients.packed(0xFE, b"between the tables")
    at = plain.index(b"\xff\xc0")
    data = plain[:at] + comment + b"\xff" + plain[at:]
    filled, result = written(with_hole(jpeg.read(data, "x"), (slice(0, 8), slice(0, 8))))
    assert result.lossless
    end = data.index(b"\xff\xda")
    assert filled[:end] == data[:end]
    first = data.index(b"\xff\xd0", end)
    assert filled[filled.index(b"\xff\xd0", end) :] == data[first:]


def test_what_the_tables_have_no_code_for_gets_one():
    flat = np.full((64, 64, 3), 90, np.uint8)
    data = files.pillow(flat, optimize=True, quality=95)
    filled, result = written(with_hole(jpeg.read(data, "x")))
    assert result.lossless
    assert cv2.imdecode(np.frombuffer(filled, np.uint8), cv2.IMREAD_COLOR) is not None


def test_files_in_red_green_and_blue_stay_so():
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:80, :90]), keep_rgb=True, quality=90)
    meant = with_hole(jpeg.read(data, "x"))
    filled, result = written(meant)
    assert result.lossless
    assert np.abs(jpeg.read(filled, "x").pixels.astype(int) - meant.pixels)[HOLE].mean() < 8


# What cannot be done


def arithmetic() -> bytes:
    data = bytearray(files.pillow(files.PHOTO[:64, :64]))
    data[data.index(b"\xff\xc0") + 1] = 0xC9
    return bytes(data)


def twelve_bits() -> bytes:
    data = bytearray(files.pillow(files.PHOTO[:64, :64]))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [(arithmetic, "arithmetic coding"), (twelve_bits, "12 bits a sample")],
)
def test_kinds_that_cannot_be_kept_are_named(make, reason):
    with pytest.raises(NotBlockwiseError, match=reason):
        coefficients.read_coefficients(make())


def test_damaged_data_are_coded_anew_as_a_whole():
    data = bytearray(files.pillow(np.ascontiguousarray(files.PHOTO[:96, :96]), quality=90))
    middle = len(data) * 3 // 4
    del data[middle : middle + 300]
    picture = jpeg.read(bytes(data), "x")
    meant = with_hole(picture)
    filled, result = written(meant)
    assert not result.lossless
    assert "the file is damaged" in result.reason
    assert np.abs(jpeg.read(filled, "x").pixels.astype(int) - meant.pixels).mean() < 8


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_file_never_gives_a_wrong_picture(seed):
    """Bytes are changed at random: the picture that is written is the one that was read, filled."""
    random = np.random.default_rng(seed)
    data = bytearray(list(SIXTY.values())[seed % 60])
    for _ in range(random.integers(1, 4)):
        data[random.integers(2, len(data))] = random.integers(256)
    try:
        picture = jpeg.read(bytes(data), "x")
    except Exception:  # noqa: BLE001 - whatever the reader says of it
        return
    if picture.pixels.shape[0] * picture.pixels.shape[1] > 40000 or min(picture.pixels.shape) < 60:
        return
    meant = with_hole(picture) if picture.pixels.shape[2] == 3 else picture
    filled, result = written(meant)
    again = jpeg.read(filled, "x")
    assert again.pixels.shape == picture.pixels.shape
    if result.lossless:
        far = np.ones(picture.pixels.shape[:2], bool)
        far[: 49 + 33, : 55 + 33] = False
        assert (again.pixels == picture.pixels)[far].all()


def test_a_result_that_is_not_as_meant_is_not_taken(monkeypatch):
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:96, :96]), quality=90)
    meant = with_hole(jpeg.read(data, "x"))
    real = coefficients.encoded

    def wrong(file, found, metadata):
        found.plane(0)[11, 11, 0] += 9
        return real(file, found, metadata)

    monkeypatch.setattr(coefficients, "encoded", wrong)
    filled, result = written(meant)
    assert not result.lossless
    assert "proven" in result.reason
    assert np.abs(jpeg.read(filled, "x").pixels.astype(int) - meant.pixels).mean() < 6


def test_a_wrong_fill_is_seen(monkeypatch):
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:96, :96]), quality=90)
    meant = with_hole(jpeg.read(data, "x"))
    monkeypatch.setattr("inpaintcli.imaging.jpeg_blocks.replacing.ycbcr", lambda rgb: rgb * 1.0)
    assert not written(meant)[1].lossless


def test_pixels_that_somebody_else_has_changed_are_not_trusted():
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:64, :64]))
    picture = jpeg.read(data, "x")
    picture.pixels[20:30, 20:30] = 0
    filled, result = written(picture)
    assert not result.lossless
    assert jpeg.read(filled, "x").pixels[22:28, 22:28].max() < 40


def test_without_numba_the_whole_picture_is_coded(monkeypatch):
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:96, :96]))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    filled, result = written(with_hole(jpeg.read(data, "x")))
    assert (result.lossless, result.reason) == (False, "numba is not installed")
    assert jpeg.read(filled, "x").pixels.shape == (96, 96, 3)


# Parts


def test_the_best_codes_are_complete_and_no_longer_than_16_bits():
    numbers = np.zeros(256, np.int64)
    numbers[:40] = [int(1.6**n) for n in range(40)]
    table = best_table(numbers)
    lengths = {symbol: length for symbol, _, length in table.coded()}
    assert set(lengths) == set(range(40))
    assert max(lengths.values()) <= 16
    assert lengths[39] < lengths[0]
    assert sum(2.0**-length for length in lengths.values()) < 1


def test_long_codes_are_looked_up():
    table = HuffmanTable((0,) * 10 + (1,) + (0,) * 5, (7,))
    assert not lookup(table)[: 1 << 10].any()
    state = np.array([0, 0, 11, 0, 0], np.int64)
    assert decoding._symbol(state, lookup(table)) == 7
    assert state[2] == 0


def test_too_many_codes_are_damage():
    content = b"\0" + bytes([3, *[0] * 15]) + bytes(3)
    data = bytearray(files.pillow(files.PHOTO[:64, :64]))
    at = data.index(b"\xff\xc4")
    data[at:at] = struct.pack(">BBH", 0xFF, 0xC4, len(content) + 2) + content
    with pytest.raises(NotBlockwiseError, match="damaged"):
        coefficients.read_coefficients(bytes(data))


def test_altered_segments_take_the_place_of_the_old():
    a, b, c = (0xE0, b"a"), (0xE1, b"b"), (0xE2, b"c")
    assert placed([a, b, c], [a, b, c]) == [[a], [b], [c]]
    assert placed([a, b, c], [a, c]) == [[a], [], [c]]
    assert placed([a, b, c], [a, (0xE1, b"other"), c]) == [[a], [(0xE1, b"other")], [c]]
    assert placed([a, b, b], [a, (0xE1, b"joined")]) == [[a], [(0xE1, b"joined")], []]
    assert placed([a], []) == [[]]


def test_touched_pixels_reach_one_pixel_beyond_their_units():
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:64, :64]), subsampling=2)
    structure = coefficients.read_coefficients(data).structure
    touched = tuple(np.zeros(one.size, bool) for one in structure.components)
    touched[1][1, 1] = True
    mask = checking.touched_pixels(structure, touched)
    assert np.argwhere(mask).min(axis=0).tolist() == [15, 15]
    assert np.argwhere(mask).max(axis=0).tolist() == [32, 32]


def test_a_source_knows_whether_its_pixels_are_the_file_s():
    source = Source(b"", np.zeros((2, 2, 3), np.uint8), 1)
    assert source.is_unchanged()
    source.pixels[0, 0, 0] = 1
    assert not source.is_unchanged()


def test_end_marks_that_are_missing_are_added():
    data = files.pillow(np.ascontiguousarray(files.PHOTO[:64, :64]))[:-2]
    filled, result = written(with_hole(jpeg.read(data, "x")))
    assert result.lossless
    assert filled.endswith(b"\xff\xd9")
    Image.open(io.BytesIO(filled)).load()
