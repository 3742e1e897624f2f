"""Colour profiles: one that is none may hold anything. Source: ICC.1:2022, section 7.2."""

from inpaintcli.imaging.metadata.content import is_harmless
from inpaintcli.imaging.metadata.removals import Removals

SIGNATURE, AT = b"acsp", 36
HEADER = 128
"""Bytes."""


def cleaned(profile: bytes, removals: Removals) -> bytes | None:
    """The profile, without what lies behind it; None where it is no profile and may be a picture.

    Args:
        profile: as it lies in the file.
        removals: takes the names of what does not stay.
    """
    if profile[AT : AT + len(SIGNATURE)] != SIGNATURE:
        if is_harmless(profile):
            return profile
        removals.unreadable("a colour profile that is none")
        return None
    size = int.from_bytes(profile[:4], "big")
    if size < HEADER or is_harmless(profile[size:]):
        return profile
    removals.unreadable("bytes behind the colour profile")
    return profile[:size]
