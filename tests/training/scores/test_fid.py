import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training.perceptual.backbones.inception import Inception
from inpaintcli_training.scores import fid
from inpaintcli_training.scores.fid import Fid
from inpaintcli_training.scores.scorer import FeatureScores
from torch import nn

from inpaintcli.console import Console
from inpaintcli.evaluation import methods
from inpaintcli.evaluation.evaluate import EvaluationRequest, evaluate_folder
from inpaintcli.evaluation.metrics import frechet_of
from tests.training.perceptual import inception_file


@pytest.fixture
def colours() -> Fid:
    """FID of mean colours: a network without layers, whose vectors are those in [-1, 1]."""
    return Fid(Inception(nn.Sequential(nn.Identity())))


def plain(*rgb: int) -> np.ndarray:
    return np.full((20, 30, 3), rgb, np.uint8)


def add_pair(collected: Fid, group: str, first: dict[str, int], second: dict[str, int]) -> None:
    """Two holes of a group, in photos and fills of one grey each; the photos' name is `photo`."""
    for greys in (first, second):
        pictures = {name: plain(grey, grey, grey) for name, grey in greys.items()}
        collected.add(group, pictures.pop("photo"), pictures)


def test_fid_of_plain_pictures_by_hand(colours: Fid) -> None:
    """Photos 0 and 255 are vectors of -1 and 1: mean 0, along one line with variance 2 * 3.

    Fills 51 and 153 are -0.6 and 0.2: mean -0.2, variance 0.32 * 3 along the same line.
    """
    greys = ({"photo": 0, "m": 51, "n": 0}, {"photo": 255, "m": 153, "n": 255})
    add_pair(colours, "centre", *greys)
    wanted = 3 * (0.2**2 + (2**0.5 - 0.32**0.5) ** 2)
    assert colours.pooled("m", ["centre"]) == pytest.approx(wanted, abs=1e-6)
    assert colours.pooled("n", ["centre"]) == pytest.approx(0, abs=1e-6)


def test_all_holes_have_a_fid_and_a_kind_only_where_it_has_enough(colours: Fid, monkeypatch):
    add_pair(colours, "a", {"photo": 0, "m": 10}, {"photo": 200, "m": 90})
    assert colours.pooled("m", ["a"]) > 0  # the only kind is all there is
    add_pair(colours, "b", {"photo": 0, "m": 10}, {"photo": 200, "m": 150})
    assert colours.pooled("m", ["a", "b"]) > 0
    assert np.isnan(colours.pooled("m", ["a"]))
    monkeypatch.setattr(fid, "MIN_GROUP_SIZE", 2)
    assert colours.pooled("m", ["a"]) != colours.pooled("m", ["b"])
    assert np.isnan(colours.pooled("m", ["c"]))


def test_more_fills_change_what_was_asked_for_before(colours: Fid) -> None:
    add_pair(colours, "a", {"photo": 0, "m": 10}, {"photo": 200, "m": 90})
    before = colours.pooled("m", ["a"])
    add_pair(colours, "a", {"photo": 90, "m": 90}, {"photo": 120, "m": 120})
    assert colours.pooled("m", ["a"]) < before


def test_photos_count_once_however_many_of_their_holes_are_filled(colours: Fid, monkeypatch):
    """Two photos with three holes each are two photos: for thresholds, remark and covariance."""
    photos, shades = ({"photo": 0, "m": 51}, {"photo": 255, "m": 153}), (51, 60, 70)
    for shade in shades:
        add_pair(colours, "a", {**photos[0], "m": shade}, {**photos[1], "m": shade + 102})
    vectors = [np.full(3, grey / 127.5 - 1) for grey in (0, 255)]
    fills = [np.full(3, grey / 127.5 - 1) for shade in shades for grey in (shade, shade + 102)]
    wanted = frechet_of(np.stack(fills), np.stack(vectors))
    assert colours.pooled("m", ["a"]) == pytest.approx(wanted, rel=1e-4)
    assert "of 2 photos" in colours.remarks()[0]
    add_pair(colours, "b", *photos)
    monkeypatch.setattr(fid, "MIN_GROUP_SIZE", 3)
    assert np.isnan(colours.pooled("m", ["a"]))  # six fills, but two photos
    one = Fid(colours._network)
    for shade in shades:
        one.add("a", plain(0, 0, 0), {"m": plain(shade, shade, shade)})
    assert np.isnan(one.pooled("m", ["a"]))


def test_few_fills_are_remarked_upon_and_many_are_not(colours: Fid, monkeypatch) -> None:
    assert colours.remarks() == ()
    add_pair(colours, "a", {"photo": 0, "m": 10}, {"photo": 200, "m": 90})
    [remark] = colours.remarks()
    assert "of 2 photos: with fewer than 2049" in remark
    monkeypatch.setattr(fid, "DIMENSION", 1)
    assert colours.remarks() == ()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("inception")
    inception_file.write(folder)
    return folder


def test_pictures_reach_the_network_as_rgb_in_plus_minus_one(colours: Fid) -> None:
    colours.add("a", plain(0, 51, 255), {"m": plain(255, 0, 0)})
    [photo] = colours._photos.values()
    np.testing.assert_allclose(photo, [-1, -0.6, 1], atol=1e-6)
    np.testing.assert_allclose(colours._fills["a", "m"], [[1, -1, -1]], atol=1e-6)


def test_the_command_reports_fid_on_the_console_in_json_and_in_the_report(
    folder: Path, tmp_path: Path, photo_folder: Path, capsys, monkeypatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, path in enumerate(sorted(photo_folder.iterdir())[:3]):
        picture = cv2.resize(cv2.imread(str(path)), (64, 64))
        cv2.imwrite(str(photos / f"{number}.png"), picture)
    monkeypatch.setattr(
        "inpaintcli.evaluation.evaluate._methods", lambda *_: list(methods.classical_methods())
    )
    report = tmp_path / "report.html"
    for as_json in (True, False):
        run = EvaluationRequest(
            console=Console(json=as_json), drawn_kinds=("centre",), report=report, overwrite=True
        )
        evaluate_folder(run, photos, None, FeatureScores(folder))
        printed = capsys.readouterr()
        assert "FID is of 3 photos" in printed.err
        if as_json:
            summary = json.loads(printed.out.splitlines()[-1])["summary"]
            assert "FID is of 3 photos" in summary["remarks"][0]
            scores = summary["groups"][0]["methods"]
            assert scores["telea"]["fid"] > 0
            assert scores["photo"]["fid"] is None
            assert summary["networks"][0].startswith(inception_file.FILE)
        else:
            assert re.search(r"\bFID\b", printed.out)
    html = report.read_text()
    assert "FID is of 3 photos" in html
    assert ">FID</th>" in html
