from itertools import pairwise
from pathlib import Path

import pytest
import torch
from inpaintcli_training.catalog import build_generator, find_recipe
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.generators import dmfn
from inpaintcli_training.layers.blocks import composite, count_parameters
from inpaintcli_training.losses import guided
from inpaintcli_training.recipe import Recipe, with_settings
from torch import nn

from inpaintcli.errors import UnreadableError, UsageError

FORMS = [pytest.param(form, id=form) for form in dmfn.FORMS]


def small(form: str) -> nn.Module:
    return dmfn.Generator(dmfn.Config(width=4, blocks=2, form=form))


def test_sizes_are_those_of_the_paper_and_of_the_public_code() -> None:
    with torch.device("meta"):
        assert count_parameters(dmfn.Block(dmfn.Config())) == 471_808  # table 2
        assert count_parameters(dmfn.Generator(dmfn.Config())) == 5_729_411
        assert count_parameters(build_generator(find_recipe("dmfn"))) == 5_729_411
        assert count_parameters(dmfn.Generator(dmfn.Config(form="public"))) == 9_037_443
        assert count_parameters(build_generator(find_recipe("dmfn-public"))) == 9_037_443
        assert count_parameters(build_generator(find_recipe("dmfn-small"))) == 3_243_996
        # Table 2 also counts the block without K_i: three convolutions of 64 to 64 fewer.
        assert 471_808 - 3 * (64 * 64 * 9 + 64) == 361_024


def test_an_unknown_form_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="paper"):
        dmfn.Config(form="other")


def test_the_block_of_the_paper_sums_through_k_i() -> None:
    """y_1 = x_1, y_i = K_i(y_{i-1} + x_i), then fused and added to the input."""
    block = dmfn.Block(dmfn.Config(width=2))
    x = torch.rand(1, 8, 8, 8)
    reduced = block.reduce(x)
    x1, x2, x3, x4 = (branch(reduced) for branch in block.branches)
    k2, k3, k4 = block.combine
    y2 = k2(x1 + x2)
    y3 = k3(y2 + x3)
    y4 = k4(y3 + x4)
    expected = x + block.fuse(torch.cat([x1, y2, y3, y4], 1))
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_output_has_the_photos_size_and_range_and_ignores_the_hole(form: str) -> None:
    generator = small(form)
    image, mask = torch.rand(2, 3, 20, 28) * 2 - 1, (torch.rand(2, 1, 20, 28) > 0.6).float()
    predicted = generator(image, mask)
    assert predicted.shape == image.shape
    assert float(predicted.detach().abs().max()) <= 1
    noise = composite(image, mask, torch.rand_like(image))
    assert torch.equal(predicted, generator(noise, mask))


@pytest.mark.parametrize("form", FORMS)
def test_pictures_of_a_batch_do_not_see_each_other(form: str, batch: Batch) -> None:
    generator = small(form)
    together = generator(batch.photo, batch.mask)
    alone = generator(batch.photo[1:], batch.mask[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def cancelled_biases(generator: nn.Module) -> set[str]:
    """Biases directly before an instance norm, which takes them out again."""
    names = set()
    for path, module in generator.named_modules():
        if isinstance(module, nn.Sequential):
            children = list(module.named_children())
            for (name, _), (_, after) in pairwise(children):
                if isinstance(after, nn.InstanceNorm2d):
                    names.add(f"{path}.{name}.bias")
    return names


@pytest.mark.parametrize("form", FORMS)
def test_gradients_reach_every_parameter_that_has_an_effect(
    form: str, tiny_dmfn: Recipe, batch: Batch, features: Path
) -> None:
    generator = small(form)
    objective = dmfn.Objective(tiny_dmfn, features)
    terms = objective.generator_loss(batch, {"filled": generator(batch.photo, batch.mask)})
    sum(terms.values()).backward()
    parameters = dict(generator.named_parameters())
    silent = {n for n, p in parameters.items() if p.grad is None or float(p.grad.norm()) < 1e-5}
    # What only the norm after the concatenation sees: K_4, and the public form's bare branches.
    last = ".branches." if form == "public" else ".combine.2."
    silent -= {name for name in parameters if last in name and name.endswith(".bias")}
    assert silent <= cancelled_biases(generator)


def test_all_terms_of_equation_11_are_there_and_finite(
    tiny_dmfn: Recipe, batch: Batch, features: Path
) -> None:
    objective = dmfn.Objective(tiny_dmfn, features)
    terms = objective.generator_loss(batch, {"filled": torch.zeros_like(batch.photo)})
    assert set(terms) == {
        "mae", "self_guided", "vgg_matching", "alignment", "adversarial", "local_matching",
    }  # fmt: skip
    assert all(term.isfinite() and term > 0 for term in terms.values())
    mae = (batch.photo.abs() * batch.mask).sum() / batch.photo.numel()
    torch.testing.assert_close(terms["mae"], mae)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"vgg": "0"}, {"mae", "alignment", "adversarial", "local_matching"}),
        ({"vgg": "0", "alignment": "0"}, {"mae", "adversarial", "local_matching"}),
        (
            {"adversarial": "0"},
            {"mae", "self_guided", "vgg_matching", "alignment", "local_matching"},
        ),
        (
            {"adversarial": "0", "local_matching": "0"},
            {"mae", "self_guided", "vgg_matching", "alignment"},
        ),
    ],
)
def test_terms_of_weight_0_are_not_computed(
    settings: dict[str, str], expected: set[str], tiny_dmfn: Recipe, batch: Batch, features: Path
) -> None:
    recipe = with_settings(tiny_dmfn, {f"objective.{k}": v for k, v in settings.items()})
    objective = dmfn.Objective(recipe, features)
    assert set(objective.generator_loss(batch, {"filled": batch.photo})) == expected
    assert (objective.critic is not None) == bool({"adversarial", "local_matching"} & expected)


def test_without_vgg_terms_no_features_are_needed(tiny_dmfn: Recipe) -> None:
    recipe = with_settings(tiny_dmfn, {"objective.vgg": "0", "objective.alignment": "0"})
    assert dmfn.Objective(recipe, None).notes == {}
    with pytest.raises(UsageError, match="--features"):
        dmfn.Objective(tiny_dmfn, None)


def test_a_perfect_output_gives_numbers_and_finite_gradients(
    tiny_dmfn: Recipe, batch: Batch, features: Path
) -> None:
    objective = dmfn.Objective(tiny_dmfn, features)
    predicted = batch.photo.clone().requires_grad_()
    terms = objective.generator_loss(batch, {"filled": predicted})
    sum(terms.values()).backward()
    assert predicted.grad.isfinite().all()
    for name in ("mae", "self_guided", "vgg_matching", "alignment", "local_matching"):
        assert float(terms[name].detach()) == pytest.approx(0, abs=1e-5)


def test_the_generators_loss_leaves_nothing_in_the_critic(
    tiny_dmfn: Recipe, batch: Batch, features: Path
) -> None:
    objective = dmfn.Objective(tiny_dmfn, features)
    predicted = torch.zeros_like(batch.photo, requires_grad=True)
    sum(objective.generator_loss(batch, {"filled": predicted}).values()).backward()
    assert predicted.grad.abs().sum() > 0
    assert all(p.grad is None for p in objective.parameters())
    assert all(p.requires_grad for p in objective.critic.parameters())


def test_the_critics_loss_reaches_all_of_the_critic(
    tiny_dmfn: Recipe, batch: Batch, features: Path
) -> None:
    objective = dmfn.Objective(tiny_dmfn, features)
    objective.critic_loss(batch, {"filled": torch.zeros_like(batch.photo)})["critic"].backward()
    grads = {name: p.grad for name, p in objective.critic.named_parameters()}
    # The relativistic loss looks at differences of scores: a common bias has no effect.
    silent = {name for name, grad in grads.items() if not grad.any()}
    assert silent <= {"score.bias"}
    assert all(p.grad is None for p in objective.vgg.parameters())


def test_notes_say_which_layers_the_file_had(tiny_dmfn: Recipe, features: Path) -> None:
    assert dmfn.Objective(tiny_dmfn, features).notes == {
        "file": "vgg19_random.safetensors",
        "feature_matching": ["relu1_1", "relu2_1", "relu3_1"],
        "alignment": "relu3_1",
        "left_out": ["relu4_1", "relu5_1"],
    }


def test_a_folder_without_vgg_is_unreadable(tiny_dmfn: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="vgg19"):
        dmfn.Objective(tiny_dmfn, tmp_path)


def test_the_guidance_is_the_error_scaled_picture_by_picture() -> None:
    """Equations 2 and 3: errors 0, 1, 4, 9 -> 0, 1/9, 4/9, 1; the second picture 1..4 -> 0..1."""
    photo = torch.zeros(2, 3, 2, 2)
    filled = torch.tensor([[0.0, 1.0, 2.0, 3.0], [1.0, 2**0.5, 3**0.5, 2.0]]).view(2, 1, 2, 2)
    guidance = guided.guidance_map(filled.expand(2, 3, 2, 2).requires_grad_(), photo)
    expected = torch.tensor([[0, 1 / 9, 4 / 9, 1], [0, 1 / 3, 2 / 3, 1]]).view(2, 1, 2, 2)
    torch.testing.assert_close(guidance, expected)
    assert not guidance.requires_grad


def test_the_guidance_of_one_channels_error_is_its_third() -> None:
    filled = torch.zeros(1, 3, 1, 2)
    filled[0, 1, 0, 1] = 3.0
    photo = torch.zeros(1, 3, 1, 2)
    assert guided.guidance_map(filled, photo, epsilon=6.0).flatten().tolist() == [0.0, 0.5]


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_an_even_error_gives_no_guidance_and_no_nan(offset: float) -> None:
    photo = torch.rand(1, 3, 4, 4).round()
    assert not guided.guidance_map(photo + offset, photo).any()


def test_the_self_guided_loss_by_hand() -> None:
    """Equation 5, one channel a layer, so w = 1000; the second level's guidance is the mean."""
    guidance = torch.tensor([0.0, 0.25, 0.75, 1.0]).view(1, 1, 2, 2)
    theirs = {"relu1_1": torch.zeros(1, 1, 2, 2), "relu2_1": torch.zeros(1, 1, 1, 1)}
    ours = {"relu1_1": torch.tensor([8.0, -4.0, 2.0, 1.0]).view(1, 1, 2, 2)}
    first = 1000 * (0 * 8 + 0.25 * 4 + 0.75 * 2 + 1 * 1) / 4
    assert float(guided.self_guided_loss(ours, theirs, guidance)) == pytest.approx(first)
    ours["relu2_1"] = torch.tensor(3.0).view(1, 1, 1, 1)
    second = 1000 * 0.5 * 3
    assert float(guided.self_guided_loss(ours, theirs, guidance)) == pytest.approx(first + second)
    ours["relu3_1"] = torch.ones(1, 1, 1, 1)  # not a layer of equation 5
    assert float(guided.self_guided_loss(ours, theirs, guidance)) == pytest.approx(first + second)


def test_the_alignment_by_hand() -> None:
    """Equations 6 and 7: one response moves from corner to corner, the other stays."""
    theirs = torch.zeros(2, 2, 3, 3)
    theirs[:, :, 0, 0] = 5.0
    ours = theirs.clone()
    ours[0, 0] = 0
    ours[0, 0, 2, 2] = 2.0
    # Centre (-1, -1) -> (1, 1): 4 + 4 in one map of one of two pictures.
    assert float(guided.alignment_loss(ours, theirs)) == pytest.approx(8 / 2, rel=1e-4)


def test_the_alignment_weighs_coordinates_with_responses() -> None:
    responses = torch.tensor([[1.0, 0.0], [0.0, 3.0]]).view(1, 1, 2, 2)
    assert guided._centres(responses).flatten().tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    silent = torch.zeros(1, 1, 4, 5, requires_grad=True)
    assert guided._centres(silent).flatten().tolist() == pytest.approx([0, 0], abs=1e-6)
    guided.alignment_loss(silent, torch.rand(1, 1, 4, 5)).backward()
    assert silent.grad.isfinite().all()


@pytest.mark.parametrize("name", ["dmfn", "dmfn-public"])
def test_the_recipes_train_as_the_paper_does(name: str) -> None:
    recipe = find_recipe(name)
    assert (recipe.lr, recipe.betas, recipe.weight_decay) == (2e-4, (0.5, 0.9), 0)
    assert (recipe.batch, recipe.crop) == (16, 256)
    objective = recipe.objective
    assert objective == dmfn.ObjectiveConfig()
    assert (objective.mae, objective.vgg, objective.local_matching) == (1, 25, 5)
    assert (objective.adversarial, objective.alignment) == (0.03, 1)
    assert recipe.holes.box == 1
    assert sum(vars(recipe.holes).values()) == 1


def test_squeezenet_stands_in_for_vgg_in_the_small_recipe(features: Path) -> None:
    recipe = find_recipe("dmfn-small")
    assert recipe.objective.vgg > 0
    objective = dmfn.Objective(recipe, features)
    assert objective.critic is None
    assert objective.notes == {
        "file": "squeezenet1_1_random.safetensors",
        "feature_matching": ["relu1", "fire3", "fire5", "fire7", "fire9"],
        "alignment": "fire5",
        "left_out": [],
    }
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 10:30, 20:50] = 1  # to one side: the centres of the maps move
    batch = Batch(torch.rand(1, 3, 64, 64) * 2 - 1, mask)
    terms = objective.generator_loss(batch, {"filled": torch.zeros_like(batch.photo)})
    assert set(terms) == {"hole", "distance", "self_guided", "vgg_matching", "alignment"}
    assert all(term.isfinite() and term > 0 for term in terms.values())


def test_the_guidance_is_weighed_at_the_size_of_the_features() -> None:
    """SqueezeNet's first layer has half the size of the map: means of its 2x2 pixels."""
    guidance = torch.zeros(1, 1, 4, 4)
    guidance[..., :2, :2] = 1
    ours = {"relu1": torch.ones(1, 2, 2, 2)}
    theirs = {"relu1": torch.zeros(1, 2, 2, 2)}
    loss = guided.self_guided_loss(ours, theirs, guidance, ("relu1",))
    assert float(loss) == pytest.approx(1000 / 2**2 / 4)


def test_an_unknown_network_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="squeezenet"):
        dmfn.ObjectiveConfig(network="alexnet")
