"""How good are the fills, beside OpenCV's Telea and Navier-Stokes? Prints JSON, one line a method.

python benchmarks/quality.py PHOTOS [--features DIR] [--save DIR] [--methods auto,network]

PHOTOS holds whole photos NAME.jpg and masks NAME.mask.png (white is the hole). Means over photos:

- psnr_hole: PSNR in dB over the hole's pixels and channels;
- p: squared distance of unit-normalised VGG-19 features (the last ReLU of blocks 1 to 3), times
  1000, on a square around the hole scaled to at most 512 px; needs --features;
- fd: Frechet distance of relu3_4's vectors in the holes, times 1000; needs --features;
- sharpness: the median over photos of mean |Laplacian| in the hole, the fill's over the photo's.

Needs the extra `train` for p and fd.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.detail import Detail
from inpaintcli.holes import bounding_box
from inpaintcli.images import encode_picture, read_picture
from inpaintcli.masks import read_mask
from inpaintcli.picture import Mask, Picture
from inpaintcli.pipeline import Model, fill, open_model

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


def around(mask: Mask) -> tuple[slice, slice]:
    """A square around the hole, half as large again and 16 px more, moved inside the picture."""
    box = bounding_box(mask)
    if box is None:
        raise SystemExit("a mask is empty")
    side = min(max(box.height, box.width) * 3 // 2 + 16, max(mask.shape))
    starts = ((box.top + box.bottom - side) // 2, (box.left + box.right - side) // 2)
    tops = [max(0, min(a, n - side)) for a, n in zip(starts, mask.shape, strict=True)]
    return slice(tops[0], tops[0] + side), slice(tops[1], tops[1] + side)


class Features:
    """P of each fill, and the vectors at hole positions that FD compares."""

    def __init__(self, folder: Path) -> None:
        """Load the VGG-19 in `folder`."""
        from training.networks import vgg19

        self._network = vgg19(folder)
        self._filled: list[NDArray[np.float32]] = []
        self._photos: list[NDArray[np.float32]] = []

    def p(self, filled: Rgb, photo: Rgb, mask: Mask) -> float:
        """P of one fill; its vectors are kept for `fd`."""
        inside = around(mask)
        ours, theirs = self._units(filled[inside]), self._units(photo[inside])
        hole = mask[inside].astype(np.float32)
        self._filled.append(_at_hole(ours["relu3_4"], hole))
        self._photos.append(_at_hole(theirs["relu3_4"], hole))
        distances = [float(((ours[n] - theirs[n]) ** 2).sum(axis=2).mean()) for n in ours]
        return float(np.mean(distances)) * 1000

    def fd(self) -> float:
        """Frechet distance (Heusel et al. 2017, equation 6) of all vectors, times 1000."""
        one, other = np.concatenate(self._filled), np.concatenate(self._photos)
        first, second = np.cov(one.T), np.cov(other.T)
        values, vectors = np.linalg.eigh(first)
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
        means = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
        return float(means + np.trace(first) + np.trace(second) - 2 * cross) * 1000

    def _units(self, rgb: Rgb) -> dict[str, NDArray[np.float32]]:
        """Unit vectors (h, w, channels) of each layer."""
        import torch

        scale = min(1.0, 512 / max(rgb.shape[:2]))
        rgb = np.ascontiguousarray(rgb)
        if scale < 1:
            rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = torch.from_numpy(rgb.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
        with torch.inference_mode():
            found = self._network(picture)
        maps = {name: x[0].permute(1, 2, 0).numpy() for name, x in found.items()}
        return {
            name: x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-6) for name, x in maps.items()
        }


def _at_hole(features: NDArray[np.float32], hole: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most 400 vectors (n, channels) at positions that lie mostly in the hole."""
    height, width = features.shape[:2]
    share = cv2.resize(hole, (width, height), interpolation=cv2.INTER_AREA)
    vectors = features[share > 0.6]
    return vectors[np.random.default_rng(0).permutation(len(vectors))[:400]]


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
    with open_model() as model:
        methods = {
            "auto": by_us(model, "auto"),
            "network": by_us(model, "network"),
            "patches": by_us(model, "patches"),
            "telea": by_opencv(cv2.INPAINT_TELEA),
            "ns": by_opencv(cv2.INPAINT_NS),
        }
        for name in options.methods.split(","):
            features = Features(options.features) if options.features else None
            rows: list[tuple[float, float, float]] = []
            for path in sorted(options.photos.glob("*.jpg")):
                picture, mask = read_picture(path), read_mask(path.with_suffix(".mask.png"))
                photo = np.asarray(picture.pixels, np.uint8)
                filled = methods[name](picture, mask)
                p = features.p(filled, photo, mask) if features else float("nan")
                rows.append((psnr(filled, photo, mask), p, sharpness(filled, photo, mask)))
                if options.save:
                    folder = options.save / name
                    folder.mkdir(parents=True, exist_ok=True)
                    encoded = encode_picture(Picture(filled), ".png")
                    (folder / f"{path.stem}.png").write_bytes(encoded)
            values = np.array(rows)
            means = {"psnr_hole": values[:, 0].mean(), "sharpness": np.median(values[:, 2])}
            if features:
                means |= {"p": values[:, 1].mean(), "fd": features.fd()}
            told = {key: round(float(value), 3) for key, value in means.items()}
            print(json.dumps({"method": name, "photos": len(rows), **told}), flush=True)


if __name__ == "__main__":
    main()
