"""A GIMP with windows on a virtual screen, and what is done in it."""

import os
import shutil
from pathlib import Path

from PIL import Image

from tests.plugins.gimp.tree import Gimp

SCRIPT = Path(__file__).parent / "session.py"
SIZE = (1120, 630)
BOX = (426, 108, 52, 296)
"""The right mast of scikit-image's picture of a rocket."""
OBJECT, PLACE = (294, 112, 56, 270), (232, 150, 40, 193)
"""The rocket, and where it is put in once more, smaller."""
CANCEL = (828, 602)
"""The button beside the progress bar, on a screen of that size."""
ENTRY = (724, 383)
"""The entry in its menu: the pointer is put there for the picture alone."""
START = """#!/bin/sh
Xvfb :77 -screen 0 {size} -nolisten tcp 2>/dev/null &
xvfb=$!
sleep 2
openbox 2>/dev/null &
windows=$!
sleep 1
"$@"
kill $windows $xvfb
"""


def session(gimp: Gimp, workers: dict, pictures: Path) -> dict:
    """Everything in `session.py`; its report. The screens go into `pictures` as PNG."""
    from skimage import data

    photo, shots, start = gimp.folder / "rocket.png", gimp.folder / "shots", gimp.folder / "start"
    Image.fromarray(data.rocket()).save(photo)
    shots.mkdir(exist_ok=True)
    start.write_text(START.format(size="x".join(map(str, (*SIZE, 24)))))
    start.chmod(0o755)
    config = {
        "plug_in": gimp.inside(gimp.profile.plug_in / "settings.json"),
        "workers": workers,
        "photo": gimp.inside(photo),
        "shots": gimp.inside(shots),
        "box": BOX,
        "object": OBJECT,
        "place": PLACE,
        "cancel": CANCEL,
        "entry": ENTRY,
        "aside": (SIZE[0] - 5, SIZE[1] - 5),
    }
    if wanted := os.environ.get("INPAINT_GIMP_CASES"):  # between two edits: a few of them
        config["only"] = wanted.split(",")
    program = ["/bin/sh", gimp.inside(start), "gimp-3.0", "--no-splash"]
    try:
        return gimp.run(program, SCRIPT, config, 1000, DISPLAY=":77")
    finally:
        for path in shots.glob("*.png"):
            shutil.copy(path, pictures)
