"""The plug-in in a real GIMP 3 without windows: GIMP is started once and runs `cases.py`."""

import base64
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest

from inpaintcli.gimp.protocol import PROTOCOL, State, call
from inpaintcli.imaging.images import read_picture, write_picture
from inpaintcli.imaging.picture import Picture
from tests.conftest import photo_pixels
from tests.plugins.gimp.stand_ins import BEHAVIOURS, StandIn
from tests.plugins.gimp.tree import Gimp, root
from tests.programs import PROGRAM, finished

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parent / "cases.py"
NAMES = re.findall(r"^def (case_\w+)", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
PHOTOS = {"rgb8": (3, 8), "rgba8": (4, 8), "grey8": (1, 8), "rgb16": (3, 16), "rgba16": (4, 16)}
"""Channels and bits of the photos that are also filled by the command line."""


@pytest.fixture(scope="session")
def gimp():
    program = Gimp(root())
    yield program
    program.close()


@pytest.fixture(scope="session")
def photos(gimp):
    """PNG files in the tree; alpha is never 0, where GIMP's and the program's rules differ."""
    found = {}
    for name, (channels, depth) in PHOTOS.items():
        pixels = photo_pixels(120, 160, channels, depth)
        path = gimp.folder / f"{name}.png"
        if channels == 4:
            alpha = np.maximum(pixels[..., 3], 1)
            write_picture(Picture(pixels[..., :3], alpha), path, source=None, overwrite=True)
        else:
            write_picture(Picture(pixels), path, source=None, overwrite=True)
        found[name] = path
    return found


@pytest.fixture(scope="session")
def report(gimp, photos):
    """What the cases found, by name."""
    stand_ins, workers = [], {}
    for name, behave in BEHAVIOURS.items():
        state = gimp.folder / f"{name}.state" / "worker.json"
        stand_ins.append(StandIn(state, behave))
        workers[name] = gimp.settings(state)
    workers["silence"]["silence_s"] = 1.5
    other = gimp.folder / "other.state" / "worker.json"
    stand_ins.append(StandIn(other, BEHAVIOURS["scribble"], protocol=PROTOCOL + 1))
    workers["other_version"] = gimp.settings(other)
    nowhere = gimp.folder / "nowhere" / "worker.json"
    shell = ["/bin/sh", "-c"]
    workers["missing"] = gimp.settings(nowhere)
    workers["old_program"] = gimp.settings(nowhere, worker=[*shell, "exit 2"])
    crash = [*shell, "echo no such library >&2; exit 7"]
    workers["broken_program"] = gimp.settings(nowhere, worker=crash)
    command = "inpaintcli gimp worker --state /some/where"
    workers["confined"] = gimp.settings(nowhere, can_start=False, command=command)
    started = gimp.folder / "started" / "worker.json"
    workers["real"] = gimp.can_start(gimp.folder / "real" / "worker.json")
    workers["started"] = gimp.can_start(started)
    config = {
        "plug_in": gimp.inside(gimp.profile.plug_in / "settings.json"),
        "workers": workers,
        "photos": {name: gimp.inside(path) for name, path in photos.items()},
        "started_state": gimp.inside(started),
    }
    if wanted := os.environ.get("INPAINT_GIMP_CASES"):  # between two edits: a few of them
        config["only"] = wanted.split(",")
    yield gimp.console(SCRIPT, config, limit_s=500)
    for stand_in in stand_ins:
        stand_in.close()
    for path in (started, gimp.folder / "real" / "worker.json"):
        state = State.read(path)
        if state is not None:
            call(state, "stop")


@pytest.mark.parametrize("name", NAMES)
def test_in_gimp(report, name):
    found = report[name]
    assert found["ok"], found["error"] + report["said"]


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("mode", ["in-place", "new-layer"])
def test_the_same_bytes_as_fill(report, photos, tmp_path, photo, mode):
    facts = report["case_the_same_bytes_as_the_command_line"]["facts"][f"{photo} {mode}"]
    source = read_picture(photos[photo])
    shape = (source.height, source.width)
    selection = np.frombuffer(base64.b64decode(facts["selection"]), np.uint8).reshape(shape)
    assert set(np.unique(selection)) == {0, 255}
    mask = tmp_path / "mask.png"
    write_picture(Picture(selection[..., None]), mask, source=None, overwrite=True)
    out = tmp_path / "out.png"
    done = finished([*PROGRAM, "fill", photos[photo], "--mask", mask, "-o", out], 120)
    assert done.returncode == 0, done.stderr
    wanted = read_picture(out)
    channels = wanted.pixels.shape[2]
    data = np.frombuffer(base64.b64decode(facts["pixels"]), wanted.pixels.dtype)
    filled = data.reshape(facts["height"], facts["width"], -1)
    box = np.s_[facts["y"] : facts["y"] + facts["height"], facts["x"] : facts["x"] + facts["width"]]
    inside = selection[box] == 255
    assert inside.sum() == (selection == 255).sum()
    assert np.array_equal(filled[inside][:, :channels], wanted.pixels[box][inside])
    assert not np.array_equal(wanted.pixels[box][inside], source.pixels[box][inside])
    if mode == "in-place":
        whole = [wanted.pixels] if wanted.alpha is None else [wanted.pixels, wanted.alpha[..., None]]
        assert np.array_equal(filled, np.concatenate(whole, axis=2))
    else:
        top = np.iinfo(wanted.pixels.dtype).max
        assert np.array_equal(filled[..., -1] == top, inside)


def test_the_started_workers_state_is_its_owners_alone(report):
    facts = report["case_without_a_worker_one_is_started_and_stays"]["facts"]
    assert int(facts["mode"], 8) == stat.S_IRUSR | stat.S_IWUSR
