from pathlib import Path

import numpy as np
import pytest
import torch
from inpaintcli_training.catalog import build_generator, find_recipe
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.export.exporter import to_onnx
from inpaintcli_training.generators import contextual
from inpaintcli_training.layers.attention import Attention
from inpaintcli_training.layers.blocks import composite, count_parameters
from inpaintcli_training.losses.reconstruction import spatial_discount
from inpaintcli_training.recipe import Recipe, recipe_from_json, to_json, with_settings
from torch import nn

from inpaintcli.errors import UsageError

FORMS = [pytest.param(form, id=form) for form in contextual.FORMS]


def small(form: str = "paper", **attention) -> contextual.Generator:
    how = Attention(**attention)
    return contextual.Generator(contextual.Config(width=4, form=form, attention=how))


@pytest.fixture
def recipe(tiny_recipes: dict[str, Recipe]) -> Recipe:
    return tiny_recipes["contextual"]


def test_sizes_are_those_of_the_paper_and_of_the_public_code() -> None:
    with torch.device("meta"):
        paper = build_generator(find_recipe("contextual"))
        public = build_generator(find_recipe("contextual-public"))
    assert count_parameters(paper) == 3_765_158  # appendix D, layer by layer
    assert count_parameters(public) == 3_601_542
    branch = count_parameters(public.matching) + count_parameters(public.matched)
    assert count_parameters(public) - branch == 2_905_574  # the paper's "2.9M" (section 5)


def test_an_unknown_form_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="paper"):
        contextual.Config(form="other")


def test_the_attentions_options_are_settings_of_the_recipe() -> None:
    recipe = with_settings(
        find_recipe("contextual"),
        {"generator.attention.rate": "1", "generator.attention.propagated": "scores"},
    )
    assert recipe.generator.attention == Attention(rate=1, propagated="scores")
    assert recipe_from_json(recipe, to_json(recipe)) == recipe
    assert build_generator(with_settings(recipe, {"generator.width": "4"})).size_multiple == 4


@pytest.mark.parametrize("form", FORMS)
def test_outputs_have_the_photos_size_and_range_and_ignore_the_hole(form: str) -> None:
    generator = small(form)
    image, mask = torch.rand(2, 3, 24, 40) * 2 - 1, torch.zeros(2, 1, 24, 40)
    mask[:, :, 5:14, 9:23] = 1
    filled, way = generator(image, mask)
    assert filled.shape == image.shape
    assert way.shape == (2, 2, 24, 40)
    assert float(filled.detach().abs().max()) <= 1
    noise = composite(image, mask, torch.rand_like(image))
    assert all(map(torch.equal, (filled, way), generator(noise, mask)))
    assert torch.equal(generator.stages(Batch(image, mask))["filled"], filled)


@pytest.mark.parametrize("form", FORMS)
def test_every_picture_of_a_batch_goes_by_its_own_mask(form: str) -> None:
    """The published code gives the first picture's mask to the attention of all."""
    generator = small(form)
    photo = torch.rand(2, 3, 32, 48) * 2 - 1
    mask = torch.zeros(2, 1, 32, 48)
    mask[0, :, :20, :12] = 1
    mask[1, :, 12:30, 24:44] = 1
    together = generator(photo, mask)
    for number in range(2):
        alone = generator(photo[number : number + 1], mask[number : number + 1])
        torch.testing.assert_close(together[0][number], alone[0][0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together[1][number], alone[1][0])


def test_the_way_leads_from_the_hole_to_known_pixels_of_the_picture() -> None:
    mask = torch.zeros(1, 1, 48, 64)
    mask[:, :, 16:32, 16:32] = 1
    way = small()(torch.rand(1, 3, 48, 64), mask)[1][0]
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    there = torch.stack([y, x]) + way
    hole = mask[0, 0] > 0
    assert not way[:, ~hole].any()
    there = there[:, hole].long()
    assert (there >= 0).all()
    assert (there[0] < 48).all()
    assert (there[1] < 64).all()
    assert not hole[there[0], there[1]].any()
    assert not (way % 8).any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("attention", [{}, {"stride": 2}, {"propagated": "scores"}], ids=str)
def test_gradients_reach_every_parameter(
    form: str, attention: dict, recipe: Recipe, batch: Batch
) -> None:
    generator = small(form, **attention)
    terms = contextual.Objective(recipe, None).generator_loss(batch, generator.stages(batch))
    sum(terms.values()).backward()
    silent = {n for n, p in generator.named_parameters() if p.grad is None or not p.grad.any()}
    assert silent == set()


def test_all_terms_are_there_and_finite(recipe: Recipe, batch: Batch, features: Path) -> None:
    settings = {"objective.known": "0.5", "objective.squeezenet": "0.1"}
    objective = contextual.Objective(with_settings(recipe, settings), features)
    stages = {"coarse": torch.zeros_like(batch.photo), "filled": torch.ones_like(batch.photo)}
    terms = objective.generator_loss(batch, stages)
    assert set(terms) == {"coarse", "refined", "known", "squeezenet", "adversarial"}
    assert all(term.isfinite() for term in terms.values())
    weight = spatial_discount(batch.mask, 0.99)
    by_hand = (batch.photo.abs() * weight).sum() / (3 * weight.sum())
    torch.testing.assert_close(terms["coarse"], by_hand)
    known = 1 - batch.mask
    errors = batch.photo.abs() + (1 - batch.photo).abs()
    torch.testing.assert_close(terms["known"], 0.5 * (errors * known).sum() / (3 * known.sum()))
    assert objective.notes["squeezenet1_1_random.safetensors"][0] == "relu1"


def test_terms_of_weight_0_are_not_computed(recipe: Recipe, batch: Batch) -> None:
    objective = contextual.Objective(with_settings(recipe, {"objective.adversarial": "0"}), None)
    assert objective.critic is None
    assert objective.notes == {}
    stages = {"coarse": batch.photo, "filled": batch.photo}
    terms = objective.generator_loss(batch, stages)
    assert {name: float(term) for name, term in terms.items()} == {"coarse": 0, "refined": 0}


def test_the_critics_terms_by_hand(recipe: Recipe, batch: Batch) -> None:
    """Both critics are linear: D = w . x, so that the penalty is (|w in the hole| - 1)^2."""
    objective = contextual.Objective(recipe, None)
    objective.critic.whole = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1))
    objective.critic.local = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1))
    for critic in (objective.critic.whole, objective.critic.local):
        nn.init.constant_(critic[1].weight, 0.25)
    filled = torch.full_like(batch.photo, 0.5)
    terms = objective.critic_loss(batch, {"filled": filled})
    inside = 0.25 * ((filled - batch.photo) * batch.mask).sum((1, 2, 3))
    torch.testing.assert_close(terms["critic_global"], inside.mean(), atol=1e-3, rtol=1e-4)
    norms = 0.25 * (3 * batch.mask.sum((1, 2, 3))).sqrt()
    penalty = 10 * (norms - 1).square().mean()
    torch.testing.assert_close(terms["penalty_global"], penalty, atol=1e-3, rtol=1e-4)
    # These holes are at most 16 pixels wide: the local window shows all of them.
    torch.testing.assert_close(terms["critic_local"], inside.mean(), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(terms["penalty_local"], penalty, atol=1e-3, rtol=1e-4)


def test_the_critics_loss_reaches_all_of_the_critics(recipe: Recipe, batch: Batch) -> None:
    objective = contextual.Objective(recipe, None)
    stages = {"filled": torch.zeros_like(batch.photo)}
    terms = objective.critic_loss(batch, stages)
    assert set(terms) == {"critic_global", "critic_local", "penalty_global", "penalty_local"}
    sum(terms.values()).backward()
    grads = {name: p.grad for name, p in objective.critic.named_parameters()}
    silent = {n for n, grad in grads.items() if grad is None or float(grad.abs().max()) < 1e-7}
    # Differences of scores, and slopes: where no leaky ReLU bends, a bias cancels.
    assert {name.rsplit(".", 1)[1] for name in silent} <= {"bias"}


def test_the_critics_are_trained_in_fp32_whatever_the_precision(
    recipe: Recipe, batch: Batch
) -> None:
    objective = contextual.Objective(recipe, None)
    stages = {"filled": torch.zeros_like(batch.photo)}
    plain = objective.critic_loss(batch, stages)
    with torch.autocast("cpu", torch.bfloat16):
        cast = objective.critic_loss(batch, stages)
    for name, term in plain.items():
        assert torch.equal(term, cast[name])


def test_the_generators_loss_leaves_nothing_in_the_critics(recipe: Recipe, batch: Batch) -> None:
    objective = contextual.Objective(recipe, None)
    filled = torch.zeros_like(batch.photo, requires_grad=True)
    terms = objective.generator_loss(batch, {"coarse": batch.photo, "filled": filled})
    terms["adversarial"].backward()
    assert filled.grad.abs().sum() > 0
    assert not (filled.grad * (1 - batch.mask)).any()
    assert all(p.grad is None for p in objective.parameters())
    assert all(p.requires_grad for p in objective.critic.parameters())


def test_the_paper_takes_five_steps_of_the_critics_to_one() -> None:
    paper = find_recipe("contextual")
    assert (paper.critic_steps, paper.batch, paper.lr) == (5, 16, 1e-4)
    assert paper.betas == (0.5, 0.9)
    assert (paper.objective.gamma, paper.objective.penalty) == (0.99, 10)
    assert (paper.objective.squeezenet, paper.objective.known) == (0, 0)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_other_form_exports_as_well_at_three_sizes() -> None:
    """The paper's form is exported in test_export.py, with all families."""
    onnxruntime = pytest.importorskip("onnxruntime")
    generator = small("public", propagated="scores", stride=2).eval()
    model = to_onnx(generator)
    # No kernels made at run time, no Col2Im: TensorRT takes neither.
    assert not {"Col2Im", "ConvTranspose", "Loop", "Scan"} & {n.op_type for n in model.graph.node}
    large = {n: t.half().float() for n, t in generator.state_dict().items() if t.numel() >= 256}
    generator.load_state_dict(generator.state_dict() | large)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for n, height, width in ((2, 64, 96), (1, 128, 120), (1, 256, 192)):
        image = torch.rand(n, 3, height, width) * 2 - 1
        mask = torch.zeros(n, 1, height, width)
        mask[:, :, height // 4 : height // 2, width // 3 : width // 2] = 1
        found = session.run(["filled", "attention"], {"image": image.numpy(), "mask": mask.numpy()})
        with torch.no_grad():
            expected = generator(image, mask)
        assert np.abs(found[0] - expected[0].numpy()).max() <= 1e-3
        assert np.mean(found[1] != expected[1].numpy()) <= 0.01
