"""Removes objects from a photo: they are segmented, and what they covered is filled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.objects.segment.cast_shadow import cast_shadow
from inpaintcli.objects.segment.edge_growth import grown_over_soft_edges
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.segmentation import segment_objects
from inpaintcli.objects.segment.segmenter import Segmenter
from inpaintcli.options import Shadow


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """What is to be filled so that nothing of some objects stays.

    objects: (h, w) bool, True on the objects alone. hole: also on their soft edges and shadows.
    shadows: how many objects cast a shadow that was found.
    """

    objects: Mask
    hole: Mask
    shadows: int

    def in_words(self) -> str:
        """For the user."""
        share = f"{float(self.objects.mean()):.2%} of the photo were the object's"
        if not self.shadows:
            return share
        return f"{share}, and a cast shadow was removed (--shadow off leaves shadows)"


def find_objects(
    picture: Picture, prompts: Sequence[Prompt], segmenter: Segmenter, shadow: Shadow = "auto"
) -> FoundObjects:
    """Segment objects, and add their soft edges and their cast shadows.

    Args:
        picture: as displayed.
        prompts: one an object.
        segmenter: from `open_segmenter`.
        shadow: auto adds cast shadows where they are found.

    Raises:
        ObjectNotFoundError: for one prompt nothing, or everything, was found.
        MaskMismatchError: all of the photo would be filled.
        EngineError: the segmenter failed.
    """
    objects = np.zeros((picture.height, picture.width), np.bool_)
    hole, shadows = objects.copy(), 0
    for prompt in prompts:
        found = segment_objects(picture, [prompt], segmenter)
        objects |= found
        hole |= grown_over_soft_edges(picture.pixels, found)
        cast = cast_shadow(picture.pixels, found) if shadow == "auto" else None
        if cast is not None:
            hole |= cast
            shadows += 1
    if hole.all():
        raise MaskMismatchError(
            "The objects cover the whole photo: there is nothing to fill it from.",
            hint="Draw the box closer around the object.",
        )
    return FoundObjects(objects, hole, shadows)
