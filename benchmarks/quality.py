"""How good are the fills, beside OpenCV's Telea and Navier-Stokes? Prints JSON, one line a method.

python benchmarks/quality.py PHOTOS [--features DIR] [--save DIR] [--methods auto,network]

PHOTOS holds whole photos NAME.jpg and masks NAME.mask.png (white is the hole). Means over photos:

- psnr_hole: PSNR in dB over the hole's pixels and channels;
- p: squared distance of unit-normalised VGG-19 features (the last ReLU of blocks 1 to 3), times
  1000, on a square crop around the hole of at most 512 px; needs --features;
- sharpness: the median over photos of mean |Laplacian| in the hole, the fill's over the photo's.

Needs the extra `train` for p.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.detail import Detail
from inpaintcli.fill import Model, fill, open_model
from inpaintcli.holes import Box, bounding_box
from inpaintcli.images import encode_picture, read_picture
from inpaintcli.masks import read_mask
from inpaintcli.picture import Mask, Picture

Rgb = NDArray[np.uint8]
Method = Callable[[Picture, Mask], Rgb]


def by_opencv(flag: int) -> Method:
    """OpenCV's classical inpainting with radius 5."""

    def run(picture: Picture, mask: Mask) -> Rgb:
        holes = mask.astype(np.uint8) * 255
        return np.asarray(cv2.inpaint(np.ascontiguousarray(picture.pixels), holes, 5, flag))

    return run


def by_us(model: Model, detail: Detail) -> Method:
    """The program itself, with that choice of texture; auto is its default."""
    return lambda picture, mask: np.asarray(
        fill(picture, mask, model, detail=detail).picture.pixels
    )


def around(mask: Mask) -> Box:
    """A box around the hole, half as large again, inside the picture."""
    box = bounding_box(mask)
    if box is None:
        raise SystemExit("a mask is empty")
    return box.grown(max(box.height, box.width) // 4 + 8, *mask.shape)


def feature_distance(folder: Path) -> Callable[[Rgb, Rgb, Mask], float]:
    """P of a fill, a photo and a mask."""
    import torch

    from training.losses import FeatureDistance
    from training.networks import vgg19

    distance = FeatureDistance(vgg19(folder))
    layers = len(distance.network.taps)

    def tensor(rgb: Rgb) -> Any:
        scale = min(1.0, 512 / max(rgb.shape[:2]))
        if scale < 1:
            rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return torch.from_numpy(rgb.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)

    def measure(filled: Rgb, photo: Rgb, mask: Mask) -> float:
        inside = around(mask).slices
        with torch.inference_mode():
            found = distance(tensor(filled[inside].copy()), tensor(photo[inside].copy()))
        return float(found) / layers * 1000

    return measure


def psnr(filled: Rgb, photo: Rgb, mask: Mask) -> float:
    """Over the hole, in dB."""
    error = filled[mask].astype(np.float64) - photo[mask]
    return float(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-9)))


def sharpness(filled: Rgb, photo: Rgb, mask: Mask) -> float:
    """Mean |Laplacian| in the hole: the fill's over the photo's."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    inner = inner if inner.sum() > 50 else mask

    def detail(rgb: Rgb) -> float:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inner].mean()) + 0.3

    return detail(np.ascontiguousarray(filled)) / detail(np.ascontiguousarray(photo))


def main() -> None:
    """Print the means of each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--methods", default="auto,network,patches,telea,ns")
    options = parser.parse_args()
    distance = feature_distance(options.features) if options.features else None
    with open_model() as model:
        methods = {
            "auto": by_us(model, "auto"),
            "network": by_us(model, "network"),
            "patches": by_us(model, "patches"),
            "telea": by_opencv(cv2.INPAINT_TELEA),
            "ns": by_opencv(cv2.INPAINT_NS),
        }
        for name in options.methods.split(","):
            rows: list[tuple[float, float, float]] = []
            for path in sorted(options.photos.glob("*.jpg")):
                picture, mask = read_picture(path), read_mask(path.with_suffix(".mask.png"))
                photo = np.asarray(picture.pixels, np.uint8)
                filled = methods[name](picture, mask)
                p = distance(filled, photo, mask) if distance else float("nan")
                rows.append((psnr(filled, photo, mask), p, sharpness(filled, photo, mask)))
                if options.save:
                    folder = options.save / name
                    folder.mkdir(parents=True, exist_ok=True)
                    encoded = encode_picture(Picture(filled), ".png")
                    (folder / f"{path.stem}.png").write_bytes(encoded)
            values = np.array(rows)
            means = {"psnr_hole": values[:, 0].mean(), "sharpness": np.median(values[:, 2])}
            if distance:
                means["p"] = values[:, 1].mean()
            told = {key: round(float(value), 3) for key, value in means.items()}
            print(json.dumps({"method": name, "photos": len(rows), **told}), flush=True)


if __name__ == "__main__":
    main()
