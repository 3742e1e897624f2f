"""Every format gives back what it was given; formats are found in their folder."""

import importlib
import inspect
import io
import pkgutil
import random
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile, ImageOps
from PIL.JpegImagePlugin import get_sampling

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.imaging import formats, images
from inpaintcli.imaging.formats import _reading, bmp, jpeg, png, tiff, webp
from inpaintcli.imaging.picture import Origin, Picture, displayed, stored
from inpaintcli.imaging.picture_format import PictureFormat

NAMES = [m.name for m in pkgutil.iter_modules(formats.__path__) if not m.name.startswith("_")]
MODULES = [importlib.import_module(f"inpaintcli.imaging.formats.{name}") for name in NAMES]
each_format = pytest.mark.parametrize("kind", MODULES, ids=NAMES)
HEIGHT, WIDTH = 41, 53
HOLE = (slice(9, 23), slice(11, 30))


def noise(channels, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, channels), dtype=dtype)


def smooth(height=HEIGHT, width=WIDTH):
    """A photo-like uint8 (h, w, 3): slopes, an edge, a little noise."""
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 200 / width, y * 180 / height, 90 + 60 * np.sin(x / 9 + y / 7)], axis=2)
    rgb[height // 2 :, width // 3 :] += 40
    rgb += np.random.default_rng(1).normal(0, 2, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def same(found, wanted):
    assert np.array_equal(found.pixels, wanted.pixels)
    assert found.pixels.dtype == wanted.pixels.dtype
    assert (found.alpha is None) == (wanted.alpha is None)
    assert found.alpha is None or np.array_equal(found.alpha, wanted.alpha)


def sample(mode):
    """A Pillow image of `mode`, with transparent pixels that have colours."""
    rgba = noise(4)
    rgba[:5, :, 3] = 0
    return Image.fromarray(rgba).convert(mode)


MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "bmp": ("1", "L", "P", "RGB"),
    "webp": ("RGB", "RGBA"),
    "jpeg": ("L", "RGB"),
}
LOSSLESS = [(n, m) for n in NAMES if n != "jpeg" for m in MODES.get(n, ("RGB",))]
OPTIONS = {"webp": {"lossless": True, "exact": True}}


@each_format
def test_a_format_module_keeps_the_contract(kind):
    assert kind in images.FORMATS, "a module in the folder must be listed in the door"
    assert all(s.startswith(".") and s.islower() for s in kind.SUFFIXES)
    assert frozenset(("icc", "exif", "xmp", "photoshop")) >= kind.HOLDS
    for name in ("accepts", "read", "write"):
        stated = inspect.signature(getattr(PictureFormat, name))
        stated = stated.replace(parameters=list(stated.parameters.values())[1:])  # without self
        assert inspect.signature(getattr(kind, name)) == stated
    data = kind.write(Picture(smooth()))
    assert [k for k in MODULES if k.accepts(data[:16])] == [kind]
    picture = kind.read(data, "x")
    assert (picture.height, picture.width, picture.depth) == (HEIGHT, WIDTH, 8)
    assert picture.origin.format == kind.NAME


@pytest.mark.parametrize(("name", "mode"), LOSSLESS)
def test_what_is_not_filled_comes_back_bit_for_bit(name, mode):
    kind = importlib.import_module(f"inpaintcli.imaging.formats.{name}")
    original = sample(mode)
    data = saved(original, kind.NAME, **OPTIONS.get(name, {}))
    picture = kind.read(data, "x")
    again = kind.write(picture)
    same(kind.read(again, "x"), picture)
    assert opened(again).mode == opened(data).mode == mode
    assert np.array_equal(np.asarray(opened(again)), np.asarray(original))
    pixels = picture.pixels.copy()
    pixels[HOLE] = noise(pixels.shape[2], seed=3)[HOLE]
    filled = opened(kind.write(picture.with_pixels(pixels)))
    known = np.ones((HEIGHT, WIDTH), bool)
    known[HOLE] = False
    assert filled.mode == mode
    assert np.array_equal(np.asarray(filled)[known], np.asarray(original)[known])
    if mode not in ("1", "P"):
        assert np.array_equal(
            kind.read(kind.write(picture.with_pixels(pixels)), "x").pixels, pixels
        )


@pytest.mark.parametrize("kind", [png, tiff], ids=["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_and_alpha_come_back_bit_for_bit(kind, channels):
    samples = noise(channels, np.uint16)
    if channels in (2, 4):
        samples[:4, :, -1] = 0
    picture = Picture(*_reading.split_alpha(samples))
    data = kind.write(picture)
    same(kind.read(data, "x"), picture)
    same(kind.read(kind.write(kind.read(data, "x")), "x"), picture)
    if kind is tiff:
        assert np.array_equal(tifffile.imread(io.BytesIO(data)).reshape(samples.shape), samples)
    elif channels != 2:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), -1).reshape(samples.shape)
        assert np.array_equal(
            found[..., {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]], samples
        )


@pytest.mark.parametrize("kind", [png, tiff, bmp, webp], ids=["png", "tiff", "bmp", "webp"])
def test_colours_of_transparent_pixels_stay(kind):
    rgba = noise(4)
    rgba[:20, :, 3] = 0
    picture = Picture(rgba[..., :3], rgba[..., 3])
    same(kind.read(kind.write(picture), "x"), picture)


def test_grey_with_alpha_goes_to_formats_without_it():
    la = noise(2)
    picture = Picture(la[..., :1], la[..., 1])
    for kind in (webp, bmp):
        found = kind.read(kind.write(picture), "x")
        assert np.array_equal(found.pixels, np.repeat(picture.pixels, 3, axis=2))
        assert np.array_equal(found.alpha, picture.alpha)


# Palettes


def palette_png(count, bits=8, alphas=None):
    rng = np.random.default_rng(count)
    indices = rng.integers(0, count, (HEIGHT, WIDTH), dtype=np.uint8)
    colours = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    image = Image.frombytes("P", (WIDTH, HEIGHT), indices.tobytes())
    image.putpalette(colours.tobytes())
    options = {} if alphas is None else {"transparency": bytes(alphas)}
    return saved(image, "PNG", bits=bits, **options), indices, colours


def chunk(data, kind):
    return dict(png._whole_chunks(data)[0]).get(kind)


@pytest.mark.parametrize("alphas", [None, (0, 99)])
@pytest.mark.parametrize(("count", "bits"), [(2, 1), (3, 2), (9, 4), (100, 8), (256, 8)])
def test_a_palette_stays_the_same_palette(count, bits, alphas):
    data, indices, colours = palette_png(count, bits, alphas)
    picture = png.read(data, "x")
    assert picture.origin.mode == "palette"
    assert np.array_equal(picture.pixels, colours[indices])
    again = png.write(picture)
    for kind in (b"IHDR", b"PLTE", b"tRNS"):
        assert chunk(again, kind) == chunk(data, kind)
    assert np.array_equal(np.asarray(opened(again)), indices)


def test_hole_colours_take_free_palette_entries():
    data, indices, colours = palette_png(100)
    picture = png.read(data, "x")
    pixels = picture.pixels.copy()
    pixels[HOLE] = (9, 200, 7)
    pixels[9:12, 11:30] = (1, 2, 3)
    found = png.read(png.write(picture.with_pixels(pixels)), "x")
    assert np.array_equal(found.pixels, pixels)
    assert np.array_equal(found.origin.palette.colours[:100], colours)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[HOLE] = False
    assert np.array_equal(found.origin.palette.indices[outside], indices[outside])


def test_many_hole_colours_are_quantised_to_the_free_entries():
    data, _, colours = palette_png(200)
    picture = png.read(data, "x")
    pixels = picture.pixels.copy()
    pixels[HOLE] = smooth()[HOLE]
    found = png.read(png.write(picture.with_pixels(pixels)), "x")
    nearest_old = (
        np.abs(pixels[HOLE][:, :, None].astype(int) - colours).sum(axis=3).min(axis=2).mean()
    )
    error = np.abs(found.pixels[HOLE].astype(int) - pixels[HOLE]).sum(axis=2).mean()
    assert len(found.origin.palette.colours) <= 256
    assert error < nearest_old / 2


def test_a_full_palette_gives_the_nearest_entries():
    data, indices, colours = palette_png(256)
    picture = png.read(data, "x")
    pixels = picture.pixels.copy()
    pixels[HOLE] = smooth()[HOLE]
    found = png.read(png.write(picture.with_pixels(pixels)), "x")
    used = np.unique(indices[known_outside()])
    far = ((pixels[HOLE][:, :, None].astype(int) - colours[used]) ** 2).sum(axis=3).min(axis=2)
    got = ((found.pixels[HOLE].astype(int) - pixels[HOLE]) ** 2).sum(axis=2)
    assert (got <= far).all()
    assert np.array_equal(found.origin.palette.colours[used], colours[used])


def known_outside():
    known = np.ones((HEIGHT, WIDTH), bool)
    known[HOLE] = False
    return known


def test_a_filled_transparent_hole_of_a_palette_shows():
    data, _, _ = palette_png(20, alphas=(0,))
    picture = png.read(data, "x")
    pixels, alpha = picture.pixels.copy(), picture.alpha.copy()
    assert (alpha == 0).any()
    pixels[alpha == 0] = (7, 8, 9)
    alpha[:] = 255
    found = png.read(png.write(picture.with_pixels(pixels).with_alpha(alpha)), "x")
    assert np.array_equal(found.pixels, pixels)
    assert (found.alpha is None) or (found.alpha == 255).all()


@pytest.mark.parametrize("kind", [tiff, bmp], ids=["tiff", "bmp"])
def test_a_palette_goes_over_to_another_format(kind):
    data, indices, _ = palette_png(77)
    picture = png.read(data, "x")
    found = kind.read(kind.write(picture), "x")
    assert found.origin.mode == "palette"
    assert np.array_equal(found.origin.palette.indices, indices)
    assert np.array_equal(found.pixels, picture.pixels)


# PNG


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("keyed", [False, True])
def test_png_grey_keeps_its_bits_and_its_key(depth, keyed):
    levels = np.random.default_rng(0).integers(0, 1 << depth, (HEIGHT, WIDTH))
    if depth == 16:
        base = png._body_16(levels.astype(np.uint16)[:, :, None])
    else:
        scaled = (levels * (255 // ((1 << depth) - 1))).astype(np.uint8)
        base = saved(Image.fromarray(scaled), "PNG", bits=depth)
    chunks = png._whole_chunks(base)[0][:-1]
    if keyed:
        chunks.insert(1, (b"tRNS", struct.pack(">H", int(levels[0, 0]))))
    data = png._file(chunks)
    picture = png.read(data, "x")
    assert (picture.alpha is not None) == keyed
    if keyed:
        assert np.array_equal(picture.alpha == 0, levels == levels[0, 0])
    again = png.write(picture)
    assert chunk(again, b"IHDR") == chunk(data, b"IHDR")
    assert chunk(again, b"tRNS") == chunk(data, b"tRNS")
    same(png.read(again, "x"), picture)


def test_a_filled_pixel_of_the_key_colour_does_not_become_transparent():
    rgb = noise(3)
    base = png._whole_chunks(saved(Image.fromarray(rgb), "PNG"))[0][:-1]
    base.insert(1, (b"tRNS", struct.pack(">HHH", *rgb[0, 0].tolist())))
    picture = png.read(png._file(base), "x")
    pixels = picture.pixels.copy()
    pixels[HOLE] = rgb[0, 0]
    found = png.read(png.write(picture.with_pixels(pixels)), "x")
    assert np.array_equal(found.alpha, picture.alpha)
    assert np.abs(found.pixels.astype(int) - pixels).max() <= 1


def test_png_chunks_go_over_byte_for_byte():
    extra = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", bytes(range(32))),
        (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
        (b"tEXt", b"Author\0somebody"),
        (b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(b"\niptc\n 4\n1c020000\n")),
        (b"tIME", bytes((7, 230, 1, 2, 3, 4, 5))),
        (b"vpAg", bytes(9)),
    ]
    base = png._whole_chunks(saved(Image.fromarray(smooth()), "PNG"))[0][:-1]
    data = png._file([base[0], *extra, *base[1:]])
    picture = png.read(data, "x")
    found = png._whole_chunks(png.write(picture))[0]
    assert all(c in found for c in extra)
    assert picture.origin.dpi == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_interlaced_png_is_read(dtype):
    rgb = noise(3, dtype)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    raw = b"".join(
        b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes()
        for y, x, down, right in [*passes, (1, 0, 2, 1)]
        for row in rgb[y::down, x::right]
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8 * rgb.itemsize, 2, 0, 0, 1)
    data = png._file([(b"IHDR", header), (b"IDAT", zlib.compress(raw))])
    assert np.array_equal(png.read(data, "x").pixels, rgb)


# JPEG


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 60, "subsampling": 2},
        {"quality": 92, "subsampling": 1},
        {"quality": 85, "subsampling": 0, "progressive": True},
        {"quality": 75, "optimize": True},
    ],
)
def test_jpeg_is_coded_as_it_was(mode, options):
    data = saved(Image.fromarray(smooth(300, 400)).convert(mode), "JPEG", **options)
    picture = jpeg.read(data, "x")
    again = jpeg.write(picture)
    before, after = opened(data), opened(again)
    assert after.quantization == before.quantization
    assert get_sampling(after) == get_sampling(before)
    assert after.info.get("progressive") == before.info.get("progressive")
    assert after.mode == mode
    assert len(again) == pytest.approx(len(data), rel=0.05)
    difference = jpeg.read(again, "x").pixels.astype(int) - picture.pixels
    assert np.abs(difference).mean() < 0.7


@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}])
def test_noise_that_outgrows_pillows_buffer_is_written(options, monkeypatch, capfd):
    rgb = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    with monkeypatch.context() as patch:
        patch.setattr(ImageFile, "MAXBLOCK", 1 << 22)
        data = saved(Image.fromarray(rgb), "JPEG", quality=100, subsampling=0, **options)
    assert len(data) > 2 * 500 * 500
    again = jpeg.write(jpeg.read(data, "x"))
    assert len(again) == pytest.approx(len(data), rel=0.02)
    assert opened(again).info.get("progressive") == options.get("progressive")
    assert ImageFile.MAXBLOCK < 1 << 22
    assert capfd.readouterr().err == ""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_a_tiny_jpeg_of_more_bytes_than_pixels_is_written(side):
    data = saved(Image.fromarray(smooth(side, side)), "JPEG", optimize=True)
    assert len(data) > side * side
    assert jpeg.read(jpeg.write(jpeg.read(data, "x")), "x").pixels.shape == (side, side, 3)


def test_jpeg_segments_go_over_byte_for_byte():
    plain = saved(Image.fromarray(smooth()), "JPEG")
    kept = (
        (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x09\x1c\x02\x78\0\x04city\0"),
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(300)),
        (0xEB, b"whatever"),
        (0xFE, b"a comment"),
    )
    gone = ((0xE2, b"MPF\0" + bytes(80)),)
    data = plain[:20] + b"".join(jpeg._packed(*s) for s in (*kept, *gone)) + plain[20:]
    found = list(jpeg._segments(jpeg.write(jpeg.read(data, "x"))))
    assert all(segment in found for segment in kept)
    assert not any(segment in found for segment in gone)
    assert sum(marker == 0xE0 for marker, _ in found) == 1


def test_jpeg_without_ycbcr_stays_so():
    data = saved(Image.fromarray(smooth()), "JPEG", keep_rgb=True)
    again = jpeg.write(jpeg.read(data, "x"))
    assert opened(again).info["adobe_transform"] == 0
    assert np.abs(jpeg.read(again, "x").pixels.astype(int) - smooth()).mean() < 4


# TIFF


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("form", ["strips", "tiles", "planes", "tiled planes"])
@pytest.mark.parametrize("packed", [False, True])
def test_tiff_layouts_are_read(dtype, channels, order, form, packed):
    samples = noise(channels, dtype)
    options = {"photometric": "rgb" if channels > 2 else "minisblack", "metadata": None}
    options |= {"tile": (16, 32)} if "tile" in form else {"rowsperstrip": 7}
    data = samples[:, :, 0] if channels == 1 else samples
    if "planes" in form and channels > 1:
        data, options["planarconfig"] = np.moveaxis(samples, -1, 0), "separate"
    elif channels > 1:
        options["planarconfig"] = "contig"
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    if packed:
        options |= {"compression": "zlib", "predictor": True}
    out = io.BytesIO()
    tifffile.imwrite(out, data, byteorder=order, **options)
    wanted = Picture(*_reading.split_alpha(samples))
    picture = tiff.read(out.getvalue(), "x")
    same(picture, wanted)
    again = tiff.write(picture)
    same(tiff.read(again, "x"), wanted)
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        assert file.byteorder == order
        assert np.array_equal(file.asarray().reshape(samples.shape), samples)


PREDICTABLE = [
    (packing, mode, 2)
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "zstd")
    for mode in ("L", "LA", "RGB", "RGBA", "I;16")
]
PLAIN = [
    (packing, mode, 1)
    for packing in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd", "lzma")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
]


@pytest.mark.parametrize(("compression", "mode", "predictor"), PREDICTABLE + PLAIN)
def test_tiff_compressions_are_read(compression, mode, predictor):
    image = Image.fromarray(noise(1, np.uint16)[..., 0]) if mode == "I;16" else sample(mode)
    info = {317: predictor, 278: 7}
    picture = tiff.read(saved(image, "TIFF", compression=compression, tiffinfo=info), "x")
    plain = image.convert({"P": "RGB", "1": "L"}.get(mode, mode)) if mode != "I;16" else image
    same(picture, Picture(*_reading.split_alpha(np.array(plain))))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_lzw_tiff_is_read(channels):
    samples = noise(channels, np.uint16)
    ok, data = cv2.imencode(".tiff", samples, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert ok
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    same(
        tiff.read(data.tobytes(), "x"), Picture(*_reading.split_alpha(samples[:, :, order].copy()))
    )


def test_fax_and_jpeg_coded_tiffs_are_read():
    bits = sample("1")
    picture = tiff.read(saved(bits, "TIFF", compression="group4"), "x")
    assert picture.origin.mode == "bilevel"
    assert np.array_equal(picture.pixels[..., 0] > 0, np.asarray(bits))
    photo = Image.fromarray(smooth())
    picture = tiff.read(saved(photo, "TIFF", compression="jpeg", quality=95), "x")
    assert np.abs(picture.pixels.astype(int) - smooth()).mean() < 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_multiplied_alpha_comes_back_bit_for_bit(dtype):
    top = np.iinfo(dtype).max
    alpha = noise(1, dtype, seed=5)[..., 0]
    alpha[:3] = 0
    rgb = (noise(3, dtype).astype(np.uint64) * alpha[..., None] // top).astype(dtype)
    samples = np.dstack([rgb, alpha])
    out = io.BytesIO()
    tifffile.imwrite(
        out, samples, photometric="rgb", extrasamples=["assocalpha"], compression="zlib"
    )
    picture = tiff.read(out.getvalue(), "x")
    assert not np.array_equal(picture.pixels, rgb)
    again = tiff.write(picture)
    assert np.array_equal(tifffile.imread(io.BytesIO(again)), samples)
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        assert [int(e) for e in file.pages[0].extrasamples] == [1]


def test_a_preview_beside_the_picture_is_no_second_page():
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(smooth(), photometric="rgb")
        writer.write(smooth()[::4, ::4], photometric="rgb", subfiletype=1)
    assert np.array_equal(tiff.read(out.getvalue(), "x").pixels, smooth())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_is_turned_over_and_back(dtype):
    out = io.BytesIO()
    grey = noise(1, dtype)[..., 0]
    tifffile.imwrite(out, grey, photometric="miniswhite")
    picture = tiff.read(out.getvalue(), "x")
    assert np.array_equal(picture.pixels[..., 0], np.iinfo(dtype).max - grey)
    assert np.array_equal(tifffile.imread(io.BytesIO(tiff.write(picture))), grey)


def test_what_an_extra_channel_is_stays_as_the_file_said():
    for meaning, number in (("unspecified", 0), ("assocalpha", 1), ("unassalpha", 2)):
        out = io.BytesIO()
        samples = np.dstack([smooth(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
        tifffile.imwrite(out, samples, photometric="rgb", extrasamples=[meaning])
        with tifffile.TiffFile(io.BytesIO(tiff.write(tiff.read(out.getvalue(), "x")))) as file:
            assert [int(kind) for kind in file.pages[0].extrasamples] == [number]


def few_bits(bits, photometric, colour_map=()):
    """A hand-made TIFF of noise, unpacked; its values uint8 (h, w)."""
    values = noise(1)[..., 0] >> (8 - bits)
    digits = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :]
    rows = np.packbits(digits.reshape(HEIGHT, -1), axis=1).tobytes()
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 262: photometric, 277: 1, 279: len(rows)}
    table = struct.pack(f"<{len(colour_map)}H", *colour_map)
    start = 8 + 2 + 12 * (len(tags) + 1 + bool(table)) + 4
    entries = [(tag, 4, 1, value) for tag, value in {**tags, 273: start + len(table)}.items()]
    entries += [(320, 3, len(colour_map), start)] if table else []
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    return head + table + rows, values


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_tiff_keeps_its_bits(bits, photometric):
    data, values = few_bits(bits, photometric)
    wanted = values * (255 // ((1 << bits) - 1))
    picture = tiff.read(data, "x")
    assert np.array_equal(picture.pixels[..., 0], wanted if photometric else 255 - wanted)
    again = tiff.write(picture)
    same(tiff.read(again, "x"), picture)
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        assert (int(file.pages[0].bitspersample), int(file.pages[0].photometric)) == (
            bits,
            photometric,
        )


@pytest.mark.parametrize("bits", [4, 8])
def test_a_tiff_keeps_the_16_bits_of_its_palette(bits):
    colour_map = np.random.default_rng(3).integers(0, 1 << 16, 3 << bits).tolist()
    data, _ = few_bits(bits, 3, colour_map)
    picture = tiff.read(data, "x")
    pixels = picture.pixels.copy()
    pixels[HOLE] = 7
    again = tiff.write(picture.with_pixels(pixels))
    assert np.array_equal(tiff.read(again, "x").pixels[:9], picture.pixels[:9])
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        found = file.pages[0].tags[320].value
        assert int(file.pages[0].bitspersample) == bits
    used = np.unique(picture.origin.palette.indices[:9]).astype(int)
    for channel in range(3):
        numbers = used + (channel << bits)
        assert np.array_equal(np.take(found, numbers), np.take(colour_map, numbers))


def test_a_tiff_without_a_resolution_is_given_none():
    again = tiff.write(tiff.read(saved(Image.fromarray(smooth()), "TIFF"), "x"))
    assert tiff.read(again, "x").origin.dpi is None


@pytest.mark.parametrize(("compression", "mode", "predictor"), PREDICTABLE + PLAIN)
def test_a_tiff_comes_back_in_its_compression(compression, mode, predictor):
    image = Image.fromarray(noise(1, np.uint16)[..., 0]) if mode == "I;16" else sample(mode)
    data = saved(image, "TIFF", compression=compression, tiffinfo={317: predictor, 278: 7})
    written = tiff.write(tiff.read(data, "x"))
    with tifffile.TiffFile(io.BytesIO(data)) as one, tifffile.TiffFile(io.BytesIO(written)) as two:
        first, second = one.pages.first, two.pages.first
        assert (second.compression, second.predictor) == (first.compression, first.predictor)
    same(tiff.read(written, "x"), tiff.read(data, "x"))
    shown = "I;16" if mode == "I;16" else "RGBA"
    before, after = (np.asarray(Image.open(io.BytesIO(x)).convert(shown)) for x in (data, written))
    np.testing.assert_array_equal(before, after)  # by libtiff, too


@pytest.mark.parametrize("codec", [5, 50000, 32773, 32946])
@pytest.mark.parametrize("shape", [(700, 600, 3), (40, 50, 4), (1, 1, 3)])
def test_16_bits_come_back_in_their_compression(codec, shape):
    pixels = np.random.default_rng(0).integers(0, 900, shape, dtype=np.uint16)
    alpha = pixels[..., 3] if shape[2] == 4 else None
    origin = Origin("TIFF", encoding=tiff.TiffEncoding(compression=codec))
    written = tiff.write(Picture(pixels[..., :3], alpha, origin))
    again = tiff.read(written, "x")
    assert again.origin.encoding.compression == codec
    np.testing.assert_array_equal(again.pixels, pixels[..., :3])
    if alpha is not None:
        np.testing.assert_array_equal(again.alpha, alpha)


# WebP


def test_webp_lossless_stays_lossless_and_lossy_lossy():
    for lossless, code in ((True, b"VP8L"), (False, b"VP8 ")):
        data = saved(Image.fromarray(smooth()), "WebP", lossless=lossless)
        picture = webp.read(data, "x")
        assert picture.origin.encoding.lossless is lossless
        again = webp.write(picture)
        assert code in [kind for kind, _ in webp._chunks(again)]
        difference = np.abs(webp.read(again, "x").pixels.astype(int) - picture.pixels).mean()
        assert difference == 0 if lossless else difference < 3


# Orientation


def turned_file(kind, orientation):
    stored_rgb = smooth(24, 37)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind is webp else {}
    return saved(Image.fromarray(stored_rgb), kind.NAME, exif=exif, **options), stored_rgb


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [jpeg, png, tiff, webp], ids=["jpeg", "png", "tiff", "webp"])
def test_a_turned_photo_is_read_and_written_as_it_shows(kind, orientation):
    data, _ = turned_file(kind, orientation)
    picture = kind.read(data, "x")
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert picture.origin.orientation == orientation
    assert np.array_equal(picture.pixels, shown)
    again = kind.write(picture)
    assert kind.read(again, "x").origin.orientation == orientation
    after = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(again))))
    assert np.abs(after.astype(int) - shown).mean() < 1
    assert after.shape == shown.shape
    tag_free = Image.open(io.BytesIO(again))
    assert tag_free.getexif()[274] == orientation


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
@pytest.mark.parametrize("target", MODULES, ids=NAMES)
@pytest.mark.parametrize("kind", [jpeg, png, tiff, webp], ids=["jpeg", "png", "tiff", "webp"])
def test_a_turned_photo_shows_the_same_way_in_every_format(kind, target, orientation):
    picture = kind.read(turned_file(kind, orientation)[0], "x")
    found = target.read(target.write(picture), "x")
    assert np.abs(found.pixels.astype(int) - picture.pixels).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stored_is_the_inverse_of_displayed(orientation):
    samples = noise(3)
    assert np.array_equal(stored(displayed(samples, orientation), orientation), samples)


def test_orientation_reaches_the_tag_even_without_an_exif_block():
    picture = Picture(smooth(), None, Origin("TIFF", orientation=6))
    for kind in (jpeg, png, webp, tiff):
        found = kind.read(kind.write(picture), "x")
        assert found.origin.orientation == 6
        assert found.pixels.shape == picture.pixels.shape


# ICC, EXIF, XMP, DPI without exiftool


@pytest.mark.parametrize("kind", [jpeg, png, tiff, webp], ids=["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("source", [jpeg, png, tiff, webp], ids=["jpeg", "png", "tiff", "webp"])
def test_what_every_format_holds_goes_over_without_exiftool(source, kind):
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[0x8769] = {0x9003: "2024:01:02 03:04:05"}
    seed = Picture(
        smooth(), None, Origin(icc=icc, exif=exif.tobytes()[6:], xmp=xmp, dpi=(300.0, 300.0))
    )
    found = kind.read(kind.write(source.read(source.write(seed), "x")), "x").origin
    assert found.icc == icc
    assert found.xmp == xmp
    back = Image.Exif()
    back.load(found.exif)
    assert back[271] == "Maker"
    assert back.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05"
    if webp not in (source, kind):
        assert found.dpi == pytest.approx((300, 300), abs=1)


@each_format
@pytest.mark.parametrize("dpi", [(0.0, 0.0), (1e12, 1e12), (float("nan"), 300.0), (-5.0, 72.0)])
def test_senseless_metadata_do_not_cost_the_picture(kind, dpi):
    exif = Image.Exif()
    exif[274], exif[37510] = 6, b"x" * 70000
    origin = Origin(
        exif=exif.tobytes()[6:], orientation=6, dpi=dpi, xmp=b"x" * 70000, icc=b"no profile"
    )
    found = kind.read(kind.write(Picture(smooth(), None, origin)), "x")
    assert found.pixels.shape == (HEIGHT, WIDTH, 3)
    assert found.origin.orientation == (1 if kind is bmp else 6)


# What is refused


@pytest.mark.parametrize(
    ("mode", "form", "word"),
    [("CMYK", "JPEG", "CMYK"), ("CMYK", "TIFF", "CMYK"), ("LAB", "TIFF", "Lab")],
)
def test_colours_that_cannot_come_back_are_refused(mode, form, word):
    data = saved(Image.new(mode, (9, 9)), form)
    kind = jpeg if form == "JPEG" else tiff
    with pytest.raises(UnreadableError, match=word) as caught:
        kind.read(data, "photo.jpg")
    assert "photo.jpg" in caught.value.message
    assert "RGB" in caught.value.hint


@pytest.mark.parametrize(("kind", "form"), [(png, "PNG"), (webp, "WebP"), (tiff, "TIFF")])
def test_files_of_several_pictures_are_refused(kind, form):
    frames = [Image.fromarray(smooth()), Image.fromarray(255 - smooth())]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match=r"animated|pages"):
        kind.read(data, "x")


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32, np.float64])
def test_tiffs_of_other_samples_are_refused(dtype):
    out = io.BytesIO()
    tifffile.imwrite(out, smooth().astype(dtype), photometric="rgb")
    with pytest.raises(UnreadableError, match="bit"):
        tiff.read(out.getvalue(), "x")


@each_format
def test_sizes_beyond_any_photo_are_refused_before_decoding(kind, monkeypatch):
    data = kind.write(Picture(smooth()))
    monkeypatch.setattr(_reading, "MAX_PIXELS", HEIGHT * WIDTH - 1)
    with pytest.raises(UnreadableError, match="megapixels"):
        kind.read(data, "x")


def test_a_png_bomb_is_refused_by_its_header():
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    with pytest.raises(UnreadableError, match="60000x60000"):
        png.read(png._file([(b"IHDR", header), (b"IDAT", zlib.compress(b""))]), "x")


def test_pictures_above_pillows_own_limit_are_read():
    big = saved(Image.new("1", (20000, 9000)), "PNG")  # 180 megapixels: Pillow would refuse
    assert png.read(big, "x").width == 20000


@each_format
def test_what_a_format_cannot_hold_is_refused_with_a_way_out(kind):
    deep = Picture(noise(3, np.uint16))
    if kind in (png, tiff):
        assert kind.read(kind.write(deep), "x").depth == 16
        return
    with pytest.raises(OutputError, match="16 bits") as caught:
        kind.write(deep)
    assert ".png" in caught.value.hint


def test_jpeg_refuses_transparency_but_not_an_opaque_alpha():
    rgba = noise(4)
    with pytest.raises(OutputError, match="transparency"):
        jpeg.write(Picture(rgba[..., :3], rgba[..., 3]))
    rgba[..., 3] = 255
    assert jpeg.read(jpeg.write(Picture(rgba[..., :3], rgba[..., 3])), "x").alpha is None


@pytest.mark.parametrize(("kind", "side"), [(webp, 16384), (jpeg, 65501)])
def test_sides_that_are_too_long_are_refused(kind, side):
    with pytest.raises(OutputError, match=str(side)):
        kind.write(Picture(np.zeros((1, side, 3), np.uint8)))


# Damage


def damaged(data, rng):
    if rng.random() < 0.4:
        return data[: rng.randrange(12, len(data))]
    broken = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        # Headers and directories matter most, and lie at either end.
        place = rng.choice((len(data), min(len(data), 200)))
        broken[rng.randrange(12, place)] = rng.randrange(256)
    return bytes(broken)


def exif_with_a_tail():
    """An EXIF block of one entry, with bytes behind it that nothing points to."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 274, 3, 1, 6, 0, 0) + b"T" * 60


def victims(kind):
    yield kind.write(Picture(smooth(), None, Origin(exif=exif_with_a_tail())))
    if kind in (png, tiff):
        yield kind.write(Picture(noise(3, np.uint16)))
        yield saved(sample("P"), kind.NAME)
    if kind is tiff:
        for compression in ("tiff_lzw", "jpeg", None):
            yield saved(Image.fromarray(smooth()), "TIFF", compression=compression)
    if kind is jpeg:
        yield saved(Image.fromarray(smooth()), "JPEG", progressive=True)


@each_format
def test_damaged_files_raise_nothing_but_unreadable_and_print_nothing(kind, capfd):
    rng = random.Random(kind.NAME)
    for data in victims(kind):
        for _ in range(150):
            try:
                picture = kind.read(damaged(data, rng), "x")
            except UnreadableError as fault:
                assert fault.message.startswith("x ")  # noqa: PT017 - most damage is found, not all
            else:
                assert picture.pixels.size
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@each_format
def test_cut_files_are_refused(kind):
    data = kind.write(Picture(smooth(200, 300)))
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(UnreadableError):
            kind.read(data[: int(len(data) * share)], "x")


def test_a_picture_checks_its_arrays():
    rgb = smooth()
    with pytest.raises(ValueError, match="pixels are"):
        Picture(rgb[..., 0])
    with pytest.raises(ValueError, match="alpha is"):
        Picture(rgb, rgb[:-1, :, 0])
    with pytest.raises(ValueError, match="new pixels"):
        Picture(rgb).with_pixels(rgb[:-1])
    with pytest.raises(ValueError, match="new pixels"):
        Picture(rgb).with_pixels(rgb.astype(np.uint16))
    assert replace(Picture(rgb), alpha=rgb[..., 0].copy()).alpha is not None
