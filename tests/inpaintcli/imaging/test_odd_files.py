"""Files that other programs read are read, and written as they came."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from inpaintcli.errors import UnreadableError
from inpaintcli.imaging.formats import jpeg, png, tiff
from inpaintcli.imaging.images import FORMATS, picture_bytes

Y, X = np.mgrid[:83, :117]
WAVES = 60 * np.sin(X / 9)[..., None] * [1, 0.8, 0.6] + 40 * np.cos(Y / 11)[..., None]
RGB = np.clip(128 + WAVES, 0, 255).astype(np.uint8)


def saved(form, **options):
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, form, **options)
    return out.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


# PNG


def chunk(kind, content, wrong=0):
    checksum = zlib.crc32(kind + content) ^ wrong
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_chunk(data, added):
    return data[:33] + added + data[33:]


def test_png_with_a_profile_of_more_than_a_megabyte():
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(1_200_000)
    icc = struct.pack(">I", len(plain)) + plain[4:]
    data = with_chunk(saved("PNG"), chunk(b"iCCP", b"scanner\0\0" + zlib.compress(icc)))
    picture = png.read(data, "x")
    assert np.array_equal(picture.pixels, RGB)
    assert picture.origin.icc == icc
    assert png.read(png.write(picture), "x").origin.icc == icc


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", [b"tEXt", b"iCCP", b"gAMA", b"pHYs"])
def test_png_with_a_wrong_checksum_of_metadata_is_read_without_these(kind, deep, capfd):
    data = png._body_16(RGB.astype(np.uint16) * 257) if deep else saved("PNG")
    picture = png.read(with_chunk(data, chunk(kind, b"Author\0me", wrong=1)), "x")
    assert np.array_equal(picture.pixels, RGB * np.uint16(257) if deep else RGB)
    assert kind.decode() in picture.origin.remarks[0]
    assert picture.origin.encoding.chunks == ()
    assert capfd.readouterr() == ("", "")


def test_png_without_its_end_is_read_if_its_pixels_are_there():
    data = saved("PNG")
    assert data.endswith(b"IEND\xaeB`\x82")
    picture = png.read(data[:-12], "x")
    assert np.array_equal(picture.pixels, RGB)
    assert "end" in picture.origin.remarks[0]
    with pytest.raises(UnreadableError, match="the end is missing"):
        png.read(data[:-60], "x")


# JPEG


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"subsampling": 2, "optimize": True}, {"progressive": True}]
)
def test_jpeg_that_lacks_its_last_two_bytes_is_read_if_no_pixel_is_missing(quality, options):
    data = saved("JPEG", quality=quality, **options)
    for cut in (data[:-2], data[:-1]):
        picture = jpeg.read(cut, "x")
        assert np.array_equal(picture.pixels, jpeg.read(data, "x").pixels)
        assert "end mark" in picture.origin.remarks[0]
    for lost in (5, 20, 300):
        with pytest.raises(UnreadableError, match="the end is missing"):
            jpeg.read(data[:-lost], "x")


def test_a_progressive_jpeg_without_its_last_scans_is_refused():
    data = saved("JPEG", progressive=True)
    ends = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xc4"][-3:]
    for end in ends:  # before the tables of a scan
        with pytest.raises(UnreadableError, match="the end is missing"):
            jpeg.read(data[:end], "x")


@pytest.mark.parametrize("junk", [bytes(7), b"\xff\xff\xff", b"some words"])
def test_bytes_between_a_jpegs_segments_are_skipped(junk):
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "Maker"
    data = saved("JPEG", exif=exif.tobytes())
    at = data.index(b"\xff\xe1")
    picture = jpeg.read(data[:at] + junk + data[at:], "x")
    assert (picture.height, picture.width) == (117, 83)
    assert opened(jpeg.write(picture)).getexif()[0x10F] == "Maker"


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("factors", [0x411111, 0x121111, 0x221111, 0x211111, 0x111111])
def test_every_chroma_sampling_is_written_as_it_came(factors, progressive):
    settings = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors, cv2.IMWRITE_JPEG_QUALITY, 88]
    settings += [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    data = cv2.imencode(".jpg", RGB, settings)[1].tobytes()
    picture = jpeg.read(data, "x")
    again = jpeg.write(picture)
    assert opened(again).layer == opened(data).layer
    assert opened(again).quantization == opened(data).quantization
    assert bool(opened(again).info.get("progressive")) == bool(progressive)
    assert len(again) == pytest.approx(len(data), abs=600)
    by_opencv = cv2.imdecode(np.frombuffer(again, np.uint8), 1)[..., ::-1]
    for found in (np.asarray(opened(again)), by_opencv):
        assert np.abs(found.astype(int) - picture.pixels).mean() < 1


def test_rgb_without_adobes_mark_stays_rgb():
    data = saved("JPEG", keep_rgb=True, quality=90)
    at = data.index(b"\xff\xee")
    data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    picture = jpeg.read(data, "x")
    again = jpeg.write(picture)
    assert [one[0] for one in opened(again).layer] == list(b"RGB")
    assert np.abs(jpeg.read(again, "x").pixels.astype(int) - picture.pixels).mean() < 0.5


# TIFF


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_tiff_of_fill_order_2(compression):
    data = saved("TIFF", compression=compression, tiffinfo={266: 2})
    assert np.array_equal(tiff.read(data, "x").pixels, RGB)


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_tiff_resolutions_of_any_type(kind):
    data = bytearray(saved("TIFF", dpi=(72, 72)))
    (start,) = struct.unpack_from("<I", data, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, at)[0] in (282, 283):
            struct.pack_into("<H", data, at + 2, kind)
            (value,) = struct.unpack_from("<I", data, at + 8)
            if kind == 12:  # as long as a rational
                struct.pack_into("<d", data, value, 300.0)
            elif kind == 5:
                struct.pack_into("<II", data, value, 900, 3)
            else:
                struct.pack_into({3: "<H", 4: "<I", 11: "<f"}[kind], data, at + 8, 300)
    assert tiff.read(bytes(data), "x").origin.dpi == pytest.approx((300, 300))


@pytest.mark.parametrize("kinds", [(0,), (2, 0), (0, 2), (0, 0), (1, 0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
def test_tiff_channels_that_are_no_alpha_come_back(kinds, dtype, colours):
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    samples = rng.integers(0, top, (40, 50, colours + len(kinds)), dtype=dtype, endpoint=True)
    for i, kind in enumerate(kinds):
        samples[..., colours + i] = top if kind == 1 else samples[..., colours + i]
    out = io.BytesIO()
    form = "rgb" if colours == 3 else "minisblack"
    options = {"extrasamples": kinds, "planarconfig": "contig", "metadata": None}
    tifffile.imwrite(out, samples, photometric=form, **options)
    picture = tiff.read(out.getvalue(), "x")
    assert (picture.alpha is not None) == bool(set(kinds) & {1, 2})
    assert np.array_equal(picture.pixels, samples[..., :colours])
    with tifffile.TiffFile(io.BytesIO(tiff.write(picture))) as file:
        assert tuple(int(kind) for kind in file.pages[0].extrasamples) == kinds
        assert np.array_equal(file.asarray(), samples)


def test_channels_that_another_format_cannot_hold_are_said():
    out, heard = io.BytesIO(), []
    samples = np.dstack([RGB, RGB[..., :1]])
    tifffile.imwrite(out, samples, photometric="rgb", extrasamples=[0])
    picture_bytes(tiff.read(out.getvalue(), "x"), ".png", notes=heard.append)
    assert "channels besides" in heard[0]


def ycbcr_tiff(compression, across, down):
    """RGB as a TIFF of YCbCr of one strip, with the pixels that readers are to see."""
    height, width = 40, 60
    planes = np.asarray(Image.fromarray(RGB[:height, :width]).convert("YCbCr"))
    blocks = planes.reshape(height // down, down, width // across, across, 3).swapaxes(1, 2)
    light = blocks[..., 0].reshape(*blocks.shape[:2], -1)
    chroma = blocks[..., 1:].mean(axis=(2, 3)).round().astype(np.uint8)
    plain = np.concatenate([light, chroma], axis=2).tobytes()
    data = plain
    if compression == 5:  # by libtiff, as a strip of grey
        grey = Image.frombytes("L", (len(plain), 1), plain)
        out = io.BytesIO()
        grey.save(out, "TIFF", compression="tiff_lzw")
        with tifffile.TiffFile(io.BytesIO(out.getvalue())) as file:
            page = file.pages[0]
            data = out.getvalue()[page.dataoffsets[0] :][: page.databytecounts[0]]
    values = {256: width, 257: height, 259: compression, 262: 6, 273: 200, 277: 3, 278: height}
    values |= {279: len(data), 284: 1}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()]
    entries.append(struct.pack("<HHIHH", 258, 3, 1, 8, 0))
    entries.append(struct.pack("<HHIHH", 530, 3, 2, across, down))
    entries.sort(key=lambda one: one[1::-1])
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    full = np.dstack([planes[..., 0], chroma.repeat(down, axis=0).repeat(across, axis=1)])
    return head.ljust(200, b"\0") + data, np.asarray(Image.fromarray(full, "YCbCr").convert("RGB"))


@pytest.mark.parametrize("compression", [1, 5])
@pytest.mark.parametrize("factors", [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_tiff_of_ycbcr_without_jpeg(compression, factors):
    data, wanted = ycbcr_tiff(compression, *factors)
    picture = tiff.read(data, "x")
    assert np.abs(picture.pixels.astype(int) - wanted).max() <= 3
    assert np.array_equal(tiff.read(tiff.write(picture), "x").pixels, picture.pixels)


# Messages


@pytest.mark.parametrize("kind", FORMATS, ids=[kind.NAME for kind in FORMATS])
def test_messages_on_damaged_files_speak_of_the_file_alone(kind):
    from inpaintcli.imaging.picture import Picture

    data = kind.write(Picture(RGB))
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data[: rng.integers(16, len(data))])
        damaged[rng.integers(16, len(damaged) + 1) - 1] ^= 0xFF
        message = message_of(kind, bytes(damaged))
        words = ("0x", "b'", "object", "buffer", "decoder", "Error", "unpack", "NoneType")
        assert not [word for word in words if word in message]


def message_of(kind, data):
    try:
        kind.read(data, "photo")
    except UnreadableError as error:
        return error.message
    return ""
