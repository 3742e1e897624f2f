"""EXIF, XMP and IPTC as hexadecimal digits in PNG texts named "Raw profile type ...".

ImageMagick and ExifTool write them. The text is a line break, the name, a line break, the number of
bytes, a line break, and lines of digits (source: ImageMagick, coders/png.c).
"""

import re

PREFIX = b"Raw profile type "
EXIF_PREFIX, XMP_PREFIX = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
FORM = re.compile(rb"\s*[^\r\n]*[\r\n]+[ \t]*(\d+)\s+([0-9A-Fa-f\s]*)$")


def decoded(text: bytes) -> bytes | None:
    """The bytes of a raw profile; None where it is none."""
    found = FORM.match(text)
    if found is None:
        return None
    digits = b"".join(found[2].split())
    return bytes.fromhex(digits.decode()) if len(digits) % 2 == 0 else None


def encoded(name: str, data: bytes) -> bytes:
    """The text of a raw profile."""
    digits = data.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{name}\n{len(data):8d}\n{lines}\n".encode()
