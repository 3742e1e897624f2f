"""A colour as the hole: the pixels whose every channel is near enough to it."""

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UsageError
from inpaintcli.imaging.picture import Mask, Picture, Samples

PREFIX = "color:"
_COLOR = re.compile(r"#([0-9a-f]{6})(?:~([0-9]{1,3}))?", re.IGNORECASE)


@dataclass(frozen=True)
class ColorRange:
    """Colours whose red, green and blue each differ by at most `tolerance` (0 to 255, 8 bits)."""

    red: int
    green: int
    blue: int
    tolerance: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `color:#RRGGBB` or `color:#RRGGBB~N`.

        Raises:
            UsageError: the text is neither.
        """
        found = _COLOR.fullmatch(text.removeprefix(PREFIX).strip())
        tolerance = int(found[2] or 0) if found else 256
        if found is None or tolerance > 255:
            raise UsageError(
                f"--mask {text} is not a colour.",
                hint="Write color:#RRGGBB, or color:#RRGGBB~N for channels that are up to N off "
                "(0-255), with quotes around it.",
            )
        red, green, blue = bytes.fromhex(found[1])
        return cls(red, green, blue, tolerance)

    def __str__(self) -> str:
        tolerance = f"~{self.tolerance}" if self.tolerance else ""
        return f"{PREFIX}#{self.red:02x}{self.green:02x}{self.blue:02x}{tolerance}"

    def mask(self, picture: Picture) -> Mask:
        """True where a picture has such a colour; 16 bits count by their 8-bit equivalent."""
        channels = np.moveaxis(picture.pixels, 2, 0)
        found = np.ones(picture.pixels.shape[:2], np.bool_)
        for number, value in enumerate((self.red, self.green, self.blue)):
            # A grey picture has one channel, which stands for all three.
            found &= self._is_near(channels[min(number, len(channels) - 1)], value)
        return found

    def _is_near(self, samples: Samples, value: int) -> NDArray[np.bool_]:
        low, high = max(value - self.tolerance, 0), min(value + self.tolerance, 255)
        if samples.dtype == np.uint16:
            # v / 257, rounded, is the 8-bit equivalent of v.
            low, high = max(low * 257 - 128, 0), min(high * 257 + 128, 65535)
        return np.asarray((samples >= low) & (samples <= high), np.bool_)
