import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from inpaintcli_training.export.parity_samples import ParitySamples, find_parity_samples


def write(folder: Path, *greys: int) -> Path:
    folder.mkdir()
    for number, grey in enumerate(greys):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 50, 3), grey, np.uint8))
    return folder


def test_the_first_readable_photos_of_the_runs_data_are_taken(tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", 10, 20, 30, 40)
    (folder / "0.png").write_bytes(b"no photo")
    gone = tmp_path / "gone"
    found = find_parity_samples([str(gone), str(folder)])
    assert found.about == "photos of the run"
    assert [photo[0, 0, 0] for photo in found.photos] == [20, 30, 40]


def test_where_the_data_are_gone_real_photos_are_taken_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    for sources in ([], [str(tmp_path / "gone")]):
        found = find_parity_samples(sources)
        assert found.about == "photos of scikit-image"
        assert len(found.photos) == 2


def test_noise_is_called_noise(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    found = find_parity_samples([])
    assert found.about == "noise"
    assert found.photos[0].shape == (512, 512, 3)


@pytest.mark.parametrize("size", [(30, 40), (40, 50), (64, 48), (41, 200)])
def test_parts_have_the_size_asked_for_and_small_photos_are_enlarged(size) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    part = ParitySamples((photo,), "").crop(0, *size, np.random.default_rng(1))
    assert part.shape == (*size, 3)
    if size == (40, 50):
        assert np.array_equal(part, photo)
