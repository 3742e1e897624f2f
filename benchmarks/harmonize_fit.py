"""Learns the table that `harmonize` predicts with: inpaintcli/objects/harmonize_table.npz.

    python benchmarks/harmonize_fit.py samples PHOTOS SAMPLES.npz [--first N --last N]
    python benchmarks/harmonize_fit.py fit TABLE.npz SAMPLES.npz...

`samples` makes three composites of each photo (a folder or tars) and stores the statistics of each
and some of its pixels before and after; several ranges of photos may run side by side. `fit` learns
a regression from statistics to the fifteen numbers of a colour transform, on the error that the
transform leaves; every tenth photo is held out and reported. Needs torch.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from inpaintcli_training.data.photos import Photos, Rgb
from inpaintcli_training.data.recolouring import find_object, recoloured
from torch import Tensor, nn

from inpaintcli.objects.colour_transform import MAX_CURVE, TOE
from inpaintcli.objects.object_statistics import small_copy, statistics
from inpaintcli.objects.predicted_transform import MOST_DEVIATIONS, SCALES

SIDE = 320  # of the photos, longest
COMPOSITES = 3  # of each photo
PIXELS = 128  # of each object that are kept
WIDTH, NETWORKS, EPOCHS, BATCH = 96, 2, 30, 256
RATE, DECAY, DROPOUT, NOISE = 2e-3, 0.05, 0.4, 0.1
SMALL_CHANGE = 0.004  # MSE in [0, 1]: what counts as a change in the relative error
ABSOLUTE = 30.0  # the weight of the plain error beside the relative one


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    samples = commands.add_parser("samples")
    samples.add_argument("photos", type=Path)
    samples.add_argument("out", type=Path)
    samples.add_argument("--first", type=int, default=0)
    samples.add_argument("--last", type=int, default=10**9)
    fit = commands.add_parser("fit")
    fit.add_argument("table", type=Path)
    fit.add_argument("samples", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "samples":
        make_samples(Photos([options.photos]), options.first, options.last, options.out)
    else:
        fit_table(options.samples, options.table)


def make_samples(photos: Photos, first: int, last: int, out: Path) -> None:
    """Statistics of composites, with some pixels before and after, into a file."""
    cv2.setNumThreads(1)
    rows: dict[str, list[np.ndarray]] = {"statistics": [], "before": [], "after": [], "photo": []}
    for index in range(first, min(last, len(photos))):
        rng = np.random.default_rng((1, index))
        photo, guide = (scaled(photos.get(i)) for i in (index, int(rng.integers(len(photos)))))
        foreground = find_object(photo, rng)
        where = np.flatnonzero(foreground)
        chosen = rng.choice(where, PIXELS)
        for _ in range(COMPOSITES):
            made = recoloured(photo, guide, rng, foreground=foreground)
            small = small_copy(made.rgb, foreground.astype(np.float32), np.zeros_like(foreground))
            rows["statistics"].append(statistics(*small))
            rows["before"].append(made.rgb.reshape(-1, 3)[chosen])
            rows["after"].append(photo.reshape(-1, 3)[chosen])
            rows["photo"].append(np.array(index))
    np.savez(out, **{name: np.stack(values) for name, values in rows.items()})


def scaled(rgb: Rgb) -> Rgb:
    """A photo of at most SIDE pixels."""
    scale = SIDE / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def fit_table(sources: list[Path], table: Path) -> None:
    """Learn from samples, and write the table."""
    torch.manual_seed(0)
    parts = [np.load(source) for source in sources]
    columns = ("statistics", "before", "after", "photo")
    vectors, before, after, photo = (np.concatenate([p[name] for p in parts]) for name in columns)
    held_out = photo % 10 == 9
    mean, deviation = vectors[~held_out].mean(0), vectors[~held_out].std(0) + 1e-3
    x = torch.tensor(
        np.clip((vectors - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS).astype(np.float32)
    )
    colours = [torch.tensor(part.astype(np.float32) / 255) for part in (before, after)]
    data = [x, *colours]
    train, test = ([part[torch.tensor(rows)] for part in data] for rows in (~held_out, held_out))
    networks = [fitted(train) for _ in range(NETWORKS)]
    report(networks, test)
    layers = {
        f"{kind}{number}": np.stack([weights(net[index], kind) for net in networks])
        for number, index in enumerate((0, 3, 6), 1)
        for kind in ("weights", "bias")
    }
    means = {"mean": mean.astype(np.float32), "deviation": deviation.astype(np.float32)}
    np.savez_compressed(table, **means, **layers)


def fitted(train: list[Tensor]) -> nn.Sequential:
    """One network."""
    count, width = len(train[0]), train[0].shape[1]
    network = nn.Sequential(
        *(nn.Linear(width, WIDTH), nn.SiLU(), nn.Dropout(DROPOUT)),
        *(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Dropout(DROPOUT)),
        nn.Linear(WIDTH, len(SCALES)),
    )
    nn.init.zeros_(network[6].weight)  # it begins with no change
    nn.init.zeros_(network[6].bias)
    steps = EPOCHS * (count // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.1
    )
    started = time.perf_counter()
    for epoch in range(EPOCHS):
        for rows in torch.randperm(count)[: count // BATCH * BATCH].view(-1, BATCH):
            x, before, after = (part[rows] for part in train)
            outputs = network(x + NOISE * torch.randn_like(x)) * torch.tensor(SCALES)
            error = ((transformed(outputs, before) - after) ** 2).mean((1, 2))
            change = ((before - after) ** 2).mean((1, 2))
            loss = (error / (change + SMALL_CHANGE)).mean() + ABSOLUTE * error.mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}, {time.perf_counter() - started:.0f} s", flush=True)
    return network.eval()


def transformed(outputs: Tensor, colours: Tensor) -> Tensor:
    """As `transform_of` and `CurveAndMatrix.apply`, with the mean of the pixels that are kept."""
    exponents = torch.exp(torch.tanh(outputs[:, None, :3]) * MAX_CURVE)
    low = TOE**exponents
    bent = ((colours + TOE) ** exponents - low) / ((1 + TOE) ** exponents - low)
    mean = bent.mean(1, keepdim=True)
    matrix = torch.eye(3) + outputs[:, 6:].view(-1, 3, 3)
    return (bent - mean) @ matrix.transpose(1, 2) + mean + outputs[:, None, 3:6]


def report(networks: list[nn.Sequential], test: list[Tensor]) -> None:
    """Print the error on photos that were held out."""
    x, before, after = test
    with torch.no_grad():
        outputs = torch.stack([network(x) for network in networks]).mean(0) * torch.tensor(SCALES)
        fitted_colours = transformed(outputs, before).clamp(0, 1)
        error, none = (
            255**2 * ((colours - after) ** 2).mean((1, 2)) for colours in (fitted_colours, before)
        )
    changed = none > 4
    print(
        f"{changed.sum()} held out: MSE {none[changed].mean():.0f} before, "
        f"{error[changed].mean():.0f} after, "
        f"lower in {(error < none)[changed].float().mean():.0%}; "
        f"{(~changed).sum()} that were right: {error[~changed].mean():.0f} after"
    )


def weights(layer: nn.Module, kind: str) -> np.ndarray:
    """Weights (in, out) or bias (1, out) of a layer."""
    assert isinstance(layer, nn.Linear)  # noqa: S101 - for the type checker
    values = (
        layer.weight.detach().numpy().T if kind == "weights" else layer.bias.detach().numpy()[None]
    )
    return values.astype(np.float16)


if __name__ == "__main__":
    main()
