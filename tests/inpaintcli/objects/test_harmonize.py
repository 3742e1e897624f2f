import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from inpaintcli.batch import harmonize_one
from inpaintcli.batch.requests import PhotoRequest
from inpaintcli.console import Console
from inpaintcli.errors import (
    ExitCode,
    MaskMismatchError,
    ModelError,
    OutputError,
    UnreadableError,
    UsageError,
)
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models import cards
from inpaintcli.models.cards import find_card, read_card
from inpaintcli.objects.harmonize import harmonize
from inpaintcli.options import ModelChoice
from tests.conftest import GreyEngine, card, photo_pixels


class LiftingEngine(GreyEngine):
    """Harmonizes by making everything lighter by 0.25 of [-1, 1], and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs = (*self.outputs, replace(self.outputs[0], name="harmonized"))

    def _run(self, arrays):
        return super()._run(arrays) | {"harmonized": arrays["image"] + np.float32(0.25)}


@pytest.fixture
def lifting() -> Model:
    return Model(card(harmonizes=True), LiftingEngine(), "for tests")


def square(height: int, width: int, *box: int) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[box[0] : box[2], box[1] : box[3]] = True
    return mask


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (3, 8), (3, 16)])
def test_the_object_takes_what_the_model_changes_and_nothing_else_does(lifting, channels, depth):
    pixels = photo_pixels(90, 120, channels, depth) // 2
    foreground = square(90, 120, 20, 30, 50, 80)
    found = harmonize(Picture(pixels), foreground, lifting).pixels
    assert found.dtype == pixels.dtype
    assert np.array_equal(found[~foreground], pixels[~foreground])
    lift = np.iinfo(pixels.dtype).max * 0.125
    change = found[foreground].astype(float) - pixels[foreground]
    np.testing.assert_allclose(change, lift, atol=0.51)


def test_an_object_larger_than_a_tile_keeps_its_detail(lifting):
    """Noise of single pixels would be lost if the small answer itself were scaled up."""
    pixels = np.random.default_rng(0).integers(0, 200, (900, 1100, 3)).astype(np.uint8)
    foreground = square(900, 1100, 100, 100, 800, 1000)
    found = harmonize(Picture(pixels), foreground, lifting).pixels
    assert max(lifting.engine.seen[0]["image"].shape) <= 512 + 16
    change = found[foreground].astype(float) - pixels[foreground]
    np.testing.assert_allclose(change, 255 * 0.125, atol=0.6)


def test_the_model_sees_the_object_as_a_half_and_what_is_transparent_as_a_hole(lifting):
    alpha = np.full((70, 90), 255, np.uint8)
    alpha[:, :20] = 0
    foreground = square(70, 90, 30, 15, 45, 60)
    harmonize(Picture(photo_pixels(70, 90), alpha), foreground, lifting)
    [seen] = lifting.engine.seen
    mask = seen["mask"][0, 0]
    assert seen["image"].shape == (1, 3, *mask.shape)
    assert all(side % 16 == 0 for side in mask.shape)
    assert (mask[30:45, 15:60] == 0.5).all()
    assert (mask[:30, :20] == 1).all()
    assert mask[:70, :90].sum() == foreground.sum() / 2 + 70 * 20 - 15 * 5


@given(hnp.arrays(np.bool_, (40, 50)), st.integers(0, 3))
def test_other_pixels_come_back_bit_for_bit_under_any_mask(mask, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    mask[0, 0] = False
    found = harmonize(Picture(pixels), mask, Model(card(), LiftingEngine(), "for tests")).pixels
    assert np.array_equal(found[~mask], pixels[~mask])


def test_what_cannot_be_is_refused(lifting, grey_model):
    picture = Picture(photo_pixels(40, 50))
    with pytest.raises(UsageError, match="'grey' does not harmonize"):
        harmonize(picture, square(40, 50, 0, 0, 9, 9), grey_model)
    with pytest.raises(MaskMismatchError, match="50x41 but the photo is 50x40"):
        harmonize(picture, square(41, 50, 0, 0, 9, 9), lifting)
    with pytest.raises(MaskMismatchError, match="whole picture"):
        harmonize(picture, np.ones((40, 50), np.bool_), lifting)


@pytest.fixture
def harmonizing(lifting, monkeypatch):
    monkeypatch.setattr(PhotoRequest, "open_model", lambda _self: lifting)
    return PhotoRequest(console=Console(json=True), model=ModelChoice(model="any"))


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(photo_pixels(60, 80) // 2).save(tmp_path / "a.png")
    Image.fromarray(square(60, 80, 10, 10, 30, 40)).save(tmp_path / "object.png")
    Image.fromarray(np.zeros((60, 80), np.bool_)).save(tmp_path / "nothing.png")
    return tmp_path / "a.png"


def test_the_command_writes_beside_the_photo_and_tells_in_json(harmonizing, photo, capsys):
    mask = str(photo.with_name("object.png"))
    assert harmonize_one.harmonize_photo(harmonizing, photo, mask, None) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    out = photo.with_name("a.harmonized.png")
    assert (told["schema"], told["status"], told["output"]) == (1, "filled", str(out))
    assert told["error"] is None
    before, after = (read_picture(path).pixels for path in (photo, out))
    changed = (before != after).any(axis=2)
    assert changed[10:30, 10:40].all()
    assert changed.sum() == 20 * 30
    with pytest.raises(OutputError, match="exists"):
        harmonize_one.harmonize_photo(harmonizing, photo, mask, None)
    assert json.loads(capsys.readouterr().out)["error"]["code"] == ExitCode.OUTPUT


def test_an_empty_mask_copies_the_photo(harmonizing, photo, tmp_path):
    out = tmp_path / "out.png"
    mask = str(photo.with_name("nothing.png"))
    assert harmonize_one.harmonize_photo(harmonizing, photo, mask, out) == ExitCode.OK
    assert out.read_bytes() == photo.read_bytes()
    as_bmp = tmp_path / "out.bmp"
    assert harmonize_one.harmonize_photo(harmonizing, photo, mask, as_bmp) == ExitCode.OK
    assert read_picture(as_bmp).origin.format == "BMP"


def test_a_folder_is_not_taken_for_a_photo(harmonizing, photo, tmp_path):
    with pytest.raises(UnreadableError, match="is a folder"):
        harmonize_one.harmonize_photo(
            harmonizing, tmp_path, str(photo.with_name("object.png")), None
        )


def test_without_a_named_model_the_first_that_harmonizes_is_taken(
    monkeypatch, harmonizing, photo, tmp_path
):
    mask, asked = str(photo.with_name("object.png")), []
    known = {"a": card(name="a"), "c": card(name="c", harmonizes=True)}
    known["b"] = card(name="b", harmonizes=True)
    monkeypatch.setattr(cards, "cards", lambda: known)
    opened = harmonizing.open_model()
    monkeypatch.setattr(
        PhotoRequest, "open_model", lambda request: asked.append(request.model.model) or opened
    )
    request = PhotoRequest(console=harmonizing.console)
    harmonize_one.harmonize_photo(request, photo, mask, tmp_path / "out.png")
    assert asked == ["b"]
    del known["b"], known["c"]
    with pytest.raises(ModelError, match="No installed model harmonizes") as caught:
        harmonize_one.harmonize_photo(request, photo, mask, tmp_path / "other.png")
    assert "blockwise" in caught.value.hint


def test_a_card_says_that_its_model_harmonizes(tmp_path):
    shipped = find_card("membrane")
    assert not shipped.harmonizes
    text = shipped.path.read_text(encoding="utf-8")
    path = tmp_path / "membrane.toml"
    path.write_text(text + '\n[output]\nfilled = "a"\nharmonized = "b"\n', encoding="utf-8")
    assert read_card(path).harmonizes
