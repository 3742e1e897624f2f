"""The commands `engine ...`, on stand-ins for NVIDIA's modules."""

import hashlib
import json

import numpy as np
import pytest
from inpaintcli_engines.backends import tensorrt_gpu
from inpaintcli_engines.base import EngineFailedError, EngineUnavailableError
from inpaintcli_engines.tensorrt.cache import PlanCache

from inpaintcli.console import Console
from inpaintcli.errors import UsageError
from inpaintcli.inpaint.pipeline import open_model
from inpaintcli.models import compiled_engines
from inpaintcli.models.cards import FOLDER_VARIABLE
from inpaintcli.models.install import add_model
from tests.inpaintcli.models.graphs import KINDS, write

pytestmark = pytest.mark.usefixtures("gpu")


@pytest.fixture
def small_card(small_model, tmp_path):
    """A card for the small model, with a profile of its own."""
    sha256 = hashlib.sha256(small_model.read_bytes()).hexdigest()
    path = tmp_path / "small.toml"
    path.write_text(
        f"""name = "small"
file = "{small_model.as_posix()}"
sha256 = "{sha256}"
licence = "Apache-2.0"
family = "small"
recipe = "small"
source = "tests"
task = "fill"
[input]
size_multiple = 1
[working]
max_thickness = 16
context = 0.5
[profile]
batch = [1, 1, 2]
side = [16, 32, 64]
"""
    )
    return path


def build(card, **console):
    compiled_engines.build(Console(**console), str(card), "cuda", "auto")


def test_build_makes_a_plan_of_the_cards_profile_once(small_card, gpu, capsys):
    build(small_card, json=True)
    build(small_card, json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["digest"] == lines[1]["digest"]
    assert lines[0]["key"]["profile"] == {"batch": [1, 1, 2], "side": [16, 32, 64]}
    assert lines[0]["key"]["precision"] == "fp16"
    assert gpu[1].knobs.builds == 1


def test_a_build_that_fails_says_why(small_card, gpu):
    gpu[1].knobs.spoil = 1.0
    with pytest.raises(EngineFailedError, match="disagrees"):
        build(small_card)


def test_a_build_that_is_asked_for_is_tried_again(small_card, gpu):
    gpu[1].knobs.spoil = 1.0
    for builds in (2, 4):  # fp16 and fp32, each time
        with pytest.raises(EngineFailedError, match="disagrees"):
            build(small_card)
        assert gpu[1].knobs.builds == builds


def test_a_build_that_could_not_be_kept_is_not_begun(small_card, gpu, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(EngineFailedError, match="cannot be written"):
        build(small_card)
    assert gpu[1].knobs.builds == 0


def test_without_a_gpu_nothing_is_built_and_doctor_is_named(small_card, monkeypatch):
    monkeypatch.setattr(tensorrt_gpu, "why_not", lambda _device: "no NVIDIA driver is installed")
    with pytest.raises(EngineUnavailableError, match="cuda: no NVIDIA driver") as caught:
        build(small_card)
    assert "doctor" in caught.value.hint


def test_for_the_cpu_there_is_nothing_to_build():
    with pytest.raises(UsageError, match="without a compiled engine"):
        compiled_engines.build(Console(), None, "cpu", "auto")


def test_list_and_show_tell_what_is_known(small_card, capsys):
    build(small_card)
    digest = PlanCache().entries()[0].digest
    capsys.readouterr()
    compiled_engines.list_plans(Console())
    assert digest[:12] in capsys.readouterr().out
    compiled_engines.show_plan(Console(), digest[:6])
    text = capsys.readouterr().out
    assert "key.gpu: Fake GPU" in text
    assert "parity.psnr_db: [" in text
    compiled_engines.show_plan(Console(json=True), digest)
    assert json.loads(capsys.readouterr().out)["digest"] == digest


def test_a_key_that_is_not_there_is_refused(capsys):
    with pytest.raises(UsageError, match="0 compiled engines"):
        compiled_engines.show_plan(Console(), "abc")
    compiled_engines.list_plans(Console())
    assert "No compiled engine" in capsys.readouterr().err


def test_clear_removes_all(small_card, capsys):
    build(small_card)
    capsys.readouterr()
    compiled_engines.clear_plans(Console(json=True))
    assert json.loads(capsys.readouterr().out)["removed"] == 1
    assert PlanCache().entries() == []


@pytest.mark.parametrize("kind", ["lama-255", "lama-1", "migan", "painted"])
def test_models_of_other_programs_are_compiled_and_compared_as_ours(
    kind, gpu, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    card = add_model(write(tmp_path / "m.onnx", KINDS[kind]))
    compiled_engines.build(Console(json=True), "m", "cuda", "auto")
    built = json.loads(capsys.readouterr().out)
    assert built["key"]["precision"] == "fp32"
    assert min(built["parity"]["psnr_db"]) >= 60
    with open_model("m", device="cuda") as model:
        side = card.size_multiple * -(-64 // card.size_multiple)
        image = np.full((2, 3, side, side), 0.5, np.float32)
        mask = np.zeros((2, 1, side, side), np.float32)
        mask[..., 20:30, 20:40] = 1
        filled = model.run({"image": image * (1 - mask), "mask": mask})["filled"]
    assert model.engine.info.name == "tensorrt"
    np.testing.assert_allclose(filled, image, atol=1e-5)
    assert gpu[1].knobs.builds == 1


def test_a_plan_of_another_contract_is_not_installed(gpu, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    add_model(write(tmp_path / "m.onnx", KINDS["lama-255"]))
    gpu[1].knobs.spoil = 40.0
    with pytest.raises(EngineFailedError, match="disagrees"):
        compiled_engines.build(Console(), "m", "cuda", "auto")
