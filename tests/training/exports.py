"""Exported graphs that many tests need: torch's exporter runs once for each network in a test run.

It takes up to a minute of processor time for a network, whatever its width. The graph that it
makes (`exporter._graph`) is stored in a folder that all processes of the test run share; storing
the weights in it, and everything after that, is done each time. The exporter may let two layers
share weights that are equal, so that a graph of one network may compute something else with the
weights of another: the shared graph is always that of the weights which `fill_weights` draws.
"""

import copy
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from filelock import FileLock
from inpaintcli_training.catalog import build_generator
from inpaintcli_training.export import exporter
from inpaintcli_training.export.exporter import export_run
from inpaintcli_training.loop.run_folder import (
    RunInfo,
    load_ema,
    write_checkpoint,
    write_run_info,
)
from inpaintcli_training.recipe import Recipe


def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the graphs, the same in all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "graphs"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def shared_graphs(folder: Path) -> Iterator[None]:
    """Inside, the exporter takes a graph of the folder where a network like this was exported."""
    export = exporter._graph

    def graph(generator: Any) -> onnx.ModelProto:
        path = folder / f"{_key(generator)}.onnx"
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                filled = copy.deepcopy(generator)
                fill_weights(filled.state_dict())
                path.write_bytes(export(filled).SerializeToString())
        return onnx.load(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "_graph", graph)
        yield


def _key(generator: Any) -> str:
    """Of all that the graph depends on: the code, its settings and stage, the weights' shapes."""
    settings = {k: v for k, v in vars(generator).items() if not k.startswith("_")}
    shapes = {name: tuple(tensor.shape) for name, tensor in generator.state_dict().items()}
    text = repr((type(generator), settings, shapes))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Exported:
    run: Path
    path: Path
    recipe: Recipe


def fill_weights(weights: dict[str, torch.Tensor]) -> None:
    """Draw random weights of fixed seed, in place; every fourth tensor becomes zero.

    So biases that are still zero, as in a new network, are equal: they must stay apart in the file.
    """
    random = torch.Generator().manual_seed(0)
    for number, (name, tensor) in enumerate(weights.items()):
        fan_in = tensor[0].numel() if tensor.ndim > 1 else 100
        std = fan_in**-0.5 if number % 4 != 3 else 0.0
        torch.nn.init.normal_(tensor, std=std, generator=random)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)


def write_run(folder: Path, recipe: Recipe, *sources: Path) -> None:
    """A run folder as training leaves it, with random weights everywhere."""
    weights = build_generator(recipe).state_dict()
    fill_weights(weights)
    where = tuple(map(str, sources))
    known = {"data": ("photos",), "sources": where, "features": {"file": "vgg19"}}
    info = RunInfo(photos=6, unreadable=1, **known)
    write_run_info(folder, recipe, info)
    write_checkpoint(folder, {"images": 4321}, weights)
    os.utime(folder / "ema.safetensors", (1_700_000_000, 1_700_000_000))


def export_tiny(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, photos: Path) -> Exported:
    run = tmp_path_factory.mktemp(recipe.family)
    write_run(run, recipe, photos)
    with shared_graphs(graph_folder(tmp_path_factory)):
        path, _ = export_run(run, run / "out", name="tiny")
    return Exported(run, path, recipe)


def rounded_generator(exported: Exported) -> torch.nn.Module:
    """The generator with weights rounded as the file stores them."""
    weights, images = load_ema(exported.run)
    rounded = {name: exporter._rounded(weight) for name, weight in weights.items()}
    return exporter.trained_generator(exported.recipe, rounded, images)
