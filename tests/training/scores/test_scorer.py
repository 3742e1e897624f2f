from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from inpaintcli_training.scores.distances import square_around
from inpaintcli_training.scores.scorer import FeatureScores
from safetensors.torch import load_file

from inpaintcli.errors import UnreadableError

LAYERS = {"relu1_2": (0, 2), "relu2_2": (5, 7), "relu3_4": (10, 12, 14, 16)}


@pytest.fixture
def photo() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def hole() -> np.ndarray:
    mask = np.zeros((96, 128), np.bool_)
    mask[30:62, 40:90] = True
    return mask


@pytest.fixture
def fills(photo, hole) -> dict[str, np.ndarray]:
    soft = cv2.GaussianBlur(photo, (0, 0), 4)
    grey = np.full_like(photo, 128)
    return {name: np.where(hole[..., None], x, photo) for name, x in (("s", soft), ("g", grey))}


def units(file: Path, bgr: np.ndarray) -> list[torch.Tensor]:
    """P's features written out: BGR in 0..255 minus the mean, through VGG-19 by hand."""
    weights = {name: w.float() for name, w in load_file(file).items()}
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    x = torch.from_numpy(bgr.astype(np.float32)).permute(2, 0, 1)[None] - mean
    found = []
    for numbers in LAYERS.values():
        for number in numbers:
            weight, bias = (weights[f"features.{number}.{kind}"] for kind in ("weight", "bias"))
            x = F.relu(F.conv2d(x, weight, bias, padding=1))
        found.append(x / (x.norm(dim=1, keepdim=True) + 1e-6))
        x = F.max_pool2d(x, 2)
    return found


def test_p_and_fd_are_what_their_definitions_say(features, photo, hole, fills) -> None:
    file = features / "vgg19_random.safetensors"
    scores = FeatureScores(features)
    found = scores.score("any", photo, hole, fills)
    # The hole is 50 px wide: a square of 50 * 3 / 2 + 16 = 91 px around (46, 65).
    rows, columns = slice(1, 92), slice(20, 111)
    assert square_around(hole) == (rows, columns)
    vectors = {}
    for name, picture in {**fills, "photo": photo}.items():
        vectors[name] = units(file, np.ascontiguousarray(picture[rows, columns, ::-1]))
    inside = cv2.resize(
        hole[rows, columns].astype(np.float32), (22, 22), interpolation=cv2.INTER_AREA
    )
    for name in fills:
        layers = zip(vectors[name], vectors["photo"], strict=True)
        p = np.mean([((a - b) ** 2).sum(1).mean().item() for a, b in layers]) * 1000
        assert found[name]["p"] == pytest.approx(p, rel=1e-4)
        ours, theirs = (
            vectors[n][2][0].permute(1, 2, 0).numpy()[inside > 0.6] for n in (name, "photo")
        )
        pooled = scores.pooled(name, ["any"])
        assert pooled["fd_relu3_4"] == pytest.approx(frechet(ours, theirs), rel=1e-3)


def frechet(ours: np.ndarray, theirs: np.ndarray) -> float:
    """By the roots of the eigenvalues of the covariances' product."""
    c1, c2 = np.cov(ours.T), np.cov(theirs.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(c1 @ c2).real, 0)).sum()
    step = ours.mean(0) - theirs.mean(0)
    return float(step @ step + np.trace(c1) + np.trace(c2) - 2 * roots) * 1000


def test_equal_pictures_are_at_no_distance(features, photo, hole) -> None:
    scores = FeatureScores(features)
    found = scores.score("any", photo, hole, {"same": photo})["same"]
    assert found == {"p": 0, "squeezenet": 0}
    assert scores.pooled("same", ["any"])["fd_relu3_4"] == pytest.approx(0, abs=1e-3)


def test_groups_are_pooled_apart_and_together(features, photo, hole, fills) -> None:
    scores, both = FeatureScores(features), FeatureScores(features)
    other = hole[:, ::-1]
    scores.score("a", photo, hole, fills)
    scores.score("b", photo, other, {name: f[:, ::-1] for name, f in fills.items()})
    both.score("c", photo, hole, fills)
    both.score("c", photo, other, {name: f[:, ::-1] for name, f in fills.items()})
    apart, together = scores.pooled("s", ["a"]), scores.pooled("s", ["a", "b"])
    assert apart["fd_relu3_4"] != pytest.approx(together["fd_relu3_4"], rel=0.01)
    assert together == pytest.approx(both.pooled("s", ["c"]))
    assert np.isnan(scores.pooled("s", ["nothing"])["fd_relu3_4"])


def test_what_is_left_out_is_said_and_caffes_squeezenet_is_no_lpips(features) -> None:
    scores = FeatureScores(features)
    assert [metric.key for metric in scores.metrics] == [
        "p", "fd_relu2_2", "fd_relu3_4", "squeezenet",
    ]  # fmt: skip
    assert scores.networks == (
        "vgg19_random.safetensors (caffe layout)",
        "squeezenet1_1_random.safetensors (caffe layout)",
    )
    assert "LPIPS" in scores.left_out[0]
    assert "squeezenet1_1" in scores.left_out[0]
    assert scores.left_out[1].startswith("FID")


def test_a_vgg19_that_ends_early_leaves_p_out(tmp_path, short_vgg19) -> None:
    short_vgg19(tmp_path, 5)
    with pytest.raises(UnreadableError, match=r"ends before relu3_4"):
        FeatureScores(tmp_path)


@pytest.mark.parametrize("size", [(40, 12), (4000, 60)])  # the long one is scaled down
def test_pictures_too_small_for_a_network_have_no_score_of_it(features, size) -> None:
    photo, hole = np.zeros((*size, 3), np.uint8), np.zeros(size, np.bool_)
    hole[: size[0] - 1, 4:8] = True
    scores = FeatureScores(features)
    assert scores.score("any", photo, hole, {"m": photo}) == {"m": {}}
    assert np.isnan(scores.pooled("m", ["any"])["fd_relu3_4"])
