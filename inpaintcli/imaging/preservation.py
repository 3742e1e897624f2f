"""Whether all of a file but what was filled came back without loss."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Preservation:
    """Whether all of a JPEG but the hole is as in the photo; else why it is not, as a clause."""

    lossless: bool
    reason: str = ""


Preserved = Callable[[Preservation], None]


def ignore(result: object) -> None:
    """For callers that want neither preservations nor notes."""
