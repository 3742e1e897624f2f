import cv2
import numpy as np
import pytest

from inpaintcli.errors import ExitCode, MaskMismatchError
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.remove import find_objects
from inpaintcli.objects.segment.grabcut import GrabCut
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.segmentation import ObjectNotFoundError, segment_objects
from inpaintcli.objects.segment.segmenter import Segmenter
from tests.inpaintcli.objects.segment.made_scenes import SAMPLES, scene


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


def test_objects_in_boxes_are_found_and_nothing_of_them_stays():
    """12 scenes: intersection over union at least 0.85 on average, no pixel outside the hole."""
    objects, holes = [], []
    for number in range(12):
        made = scene(SAMPLES[number % len(SAMPLES)], number)
        found = find_objects(Picture(made.pixels), [Prompt.of_box(made.box, made.size)], GrabCut())
        objects.append(iou(found.objects, made.shape))
        holes.append(iou(found.hole, made.shape))
        assert not (made.shape & ~found.hole).any(), made.name
    assert np.mean(objects) >= 0.95
    assert np.mean(holes) >= 0.85
    assert min(objects) >= 0.85


@pytest.mark.parametrize("number", range(3))
def test_a_point_is_enough_for_an_object_of_one_colour(number):
    made = scene(SAMPLES[number], number)
    depth = cv2.distanceTransform(made.shape.astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    found = segment_objects(
        Picture(made.pixels), [Prompt.of_point(float(x), float(y), made.size)], GrabCut()
    )
    assert iou(found, made.shape) >= 0.85


def test_a_loose_outline_keeps_the_search_inside_it():
    made = scene("coffee", 2)
    area = cv2.dilate(made.shape.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    found = segment_objects(Picture(made.pixels), [Prompt.of_area(area)], GrabCut())
    assert iou(found, made.shape) >= 0.95
    assert not (found & ~area).any()


def test_several_objects_are_found_together():
    made, other = scene("coffee", 0, side=90), scene("coffee", 5, side=90)
    pixels = np.where(other.shape[..., None], other.pixels, made.pixels)
    prompts = [Prompt.of_box(one.box, one.size) for one in (made, other)]
    found = segment_objects(Picture(pixels), prompts, GrabCut())
    assert iou(found, made.shape | other.shape) >= 0.85


def test_the_same_mask_comes_out_whatever_opencv_did_before():
    made = scene("rocket", 1)
    prompt = Prompt.of_box(made.box, made.size)
    first = segment_objects(Picture(made.pixels), [prompt], GrabCut())
    cv2.setRNGSeed(1234)
    assert np.array_equal(first, segment_objects(Picture(made.pixels), [prompt], GrabCut()))


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_photos_and_16_bits_are_searched_too(channels, scale):
    made = scene("chelsea", 3)
    pixels = made.pixels if channels == 3 else made.pixels[..., :1]
    pixels = (pixels.astype(np.uint16) * scale).astype(np.uint16 if scale > 1 else np.uint8)
    prompt = Prompt.of_box(made.box, made.size)
    found = segment_objects(Picture(pixels), [prompt], GrabCut())
    assert iou(found, made.shape) >= 0.85


def test_a_large_object_is_cut_at_its_edge_at_full_size():
    """The cut is made on a copy of a third of the size."""
    made = scene("camera", 0, side=750, enlarged=3)
    found = segment_objects(Picture(made.pixels), [Prompt.of_box(made.box, made.size)], GrabCut())
    assert iou(found, made.shape) >= 0.98


def test_a_box_in_which_all_is_alike_is_an_error():
    picture = Picture(np.full((200, 300, 3), 90, np.uint8))
    prompt = Prompt.of_box(Box(50, 50, 150, 200), (200, 300))
    with pytest.raises(ObjectNotFoundError, match="box 50,50,150,100") as error:
        segment_objects(picture, [prompt], GrabCut())
    assert error.value.hint
    assert error.value.code == ExitCode.MASK_MISMATCH


class Answer(Segmenter):
    """Answers a mask, whatever is asked."""

    name = "answer"

    def __init__(self, mask):
        self._mask = mask

    def likelihood(self, question):
        return np.broadcast_to(self._mask, question.allowed.shape).astype(np.float32)


def test_an_answer_of_the_sides_alone_is_an_error():
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    mask = np.ones((200, 300), np.bool_)
    mask[5:195, 5:295] = False
    segmenter = Answer(mask)
    segmenter.margin = 0.0
    with pytest.raises(ObjectNotFoundError, match="Only the sides"):
        segment_objects(Picture(noise), [Prompt.of_box(Box(0, 0, 200, 300), (200, 300))], segmenter)


def test_everything_is_an_answer_only_where_there_is_an_edge():
    """A poster in a box that fits it exactly is found; a box in a plain wall is not."""
    pixels = np.full((200, 300, 3), 90, np.uint8)
    prompt = Prompt.of_box(Box(50, 60, 150, 200), (200, 300))
    with pytest.raises(ObjectNotFoundError, match="looks alike"):
        segment_objects(Picture(pixels), [prompt], Answer(True))
    pixels[50:150, 60:200] = (200, 60, 60)
    assert segment_objects(Picture(pixels), [prompt], Answer(True)).sum() == 100 * 140


def test_nothing_is_an_error():
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    prompt = Prompt.of_box(Box(50, 60, 150, 200), (200, 300))
    with pytest.raises(ObjectNotFoundError, match="No object"):
        segment_objects(Picture(noise), [prompt], Answer(False))


def test_a_box_around_the_whole_photo_is_an_error():
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    prompt = Prompt.of_box(Box(0, 0, 120, 160), (120, 160))
    with pytest.raises(MaskMismatchError):
        find_objects(Picture(noise), [prompt], GrabCut())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Prompt.of_box(Box(0, 400, 50, 500), (200, 300)),
        lambda: Prompt.of_point(300, 10, (200, 300)),
        lambda: Prompt.of_point(-1, 10, (200, 300)),
        lambda: Prompt.of_area(np.zeros((200, 300), np.bool_)),
    ],
)
def test_what_lies_outside_the_photo_is_an_error_that_names_its_size(make):
    with pytest.raises(MaskMismatchError, match="300x200"):
        make()


def test_a_box_that_reaches_out_of_the_photo_counts_as_far_as_it_is_inside():
    assert Prompt.of_box(Box(-10, -20, 50, 60), (200, 300)).box == Box(0, 0, 50, 60)


def test_a_prompt_is_one_thing():
    with pytest.raises(ValueError, match="a box, a point or an area"):
        Prompt("nothing")
