"""The plug-in in a real GIMP 3 without windows: GIMP is started once and runs `cases.py`."""

import base64
import os
import re
import shutil
import stat
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from inpaintcli.imaging.images import read_picture, write_picture
from inpaintcli.imaging.picture import Picture
from tests.conftest import photo_pixels
from tests.plugins.gimp.tree import Gimp
from tests.programs import PROGRAM, finished

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(1100)]

SCRIPT = Path(__file__).parent / "cases.py"
NAMES = re.findall(r"^def (case_\w+)", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
PHOTOS = {"rgb8": (3, 8), "rgba8": (4, 8), "grey8": (1, 8), "rgb16": (3, 16), "rgba16": (4, 16)}
"""Channels and bits of the photos that are also filled by the command line."""
GUIDES = {
    "rgb8": "rgb8-guide",
    "rgba8": "rgb8-guide",
    "grey8": "grey8-guide",
    "rgb16": "rgb16-guide",
}
"""Photos, and of what picture an object is put into them."""
OBJECT = (20, 12, 40, 36)
"""The object's box in those pictures."""

LIMIT_S = 1000
"""About 150 s on two idle cores."""
SHARED = [
    "case_floats_beyond_one_are_filled_as_bright",
    "case_live_filters_stay_and_a_new_layer_has_them_in",
]
"""Cases with the real worker, which a second GIMP runs at the same time."""


@pytest.fixture(scope="session")
def run(reported):
    """What the cases found, by name, and the folder of the photos."""
    return reported("cases", _run_cases)


@pytest.fixture(scope="session")
def report(run):
    return run[0]


def _run_cases(gimp, workers, folder):
    inside = gimp.folder / "photos"
    inside.mkdir()
    for path in _write_photos(folder):
        shutil.copy(path, inside)
    config = {
        "plug_in": gimp.inside(gimp.profile.plug_in / "settings.json"),
        "workers": workers,
        "photos": {name: gimp.inside(inside / f"{name}.png") for name in PHOTOS},
        "objects": dict.fromkeys(GUIDES, OBJECT),
        "guides": {photo: gimp.inside(inside / f"{name}.png") for photo, name in GUIDES.items()},
        "started_state": workers["started"]["state"],
    }
    if wanted := os.environ.get("INPAINT_GIMP_CASES"):  # between two edits: a few of them
        config["only"] = wanted.split(",")
    found: list[dict] = []
    with _second_gimp(gimp.tree, config, found):
        report = gimp.console(SCRIPT, config, limit_s=LIMIT_S)
    return {**report, "second": found[0]}


@contextmanager
def _second_gimp(tree, config, found):
    """Another GIMP at the same time, whose plug-in asks the same worker."""
    gimp = Gimp(tree)
    plug_in = gimp.inside(gimp.profile.plug_in / "settings.json")
    config = {**config, "plug_in": plug_in, "only": SHARED}
    thread = threading.Thread(target=lambda: found.append(gimp.console(SCRIPT, config, LIMIT_S)))
    thread.start()
    try:
        yield
    finally:
        thread.join()
        gimp.close()


def _write_photos(folder):
    """PNG files; alpha is never 0, where GIMP's and the program's rules differ."""
    for name, (channels, depth) in PHOTOS.items():
        pixels, path = photo_pixels(120, 160, channels, depth), folder / f"{name}.png"
        alpha = np.maximum(pixels[..., 3], 1) if channels == 4 else None
        colours = pixels[..., :3] if channels == 4 else pixels
        write_picture(Picture(colours, alpha), path)
        yield path
    for name in set(GUIDES.values()):
        channels, depth = PHOTOS[name.removesuffix("-guide")]
        pixels, path = photo_pixels(60, 80, channels, depth) // 4, folder / f"{name}.png"
        rows, columns = np.mgrid[:60, :80]
        top = np.iinfo(pixels.dtype).max
        pixels[np.hypot(rows - 30, columns - 40) <= 13] = np.array([0.9, 0.2, 0.1])[:channels] * top
        write_picture(Picture(pixels), path)
        yield path


@pytest.mark.parametrize("name", NAMES)
def test_in_gimp(report, name):
    found = report[name]
    assert found["ok"], found["error"] + report["said"]


def test_two_gimps_at_once_are_both_served(report):
    assert {name: report["second"][name]["ok"] for name in SHARED} == dict.fromkeys(SHARED, True)


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("mode", ["in-place", "new-layer"])
def test_the_same_bytes_as_fill(run, tmp_path, photo, mode):
    report, photos = run
    path = photos / f"{photo}.png"
    facts = report["case_the_same_bytes_as_the_command_line"]["facts"][f"{photo} {mode}"]
    source = read_picture(path)
    shape = (source.height, source.width)
    selection = np.frombuffer(base64.b64decode(facts["selection"]), np.uint8).reshape(shape)
    assert set(np.unique(selection)) == {0, 255}
    mask = tmp_path / "mask.png"
    write_picture(Picture(selection[..., None]), mask)
    out = tmp_path / "out.png"
    done = finished([*PROGRAM, "fill", path, "--mask", mask, "-o", out], 120)
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
        whole = (
            [wanted.pixels] if wanted.alpha is None else [wanted.pixels, wanted.alpha[..., None]]
        )
        assert np.array_equal(filled, np.concatenate(whole, axis=2))
    else:
        top = np.iinfo(wanted.pixels.dtype).max
        assert np.array_equal(filled[..., -1] == top, inside)


@pytest.mark.parametrize("procedure", ["plug-in-inpaint-remove-object", "plug-in-inpaint-guided"])
@pytest.mark.parametrize("photo", GUIDES)
def test_the_same_object_as_the_command_line(run, tmp_path, photo, procedure):
    report, photos = run
    facts = report["case_the_same_object_as_the_command_line"]["facts"]
    box, at, size = ",".join(map(str, OBJECT)), "50,30", "60,54"
    guide, out = photos / f"{GUIDES[photo]}.png", tmp_path / "out.png"
    path, command = guide, ["remove", guide, "--box", box]
    if procedure == "plug-in-inpaint-guided":
        path = photos / f"{photo}.png"
        command = ["guided", path, "--guide", guide, "--box", box, "--at", at, "--size", size]
    done = finished([*PROGRAM, *command, "-o", out], 120)
    assert done.returncode == 0, done.stderr
    source, wanted = read_picture(path), read_picture(out)
    planes = [wanted.pixels] if wanted.alpha is None else [wanted.pixels, wanted.alpha[..., None]]
    whole = np.concatenate(planes, axis=2)
    data = np.frombuffer(base64.b64decode(facts[f"{photo} {procedure}"]), whole.dtype)
    assert np.array_equal(data.reshape(whole.shape), whole)
    assert not np.array_equal(wanted.pixels, source.pixels)


def test_the_started_workers_state_is_its_owners_alone(report):
    facts = report["case_without_a_worker_one_is_started_and_stays"]["facts"]
    assert int(facts["mode"], 8) == stat.S_IRUSR | stat.S_IWUSR
