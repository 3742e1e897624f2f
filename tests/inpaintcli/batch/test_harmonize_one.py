import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.harmonize_one import HarmonizeRequest, harmonize_photo
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
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models import cards
from inpaintcli.options import MaskOptions, ModelChoice
from tests.conftest import card, photo_pixels
from tests.inpaintcli.objects.test_harmonize import LiftingEngine, square

REQUEST = HarmonizeRequest(console=Console(json=True))


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(photo_pixels(60, 80) // 2).save(tmp_path / "a.png")
    Image.fromarray(square(60, 80, 10, 10, 30, 40)).save(tmp_path / "object.png")
    Image.fromarray(np.zeros((60, 80), np.bool_)).save(tmp_path / "nothing.png")
    return tmp_path / "a.png"


def changed(photo, out) -> np.ndarray:
    before, after = (read_picture(path).pixels for path in (photo, out))
    return (before != after).any(axis=2)


def test_the_command_writes_beside_the_photo_and_reports_method_and_amount(photo, capsys):
    mask = str(photo.with_name("object.png"))
    request = replace(REQUEST, amount=0.75)
    assert harmonize_photo(request, photo, mask, None) == ExitCode.OK
    line = json.loads(capsys.readouterr().out)
    out = photo.with_name("a.harmonized.png")
    assert (line["schema"], line["status"], line["output"]) == (1, "filled", str(out))
    assert (line["method"], line["amount"], line["model"]) == ("predicted", 0.75, None)
    assert line["error"] is None
    where = changed(photo, out)
    assert where.sum() > 0.8 * 20 * 30
    assert not where[~square(60, 80, 10, 10, 30, 40)].any()
    with pytest.raises(OutputError, match="exists"):
        harmonize_photo(request, photo, mask, None)
    assert json.loads(capsys.readouterr().out)["error"]["code"] == ExitCode.OUTPUT


def test_grey_levels_of_the_mask_are_soft_edges_and_a_threshold_makes_them_hard(photo, tmp_path):
    levels = np.zeros((60, 80), np.uint8)
    levels[10:30, 10:40] = 255
    levels[10:30, 40:44] = 100
    levels[30:34, 10:40] = 9  # as good as black
    Image.fromarray(levels).save(tmp_path / "soft.png")
    mask, out = str(tmp_path / "soft.png"), tmp_path / "out.png"
    request = replace(REQUEST, method="reinhard")
    harmonize_photo(request, photo, mask, out)
    where = changed(photo, out)
    assert where[10:30, 40:44].mean() > 0.5
    assert not where[30:34].any()
    hard = replace(request, options=MaskOptions(mask_threshold=127), overwrite=True)
    harmonize_photo(hard, photo, mask, out)
    assert not changed(photo, out)[levels < 128].any()


def test_an_empty_mask_copies_the_photo(photo, tmp_path):
    out = tmp_path / "out.png"
    mask = str(photo.with_name("nothing.png"))
    assert harmonize_photo(REQUEST, photo, mask, out) == ExitCode.OK
    assert out.read_bytes() == photo.read_bytes()
    as_bmp = tmp_path / "out.bmp"
    assert harmonize_photo(REQUEST, photo, mask, as_bmp) == ExitCode.OK
    assert read_picture(as_bmp).origin.format == "BMP"


def test_a_dry_run_writes_nothing(photo, tmp_path, capsys):
    request = HarmonizeRequest(console=Console(), dry_run=True)
    mask, out = str(photo.with_name("object.png")), tmp_path / "out.png"
    assert harmonize_photo(request, photo, mask, out) == ExitCode.OK
    assert "would harmonize" in capsys.readouterr().out
    assert not out.exists()


def test_a_model_is_opened_only_where_it_is_asked_for(monkeypatch, photo, tmp_path, capsys):
    mask, asked = str(photo.with_name("object.png")), []
    known = {"a": card(name="a"), "c": card(name="c", harmonizes=True)}
    known["b"] = card(name="b", harmonizes=True)
    monkeypatch.setattr(cards, "cards", lambda: known)
    lifting = Model(card(harmonizes=True), LiftingEngine(), "for tests")
    monkeypatch.setattr(
        PhotoRequest, "open_model", lambda request: asked.append(request.model.model) or lifting
    )
    model = replace(REQUEST, method="model")
    harmonize_photo(model, photo, mask, tmp_path / "1.png")
    assert asked == ["b"]
    named = replace(REQUEST, model=ModelChoice(model="c"))
    harmonize_photo(named, photo, mask, tmp_path / "2.png")
    assert asked == ["b", "c"]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["method"] == "model"
    harmonize_photo(REQUEST, photo, mask, tmp_path / "3.png")
    assert asked == ["b", "c"]
    del known["b"], known["c"]
    with pytest.raises(ModelError, match="No installed model harmonizes"):
        harmonize_photo(model, photo, mask, tmp_path / "4.png")
    with pytest.raises(UsageError, match="'reinhard' has no model"):
        harmonize_photo(replace(named, method="reinhard"), photo, mask, tmp_path / "5.png")


def test_what_cannot_be_is_refused(photo, tmp_path):
    mask = str(photo.with_name("object.png"))
    with pytest.raises(UnreadableError, match="is a folder"):
        harmonize_photo(REQUEST, tmp_path, mask, None)
    with pytest.raises(UsageError, match="transparent object"):
        harmonize_photo(REQUEST, photo, "alpha", None)
    Image.fromarray(np.zeros((50, 80), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(MaskMismatchError, match="80x50"):
        harmonize_photo(REQUEST, photo, str(tmp_path / "small.png"), None)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableError):
        harmonize_photo(REQUEST, photo, str(tmp_path / "broken.png"), None)
