"""How much memory does one call of the program take at its peak? Prints JSON.

python benchmarks/memory.py

Whole processes `inpaintcli fill`, photos of 512x512 and of 24 megapixels with a hole of 300x300,
also 24 megapixels with a thousand specks.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def peak_mib(photo: Path, mask: Path) -> float:
    """Peak resident memory of the process that fills one photo, in MiB."""
    program = [sys.executable, "-m", "inpaintcli", "fill", str(photo), "--mask", str(mask)]
    process = subprocess.Popen([*program, "--overwrite", "-q"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the fill of {photo.name} failed")
    return usage.ru_maxrss / 1024


def save(folder: Path, name: str, mask: NDArray[np.uint8]) -> tuple[Path, Path]:
    """A photo of noise and its mask, as files."""
    height, width = mask.shape
    small = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    photo = cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    paths = folder / f"{name}.jpg", folder / f"{name}.mask.png"
    cv2.imwrite(str(paths[0]), photo)
    cv2.imwrite(str(paths[1]), mask)
    return paths


def square(height: int, width: int, side: int) -> NDArray[np.uint8]:
    """A mask with one square hole."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 4 + side, width // 4 : width // 4 + side] = 255
    return mask


def specks(height: int, width: int, count: int) -> NDArray[np.uint8]:
    """A mask with small disks all over."""
    mask = np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(1)
    for x, y in rng.integers(0, (width, height), (count, 2)):
        cv2.circle(mask, (int(x), int(y)), int(rng.integers(1, 6)), 255, -1)
    return mask


def main() -> None:
    """Print the peaks by case."""
    cases = {
        "512x512, hole 128": square(512, 512, 128),
        "512x512, hole 300": square(512, 512, 300),
        "24 megapixels, hole 300": square(4000, 6000, 300),
        "24 megapixels, 1000 specks": specks(4000, 6000, 1000),
    }
    with tempfile.TemporaryDirectory() as folder:
        peaks = {
            name: round(peak_mib(*save(Path(folder), str(number), mask)))
            for number, (name, mask) in enumerate(cases.items())
        }
    print(json.dumps({"peak_mib": peaks}))


if __name__ == "__main__":
    main()
