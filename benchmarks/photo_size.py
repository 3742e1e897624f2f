"""Does the cost follow the hole or the photo? Prints JSON.

python benchmarks/photo_size.py [--rounds 7]

One hole of 300x300 in photos of 2 and 24 megapixels (made by code), engine and compositing time
interleaved, decoding and encoding apart.
"""

import argparse
import json
import statistics

import numpy as np

from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model, fill, open_model

SIZES = {"2": (1200, 1700), "24": (4000, 6000)}


def photo(height: int, width: int) -> Picture:
    """A smooth picture with noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack(
        [np.sin(x / (70 + 9 * c)) * np.cos(y / (60 + 5 * c)) for c in range(3)], axis=2
    )
    noise = np.random.default_rng(0).normal(0, 6, waves.shape).astype(np.float32)
    return Picture(np.clip(128 + 90 * waves + noise, 0, 255).astype(np.uint8))


def times(picture: Picture, model: Model) -> tuple[float, float]:
    """All seconds and the engine's seconds of one fill."""
    mask = np.zeros((picture.height, picture.width), np.bool_)
    mask[500:800, 600:900] = True
    done = fill(picture, mask, model)
    return done.seconds, done.engine_seconds


def main() -> None:
    """Print the medians in milliseconds by megapixels, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    pictures = {name: photo(*size) for name, size in SIZES.items()}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in SIZES}
    with open_model() as model:
        for _ in range(rounds + 1):
            for name, picture in pictures.items():
                measured[name].append(times(picture, model))
    fill_s = {name: statistics.median(t for t, _ in m[1:]) for name, m in measured.items()}
    engine = {name: statistics.median(t for _, t in m[1:]) for name, m in measured.items()}
    print(
        json.dumps(
            {
                "fill_ms_by_megapixels": {name: round(t * 1000, 1) for name, t in fill_s.items()},
                "engine_ms_by_megapixels": {name: round(t * 1000, 1) for name, t in engine.items()},
                "ratio": round(fill_s["24"] / fill_s["2"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
