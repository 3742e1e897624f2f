"""Parts worked on in threads come out as if one thread had done them one after the other."""

import threading

import numpy as np
import pytest

from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint.overlapping import in_threads
from inpaintcli.inpaint.pipeline import Model, fill
from tests.conftest import GreyEngine, card, photo_pixels


def test_parts_that_overlap_wait_for_each_other_in_order():
    done, lock = [], threading.Lock()
    boxes = [Box(0, 0, 10, 10), Box(5, 5, 15, 15), Box(12, 12, 20, 20), Box(0, 50, 10, 60)]
    began_last = threading.Event()

    def work(number):
        if number == 3:
            began_last.set()
        if number == 0:
            assert began_last.wait(20)  # the last part overlaps none, and does not wait
        with lock:
            done.append(number)
        return 10 * number

    assert in_threads(boxes, work, 2) == [0, 10, 20, 30]
    assert [number for number in done if number != 3] == [0, 1, 2]


def test_what_a_part_raises_is_raised_and_later_ones_do_not_begin():
    began = []

    def work(number):
        began.append(number)
        if number == 1:
            raise KeyError(number)

    with pytest.raises(KeyError):
        in_threads([Box(0, 0, 10, 10)] * 5, work, 2)
    assert began == [0, 1]


@pytest.mark.parametrize("gap", [20, 300])
def test_the_fill_of_several_holes_does_not_depend_on_the_number_of_threads(gap):
    pixels = photo_pixels(180, 120 + 3 * (gap + 40))
    hole = np.zeros(pixels.shape[:2], bool)
    for number in range(3):
        left = 60 + number * (gap + 40)
        hole[70:110, left : left + 40] = True
    filled = []
    for threads in (1, 2, 3):
        with Model(card(), GreyEngine(threads=threads), "") as model:
            filled.append(fill(Picture(pixels), hole, model).picture.pixels)
    np.testing.assert_array_equal(filled[0], filled[1])
    np.testing.assert_array_equal(filled[0], filled[2])
