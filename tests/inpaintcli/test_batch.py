"""Promises of a run of many photos."""

import json
import threading

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch import Settings, default_workers, exit_code, fill_files
from inpaintcli.errors import ExitCode
from inpaintcli.pairs import plan_folder
from inpaintcli.pipeline import Model
from tests.conftest import GreyEngine, card, photo_pixels


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:40] = 255
    for number in range(6):
        Image.fromarray(photo_pixels(48, 64)).save(photos / f"{number}.png")
        Image.fromarray(mask).save(photos / f"{number}.mask.png")
    return photos


def models(count=1):
    return [Model(card(), GreyEngine(), "") for _ in range(count)]


def outcomes(folder, out, workers=1, **settings):
    plan = plan_folder(folder, None, out, overwrite=False)
    runs = fill_files(plan.jobs, models(workers), Settings(**settings), notes=lambda _: None)
    return {outcome.input.name: outcome for outcome in runs}


@pytest.mark.parametrize("workers", [1, 3])
def test_all_photos_are_filled(folder, tmp_path, workers):
    done = outcomes(folder, tmp_path / "out", workers)
    assert {o.status for o in done.values()} == {"filled"}
    assert len(list((tmp_path / "out").iterdir())) == 6


@pytest.mark.parametrize("workers", [1, 3])
def test_one_bad_file_never_stops_the_rest(folder, tmp_path, workers):
    (folder / "2.png").write_bytes(b"")
    (folder / "3.mask.png").write_bytes(b"no mask")
    Image.new("L", (5, 5)).save(folder / "4.mask.png")
    done = outcomes(folder, tmp_path / "out", workers)
    assert {name: o.status for name, o in done.items() if o.status != "filled"} == dict.fromkeys(
        ["2.png", "3.png", "4.png"], "failed"
    )
    codes = {name: int(o.error.code) for name, o in done.items() if o.error}
    assert codes == {"2.png": 3, "3.png": 3, "4.png": 4}
    assert not (tmp_path / "out/2.png").exists()


def test_a_fault_of_the_program_is_told_as_one(folder, tmp_path, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("inpaintcli.batch.fill", broken)
    done = outcomes(folder, tmp_path / "out")
    assert {int(o.error.code) for o in done.values()} == {ExitCode.FAULT}


def test_result_lines_hold_what_the_contract_names(folder, tmp_path):
    (folder / "2.png").write_bytes(b"")
    done = outcomes(folder, tmp_path / "out")
    for outcome in done.values():
        line = json.loads(json.dumps(outcome.to_json()))
        assert {"schema", "status", "input", "mask", "output", "model", "engine", "device"} <= set(
            line
        )
        assert {"precision", "seconds", "error"} <= set(line)
        assert line["schema"] == 1
    assert done["1.png"].to_json()["error"] is None
    assert set(done["2.png"].to_json()["error"]) == {"code", "message", "hint"}


def test_an_empty_mask_copies_the_photo_byte_for_byte_and_says_so(folder, tmp_path):
    Image.new("L", (64, 48)).save(folder / "1.mask.png")
    done = outcomes(folder, tmp_path / "out")["1.png"]
    assert done.status == "filled"
    assert "empty" in done.note
    assert (tmp_path / "out/1.png").read_bytes() == (folder / "1.png").read_bytes()


def test_each_engine_serves_one_photo_at_a_time(folder, tmp_path):
    class Watched(GreyEngine):
        busy = False

        def _run(self, arrays):
            assert not self.busy
            self.busy = True
            threading.Event().wait(0.01)
            self.busy = False
            return super()._run(arrays)

    pool = [Model(card(), Watched(), "") for _ in range(2)]
    plan = plan_folder(folder, None, tmp_path / "out", overwrite=False)
    runs = fill_files(plan.jobs, pool, Settings(), notes=lambda _: None)
    assert {o.status for o in runs} == {"filled"}


def test_workers_follow_cores_and_photos(monkeypatch):
    monkeypatch.setattr("inpaintcli.batch.cores", lambda: 8)
    assert default_workers(100) == 4
    assert default_workers(2) == 2
    assert default_workers(0) == 1


def test_exit_codes_of_a_run():
    assert exit_code({"filled": 3, "skipped": 1}) == ExitCode.OK
    assert exit_code({}) == ExitCode.OK
    assert exit_code({"filled": 3, "failed": 1}) == ExitCode.SOME_FAILED
