"""Whether a value of metadata may be a picture, by the first bytes of formats, or by its length.

Values are bytes, or text in which bytes are written as base64 or hexadecimal digits.
"""

import re

SIGNATURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\xff\xdb\0[\x43\x84\xc5]"  # its tables: some cameras change the first bytes of a preview
    rb"|\x89PNG\r\n\x1a\n"
    rb"|RIFF....WEBP"
    rb"|GIF8[79]a"
    rb"|ftyp(?:heic|heix|mif1|avif|isom|iso2|mp4|qt  )"
    rb"|\0\0\0\x0cJXL |\0\0\0\x0cjP  "
    rb"|8BPS\0\x01",
    re.DOTALL,
)
WRITTEN_SIGNATURES = re.compile(
    rb"/9j/[A-Za-z0-9+/]{40}|iVBORw0KGgo|UklGR[A-Za-z0-9+/]{40}|R0lGOD[A-Za-z0-9+/]{20}"  # base64
    rb"|(?i:ffd8ff(?:e[0-9a-f]|db|c[04])[0-9a-f]{40}|89504e470d0a1a0a)",  # hexadecimal
)
LONG_RUN = re.compile(
    rb"[A-Za-z0-9+/=_%-]{512,}"  # one word of so many characters
    rb"|(?:[A-Za-z0-9+/=_-]{60,}\s+){5,}"  # lines of base64 or of hexadecimal digits
)
MAX_BINARY = 512
"""Bytes of a value that is neither text nor known: a smaller one holds no picture to speak of."""


def holds_picture(data: bytes) -> bool:
    """Whether the first bytes of a picture or a video are in `data`."""
    return SIGNATURES.search(data) is not None


def is_readable_text(text: bytes) -> bool:
    """Whether a text, in UTF-8 or Latin-1, is one for people: no bytes written as characters."""
    if LONG_RUN.search(text) or WRITTEN_SIGNATURES.search(text):
        return False
    return not holds_picture(text)


def is_text(data: bytes) -> bool:
    """Whether all bytes are printable characters of UTF-8 or Latin-1, tabs or line breaks."""
    return not re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]", data)


def is_harmless(data: bytes, limit: int = MAX_BINARY) -> bool:
    """Whether a value of unknown meaning shows nothing: readable text, or few bytes."""
    stripped = data.rstrip(b"\0 ")
    if not is_readable_text(stripped):
        return False
    return len(stripped) <= limit or is_text(stripped)
