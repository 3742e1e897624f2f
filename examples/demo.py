"""Put a caption and scratches on sample photos, take them out again, save before and after.

    python examples/demo.py FOLDER

The photos are scikit-image's bundled samples; nothing is fetched.
"""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]


def caption(photo: Rgb) -> NDArray[np.uint8]:
    """A mask (h, w), 255 on the letters of a date stamp and on a few scratches."""
    height, width = photo.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    place = (width // 12, height - height // 12)
    cv2.putText(mask, "21 11 2026", place, cv2.FONT_HERSHEY_SIMPLEX, width / 320, 255, 4)
    rng = np.random.default_rng(3)
    for _ in range(6):
        ends = rng.integers(0, (width, height), (2, 2))
        cv2.line(mask, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 2)
    return np.where(mask > 0, np.uint8(255), np.uint8(0))  # letters are drawn with soft edges


def thing(photo: Rgb) -> NDArray[np.uint8]:
    """A mask (h, w), 255 on a disk, as over an object to take out."""
    height, width = photo.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width * 3 // 10, height * 3 // 10), min(height, width) // 9, 255, -1)
    return mask


def main(folder: Path) -> None:
    """Write NAME.png, NAME.mask.png, NAME.damaged.png and NAME.filled.png for each sample."""
    folder.mkdir(parents=True, exist_ok=True)
    astronaut, cat = skimage.data.astronaut(), skimage.data.chelsea()
    samples = {"astronaut": (astronaut, caption(astronaut)), "cat": (cat, thing(cat))}
    for name, (photo, mask) in samples.items():
        damaged = np.where(mask[..., None] > 0, np.uint8(255), photo)
        for ending, rgb in (("", photo), (".damaged", damaged)):
            cv2.imwrite(str(folder / f"{name}{ending}.png"), rgb[:, :, ::-1])
        cv2.imwrite(str(folder / f"{name}.mask.png"), mask)
        program = [sys.executable, "-m", "inpaintcli", "fill", str(folder / f"{name}.damaged.png")]
        options = ["--mask", str(folder / f"{name}.mask.png"), "--overwrite"]
        output = ["-o", str(folder / f"{name}.filled.png")]
        subprocess.run([*program, *options, *output], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
