"""At which scale, and with how much context, should a hole be filled? Prints JSON.

python benchmarks/context.py FOLDER [--model NAME] [--limit N] [--thickness 48,64] [--context 1,2]

FOLDER holds whole photos NAME.jpg and masks NAME.mask.png. For each pair of settings: mean PSNR of
the hole, megapixels of the model's input, seconds in the engine.
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.masks import read_mask
from inpaintcli.imaging.tiles import plan_tiles
from inpaintcli.inpaint.pipeline import Model, fill, open_model, tile_sizes


def score(photos: list[Path], model: Model) -> dict[str, float]:
    """Mean hole PSNR in dB, and cost, over all photos."""
    decibels, seconds, pixels = [], 0.0, 0.0
    for path in photos:
        picture, mask = read_picture(path), read_mask(path.with_suffix(".mask.png"))
        done = fill(picture, mask, model, detail="network")
        error = done.picture.pixels[mask].astype(np.float64) - picture.pixels[mask]
        decibels.append(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-9)))
        seconds += done.engine_seconds
        tiles = plan_tiles(mask, tile_sizes(model.card))
        pixels += sum(t.box.height * t.box.width * t.scale**2 for t in tiles)
    return {
        "hole_psnr_db": round(float(np.mean(decibels)), 3),
        "megapixels": round(pixels / 1e6, 1),
        "engine_s": round(seconds, 1),
    }


def main() -> None:
    """Print one line of JSON for each pair of settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--thickness", default="48,64,96,128")
    parser.add_argument("--context", default="0.5,1,2")
    options = parser.parse_args()
    photos = sorted(options.folder.glob("*.jpg"))[: options.limit]
    with open_model(options.model) as model:
        for thickness, context in product(
            map(int, options.thickness.split(",")), map(float, options.context.split(","))
        ):
            card = replace(model.card, max_thickness=thickness, context=context)
            measured = score(photos, replace(model, card=card))
            print(json.dumps({"thickness": thickness, "context": context, **measured}), flush=True)


if __name__ == "__main__":
    main()
