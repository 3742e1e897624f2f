"""Files that hold a small copy of the unfilled picture, in each place where files hold one."""

import base64
import hashlib
import io
import struct
import zlib

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Y, X = np.mgrid[:60, :80]
RGB = np.stack([X * 2, Y * 3, X + Y], axis=2).astype(np.uint8)
CITY = b"\x1c\x02\x5a" + struct.pack(">H", 4) + b"Bern"
RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="Kept source" {attributes}>{elements}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def thumbnail():
    """A JPEG of noise, so that its bytes are in no other file by chance."""
    noise = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return saved(Image.fromarray(noise), "JPEG", quality=60)


THUMBNAIL = thumbnail()


def entry(tag, kind, count, value):
    packed = value if isinstance(value, bytes) else struct.pack("<I", value)
    return struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")


def directory(entries, following=0):
    table = b"".join(sorted(entries, key=lambda one: one[1::-1]))
    return struct.pack("<H", len(entries)) + table + struct.pack("<I", following)


def exif(note=b"", second=b"", sub_ifd=b""):
    """An EXIF block: camera, orientation, date, GPS; a maker note; a thumbnail; a SubIFD's picture.

    The values lie behind one another from byte 200 on.
    """
    out = bytearray(b"II*\0" + struct.pack("<I", 8)).ljust(200, b"\0")
    date = len(out)
    out += b"2024:01:02 03:04:05\0"
    latitude = len(out)
    out += struct.pack("<6I", 46, 1, 57, 1, 0, 1)
    note_at = len(out)
    out += note
    gps = len(out)
    out += directory([entry(1, 2, 2, b"N"), entry(2, 5, 3, latitude)])
    sub = len(out)
    out += directory(
        [entry(0x9003, 2, 20, date), *([entry(0x927C, 7, len(note), note_at)] * bool(note))]
    )
    pointer = len(out)
    if sub_ifd:
        body = pointer + 2 + 2 * 12 + 4
        out += directory([entry(0x201, 4, 1, body), entry(0x202, 4, 1, len(sub_ifd))]) + sub_ifd
    first = [entry(0x10F, 2, 4, b"Me1"), entry(0x112, 3, 1, 6), entry(0x8769, 4, 1, sub)]
    first += [entry(0x8825, 4, 1, gps)] + [entry(0x14A, 4, 1, pointer)] * bool(sub_ifd)
    following = len(out) if second else 0
    if second:
        body = following + 2 + 2 * 12 + 4
        out += directory([entry(0x201, 4, 1, body), entry(0x202, 4, 1, len(second))]) + second
    out[8 : 8 + 6 + 12 * len(first)] = directory(first, following)
    return bytes(out)


NOTE_AT = 200 + 20 + 24
"""Where the maker note lies in the blocks of `exif`."""


def nikon_note():
    lens = entry(0x0084, 2, 8, 100) + b""
    body = directory([entry(0x0001, 7, 4, b"0210"), lens, entry(0x0011, 4, 1, 120)])
    tiff = (b"II*\0" + struct.pack("<I", 8) + body).ljust(100, b"\0") + b"Lens 50\0"
    preview = directory([entry(0x201, 4, 1, 200), entry(0x202, 4, 1, len(THUMBNAIL))])
    return b"Nikon\0\x02\x10\0\0" + (tiff.ljust(120, b"\0") + preview).ljust(200, b"\0") + THUMBNAIL


def olympus_note():
    body = directory([entry(0x0100, 7, len(THUMBNAIL), 100), entry(0x0207, 2, 8, 80)])
    return (
        (b"OLYMPUS\0II\x03\0" + body).ljust(80, b"\0") + b"Lens 50\0".ljust(20, b"\0") + THUMBNAIL
    )


def sony_note():
    at = NOTE_AT + 100
    lens = entry(0xB02A, 2, 8, NOTE_AT + 80)
    body = directory([entry(0x2001, 7, len(THUMBNAIL), at), lens])
    return (b"SONY DSC \0\0\0" + body).ljust(80, b"\0") + b"Lens 50\0".ljust(20, b"\0") + THUMBNAIL


def canon_note():
    at = NOTE_AT + 100
    body = directory([entry(0x0095, 2, 8, NOTE_AT + 80), entry(0x4000, 7, len(THUMBNAIL), at)])
    return body.ljust(80, b"\0") + b"Lens 50\0".ljust(20, b"\0") + THUMBNAIL


def xmp(attributes="", elements=""):
    return RDF.format(attributes=attributes, elements=elements).encode()


def xmp_thumbnails():
    image = base64.b64encode(THUMBNAIL).decode()
    return xmp(
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:g="http://ns.adobe.com/xap/1.0/g/img/"',
        '<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><g:format>JPEG</g:format>'
        f"<g:image>{image}</g:image></rdf:li></rdf:Alt></xmp:Thumbnails>",
    )


def xmp_of_an_unknown_kind():
    image = base64.b64encode(THUMBNAIL).decode()
    return xmp(f'xmlns:own="http://example.org/own/" own:Copy="{image}"')


def xmp_original(name):
    """XMP of Google's, whose property `Data` is a picture."""
    start = f'xmlns:G="http://ns.google.com/photos/1.0/{name}/"'
    return xmp(f'{start} G:Mime="image/jpeg" G:Data="{base64.b64encode(THUMBNAIL).decode()}"')


def resource(number, content):
    padded = content + bytes(len(content) % 2)
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + padded


def photoshop(number=1036):
    head = struct.pack(">IIIIIIHH", 1, 64, 48, 192, 192 * 48, len(THUMBNAIL), 24, 1)
    return resource(1028, CITY) + resource(number, head + THUMBNAIL) + resource(1005, bytes(16))


def iptc_with_preview():
    return CITY + b"\x1c\x02\xca" + struct.pack(">H", len(THUMBNAIL)) + THUMBNAIL


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments):
    plain = saved(Image.fromarray(RGB), "JPEG", quality=92)
    return plain[:20] + b"".join(segments) + plain[20:]


def app1(block):
    return segment(0xE1, b"Exif\0\0" + block)


def xap(packet):
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def extended():
    whole = xmp_original("image")
    digest = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper()
    note = f'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="{digest}"'
    parts = [
        segment(
            0xE1,
            b"http://ns.adobe.com/xmp/extension/\0"
            + digest.encode()
            + struct.pack(">II", len(whole), at)
            + whole[at : at + 1500],
        )
        for at in range(0, len(whole), 1500)
    ]
    return jpeg(app1(exif()), xap(xmp(note)), *parts)


def jumbf():
    boxes = b"".join(struct.pack(">I", 8 + len(c)) + k + c for k, c in ((b"bidb", THUMBNAIL),))
    inner = struct.pack(">I", 8 + len(boxes)) + b"jumb" + boxes
    return segment(0xEB, b"JP" + struct.pack(">HI", 1, 1) + inner)


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(*chunks):
    plain = saved(Image.fromarray(RGB), "PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def raw_profile(name, data, kind=b"zTXt", label=""):
    digits = data.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{label or name}\n{len(data):8d}\n{lines}\n".encode()
    key = f"Raw profile type {name}".encode() + b"\0"
    if kind == b"tEXt":
        return chunk(kind, key + text)
    if kind == b"iTXt":
        return chunk(kind, key + b"\1\0\0\0" + zlib.compress(text))
    return chunk(kind, key + b"\0" + zlib.compress(text))


def tiff(tags=(), **options):
    """A TIFF with further tags: number, type and value."""
    info = ImageFileDirectory_v2()
    info[271] = "Me1"
    for tag, kind, value in tags:
        info.tagtype[tag] = kind
        info[tag] = value
    return saved(Image.fromarray(RGB), "TIFF", tiffinfo=info, **options)


def tiff_of_two():
    small = Image.fromarray(RGB[::4, ::4])
    small.encoderinfo = {}
    info = ImageFileDirectory_v2()
    info[254] = 1
    out = io.BytesIO()
    first = Image.fromarray(RGB)
    first.save(out, "TIFF", save_all=True, append_images=[small], compression="raw")
    data = bytearray(out.getvalue())
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    second = struct.unpack_from("<I", data, at + 2 + 12 * count)[0]
    # The first entry of the second page becomes NewSubfileType, a reduced copy.
    struct.pack_into("<HHII", data, second + 2, 254, 4, 1, 1)
    return bytes(data)


def webp(block=b"", packet=b"", extra=b""):
    data = saved(Image.fromarray(RGB), "WebP", lossless=True, exif=block, xmp=packet)
    data += extra
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def webp_chunk(kind, content):
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def mpf():
    images = [Image.fromarray(RGB), Image.open(io.BytesIO(THUMBNAIL))]
    data = saved(images[0], "MPO", save_all=True, append_images=images[1:])
    return data[: data.rindex(b"\xff\xd8\xff")] + THUMBNAIL


def tiff_with_sub_ifd():
    at = len(tiff([(330, 4, 1 << 20)]))
    pointed = directory([entry(0x201, 4, 1, at + 30), entry(0x202, 4, 1, len(THUMBNAIL))])
    return tiff([(330, 4, at)]) + pointed + THUMBNAIL


BASE64_TEXT = b"A copy: " + base64.b64encode(THUMBNAIL)
CARRIERS = {
    "EXIF thumbnail": [
        ("jpg", jpeg(app1(exif(second=THUMBNAIL)))),
        ("png", png(chunk(b"eXIf", exif(second=THUMBNAIL)))),
        ("webp", webp(exif(second=THUMBNAIL))),
    ],
    "EXIF SubIFDs": [("jpg", jpeg(app1(exif(sub_ifd=THUMBNAIL))))],
    "previews in maker notes": [
        ("jpg", jpeg(app1(exif(note))))
        for note in (nikon_note(), olympus_note(), sony_note(), canon_note())
    ],
    "maker notes of unknown form": [("jpg", jpeg(app1(exif(b"Unknown!" + THUMBNAIL))))],
    "raw profiles in PNG": [
        ("png", png(raw_profile(name, b"Exif\0\0" + exif(second=THUMBNAIL), kind)))
        for name, kind in (("exif", b"zTXt"), ("APP1", b"tEXt"), ("exif", b"iTXt"))
    ]
    + [
        ("png", png(raw_profile("xmp", xmp_thumbnails()))),
        ("png", png(raw_profile("8bim", photoshop()))),
        ("png", png(raw_profile("iptc", photoshop(1033)))),
    ],
    "XMP thumbnails": [
        ("jpg", jpeg(xap(xmp_thumbnails()))),
        ("png", png(chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp_thumbnails()))),
        ("tif", tiff([(700, 1, xmp_thumbnails())])),
        ("webp", webp(packet=xmp_thumbnails())),
    ],
    "GImage, GDepth and GAudio in XMP": [
        ("jpg", jpeg(xap(xmp_original(name)))) for name in ("image", "depthmap", "audio")
    ],
    "extended XMP": [("jpg", extended())],
    "other bytes written as text in XMP": [
        ("jpg", jpeg(xap(xmp_of_an_unknown_kind()))),
        ("jpg", jpeg(xap(xmp("", f"<!-- {base64.b64encode(THUMBNAIL).decode()} -->")))),
    ],
    "Photoshop's thumbnails (8BIM 1033, 1036)": [
        ("jpg", jpeg(segment(0xED, b"Photoshop 3.0\0" + photoshop(1036)))),
        ("jpg", jpeg(segment(0xED, b"Photoshop 3.0\0" + photoshop(1033)))),
        ("tif", tiff([(34377, 1, photoshop())])),
    ],
    "IPTC's preview (2:202)": [
        ("jpg", jpeg(segment(0xED, b"Photoshop 3.0\0" + resource(1028, iptc_with_preview())))),
        ("tif", tiff([(33723, 7, iptc_with_preview())])),
    ],
    "Photoshop's layers (TIFF tag 37724)": [
        ("tif", tiff([(37724, 7, b"Adobe Photoshop Document Data Block\0" + THUMBNAIL)]))
    ],
    "C2PA manifest (JUMBF)": [
        ("jpg", jpeg(jumbf())),
        ("png", png(chunk(b"caBX", b"\0\0\0\x08jumb" + THUMBNAIL))),
        ("tif", tiff([(52545, 7, b"\0\0\0\x08jumb" + THUMBNAIL)])),
        ("webp", webp(extra=webp_chunk(b"C2PA", b"\0\0\0\x08jumb" + THUMBNAIL))),
    ],
    "JFIF thumbnails": [("jpg", jpeg(segment(0xE0, b"JFXX\0\x10" + THUMBNAIL)))],
    "pictures behind a JPEG (MPF)": [("jpg", mpf())],
    "other JPEG segments and comments": [
        ("jpg", jpeg(segment(0xE1, b"FLIR\0" + THUMBNAIL))),
        ("jpg", jpeg(segment(0xE2, b"FPXR\0" + THUMBNAIL))),
        ("jpg", jpeg(segment(0xFE, BASE64_TEXT))),
    ],
    "other PNG texts": [
        ("png", png(chunk(b"tEXt", b"copy\0" + BASE64_TEXT))),
        ("png", png(chunk(b"zTXt", b"copy\0\0" + zlib.compress(BASE64_TEXT)))),
    ],
    "other PNG chunks": [
        ("png", png(chunk(b"prVW", THUMBNAIL))),
        ("png", png(chunk(b"mkBT", THUMBNAIL))),
        ("png", png(chunk(b"owNs", THUMBNAIL))),
    ],
    "other WebP chunks": [("webp", webp(extra=webp_chunk(b"OWN ", THUMBNAIL)))],
    "other TIFF tags": [("tif", tiff([(65000, 7, THUMBNAIL)]))],
    "reduced copies (TIFF pages, SubIFDs)": [("tif", tiff_with_sub_ifd()), ("tif", tiff_of_two())],
}
"""By the names in docs/reference/metadata.md: suffix and content of files."""
