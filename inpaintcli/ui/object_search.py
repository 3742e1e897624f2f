"""An object of the photo, found from a click or a box around it, as a mask of the page."""

import math
from collections.abc import Mapping
from typing import Any

from inpaintcli.errors import UsageError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.remove import find_objects
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.select import open_segmenter
from inpaintcli.ui.edits import number_list


def found_object(picture: Picture, fields: Mapping[str, Any]) -> Mask:
    """What `inpaintcli remove` would fill: the object, its soft edges and its shadow.

    Args:
        picture: the photo as displayed.
        fields: `point`, x and y of a pixel of the object; or `box`, x, y, width and height.

    Returns:
        (h, w) bool, True where it is.

    Raises:
        UsageError: there is neither a point nor a box.
        MaskMismatchError: it lies outside the photo, or no object was found.
    """
    with open_segmenter() as segmenter:
        return find_objects(picture, [_prompt(picture, fields)], segmenter).hole


def _prompt(picture: Picture, fields: Mapping[str, Any]) -> Prompt:
    size = picture.height, picture.width
    if "point" in fields:
        column, row = number_list(fields["point"], 2)
        return Prompt.of_point(column, row, size)
    if "box" not in fields:
        raise UsageError("An object is found from a point or a box.")
    x, y, width, height = number_list(fields["box"], 4)
    box = Box(math.floor(y), math.floor(x), math.ceil(y + height), math.ceil(x + width))
    return Prompt.of_box(box, size)
