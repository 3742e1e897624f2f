"""Does harmonization bring pasted objects nearer to the truth? Prints a table, or JSON.

    python benchmarks/harmonize.py PHOTOS [--limit N] [--composites N] [--model NAME] [--json]

PHOTOS is a folder of photos. An object of each is given other light, or the colours of another
photo (inpaintcli_training/data/recolouring.py); the untouched photo is the truth. For each method:
mean and median of the MSE inside the object in grey levels of 255, mean PSNR there, the share of
composites in which it is nearer to the truth than no change and than Reinhard's transfer, and the
largest change of sharpness: of the mean |Laplacian| beyond what the change of contrast makes of it.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from inpaintcli_training.data.photos import Photos
from inpaintcli_training.data.recolouring import Recoloured, recoloured

from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model, open_model
from inpaintcli.objects.colour_transform import LUMA
from inpaintcli.objects.harmonize import harmonize
from inpaintcli.options import Method

NONE, REINHARD = "no change", "reinhard"


def composites(photos: Photos, limit: int, each: int) -> Iterator[Recoloured]:
    """Composites with an object that has other colours, `each` of every photo."""
    for index in range(min(limit, len(photos))):
        rng = np.random.default_rng((2, index))
        for _ in range(each):
            guide = photos.get(int(rng.integers(len(photos))))
            yield recoloured(photos.get(index), guide, rng, unchanged=0)


def error(rgb: np.ndarray, made: Recoloured) -> float:
    """Mean squared error inside the object, in grey levels of 255."""
    ours = rgb[made.foreground].astype(np.float64)
    return float(((ours - made.truth[made.foreground]) ** 2).mean())


def sharpness_change(rgb: np.ndarray, made: Recoloured) -> float:
    """Relative change of the mean |Laplacian| divided by the contrast, inside the object."""
    inner = cv2.erode(made.foreground.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    values = []
    for picture in (made.rgb, rgb):
        luma = picture.astype(np.float32) @ LUMA
        values.append(np.abs(cv2.Laplacian(luma, cv2.CV_32F))[inner].mean() / luma[inner].std())
    return float(values[1] / values[0] - 1)


def harmonized(made: Recoloured, method: Method, model: Model | None) -> np.ndarray:
    """The composite, harmonized."""
    picture = Picture(made.rgb)
    return harmonize(picture, made.foreground, method=method, model=model).picture.pixels


def main() -> None:
    """Measure, and print a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int, default=10**9)
    parser.add_argument("--composites", type=int, default=1)
    parser.add_argument("--model", help="a model of the family blockwise, for the method `model`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = open_model(options.model) if options.model else None
    methods: list[Method] = ["predicted", "reinhard", *(["model"] if model else [])]  # type: ignore[list-item]
    errors, sharpness = defaultdict(list), defaultdict(list)
    for made in composites(Photos([options.photos]), options.limit, options.composites):
        errors[NONE].append(made.change)
        for method in methods:
            rgb = harmonized(made, method, model if method == "model" else None)
            errors[method].append(error(rgb, made))
            sharpness[method].append(abs(sharpness_change(rgb, made)))
    for method, found in errors.items():
        mse = np.array(found)
        row = {
            "method": method,
            "composites": len(mse),
            "mse": round(float(mse.mean()), 1),
            "median_mse": round(float(np.median(mse)), 1),
            "psnr_db": round(float((10 * np.log10(255**2 / np.maximum(mse, 1e-2))).mean()), 2),
            "nearer_than_no_change": float(np.mean(mse < errors[NONE])),
            "nearer_than_reinhard": float(np.mean(mse < errors[REINHARD])),
            "largest_sharpness_change": round(max(sharpness[method], default=0.0), 4),
        }
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
