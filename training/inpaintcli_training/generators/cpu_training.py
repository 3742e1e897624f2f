"""How the small recipes of the papers' networks are trained: on a CPU, in hours."""

from typing import Any

from inpaintcli_training.recipe import HoleMix

# Fields of a recipe. Crops are small and show photos that are scaled down; the papers' own crops
# and rates are for days on a GPU.
CPU_TRAINING: dict[str, Any] = {
    "crop": 112,
    "short_side": (180, 260),
    "holes": HoleMix(),
    "hole_ratio": (0.02, 0.5),
    "batch": 8,
    "critic_steps": 1,
    "images": 60_000,
    "warmup_images": 1_000,
    "decay_images": 40_000,
    "lr": 5e-4,
    "betas": (0.9, 0.99),
    "weight_decay": 1e-4,
    "gradient_norm": 1.0,
    "ema_decay": 0.997,
}
