"""The attention map has the model's offsets in the photo's pixels, for any tile and scale."""

import colorsys
import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from inpaintcli.batch.fill_many import BatchOptions, fill_many
from inpaintcli.batch.fill_one import fill_photo
from inpaintcli.batch.requests import FillRequest
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.imaging.images import read_picture, write_picture
from inpaintcli.imaging.picture import Origin, Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.imaging.tiles import Tile
from inpaintcli.inpaint.attention import AttentionMap, check_outputs, offsets_in_colours
from inpaintcli.inpaint.pipeline import Model, fill
from inpaintcli.masks.source import BESIDE
from inpaintcli.options import ModelChoice
from tests.conftest import GreyEngine, card, photo_pixels


class OffsetEngine(GreyEngine):
    """Has the same attention offset for every pixel, in pixels of its input."""

    def __init__(self, down: float, right: float) -> None:
        super().__init__()
        self.offset = np.array([down, right], np.float32)[None, :, None, None]

    def _run(self, arrays):
        shape = (len(arrays["mask"]), 2, *arrays["mask"].shape[2:])
        return super()._run(arrays) | {"attention": np.broadcast_to(self.offset, shape).copy()}


def offsets_of(mask, engine) -> np.ndarray:
    photo = Picture(photo_pixels(*mask.shape), None, Origin("png"))
    attention = AttentionMap()
    fill(photo, mask, Model(card(), engine, ""), detail="network", attention=attention)
    return attention.offsets


def test_at_full_scale_the_offsets_are_the_models() -> None:
    mask = np.zeros((160, 200), bool)
    mask[70:90, 90:120] = True
    offsets = offsets_of(mask, OffsetEngine(-8, 16))
    assert (offsets[mask] == (-8, 16)).all()
    assert not offsets[~mask].any()


def test_offsets_of_a_scaled_tile_are_scaled_back() -> None:
    mask = np.zeros((512, 512), bool)
    mask[128:384, 128:384] = True  # 256 thick, for a model of at most 64: a quarter
    offsets = offsets_of(mask, OffsetEngine(-8, 8))
    assert offsets.shape == (512, 512, 2)
    np.testing.assert_allclose(offsets[256, 256], (-32, 32), atol=2)


def test_holes_in_several_tiles_are_all_in_the_map() -> None:
    mask = np.zeros((300, 900), bool)
    mask[140:160, 20:40] = mask[140:160, 860:880] = True
    mask[20:24, 400:404] = mask[20:24, 500:504] = True  # specks, in one call
    engine = OffsetEngine(8, 0)
    offsets = offsets_of(mask, engine)
    assert len(engine.seen) == 3
    assert (offsets[mask] == (8, 0)).all()


def test_an_offset_into_the_padding_means_the_mirrored_pixel() -> None:
    tile = Tile(Box(0, 0, 20, 20), 1.0, np.ones((20, 20), bool))
    attention = AttentionMap()
    attention.begin(20, 20)
    attention.add_tile(np.full((2, 24, 24), 6, np.float32), tile)  # 20 pixels, brought up to 24
    assert attention.offsets[10, 10].tolist() == [6, 6]
    assert attention.offsets[17, 19].tolist() == [-1, -5]  # 23 mirrors 16, 25 mirrors 14


def test_hue_is_the_direction_and_saturation_the_distance() -> None:
    offsets = np.array([[[0, 0], [0, 8], [8, 0], [0, -8], [-8, 0], [0, 4]]], np.float32)
    rgb = offsets_in_colours(offsets)[0]
    assert rgb[0].tolist() == [255, 255, 255]
    assert rgb[1].tolist() == [255, 0, 0]  # right: red
    hues = [360 * colorsys.rgb_to_hsv(*(channel / 255 for channel in c))[0] for c in rgb]
    assert 50 <= hues[2] <= 65  # down: yellow
    assert 150 <= hues[3] <= 200  # left: greenish blue
    assert 230 <= hues[4] <= 290  # up: violet
    assert rgb[5].tolist() == [255, 128, 128]  # half as far, half as much colour


def test_a_map_without_offsets_is_white() -> None:
    assert (offsets_in_colours(np.zeros((3, 4, 2), np.float32)) == 255).all()


def test_a_model_without_attention_offsets_is_a_usage_error() -> None:
    check = partial(check_outputs, "grey")
    with pytest.raises(UsageError, match="'grey' has no attention"):
        check(GreyEngine().outputs)


CARD = """
schema = 1
name = "looking"
file = "looking.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
family = "contextual"
recipe = "contextual"
source = "tests"
task = "fill"
[input]
layout = "nchw"
range = [-1.0, 1.0]
mask = "1 is the hole"
size_multiple = 8
opset = 20
[working]
max_thickness = 64
context = 0.5
"""


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of a model that fills with what is there and looks 8 pixels down and right."""
    onnx = pytest.importorskip("onnx", reason="the extra `train` is not installed")
    from onnx import TensorProto, helper, numpy_helper

    sides = ["n", 3, "h", "w"]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)
    mask = helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 1, "h", "w"])
    filled = helper.make_tensor_value_info("filled", TensorProto.FLOAT, sides)
    offsets = helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["n", 2, "h", "w"])
    nodes = [
        helper.make_node("Identity", ["image"], ["filled"]),
        helper.make_node("Mul", ["mask", "step"], ["cell"]),
        helper.make_node("Concat", ["cell", "cell"], ["attention"], axis=1),
    ]
    step = numpy_helper.from_array(np.array(8, np.float32), "step")
    graph = helper.make_graph(nodes, "looking", [image, mask], [filled, offsets], [step])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    folder = tmp_path_factory.mktemp("looking")
    content = model.SerializeToString()
    (folder / "looking.onnx").write_bytes(content)
    text = CARD.format(sha256=hashlib.sha256(content).hexdigest())
    (folder / "looking.toml").write_text(text)
    return folder / "looking.toml"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo with its mask, NAME.mask.png, beside it."""
    mask = np.zeros((64, 96, 1), np.uint8)
    mask[20:30, 40:60] = 255
    path = tmp_path / "photo.png"
    write_picture(Picture(photo_pixels(64, 96), None, Origin("png")), path)
    write_picture(Picture(mask, None, Origin("png")), tmp_path / "photo.mask.png")
    return path


def command(model: Path | str | None, out: Path, *, overwrite: bool = False) -> FillRequest:
    return FillRequest(
        console=Console(quiet=True),
        model=ModelChoice(model=None if model is None else str(model), precision="fp32"),
        overwrite=overwrite,
        attention_map=out,
    )


def test_the_command_writes_the_map_at_the_photos_size(looking, photo, tmp_path) -> None:
    run = command(looking, tmp_path / "map.png")
    assert fill_photo(run, photo, BESIDE, tmp_path / "out.png") == ExitCode.OK
    pixels = read_picture(tmp_path / "map.png").pixels
    hole = read_picture(tmp_path / "photo.mask.png").pixels[..., 0] > 0
    assert pixels.shape == (64, 96, 3)
    assert (pixels[~hole] == 255).all()
    assert len(np.unique(pixels[hole], axis=0)) == 1  # all look the same offsets,
    assert pixels[hole].min() == 0  # which is the farthest, so in full colour
    assert (tmp_path / "out.png").exists()


def test_an_existing_map_is_refused_before_any_work(looking, photo, tmp_path) -> None:
    (tmp_path / "map.png").write_bytes(b"mine")
    run = command(looking, tmp_path / "map.png")
    with pytest.raises(OutputError, match=r"map\.png exists"):
        fill_photo(run, photo, BESIDE, tmp_path / "out.png")
    assert (tmp_path / "map.png").read_bytes() == b"mine"
    assert not (tmp_path / "out.png").exists()
    run = command(looking, tmp_path / "map.png", overwrite=True)
    fill_photo(run, photo, BESIDE, tmp_path / "out.png")
    assert read_picture(tmp_path / "map.png").pixels.shape == (64, 96, 3)


def test_the_map_is_never_the_output_the_photo_or_the_mask(looking, photo, tmp_path) -> None:
    out = tmp_path / "out.png"
    with pytest.raises(UsageError, match="both the output"):
        fill_photo(command(looking, out), photo, BESIDE, out)
    for path, what in ((photo, "photo"), (tmp_path / "photo.mask.png", "mask")):
        with pytest.raises(OutputError, match=f"the {what} itself"):
            fill_photo(command(looking, path, overwrite=True), photo, BESIDE, out)


def test_the_default_model_says_that_it_has_no_map(photo, tmp_path) -> None:
    with pytest.raises(UsageError, match="has no attention offsets"):
        fill_photo(command(None, tmp_path / "map.png"), photo, BESIDE, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_many_photos_have_no_map(photo, tmp_path) -> None:
    run = command(None, tmp_path / "map.png")
    with pytest.raises(UsageError, match="one photo"):
        fill_many(run, BatchOptions(source=photo.parent, mask=BESIDE, output=tmp_path / "out"))
