"""Models of other programs: recognised by what they do, and then filled with as with ours."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra `tensorrt` or `train` is not installed")

from inpaintcli.errors import ModelError, UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.tiles import model_input, plan_tiles
from inpaintcli.inpaint.pipeline import fill, open_model
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.kinds import KINDS as MODULES
from inpaintcli.models.install import add_model
from tests.conftest import photo_pixels
from tests.inpaintcli.models.graphs import KINDS, LAMA_255, Graph, twin, write

pytestmark = pytest.mark.usefixtures("models")
TOLERANCE = 1 / 255
INPAINTERS = ("mean", "position")


def filled(card, pixels, hole):
    with open_model(card.name) as model:
        picture = Picture(pixels)
        return fill(picture, hole, model, detail="network").picture.pixels


def expected_positions(card, hole):
    """The codes that `position` gives each pixel of the hole, from the tiles that it sees."""
    codes = np.full((*hole.shape, 3), 0.5)
    for tile in plan_tiles(hole, card.tile_sizes):
        shape = (tile.box.height, tile.box.width, 3)
        seen, _ = model_input(
            np.zeros(shape, np.float32), np.zeros(shape[:2], bool), tile.scale, card.size_multiple
        )
        sides = [max(side, card.contract.least) for side in seen.shape[:2]]
        rows, columns = (
            ((np.arange(count) + 0.5) * (round(count * tile.scale) / count) - 0.5) / (side - 1)
            for count, side in zip(shape[:2], sides, strict=True)
        )
        inside = codes[tile.box.slices]
        inside[..., 0][tile.target] = np.broadcast_to(columns[None], shape[:2])[tile.target]
        inside[..., 1][tile.target] = np.broadcast_to(rows[:, None], shape[:2])[tile.target]
    return codes


def mean_around(pixels, hole, tile, grow):
    """The mean of a tile's known pixels, without those that the grown mask takes."""
    known = cv2.dilate(hole.astype(np.uint8), np.ones((2 * grow + 1, 2 * grow + 1))) == 0
    inside = tile.box.slices
    return pixels[inside][known[inside]].mean(axis=0) / 255


def hole_of(kind, height, width):
    """A hole, and larger ones than the model's side where that is fixed."""
    hole = np.zeros((height, width), np.bool_)
    if kind == "small":
        hole[30:50, 40:62] = True
    else:
        hole[20:150, 30:190] = True
        hole[180:190, 60:66] = True
    return hole


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_fills_with_what_its_model_answers(name, size, depth, tmp_path):
    card = add_model(write(tmp_path / "m.onnx", twin(KINDS[name], inpainter="position")))
    pixels = photo_pixels(200, 220, depth=depth)
    hole = hole_of(size, 200, 220)
    top = np.iinfo(pixels.dtype).max
    result = filled(card, pixels, hole)
    np.testing.assert_array_equal(result[~hole], pixels[~hole])
    difference = np.abs(result / top - expected_positions(card, hole))[hole]
    assert difference.max() <= TOLERANCE + 1e-6


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", KINDS)
def test_colours_order_and_polarity_are_those_of_the_photo(name, depth, tmp_path):
    """The mean of the known pixels comes out, though the hole holds something else."""
    card = add_model(write(tmp_path / "m.onnx", KINDS[name]))
    top = 255 if depth == 8 else 65535
    colour = np.array([0.8, 0.5, 0.1])
    pixels = np.broadcast_to(np.rint(colour * top), (160, 180, 3)).astype(f"uint{depth}").copy()
    hole = np.zeros((160, 180), np.bool_)
    hole[30:120, 40:140] = True
    pixels[hole] = top
    result = filled(card, pixels, hole)
    assert np.abs(result / top - colour).max() <= TOLERANCE


@pytest.mark.parametrize("name", KINDS)
def test_the_mean_is_that_of_what_is_known_around_the_hole(name, tmp_path):
    card = add_model(write(tmp_path / "m.onnx", KINDS[name]))
    pixels = photo_pixels(300, 300)
    hole = np.zeros((300, 300), np.bool_)
    hole[140:156, 150:166] = True
    (tile,) = plan_tiles(hole, card.tile_sizes)
    assert tile.scale == 1
    mean = mean_around(pixels, hole, tile, card.contract.grow)
    result = filled(card, pixels, hole)
    assert np.abs(result[hole] / 255 - mean).max() <= TOLERANCE


@pytest.mark.parametrize("inpainter", INPAINTERS)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_recognised_by_what_it_does(name, inpainter, tmp_path):
    graph = twin(KINDS[name], inpainter=inpainter)
    card = add_model(write(tmp_path / "m.onnx", graph))
    assert card.contract.composites == graph.composites
    assert card.contract.side == graph.side
    if not (name == "aot" and inpainter == "mean"):  # a mean is the same in every range
        assert card.contract.name == name


TWINS = {
    "other polarity": {"hole": 0, "known": 1},
    "output x255": {"given": (0, 255)},
    "picture x255": {"rgb": (0, 255)},
    "picture signed": {"rgb": (-1, 1)},
    "output signed": {"given": (-1, 1)},
    "not composited": {"composites": False},
    "all x255, other polarity": {"rgb": (0, 255), "given": (0, 255), "hole": 0, "known": 1},
}


@pytest.mark.parametrize("inpainter", INPAINTERS)
@pytest.mark.parametrize("change", TWINS)
def test_twins_in_other_ranges_and_polarities_are_recognised(change, inpainter, tmp_path):
    graph = twin(Graph(side=64, inpainter=inpainter), **TWINS[change])
    card = add_model(write(tmp_path / "m.onnx", graph))
    pixels = photo_pixels(150, 170)
    hole = hole_of("small", 150, 170)
    result = filled(card, pixels, hole)[hole] / 255
    if inpainter == "position":
        wanted = expected_positions(card, hole)[hole]
    else:
        (tile,) = plan_tiles(hole, card.tile_sizes)
        wanted = mean_around(pixels, hole, tile, card.contract.grow)
    assert np.abs(result - wanted).max() <= TOLERANCE + 1e-6


@pytest.mark.parametrize("name", KINDS)
def test_what_exchanges_red_and_blue_is_refused(name, tmp_path):
    path = write(tmp_path / "m.onnx", twin(KINDS[name], exchanged=True))
    with pytest.raises(ModelError, match="red and blue exchanged"):
        add_model(path)


@pytest.mark.parametrize("name", KINDS)
def test_what_fills_nothing_is_refused(name, tmp_path):
    path = write(tmp_path / "m.onnx", twin(KINDS[name], inpainter="nothing"))
    with pytest.raises(ModelError, match="gives back what is in the hole"):
        add_model(path)


@pytest.mark.parametrize("name", KINDS)
def test_an_output_without_its_batch_is_refused(name, tmp_path):
    path = write(tmp_path / "m.onnx", twin(KINDS[name], squeezed=True))
    with pytest.raises(ModelError, match="gives no picture"):
        add_model(path)


@pytest.mark.parametrize("name", ["lama-4", "migan", "migan-pipeline"])
@pytest.mark.parametrize("change", ["given", "rgb", "polarity"])
def test_twins_of_joined_and_byte_models_are_refused_or_recognised(name, change, tmp_path):
    graph = KINDS[name]
    other = (0, 1) if graph.rgb == (0, 255) else (0, 255)
    changes = {
        "given": {"given": other},
        "rgb": {"rgb": other},
        "polarity": {"hole": graph.known, "known": graph.hole},
    }
    path = write(tmp_path / "m.onnx", twin(graph, **changes[change]))
    try:
        card = add_model(path)
    except ModelError:
        assert change != "polarity"
        return
    pixels = np.full((150, 170, 3), (200, 120, 30), np.uint8)
    hole = hole_of("small", 150, 170)
    assert np.abs(filled(card, pixels, hole).astype(int) - pixels).max() <= 1


def test_a_contradicted_choice_is_refused(tmp_path):
    path = write(tmp_path / "m.onnx", LAMA_255)
    with pytest.raises(ModelError, match="not the contract 'lama-1': its output lies in another"):
        add_model(path, wanted="lama-1")
    with pytest.raises(ModelError, match="other polarity"):
        add_model(path, wanted="lama-255-inverted")
    with pytest.raises(UsageError, match="'migan' does not suit"):
        add_model(path, wanted="migan")
    assert add_model(path, wanted="lama-255").contract.name == "lama-255"


def test_what_is_ambiguous_is_refused_with_the_options_that_decide(tmp_path):
    """It fills in the range that it is given, [0, 1] or [-1, 1], but not alike."""
    path = write(tmp_path / "m.onnx", Graph(inpainter="bent"))
    with pytest.raises(ModelError, match="several contracts") as caught:
        add_model(path)
    assert "--as lama-1" in str(caught.value)
    assert "--as aot" in str(caught.value)
    assert add_model(path, wanted="aot").contract.inputs[0].rgb_range == (-1.0, 1.0)


def test_a_published_file_is_recognised_by_size_and_sha256(tmp_path, monkeypatch):
    path = write(tmp_path / "m.onnx", LAMA_255)
    card = add_model(path)
    published = KnownFile("LaMa of a test", path.stat().st_size, card.sha256[:8], "Apache-2.0")
    monkeypatch.setattr(MODULES[1], "KNOWN", (published,))
    again = add_model(path, name="again")
    assert again.parity["found_by"] == "sha256"
    assert (again.licence, again.source) == ("Apache-2.0", "LaMa of a test")
    assert again.contract == card.contract


def test_sides_are_measured_where_the_model_takes_any(tmp_path):
    card = add_model(write(tmp_path / "m.onnx", Graph()))
    assert (card.size_multiple, card.contract.multiple) == (8, 8)


def test_the_models_of_other_programs_have_kinds_of_their_own():
    names = [kind.NAME for kind in MODULES]
    assert set(KINDS) < set(names)
    assert len(set(names)) == len(names)
    assert all(kind.ABOUT for kind in MODULES)


def test_two_models_of_one_file_have_fingerprints_of_their_own(tmp_path):
    card = add_model(write(tmp_path / "m.onnx", LAMA_255))
    other = replace(card, contract=replace(card.contract, grow=5))
    assert card.fingerprint != other.fingerprint
    assert card.fingerprint != card.sha256
