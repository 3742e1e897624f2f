"""Fills the holes of one picture: the pipeline behind every command.

The model fills the holes tile by tile, thick parts get the photo's texture, and all of it the
photo's grain.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from inpaintcli_engines.base import Closable, Engine, EngineError, Precision, Reporter
from inpaintcli_engines.select import Choice, open_engine
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.images import ignore_note
from inpaintcli.imaging.masks import dilate, feather_weights
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import bounding_box
from inpaintcli.imaging.tiles import Tile, TileSizes, model_input, model_output, plan_tiles
from inpaintcli.inpaint.attention import OUTPUT, AttentionMap
from inpaintcli.inpaint.detail import Decision, add_texture
from inpaintcli.inpaint.grain import add_grain
from inpaintcli.inpaint.tonal_range import narrow_range
from inpaintcli.models.adapter import adapter
from inpaintcli.models.cards import Card, find_card, verify
from inpaintcli.options import Detail, Structure
from inpaintcli.texture.synthesis import Progress, ignore_progress

LARGE_HOLE = 0.8
"""Share of the photo above which a hole may be a mask the wrong way round."""
NETWORK_SHARE = 0.3
"""Share of the progress that the network's part of a fill counts as; the texture takes longer."""
BATCH = 8
"""Specks at a time: half the processor time of one by one (`benchmarks/engine_batches.py`)."""


@dataclass(frozen=True)
class Model(Closable):
    """A card and the engine that runs it. A context manager, which closes the engine.

    why: why that engine was selected. fallback: for the user, what could not be used and why.
    open_fp32: opens the same in fp32, set where half precision was chosen automatically.
    """

    card: Card
    engine: Engine
    why: str
    fallback: str = ""
    open_fp32: Callable[[], Engine] | None = field(default=None, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _in_fp32: "list[Model]" = field(default_factory=list, repr=False, compare=False)

    def run(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """As `Engine.run`, and safe to call from several threads: they take turns.

        Raises:
            EngineError: the engine failed.
        """
        with self._lock:
            return self.engine.run(arrays)

    def for_depth(self, depth: int, notes: Callable[[str], None] = ignore_note) -> "Model":
        """The model for photos of that depth: in fp32 for 16 bits, unless half was asked for.

        Half precision has 8 or 11 bits of each number. What is opened stays so until `close`.

        Args:
            depth: bits a channel, 8 or 16.
            notes: takes a sentence where fp32 cannot be had, and the model itself is returned.
        """
        if depth == 8 or self.open_fp32 is None:
            return self
        with self._lock:
            if not self._in_fp32:
                try:
                    precise = replace(
                        self,
                        engine=self.open_fp32(),
                        open_fp32=None,
                        _lock=threading.Lock(),
                        _in_fp32=[],
                    )
                    self._in_fp32.append(precise)
                except EngineError as error:
                    notes(f"{error.message} 16 bits are filled in {self.engine.info.precision}.")
                    self._in_fp32.append(self)
            return self._in_fp32[0]

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()
        for other in self._in_fp32:
            if other is not self:
                other.close()


@dataclass(frozen=True)
class Filled:
    """A filled picture, and how it was filled.

    tiles: calls of the model. engine_seconds: time in the engine. seconds: time in all. decisions:
    what fills each thick part of the holes. grain: standard deviation of the noise added, in grey
    levels of 255, see `add_grain`. precision: of the engine.
    """

    picture: Picture
    tiles: int
    engine_seconds: float
    seconds: float
    decisions: tuple[Decision, ...] = ()
    grain: float = 0.0
    precision: Precision = "fp32"


def open_model(
    name: str | None = None,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    report: Reporter | None = None,
) -> Model:
    """Find a model, check its file, and load it.

    Args:
        name: of a model, or the path of its card (.toml); None for the default model.
        engine: name of a backend, or auto.
        device: auto, cpu or cuda[:N].
        precision: auto, fp32, bf16 or fp16; auto is fp32 for models of other programs.
        threads: for inference; None leaves it to the engine.
        report: called with the engine's messages and progress while it loads.

    Raises:
        ModelError: the model is missing or damaged.
        EngineError: the engine is not available or cannot load the model.
    """
    card = find_card(name)
    verify(card)
    adapt = adapter(card.contract)

    def opened(engine: str, device: str, precision: str) -> Choice:
        choice = open_engine(
            card.file,
            engine=engine,
            device=device,
            precision=precision,
            threads=threads,
            profile=card.profile,
            report=report,
            adapt=adapt,
        )
        try:
            return replace(choice, engine=adapt(choice.engine))
        except EngineError:
            choice.engine.close()
            raise

    wanted = card.precision(precision)
    choice = opened(engine, device, wanted)
    model, info = Model(card, choice.engine, choice.why, choice.fallback), choice.engine.info
    if wanted != "auto" or info.precision == "fp32":
        return model
    return replace(
        model,
        why=f"{choice.why}; photos of 16 bits are filled in fp32",
        open_fp32=lambda: opened(info.name, info.device, "fp32").engine,
    )


def fill(  # noqa: PLR0913 - an argument for each option of the command
    picture: Picture,
    mask: Mask,
    model: Model,
    *,
    grow_by: int = 0,
    feather: int = 0,
    reveal: bool = False,
    detail: Detail = "auto",
    structure: Structure = "auto",
    seed: int = 0,
    attention: AttentionMap | None = None,
    notes: Callable[[str], None] = ignore_note,
    progress: Progress = ignore_progress,
) -> Filled:
    """Fill the holes of a picture; every other pixel comes back bit for bit.

    The model sees what is known and not fully transparent: the colours of transparent pixels are
    often meaningless.

    Args:
        picture: as displayed.
        mask: (h, w) bool, True in the hole.
        model: from `open_model`.
        grow_by: pixels that the hole is dilated by first.
        feather: pixels inside the hole's boundary over which the old content fades into the new.
        reveal: make the hole opaque (for a hole that is the transparent pixels themselves).
        detail: texture of thick parts: the network's, patches of the photo, or (auto) a blend of
            both, with the photo's grain.
        structure: carry patterns and straight lines of the photo through the hole, or (off) leave
            them to network and patches.
        seed: of the random search for patches: another seed gives another texture.
        attention: set to the attention offsets of a model that has them.
        notes: called with messages for the user.
        progress: called with the share that is done, 0 to 1; what it raises ends the fill.

    Raises:
        MaskMismatchError: the sizes differ, or the hole is the whole picture.
        EngineError: the engine failed.
    """
    started = time.perf_counter()
    _check(picture, mask)
    hole = dilate(mask, grow_by) if grow_by else mask
    if hole.all():
        raise MaskMismatchError(
            "The hole is the whole picture: there is nothing to fill it from.",
            hint="White is the hole; pass --invert-mask if yours is the other way round.",
        )
    if (share := float(hole.mean())) > LARGE_HOLE:
        notes(f"The hole is {share:.0%} of the photo; if it is the rest, pass --invert-mask.")
    model = model.for_depth(picture.depth, notes)
    unknown = _unknown(picture, hole)
    tones = narrow_range(picture.pixels, hole, ~unknown)
    visible = picture.pixels if tones is None else tones.stretched(picture.pixels)
    filler = _TileFiller(visible, unknown, model, attention)
    network_share = 1.0 if detail == "network" else NETWORK_SHARE
    filler.fill(hole, lambda share: progress(network_share * share))
    decisions = add_texture(
        filler.pixels,
        hole,
        ~unknown,
        detail,
        structure=structure,
        seed=seed,
        threads=model.engine.info.threads,
        notes=notes,
        progress=lambda share: progress(network_share + (1 - network_share) * share),
    )
    progress(1.0)
    grain = add_grain(filler.pixels, hole, ~unknown) if detail == "auto" and hole.any() else 0.0
    if tones is not None:
        restored = tones.restored(filler.pixels)
        filler.pixels = np.where(hole[..., None], restored, picture.pixels)
    filled = picture.with_pixels(_feathered(picture, filler.pixels, hole, feather))
    if reveal and filled.alpha is not None:
        opaque = np.asarray(np.iinfo(filled.alpha.dtype).max, filled.alpha.dtype)
        filled = filled.with_alpha(np.where(hole, opaque, filled.alpha))
    seconds = time.perf_counter() - started
    return Filled(
        filled,
        filler.tiles,
        filler.engine_seconds,
        seconds,
        tuple(decisions),
        grain,
        model.engine.info.precision,
    )


def tile_sizes(card: Card) -> TileSizes:
    """How holes are cut into tiles for a model."""
    return card.tile_sizes


def _check(picture: Picture, mask: Mask) -> None:
    if mask.shape != (picture.height, picture.width):
        raise MaskMismatchError(
            f"The mask is {mask.shape[1]}x{mask.shape[0]} but the photo is "
            f"{picture.width}x{picture.height}.",
        )


def _unknown(picture: Picture, hole: Mask) -> Mask:
    """(h, w) bool: the hole and the fully transparent pixels, or the hole if that is everything."""
    if picture.alpha is None:
        return hole
    transparent = (picture.alpha == 0) | hole
    return hole if transparent.all() else transparent


class _TileFiller:
    """Fills a copy of the pixels tile by tile; what is filled is known to the next tile."""

    def __init__(
        self,
        pixels: NDArray[Any],
        unknown: Mask,
        model: Model,
        attention: AttentionMap | None = None,
    ) -> None:
        """Start from `pixels` (h, w, 1 or 3) uint8 or uint16; the `unknown` ones are not used."""
        self.pixels = pixels.copy()
        self.tiles = 0
        self.engine_seconds = 0.0
        self._model = model
        self._attention = attention
        if attention is not None:
            attention.begin(*unknown.shape)
        self._top = int(np.iinfo(pixels.dtype).max)
        self._unknown = unknown.copy()

    def fill(self, hole: Mask, progress: Progress) -> None:
        """Fill a hole, tile by tile, independent ones of one size several at a time."""
        planned = plan_tiles(hole, tile_sizes(self._model.card))
        for tiles in _batches(planned):
            progress(self.tiles / len(planned))
            self._fill_tiles(tiles)
        progress(1.0)

    def _fill_tiles(self, tiles: Sequence[Tile]) -> None:
        """Run the model on tiles of one size and write its outputs to their targets."""
        outputs = self._run([self._input(tile) for tile in tiles])
        for number, tile in enumerate(tiles):
            self._write(tile, {name: output[number] for name, output in outputs.items()})

    def _input(self, tile: Tile) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the model sees of one tile: rgb_hwc in [-1, 1] and hole (h, w), 1 inside."""
        inside = tile.box.slices
        rgb_hwc = _to_float(self.pixels[inside], self._top)
        multiple = self._model.card.size_multiple
        return model_input(rgb_hwc, self._unknown[inside], tile.scale, multiple)

    def _write(self, tile: Tile, outputs: dict[str, NDArray[Any]]) -> None:
        """Write the model's output for one tile to its target."""
        inside = tile.box.slices
        filled_hwc = np.asarray(outputs["filled"].transpose(1, 2, 0), np.float32)
        answer = model_output(filled_hwc, tile.box, tile.scale)
        filled = _from_float(answer, self._top, self.pixels.shape[2], self.pixels.dtype)
        np.copyto(self.pixels[inside], filled, where=tile.target[..., None])
        if self._attention is not None:
            self._attention.add_tile(outputs[OUTPUT], tile)
        self._unknown[inside] &= ~tile.target
        self.tiles += 1

    def _run(
        self, inputs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    ) -> dict[str, NDArray[Any]]:
        image_nchw = np.stack([rgb_hwc.transpose(2, 0, 1) for rgb_hwc, _ in inputs])
        mask_nchw = np.stack([hole[None] for _, hole in inputs])
        started = time.perf_counter()
        outputs = self._model.run({"image": image_nchw, "mask": mask_nchw})
        self.engine_seconds += time.perf_counter() - started
        return outputs


def _batches(tiles: Sequence[Tile]) -> Iterator[list[Tile]]:
    """The tiles in order: independent ones of one size up to `BATCH` together, others alone."""
    for key, same in itertools.groupby(tiles, lambda tile: (tile.independent, tile.box.size)):
        size = BATCH if key[0] else 1
        members = list(same)
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _to_float(pixels: NDArray[Any], top: int) -> NDArray[np.float32]:
    """(h, w, 1 or 3) integers up to `top` to (h, w, 3) in [-1, 1]."""
    scaled = pixels.astype(np.float32) * np.float32(2 / top) - np.float32(1)
    return np.broadcast_to(scaled, (*scaled.shape[:2], 3))


def _from_float(
    rgb: NDArray[np.float32], top: int, channels: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Back from [-1, 1] to integers up to `top`; grey is the mean of the three channels."""
    if channels == 1:
        rgb = rgb.mean(axis=2, keepdims=True)
    scaled: NDArray[Any] = np.clip(np.rint((rgb + 1) * np.float32(top / 2)), 0, top)
    return scaled.astype(dtype)


def _feathered(before: Picture, after: NDArray[Any], hole: Mask, feather: int) -> NDArray[Any]:
    """Fade from the old pixels at the hole's boundary to the new ones `after` deeper in.

    Known pixels stay untouched; under full transparency there is nothing old to fade from.
    """
    box = bounding_box(hole)
    if feather <= 0 or box is None:
        return after
    inside = box.grown(feather + 1, *hole.shape).slices
    weight = feather_weights(hole[inside], feather)[..., None]
    if before.alpha is not None:
        weight = np.where(before.alpha[inside][..., None] == 0, np.float32(1), weight)
    old, new = before.pixels[inside].astype(np.float32), after[inside].astype(np.float32)
    mixed = np.rint(old + weight * (new - old)).astype(after.dtype)
    np.copyto(after[inside], mixed, where=hole[inside][..., None])
    return after
