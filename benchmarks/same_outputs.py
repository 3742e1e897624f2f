"""Do two checkouts fill alike? Ten photos: files, JSON lines and exit codes compared.

    python benchmarks/same_outputs.py OTHER_CHECKOUT [--keep FOLDER]

The photos are scikit-image's bundled samples in several formats and depths, the holes are made by
code. Both checkouts run with this Python and its packages. Prints one JSON line; exit code 1 where
anything differs but seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent.parent
NOT_COMPARED = ("seconds",)
GROWN = ["fill", "photos/cat.png", "--mask", "masks/cat.png", "-o", "out/grown.png", "--json"]
RUNS = [
    ["fill", "photos", "--mask", "masks", "-o", "out/auto", "--json"],
    ["fill", "photos", "--mask", "masks", "-o", "out/net", "--json", "--detail", "network"],
    [*GROWN, "--grow", "3", "--feather", "4", "--detail", "patches"],
    ["fill", "photos/alpha.png", "--mask", "alpha", "-o", "out/alpha.png", "--json"],
    ["fill", "nowhere.png", "--mask", "masks/cat.png", "--json"],
    ["fill", "photos/cat.png", "--mask", "masks/coffee.png", "-o", "out/misfit.png", "--json"],
    GROWN,
    ["fill", "photos/cat.png", "--model", "none", "--mask", "masks/cat.png", "--json"],
]


def samples(folder: Path) -> None:
    """Write ten photos and their masks."""
    (folder / "photos").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number, (name, suffix, photo) in enumerate(_photos()):
        height, width = photo.shape[:2]
        mask = np.zeros((height, width), np.uint8)
        rng = np.random.default_rng(number)
        cv2.circle(mask, (width // 3, height // 2), min(height, width) // (6 + number), 255, -1)
        for ends in rng.integers(0, (width, height), (2 + number, 2, 2)):
            cv2.line(mask, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 3)
        cv2.imwrite(str(folder / "photos" / f"{name}{suffix}"), photo)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)


def _photos() -> list[tuple[str, str, NDArray[Any]]]:
    """Name, suffix, pixels as OpenCV writes them."""
    cat, coffee = (x[..., ::-1] for x in (skimage.data.chelsea(), skimage.data.coffee()))
    astronaut, rocket = (x[..., ::-1] for x in (skimage.data.astronaut(), skimage.data.rocket()))
    deep = (cat.astype(np.uint16) * 257) ^ (np.arange(cat.shape[1]) % 256)[:, None].astype("u2")
    alpha = np.dstack([coffee, np.full(coffee.shape[:2], 255, np.uint8)])
    alpha[100:160, 200:280, 3] = 0
    return [
        ("cat", ".png", cat),
        ("coffee", ".jpg", coffee),
        ("astronaut", ".png", astronaut),
        ("rocket", ".webp", rocket),
        ("deep", ".png", deep),
        ("deeper", ".tif", deep),
        ("alpha", ".png", alpha),
        ("camera", ".png", skimage.data.camera()),
        ("brick", ".jpg", skimage.data.brick()),
        ("coins", ".bmp", skimage.data.coins()),
    ]


def run(checkout: Path, folder: Path) -> list[dict[str, Any]]:
    """Do all runs with one checkout in a folder of samples: exit codes and what was printed."""
    packages = [checkout / "engines/inpaintcli_engines", checkout / "training/inpaintcli_training"]
    parts = [checkout, *(package.parent for package in packages if package.is_dir())]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, parts))}
    results = []
    for words in RUNS:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "inpaintcli", *words],
            cwd=folder, env=env, capture_output=True, check=False,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        results.append({"code": done.returncode, "lines": sorted(map(_comparable, lines))})
    return results


def _comparable(line: dict[str, Any]) -> str:
    """A JSON line without what differs from run to run; the order of a batch is not promised."""
    for part in (line, line.get("summary", {})):
        for name in NOT_COMPARED:
            part.pop(name, None)
    return json.dumps(line, sort_keys=True)


def outputs(folder: Path) -> dict[str, bytes]:
    """Every file that the runs wrote, but for journals, which hold times."""
    found = sorted((folder / "out").rglob("*"))
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.is_file() and not path.name.startswith(".")
    }


def main() -> int:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--keep", type=Path, help="leave both folders there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        results, files = [], []
        for name, checkout in (("this", HERE), ("other", options.other.resolve())):
            folder = base / name
            samples(folder)
            (folder / "out").mkdir()
            results.append(run(checkout, folder))
            files.append(outputs(folder))
    differing = [name for name in files[0] | files[1] if files[0].get(name) != files[1].get(name)]
    told = [
        " ".join(words)
        for words, ours, theirs in zip(RUNS, *results, strict=True)
        if ours != theirs
    ]
    counts = {"runs": len(RUNS), "files": len(files[0])}
    print(json.dumps({**counts, "files_that_differ": differing, "runs_that_differ": told}))
    return 1 if differing or told else 0


if __name__ == "__main__":
    sys.exit(main())
