"""The papers' networks with `start: membrane`: an untrained one fills as the membrane does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from inpaintcli_training.catalog import FAMILIES, build_generator, build_objective, recipes
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.export.exporter import to_onnx
from inpaintcli_training.family import BaseGenerator, first_output
from inpaintcli_training.layers.pullpush import membrane
from inpaintcli_training.recipe import Recipe, with_settings
from torch import Tensor, nn

PAPERS = sorted(set(FAMILIES) - {"membrane"})
DONE = 10**9  # images after which every procedure is over
FORMS = {  # the small recipes', and other forms that may be set
    "blockwise": [{}, {"generator.normalised": "true"}, {"generator.harmonize": "false"}],
    "contextual": [{}, {"generator.square": "1"}, {"generator.form": "public"}],
    "dmfn": [{}, {"generator.square": "1"}, {"generator.form": "public"}],
    "regionwise": [{}, {"generator.square": "1"}],
}
CASES = [
    pytest.param(f"{family}-small", settings, id=f"{family} {settings}")
    for family in PAPERS
    for settings in FORMS[family]
]


def untrained(recipe: Recipe, settings: dict[str, str]) -> BaseGenerator:
    generator = build_generator(with_settings(recipe, {"pasted.share": "0"} | settings))
    generator.begin(DONE)
    return generator


def holed() -> tuple[Tensor, Tensor]:
    mask = torch.zeros(2, 1, 64, 96)
    mask[0, :, 10:41, 22:55] = 1
    mask[1, :, 30:33] = 1
    return torch.rand(2, 3, 64, 96) * 2 - 1, mask


def restless(generator: BaseGenerator) -> BaseGenerator:
    """The generator with the layers that start at zero drawn at random, and every ReLU awake."""
    for name, parameter in generator.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, 0, 0.2)
        elif not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return generator


@pytest.mark.parametrize("family", PAPERS)
def test_the_papers_recipes_start_from_grey_and_the_small_ones_from_the_membrane(
    family: str,
) -> None:
    starts = {n: r.generator.start for n, r in recipes().items() if r.family == family}
    assert {name for name, start in starts.items() if start == "membrane"} == {f"{family}-small"}


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_an_untrained_network_fills_as_the_membrane(
    name: str, settings: dict[str, str], tiny_recipes: dict[str, Recipe]
) -> None:
    generator = untrained(tiny_recipes[name], settings).eval()
    image, mask = holed()
    filled = first_output(generator(image, mask))
    expected = membrane(image, mask)
    torch.testing.assert_close(filled * mask, expected * mask, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_hole_has_no_influence_and_the_output_stays_in_range(
    name: str, settings: dict[str, str], tiny_recipes: dict[str, Recipe]
) -> None:
    generator = restless(untrained(tiny_recipes[name], settings)).eval()
    image, mask = holed()
    filled = first_output(generator(image, mask))
    noise = torch.where(mask > 0, torch.rand_like(image), image)
    assert torch.equal(filled, first_output(generator(noise, mask)))
    assert float(filled.detach().abs().max()) <= 1
    assert (filled - membrane(image, mask)).abs().amax() > 0.01  # the network has its say


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_gradients_reach_every_parameter(
    name: str,
    settings: dict[str, str],
    tiny_recipes: dict[str, Recipe],
    batch: Batch,
    features: Path,
) -> None:
    recipe = with_settings(tiny_recipes[name], {"pasted.share": "0"} | settings)
    generator = restless(untrained(recipe, {}))
    if generator.objects:
        foreground = torch.zeros_like(batch.mask)
        foreground[:, :, :8, :8] = 1
        foreground *= 1 - batch.mask
        batch = replace(batch, pasted=batch.photo * (1 - foreground), foreground=foreground)
    terms = build_objective(recipe, features).generator_loss(batch, generator.stages(batch))
    sum(terms.values()).backward()
    silent = {n for n, p in generator.named_parameters() if p.grad is None or not p.grad.any()}
    assert silent == set()


def test_an_untrained_network_leaves_a_pasted_object_as_it_was(
    tiny_recipes: dict[str, Recipe],
) -> None:
    """And the smooth fill beside it continues the background, not the object."""
    generator = untrained(tiny_recipes["blockwise-small"], {}).eval()
    image, mask = holed()
    mask[:, :, 44:60, 60:90] = 0.5
    hole = (mask == 1).float()
    filled, harmonized = generator(image, mask)
    pasted = (mask == 0.5).expand_as(image)
    torch.testing.assert_close(harmonized[pasted], image[pasted])
    expected = membrane(image, (mask > 0).float())
    torch.testing.assert_close(filled * hole, expected * hole)


@pytest.mark.soak  # the networks and the membrane are exported apart in test_exporter.py
@pytest.mark.timeout(600)  # torch's exporter takes a minute of a slow core for a family
@pytest.mark.parametrize("family", PAPERS)
def test_the_exported_graph_agrees_with_torch(family: str, tiny_recipes: dict[str, Recipe]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    generator = restless(untrained(tiny_recipes[f"{family}-small"], {})).eval()
    rounded = {n: t.half().float() for n, t in generator.state_dict().items() if t.numel() >= 256}
    generator.load_state_dict(generator.state_dict() | rounded)
    session = onnxruntime.InferenceSession(
        to_onnx(generator).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image, mask = holed()
    [found] = session.run(["filled"], {"image": image.numpy(), "mask": mask.numpy()})
    with torch.no_grad():
        expected = first_output(generator(image, mask)).numpy()
    assert np.abs((found - expected) * mask.numpy()).max() <= 1e-4
