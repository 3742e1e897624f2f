"""A plan that agrees with the CPU is installed; one that does not is refused, with figures."""

import hashlib

import numpy as np
import pytest
from inpaintcli_engines.backends.reference import reference_engine
from inpaintcli_engines.base import EngineFailedError, EngineUnavailableError, Profile
from inpaintcli_engines.tensorrt.parity import LEAST_DB, compare, probes

from tests.conftest import GreyEngine

PROFILE = Profile(batch=(1, 2, 4), side=(16, 48, 80))


class Echo(GreyEngine):
    """Gives the picture back, changed by `change`."""

    def __init__(self, change=lambda image: image):
        super().__init__()
        self.change = change

    def _run(self, arrays):
        return {"filled": self.change(arrays["image"].copy())}


def test_the_probes_are_the_same_everywhere():
    digest = hashlib.sha256()
    for arrays in probes(PROFILE):
        for array in arrays.values():
            digest.update((array * 1000).round().astype(np.int32).tobytes())
    assert digest.hexdigest()[:16] == "0b3ec0bff75893e8"


def test_the_probes_have_holes_and_reach_the_ends_of_the_profile():
    shapes = []
    for arrays in probes(PROFILE):
        image, mask = arrays["image"], arrays["mask"]
        shapes.append(image.shape)
        assert np.abs(image).max() <= 1
        assert set(np.unique(mask)) == {0.0, 1.0}
    assert shapes == [(1, 3, 16, 16), (1, 3, 48, 80), (2, 3, 48, 48)]


def test_engines_that_agree_pass_with_their_figures():
    parity = compare(Echo(), Echo(lambda image: image + np.float32(1e-4)), PROFILE)
    assert min(parity.psnr_db) > 80
    assert parity.max_abs == pytest.approx(1e-4, rel=0.01)
    assert parity.to_json()["least_db"] == LEAST_DB["fp32"]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image + np.float32(0.01),
        lambda image: np.where(np.arange(image.shape[-1]) == 8, np.float32("nan"), image),
        lambda image: image[:, ::-1],
    ],
)
def test_engines_that_do_not_agree_are_refused_with_figures(change):
    with pytest.raises(EngineFailedError, match=r"hole PSNR .*dB, largest difference"):
        compare(Echo(change), Echo(), PROFILE)


def test_without_a_cpu_engine_nothing_can_be_compared(monkeypatch, tmp_path):
    for backend in ("openvino_cpu", "onnxruntime_any"):
        monkeypatch.setattr(
            f"inpaintcli_engines.backends.{backend}.why_not", lambda _device: "gone"
        )
    with pytest.raises(EngineUnavailableError, match="gone; gone"):
        reference_engine(tmp_path / "model.onnx")
