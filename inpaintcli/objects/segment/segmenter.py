"""What every segmenter offers."""

from typing import ClassVar

import numpy as np
from inpaintcli_engines.base import Closable
from numpy.typing import NDArray

from inpaintcli.objects.segment.prompts import Question


class Segmenter(Closable):
    """Finds an object in a crop. A context manager.

    name: for the user. margin: what it wants to see around the object's box, as a share of the
    square root of the box's area. takes_points: a point needs no box around its object.
    """

    name: str
    margin: ClassVar[float] = 0.3
    takes_points: ClassVar[bool] = False

    def likelihood(self, question: Question) -> NDArray[np.float32]:
        """How likely each pixel of the crop is the object's.

        Returns:
            (h, w) in [0, 1], of the crop's size; above 0.5 is the object.

        Raises:
            EngineError: a network failed.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free what is held; some have nothing to free."""
