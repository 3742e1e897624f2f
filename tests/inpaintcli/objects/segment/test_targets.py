import pytest

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.segment.targets import Targets


def test_shares_and_negative_numbers_suit_photos_of_every_size():
    targets = Targets.parse(
        boxes=["50%,-20,10%,10"], points=["-1,50%"], polygons=["0,0;9,0;9,9;0,9"]
    )
    box, point, area = targets.on((100, 200))
    assert box.box == Box(80, 100, 90, 120)
    assert point.point == (50, 199)
    assert area.area.sum() == 81
    assert targets.on((50, 100))[0].box == Box(30, 50, 40, 60)


def test_targets_add_up():
    one, other = Targets.parse(boxes=["0,0,5,5"]), Targets.parse(points=["1,1"])
    assert (one + other).count == 2
    assert not Targets()


@pytest.mark.parametrize(
    ("boxes", "points", "polygons", "named"),
    [
        (["1,2,3"], [], [], "--box 1,2,3"),
        (["1,2,3,nan"], [], [], "--box"),
        (["1,2,-3,4"], [], [], "above 0"),
        ([], ["1"], [], "--point 1"),
        ([], ["1,inf"], [], "--point"),
        ([], [], ["1,2;3,4"], "--polygon"),
        ([], [], ["1,2;3,4;x,y"], "--polygon"),
    ],
)
def test_garbage_is_an_error_that_names_the_option(boxes, points, polygons, named):
    with pytest.raises(UsageError, match=named):
        Targets.parse(boxes, points, polygons)


@pytest.mark.parametrize(
    "targets",
    [
        Targets.parse(boxes=["300,0,10,10"]),
        Targets.parse(points=["200,10"]),
        Targets.parse(polygons=["300,0;400,0;400,90"]),
    ],
)
def test_what_is_outside_the_photo_is_an_error_that_names_it(targets):
    with pytest.raises(MaskMismatchError, match="200x100"):
        targets.on((100, 200))


def test_an_outline_of_ten_thousand_points_is_drawn():
    points = ";".join(f"{x % 190},{(x * 7) % 90}" for x in range(10_000))
    (prompt,) = Targets.parse(polygons=[points]).on((100, 200))
    assert prompt.area.any()
    assert len(prompt.name) < 80
