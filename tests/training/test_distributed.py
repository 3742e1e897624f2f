"""Two processes, started by torchrun and talking through gloo, train as one does."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training import distributed

from inpaintcli.errors import UsageError

SCRIPT = Path(__file__).with_name("processes.py")
ROOT = SCRIPT.parents[2]
pytestmark = pytest.mark.slow

spec = importlib.util.spec_from_file_location("processes", SCRIPT)
processes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(processes)


@pytest.fixture(scope="module")
def folder(photo_folder: Path, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    shutil.copytree(photo_folder, folder / "photos")
    shutil.copytree(features, folder / "features")
    (folder / "bad").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / "bad" / name).write_bytes(b"no photo")
    (folder / "pairs").mkdir()
    for number, photo in enumerate(sorted(photo_folder.iterdir()) * 4):
        shutil.copy(photo, folder / "pairs" / f"{number}.png")
        mask = np.zeros(cv2.imread(str(photo)).shape[:2], np.uint8)
        mask[10:20, 5 : 25 - number % 3] = 255
        cv2.imwrite(str(folder / "pairs" / f"{number}.mask.png"), mask)
    return folder


@pytest.fixture(scope="module")
def two(folder: Path) -> dict:
    """The results of two processes."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [*start, str(SCRIPT), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "results.json").read_text())
    assert results["processes"] == 2
    return results


@pytest.mark.parametrize("name", sorted(processes.RECIPES))
def test_two_processes_have_the_losses_of_one_with_the_same_global_batch(
    name: str, two: dict, folder: Path
) -> None:
    """Over three steps: sums of another order differ in the last digits, which Adam enlarges."""
    alone = processes.losses(folder, name)
    for ours, theirs in zip(two["losses"][name], alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_an_interrupted_run_of_two_processes_is_resumed_bit_for_bit(two: dict) -> None:
    assert two["resumed"] == two["losses"]["dmfn in parts"]


def test_a_loss_that_is_nan_in_one_process_stops_all_by_its_name(two: dict) -> None:
    assert len(two["diverged"]) == 2
    for message in two["diverged"]:
        assert message.startswith("The loss 'hole' became nan after 0 images.")


def test_a_signal_to_one_process_stops_all_after_the_same_step(two: dict, folder: Path) -> None:
    assert two["stopped"] == [8, 8]
    assert torch.load(folder / "stopped" / "state.pt", weights_only=True)["images"] == 8


def test_the_record_counts_what_any_process_could_not_read(two: dict) -> None:
    assert two["unreadable"] == 3


def test_validation_is_divided_and_its_mean_is_that_of_one_process(two: dict, folder: Path) -> None:
    assert two["validated"] == pytest.approx(processes.validated(folder), rel=1e-5)


def test_batch_normalisation_counts_the_pictures_of_all_processes(two: dict) -> None:
    """Compared with torch's own over all eight pictures."""
    alone = processes.normalised()
    assert two["normalised"].pop("y")[0] * 2 == pytest.approx(alone.pop("y")[0], abs=1e-5)
    for name, values in alone.items():
        assert two["normalised"][name] == pytest.approx(values, rel=1e-4, abs=1e-6)


def test_a_batch_that_two_processes_cannot_share_is_refused(two: dict) -> None:
    assert "5 crops cannot be cut into 2 equal parts" in two["refused"]


def test_several_processes_on_one_named_gpu_are_refused(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="cuda:0"), distributed.process_group("cuda:0"):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="Process 1"), distributed.process_group("cuda"):
        pass
