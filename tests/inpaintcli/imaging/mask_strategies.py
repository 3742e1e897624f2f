"""Masks for property tests of regions and tiles."""

import cv2
import numpy as np
from hypothesis import strategies as st


@st.composite
def masks(draw):
    """Masks of any size with rectangles, lines and specks in, also at the border; maybe empty."""
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    mask = np.zeros((height, width), np.uint8)
    point = st.tuples(st.integers(0, width - 1), st.integers(0, height - 1))
    for _ in range(draw(st.integers(0, 4))):
        one, other = draw(point), draw(point)
        kind = draw(st.sampled_from(["box", "line", "speck"]))
        if kind == "box":
            cv2.rectangle(mask, one, other, 1, -1)
        elif kind == "line":
            cv2.line(mask, one, other, 1, draw(st.integers(1, 12)))
        else:
            mask[one[1], one[0]] = 1
    return mask > 0
