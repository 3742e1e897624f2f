"""Segmenters from ONNX files: small graphs of their signatures, which answer the box itself."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="builds graphs")

from inpaintcli.errors import ModelError, UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.segment.mobile_sam import prompt_points
from inpaintcli.objects.segment.prompts import Prompt, question_of
from inpaintcli.objects.segment.segmentation import ObjectNotFoundError, segment_objects
from inpaintcli.objects.segment.select import open_segmenter
from tests.inpaintcli.objects.segment import segmenter_graphs as graphs

SIZE = (300, 500)
BOX = Box(100, 150, 180, 330)


@pytest.fixture
def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 120, (*SIZE, 3)).astype(np.uint8)
    pixels[BOX.slices] += 100
    return Picture(pixels)


def truth(box: Box = BOX):
    mask = np.zeros(SIZE, np.bool_)
    mask[box.slices] = True
    return mask


def found_in(picture, segmenter, box=BOX):
    return segment_objects(picture, [Prompt.of_box(box, SIZE)], segmenter)


def test_mobile_sam_is_two_files_found_beside_each_other(picture, tmp_path):
    encoder = graphs.write(tmp_path / "mobile_sam.encoder.onnx", graphs.ENCODER)
    decoder = graphs.write(tmp_path / "mobile_sam.decoder.onnx", graphs.DECODER)
    for given in (encoder, decoder, f"{encoder},{decoder}"):
        with open_segmenter(str(given)) as segmenter:
            assert segmenter.name == "MobileSAM"
            found = found_in(picture, segmenter)
        assert (found ^ truth()).sum() < 0.04 * truth().sum()


def test_an_encoder_that_wants_normalised_squares_gets_them(picture, tmp_path):
    encoder = graphs.write(tmp_path / "sam_encoder.onnx", graphs.SQUARE_ENCODER)
    graphs.write(tmp_path / "another_decoder.onnx", graphs.DECODER)
    with open_segmenter(str(encoder)) as segmenter:
        found = found_in(picture, segmenter)
    assert (found ^ truth()).sum() < 0.04 * truth().sum()


def test_an_encoder_alone_is_an_error_that_says_what_is_missing(tmp_path):
    encoder = graphs.write(tmp_path / "sam_encoder.onnx", graphs.ENCODER)
    with pytest.raises(ModelError, match="needs its decoder") as error:
        open_segmenter(str(encoder))
    assert "ENCODER.onnx,DECODER.onnx" in error.value.hint
    with pytest.raises(ModelError, match="not an encoder"):
        open_segmenter(f"{encoder},{encoder}")


def test_efficient_sam_is_recognised_and_its_best_mask_taken(picture, tmp_path):
    path = graphs.write(tmp_path / "any-name.onnx", graphs.EFFICIENT)
    with open_segmenter(str(path)) as segmenter:
        assert segmenter.name == "EfficientSAM"
        found = found_in(picture, segmenter)
    assert (found ^ truth()).sum() < 0.04 * truth().sum()


def test_a_saliency_network_answers_what_is_bright_in_the_box(tmp_path):
    path = graphs.write(tmp_path / "u2netp.onnx", graphs.SALIENCY)
    loose = BOX.grown(15, *SIZE)
    smooth = Picture(np.where(truth()[..., None], np.uint8(200), np.uint8(40)).repeat(3, axis=2))
    with open_segmenter(str(path)) as segmenter:
        assert segmenter.name == "saliency"
        found = found_in(smooth, segmenter, loose)
        with pytest.raises(ObjectNotFoundError):
            found_in(Picture(np.full((*SIZE, 3), 70, np.uint8)), segmenter, loose)
    assert (found ^ truth()).sum() < 0.04 * truth().sum()


def test_points_have_the_labels_of_segment_anything(picture):
    prompt = Prompt.of_box(BOX, SIZE)
    question, crop = question_of(picture.pixels, prompt, BOX, 0.3)
    points, labels = prompt_points(question, (2.0, 2.0))
    corner = [BOX.left - crop.left, BOX.top - crop.top]
    assert labels.tolist() == [2, 3]
    assert points[0].tolist() == [2 * corner[0], 2 * corner[1]]
    prompt = Prompt.of_point(200, 140, SIZE)
    question, _ = question_of(picture.pixels, prompt, Box(0, 0, *SIZE), 0.3)
    points, labels = prompt_points(question, (1.0, 1.0))
    assert labels.tolist() == [1, -1]
    assert points[0].tolist() == [200.5, 140.5]


def test_a_graph_of_another_kind_is_an_error_that_names_what_it_takes(tmp_path):
    text = "other (float[1, 7] numbers) => (float[1, 7] more) { more = Neg (numbers) }"
    path = graphs.write(tmp_path / "other.onnx", text)
    with pytest.raises(ModelError, match=r"other\.onnx is no segmenter.*numbers"):
        open_segmenter(str(path))


@pytest.mark.parametrize("name", ["watershed", "", "photo.png", "a.onnx,b.png"])
def test_a_name_that_is_no_segmenter_is_an_error(name):
    with pytest.raises(UsageError, match="no segmenter"):
        open_segmenter(name)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        open_segmenter(str(tmp_path / "nothing.onnx"))
