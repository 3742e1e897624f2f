"""How long GIMP's plug-in takes beyond the fill itself: 12 megapixels, a selection 300 pixels wide.

    python benchmarks/gimp.py

Needs the tree of `.ci/gimp-tree`. Prints one JSON object: the seconds of the calls in GIMP (the
first one starts a worker), of the same fill by the pipeline alone, and their differences.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.detail import Detail
from inpaintcli.inpaint.pipeline import fill, open_model
from tests.plugins.gimp.conftest import opened
from tests.plugins.gimp.tree import root

SIZE, BOX = (4000, 3000), (1800, 1400, 300, 300)
CALLS = 5
DETAIL: Detail = "network"
"""The fastest: what is beyond the fill is the same for all."""
SCRIPT = """
import json, time
from gi.repository import Gegl, Gimp
told = json.load(open(CONFIG))
image = Gimp.Image.new(*told["size"], Gimp.ImageBaseType.RGB)
layer = Gimp.Layer.new(image, "photo", *told["size"], Gimp.ImageType.RGB_IMAGE, 100.0, 0)
image.insert_layer(layer, None, 0)
with open(told["pixels"], "rb") as file:
    data = file.read()
layer.get_buffer().set(Gegl.Rectangle.new(0, 0, *told["size"]), "R'G'B' u8", data)
json.dump(told["worker"], open(told["plug_in"], "w"))
image.select_rectangle(Gimp.ChannelOps.REPLACE, *told["box"])
seconds = []
for _ in range(told["calls"]):
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-inpaint-selection")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("detail", told["detail"])
    started = time.monotonic()
    status = procedure.run(config).index(0)
    seconds.append(time.monotonic() - started)
    assert status == Gimp.PDBStatusType.SUCCESS, Gimp.get_pdb().get_last_error()
json.dump({"seconds": seconds}, open(told["report"], "w"))
"""


def photo() -> np.ndarray:
    """(h, w, 3) uint8: waves and noise."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]].astype(np.float32)
    waves = np.stack([np.sin(x / (90 + 40 * c)) * np.cos(y / (70 + 30 * c)) for c in range(3)], 2)
    noise = np.random.default_rng(1).normal(0, 6, waves.shape)
    return np.clip(128 + 90 * waves + noise, 0, 255).astype(np.uint8)


def alone(pixels: np.ndarray) -> list[float]:
    """Seconds of the fills by the pipeline, the model being open."""
    hole = np.zeros(pixels.shape[:2], np.bool_)
    left, top, width, height = BOX
    hole[top : top + height, left : left + width] = True
    with open_model() as model:
        picture = Picture(pixels)
        return [fill(picture, hole, model, detail=DETAIL).seconds for _ in range(CALLS)]


def in_gimp(pixels: np.ndarray) -> list[float]:
    """Seconds of the calls of the plug-in."""
    with opened(root()) as (gimp, workers):
        raw, script = gimp.folder / "pixels.raw", gimp.folder / "bench.py"
        raw.write_bytes(pixels.tobytes())
        script.write_text(SCRIPT)
        config = {
            "size": SIZE, "detail": DETAIL, "box": BOX, "calls": CALLS, "pixels": gimp.inside(raw),
            "worker": workers["real"],
            "plug_in": gimp.inside(gimp.profile.plug_in / "settings.json"),
        }  # fmt: skip
        return gimp.console(script, config, 600)["seconds"]


def main() -> None:
    """Measure both, one after the other."""
    pixels = photo()
    started = time.monotonic()
    called = in_gimp(pixels)
    filled = min(alone(pixels)[1:])
    report = {
        "first_call_s": called[0], "later_calls_s": called[1:], "fill_alone_s": filled,
        "first_beyond_s": called[0] - filled, "later_beyond_s": min(called[1:]) - filled,
        "all_s": time.monotonic() - started,
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
