"""Boxes and polygons as people write them; garbage is refused with the shape's name."""

import numpy as np
import pytest

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.masks.parse import boxes_of, parse_box, parse_point, parse_polygon, polygons_of
from inpaintcli.masks.shapes import shapes_mask


def region(text, width=1000, height=500):
    box = parse_box(text).region(np.zeros((height, width), np.bool_))
    return box.left, box.top, box.width, box.height


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10,20,30,40", (10, 20, 30, 40)),
        (" 10 , 20,30 ,40", (10, 20, 30, 40)),
        ("-300,-80,280,60", (700, 420, 280, 60)),
        ("70%,92%,28%,6%", (700, 460, 280, 30)),
        ("-30%,-10%,25%,5%", (700, 450, 250, 25)),
        ("0,0,100%,1", (0, 0, 1000, 1)),
        ("50%,0,10,10", (500, 0, 10, 10)),
        ("990,490,100,100", (990, 490, 10, 10)),
        ("-1100,0,200,10", (0, 0, 100, 10)),
        ("0.4,0,1.2,1", (0, 0, 2, 1)),
    ],
)
def test_a_box_is_pixels_shares_or_counts_from_the_far_side(text, expected):
    assert region(text) == expected


def test_numbers_of_python_are_a_box_too():
    assert parse_box((10, 20.0, np.int64(30), "40")) == parse_box("10,20,30,40")
    assert parse_box([-300, "-5%", 1, 1]) == parse_box("-300,-5%,1,1")


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1,2,3", "1,2,3,4,5", "1,2,nan,4", "inf,2,3,4", "1,2,-inf,4", "a,b,c,d", "1,2,,4",
        "1,2,0,4", "1,2,3,-4", "1,2,0%,4", "1e3,2,3,4", "1,2,3,4%%", "1;2;3;4", "99999999,0,1,1",
        "1,2,3,4\n5", "\uff10,0,1,1", "--1,0,1,1", "1,2,3 4,5",
    ],
)  # fmt: skip
def test_garbage_is_no_box(text):
    with pytest.raises(UsageError) as error:
        parse_box(text)
    assert f"--box {text}" in error.value.message


@pytest.mark.parametrize(
    "numbers", [(1, 2, 3), (1, 2, 3, float("nan")), (1, 2, float("inf"), 4), (1, 2, 3, True)]
)
def test_garbage_of_python_is_no_box(numbers):
    with pytest.raises(UsageError):
        parse_box(numbers)


@pytest.mark.parametrize("text", ["2000,0,10,10", "0,500,10,10", "-1300,0,200,10", "0,0,0.2,9"])
def test_a_box_that_covers_no_pixel_is_named(text):
    with pytest.raises(MaskMismatchError, match=rf"The box {text} covers no pixel of p.jpg"):
        shapes_mask([parse_box(text)], (500, 1000), "p.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "", "1,1", "1,1;2,2", "1,1;2,2;", "1,1;2,2;3", "1,1;2,2;3,nan", "1,1;2,2;3,inf", "a;b;c",
        "1,1;2,2;3,3,3", "1,1;;2,2", "1,2,3,4",
    ],
)  # fmt: skip
def test_garbage_is_no_polygon(text):
    with pytest.raises(UsageError) as error:
        parse_polygon(text)
    assert f"--polygon {text}" in error.value.message


def test_a_long_polygon_is_named_in_short():
    with pytest.raises(UsageError) as error:
        parse_polygon("1,1;" * 9_999 + "nan,1")
    assert len(error.value.message) < 200
    line = parse_polygon(";".join(f"{x},{x}" for x in range(10_000)))
    with pytest.raises(MaskMismatchError) as none:
        shapes_mask([line], (100, 100))
    assert len(none.value.message) < 200


def test_a_polygon_of_ten_thousand_points_is_drawn():
    turn = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    x, y = 150 + 100 * np.cos(turn), 150 + 100 * np.sin(turn)
    text = ";".join(f"{a:.3f},{b:.3f}" for a, b in zip(x, y, strict=True))
    mask = shapes_mask([parse_polygon(text)], (300, 300))
    assert abs(mask.sum() - np.pi * 100**2) < 100


def test_points_count_from_the_far_side_too():
    assert parse_point("-10,25%").on(200, 400) == (190, 100)
    corners = parse_polygon("-10,0;-5,0;-5,50%;-10,50%")
    assert (
        shapes_mask([corners], (40, 100)) == shapes_mask([parse_box("90,0,5,20")], (40, 100))
    ).all()


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "nan,1", ""])
def test_garbage_is_no_point(text):
    with pytest.raises(UsageError, match="--point"):
        parse_point(text)


def test_one_or_several_shapes_of_a_python_call():
    assert boxes_of(None) == []
    assert boxes_of("1,2,3,4") == ["1,2,3,4"]
    assert boxes_of((1, 2, 3, 4)) == [[1, 2, 3, 4]]
    assert boxes_of(("1%", "2%", "3", "4")) == [["1%", "2%", "3", "4"]]
    assert boxes_of([(1, 2, 3, 4), "5,6,7,8"]) == [(1, 2, 3, 4), "5,6,7,8"]
    assert boxes_of(np.array([[1, 2, 3, 4], [5, 6, 7, 8]]))[1].tolist() == [5, 6, 7, 8]
    triangle = [(0, 0), (1, 0), (1, 1)]
    assert polygons_of(triangle) == [triangle]
    assert polygons_of([triangle, triangle]) == [triangle, triangle]
    assert polygons_of("0,0;1,0;1,1") == ["0,0;1,0;1,1"]
    assert polygons_of(["0,0", "1,0", "1,1"]) == [["0,0", "1,0", "1,1"]]
