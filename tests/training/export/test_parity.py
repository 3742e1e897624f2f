"""A graph that does not do what torch does is an error, and nothing is written."""

import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from inpaintcli_training.catalog import build_generator
from inpaintcli_training.export import exporter, parity
from inpaintcli_training.export.exporter import export_run
from inpaintcli_training.export.parity import ExportError
from inpaintcli_training.export.parity_samples import find_parity_samples
from inpaintcli_training.loop.run_folder import load_ema
from inpaintcli_training.recipe import Recipe

from inpaintcli.errors import ExitCode, OutputError
from tests.training.exports import Exported, export_tiny, rounded_generator, write_run


@pytest.fixture(scope="module")
def smallest(
    tmp_path_factory: pytest.TempPathFactory, tiny_recipes: dict[str, Recipe], photo_folder: Path
) -> Exported:
    """Of the family that is exported fastest, for what does not depend on the network."""
    return export_tiny(tmp_path_factory, tiny_recipes["blockwise"], photo_folder)


@pytest.fixture
def already(smallest: Exported, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """Exporting returns a finished graph at once; everything after it is done as usual."""
    monkeypatch.setattr(exporter, "to_onnx", lambda _generator: onnx.load(smallest.path))
    return smallest


@pytest.mark.parametrize("runtime", ["_onnxruntime", "_openvino"])
@pytest.mark.parametrize("fault", [0.01, np.nan])
def test_a_graph_that_differs_is_an_error_and_leaves_nothing(
    runtime: str, fault: float, already: Exported, tmp_path: Path, monkeypatch
) -> None:
    torch_itself = parity._torch(rounded_generator(already))
    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: torch_itself)
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)

    def wrong(image, mask):
        outputs = torch_itself(image, mask)
        return outputs | {"filled": outputs["filled"] + np.float32(fault)}

    monkeypatch.setattr(parity, runtime, lambda _model: wrong)
    with pytest.raises(ExportError, match="differs") as caught:
        export_run(already.run, tmp_path / "out")
    assert caught.value.code == ExitCode.MODEL
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_picks_otherwise_is_an_error(
    tiny_recipes: dict[str, Recipe], tmp_path: Path, monkeypatch
) -> None:
    recipe = tiny_recipes["contextual"]
    write_run(tmp_path / "run", recipe)
    weights, _ = load_ema(tmp_path / "run")
    generator = build_generator(recipe).eval()
    generator.load_state_dict(weights)
    torch_itself = parity._torch(generator)

    def wrong(image, mask):
        outputs = torch_itself(image, mask)
        elsewhere = np.random.default_rng(0).random(outputs["attention"].shape) < 0.02
        return outputs | {"attention": outputs["attention"] + 8 * elsewhere}

    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: wrong)
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)
    with pytest.raises(ExportError, match="picks the same at 9"):
        parity.compare(b"", generator, generator, find_parity_samples([]))


def test_a_graph_that_does_not_run_is_an_error_and_leaves_nothing(
    already: Exported, tmp_path: Path, monkeypatch
) -> None:
    def broken(_image, _mask):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: broken)
    with pytest.raises(ExportError, match="no such operator"):
        export_run(already.run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_without_openvino_the_card_leaves_it_out(
    already: Exported, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)
    path, found = export_run(already.run, tmp_path, max_thickness=48, context=0.7)
    assert found.openvino_max_abs is None
    card = tomllib.loads(path.with_suffix(".toml").read_text())
    assert "openvino_max_abs" not in card["parity"]
    assert card["working"] == {"max_thickness": 48, "context": 0.7}
    assert path.name == f"{already.recipe.name}.onnx"


def test_an_output_folder_that_cannot_be_written_is_an_output_error(
    already: Exported, tmp_path: Path, monkeypatch
) -> None:
    torch_itself = parity._torch(rounded_generator(already))
    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: torch_itself)
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        export_run(already.run, tmp_path / "file")


def test_the_pictures_compared_have_holes_and_the_range() -> None:
    for seed, size in enumerate([(64, 64), (112, 176)]):
        image, mask = parity._pictures(find_parity_samples([]), size, batch=3, seed=seed)
        assert image.shape == (3, 3, *size)
        assert mask.shape == (3, 1, *size)
        assert image.dtype == mask.dtype == np.float32
        assert -1 <= image.min() < image.max() <= 1
        assert set(np.unique(mask)) == {0.0, 1.0}
        assert mask.any((1, 2, 3)).all()
