"""Compares an engine with the CPU, before a new plan is installed.

The inputs are computed by arithmetic alone, so they are the same on every machine and in every
version of every library: a smooth picture, a noisy one, black and white edges, with holes of
several kinds, at the minimum, the usual and the maximum size of the profile.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli_engines.base import Engine, Precision, Profile, as_it_is
from inpaintcli_engines.tensorrt.cache import PlanRejectedError

# Least accepted peak signal-to-noise ratio over the holes, for a range of 2. fp32 differs by the
# order of its sums alone; fp16 keeps 11 bits, bf16 8. The generators here have 60 dB and more in
# fp16 (docs/reference/engines.md); 40 dB is where a difference could first be seen in 8 bits.
LEAST_DB: dict[Precision, float] = {"fp32": 60.0, "fp16": 40.0, "bf16": 30.0}
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ParityReport:
    """How an engine compares with the reference, over the holes of all inputs."""

    reference: str
    least_db: float
    psnr_db: tuple[float, ...]
    max_abs: float
    sizes: tuple[tuple[int, int], ...]  # height, width

    def to_json(self) -> dict[str, Any]:
        """The form that a plan's sidecar holds."""
        return {
            "reference": self.reference,
            "least_db": self.least_db,
            "psnr_db": [round(x, 2) for x in self.psnr_db],
            "max_abs": float(f"{self.max_abs:.3g}"),
            "sizes": [list(size) for size in self.sizes],
        }


@dataclass(frozen=True)
class Comparison:
    """How a new plan is compared with the CPU.

    open_reference: the model on the CPU, in fp32. adapt: makes an engine take `image` and `mask`
    and give `filled`.
    """

    open_reference: Callable[[Path], Engine]
    adapt: Callable[[Engine], Engine] = as_it_is

    def report(self, engine: Engine, path: Path, profile: Profile) -> ParityReport:
        """Compare an engine with the model at `path`, see `compare`.

        Raises:
            EngineFailedError: they differ by more than the precision explains, or one fails.
        """
        with self.open_reference(path) as reference:
            return compare(self.adapt(engine), self.adapt(reference), profile)


def compare(engine: Engine, reference: Engine, profile: Profile) -> ParityReport:
    """Run both on the inputs that `probes` makes.

    Raises:
        PlanRejectedError: they differ by more than the precision explains; with the figures.
    """
    least = LEAST_DB[engine.info.precision]
    levels: list[float] = []
    sizes: list[tuple[int, int]] = []
    worst = 0.0
    for arrays in probes(profile):
        hole = np.broadcast_to(arrays["mask"] > 0, arrays["image"].shape)
        ours, theirs = (e.run(arrays)["filled"][hole] for e in (engine, reference))
        difference = np.abs(ours.astype(np.float64) - theirs)
        difference[np.isnan(difference)] = np.inf
        worst = max(worst, float(difference.max()))
        levels.append(float(-10 * np.log10(max(np.mean(difference**2), 1e-20) / 4)))
        sizes.append(arrays["image"].shape[2:])
    info = reference.info
    parity = ParityReport(
        f"{info.name} {info.version} {info.precision}", least, tuple(levels), worst, tuple(sizes)
    )
    if not min(levels) >= least:
        figures = ", ".join(f"{level:.1f}" for level in levels)
        raise PlanRejectedError(
            f"The {engine.info.precision} plan disagrees with {parity.reference}: "
            f"hole PSNR {figures} dB, largest difference {worst:.3g}; at least {least:g} dB is "
            "wanted. Not installed.",
            hint="Use --precision fp32.",
        )
    return parity


def probes(profile: Profile) -> Iterator[dict[str, Floats]]:
    """Inputs `image` (n, 3, h, w) in [-1, 1] and `mask` (n, 1, h, w), 1 in the hole."""
    least, usual, most = profile.side
    sides = [(least, least), (usual, most), (usual, usual)]
    for number, (height, width) in enumerate(sides):
        batch = min(2, profile.batch[2]) if number == 2 else profile.batch[0]
        image = np.stack([_probe_image(height, width, number + n) for n in range(batch)])
        mask = np.stack([_probe_mask(height, width, number + n) for n in range(batch)])
        yield {"image": image.astype(np.float32), "mask": mask.astype(np.float32)}


def _probe_image(height: int, width: int, kind: int) -> NDArray[np.float64]:
    """(3, h, w) in [-1, 1]: waves and noise, noise alone, or black and white squares."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.stack([_noise(height, width, 31 * kind + c) for c in range(3)])
    if kind % 3 == 1:
        return noise
    if kind % 3 == 2:
        squares = np.where((x // 8 + y // 8) % 2 < 1, 1.0, -1.0)
        return np.stack([squares, -squares, squares])
    waves = [np.sin(x / (9 + 4 * c)) * np.cos(y / (7 + 3 * c)) for c in range(3)]
    return 0.8 * np.stack(waves) + 0.2 * noise


def _noise(height: int, width: int, seed: int) -> NDArray[np.float64]:
    """(h, w) in [-1, 1): a hash of each pixel's number, with integers that wrap around."""
    number = np.arange(height * width, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53), (33, 1)):
        number = (number ^ (number >> np.uint64(shift))) * np.uint64(factor)
    return (number >> np.uint64(11)).astype(np.float64).reshape(height, width) / 2.0**52 - 1


def _probe_mask(height: int, width: int, kind: int) -> NDArray[np.bool_]:
    """(1, h, w): a rectangle, a disc that touches the border, or scratches."""
    y, x = np.mgrid[0:height, 0:width]
    mask: NDArray[np.bool_]
    if kind % 3 == 1:
        mask = (y - height // 2) ** 2 + x**2 <= (height // 3) ** 2
    elif kind % 3 == 2:
        mask = (x + 2 * y) % max(height // 2, 4) < 3
    else:
        mask = (abs(2 * y - height) < height // 2) & (abs(2 * x - width) < width // 2)
    return mask[None]
