from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from inpaintcli_training.catalog import build_generator, find_recipe
from inpaintcli_training.data.crops import Batch, Crops, Photos
from inpaintcli_training.export import exporter
from inpaintcli_training.generators import blockwise
from inpaintcli_training.layers.blocks import count_parameters
from inpaintcli_training.loop.run_folder import load_checkpoint, write_checkpoint
from inpaintcli_training.loop.trainer import Trainer
from inpaintcli_training.recipe import Recipe, with_settings
from safetensors.torch import save_file
from torch import nn

from inpaintcli.errors import UnreadableError, UsageError

DONE = 10**9  # images after which every procedure is over


def small(**changes: object) -> blockwise.Generator:
    settings = {"width": 4, "head_blocks": 1, "added_blocks": 3, "head_images": 100}
    settings |= {"block_images": 40, "fade": 0.5}
    return blockwise.Generator(blockwise.Config(**(settings | changes)))


def inputs(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(count, 3, 32, 48) * 2 - 1, (torch.rand(count, 1, 32, 48) > 0.6).float()


def with_object(batch: Batch) -> Batch:
    """The batch with an object pasted into the upper left, away from holes."""
    foreground = torch.zeros_like(batch.mask)
    foreground[:, :, :8, :8] = 1
    foreground *= 1 - batch.mask
    pasted = torch.lerp(batch.photo, -batch.photo, foreground)
    return replace(batch, pasted=pasted, foreground=foreground)


def test_sizes_follow_from_the_papers_layers() -> None:
    """The paper counts nothing: these are its layers at the widths decided on, by hand."""
    block = 2 * (256 * 256 * 9) + 2 * 2 * 256
    down = (4 * 64 + 64 * 128 + 128 * 256) * 9 + 2 * (64 + 128 + 256)
    up = (256 * 128 + 128 * 64 + 64 * 3) * 16 + 2 * (128 + 64) + 3
    with torch.device("meta"):
        assert count_parameters(blockwise.Block(blockwise.Config())) == block == 1_180_672
        found = count_parameters(build_generator(find_recipe("blockwise-fill")))
        assert found == down + 12 * block + up == 15_198_723
        joint = count_parameters(build_generator(find_recipe("blockwise")))
        assert joint == found + 64 * 9 + 64 * 3 * 16 + 3 == 15_202_374
        assert count_parameters(build_generator(find_recipe("blockwise-small"))) == 2_917_350


def test_the_head_is_as_the_paper_says() -> None:
    generator = blockwise.Generator(blockwise.Config(width=4))
    downs = [m for m in generator.down if isinstance(m, nn.Conv2d)]
    ups = [m for m in generator.up if isinstance(m, nn.ConvTranspose2d)]
    assert [m.stride for m in (*downs, *ups)] == [(2, 2)] * 6
    assert (len(generator.head), len(generator.added)) == (9, 3)
    convs = [m for block in generator.head for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert {m.dilation for m in convs} == {(2, 2)}
    x = generator.down(torch.zeros(1, 5, 64, 96))
    assert x.shape == (1, 16, 8, 12)


@pytest.mark.parametrize("harmonize", [True, False])
def test_outputs_have_the_photos_size_and_range_and_ignore_the_hole(harmonize: bool) -> None:
    generator = small(harmonize=harmonize).eval()
    image, mask = inputs()
    made = generator(image, mask)
    made = made if harmonize else (made,)
    noise = torch.lerp(image, torch.rand_like(image), mask)
    again = generator(noise, mask)
    for picture, other in zip(made, again if harmonize else (again,), strict=True):
        assert picture.shape == image.shape
        assert float(picture.detach().abs().max()) <= 1
        assert torch.equal(picture, other)
    assert len(made) == len(generator.outputs) == 1 + harmonize


def test_a_pasted_object_is_seen_and_told_from_hole_and_known_pixels() -> None:
    image = torch.rand(1, 3, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :2], mask[..., 2:4] = 1, 0.5
    shown, hole, pasted = blockwise.visible(image, mask, objects=True)
    assert not shown[..., :2].any()
    assert torch.equal(shown[..., 2:], image[..., 2:])
    assert hole[0, 0, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert pasted[0, 0, 0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_pictures_of_a_batch_do_not_see_each_other_once_trained() -> None:
    generator = small().eval()
    image, mask = inputs()
    together, alone = generator(image, mask)[0], generator(image[1:], mask[1:])[0]
    torch.testing.assert_close(together[1:], alone)


@pytest.mark.parametrize("mode", [True, False], ids=["training", "inference"])
def test_before_its_turn_a_block_changes_nothing_bit_for_bit(mode: bool) -> None:
    generator = small().train(mode)
    image, mask = inputs()
    for images in (0, 99, 100):  # at 100 the first block's fade begins, still at 0
        generator.begin(images)
        before = generator(image, mask)[0]
        nn.init.normal_(generator.added[0].conv1.weight)
        nn.init.normal_(generator.added[0].norm2.bias)
        assert torch.equal(generator(image, mask)[0], before)
        assert not before.isnan().any()
    generator.begin(101)
    assert not torch.equal(generator(image, mask)[0], before)


def test_blocks_fade_in_one_after_the_other_linearly_in_images() -> None:
    generator = small()  # fades of 20 images each from 100, 140, 180
    table = {
        0: [0, 0, 0], 100: [0, 0, 0], 105: [0.25, 0, 0], 110: [0.5, 0, 0], 120: [1, 0, 0],
        139: [1, 0, 0], 140: [1, 0, 0], 150: [1, 0.5, 0], 160: [1, 1, 0], 195: [1, 1, 0.75],
        200: [1, 1, 1], 10_000: [1, 1, 1],
    }  # fmt: skip
    for images, gates in table.items():
        generator.begin(images)
        assert generator.gates == pytest.approx(gates), images


def test_the_fade_mixes_the_block_with_the_path_around_it() -> None:
    generator = small(added_blocks=1).eval()
    image, mask = inputs(1)
    generator.begin(105)
    x = generator.head(generator.down(torch.cat(blockwise.visible(image, mask, objects=True), 1)))
    expected = generator.up(0.75 * x + 0.25 * generator.added[0](x))
    torch.testing.assert_close(torch.cat(generator(image, mask), 1), expected)


def test_without_images_to_wait_for_the_network_is_whole_at_once() -> None:
    generator = small(head_images=0, block_images=0)
    assert generator.gates == [1, 1, 1]
    assert generator.config.stage(0) == 3


def test_rate_and_adversarial_weight_follow_algorithm_1(tiny_recipes: dict[str, Recipe]) -> None:
    config = blockwise.Config(width=4, head_images=100, block_images=40)
    recipe = with_settings(
        replace(tiny_recipes["blockwise"], generator=config), {"objective.perceptual": "0"}
    )
    objective = blockwise.Objective(recipe, None)
    for images, i in {0: 0, 99: 0, 100: 1, 139: 1, 140: 2, 180: 3, 10_000: 3}.items():
        objective.begin(images)
        assert objective.rate_scale == pytest.approx(10**-i)
        assert objective.adversarial_weight == pytest.approx(10**-i)


def test_the_loop_trains_at_the_annealed_rate(
    tiny_recipes: dict[str, Recipe], photos: Photos, features: Path
) -> None:
    recipe = tiny_recipes["blockwise"]  # the first added block begins at image 2, after one step
    trainer = Trainer(recipe, features)
    rates = []
    for _ in range(2):
        trainer.step(Crops(photos, recipe).batch(trainer.images))
        rates.append(trainer.generator_optimizer.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([recipe.lr, recipe.lr / 10])


def test_a_block_that_waits_is_not_trained_and_adam_does_not_count_for_it(
    tiny_recipes: dict[str, Recipe], photos: Photos, features: Path
) -> None:
    recipe = tiny_recipes["blockwise"]
    trainer = Trainer(recipe, features)
    before = {k: v.clone() for k, v in trainer.generator.added.state_dict().items()}
    trainer.step(Crops(photos, recipe).batch(0))
    after = trainer.generator.added.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(
        p in trainer.generator_optimizer.optimizer.state
        for p in trainer.generator.added.parameters()
    )
    assert all(
        p in trainer.generator_optimizer.optimizer.state
        for p in trainer.generator.head.parameters()
    )


def test_a_run_resumed_in_the_middle_of_a_fade_is_the_uninterrupted_one(
    tiny_recipes: dict[str, Recipe], photos: Photos, features: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipes["blockwise"]
    crops = Crops(photos, recipe)

    def run(trainer: Trainer, until: int) -> list[dict[str, float]]:
        losses = []
        while trainer.images < until:
            losses.append(trainer.step(crops.batch(trainer.images)))
        return losses

    whole = Trainer(recipe, features)
    expected = run(whole, 12)
    cut = Trainer(recipe, features)
    losses = run(cut, 4)
    write_checkpoint(tmp_path, cut.state_dict(), cut.ema)
    resumed = Trainer(recipe, features)
    resumed.load_state_dict(load_checkpoint(tmp_path))
    resumed.generator.begin(resumed.images)
    assert resumed.generator.gates == pytest.approx([1 / 3, 0])
    assert losses + run(resumed, 12) == expected
    for name, tensor in whole.ema.items():
        assert torch.equal(resumed.ema[name], tensor), name


def test_gradients_reach_every_parameter_at_the_end_of_the_procedure(
    tiny_recipes: dict[str, Recipe], batch: Batch, features: Path
) -> None:
    recipe = tiny_recipes["blockwise"]
    generator, objective = build_generator(recipe), blockwise.Objective(recipe, features)
    generator.begin(DONE)
    batch = with_object(batch)
    terms = objective.generator_loss(batch, generator.stages(batch))
    assert set(terms) == {"patch_perceptual", "adversarial"}
    sum(terms.values()).backward()
    silent = [n for n, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    assert all(p.grad is None for p in objective.parameters())


def test_the_critics_loss_reaches_all_of_the_critic(
    tiny_recipes: dict[str, Recipe], batch: Batch, features: Path
) -> None:
    objective = blockwise.Objective(tiny_recipes["blockwise"], features)
    objective.critic_loss(batch, {"filled": torch.zeros_like(batch.photo)})["critic"].backward()
    # Instance norm takes out the biases before it.
    silent = {n for n, p in objective.critic.named_parameters() if not p.grad.any()}
    assert all(name.endswith("1.bias") for name in silent)


def test_all_terms_look_at_one_composite_of_both_outputs(batch: Batch) -> None:
    batch = with_object(batch)
    stages = {
        "filled": torch.full_like(batch.photo, 0.25),
        "harmonized": torch.full_like(batch.photo, -0.5),
    }
    made = blockwise.composite_outputs(batch, stages)
    hole = batch.mask.expand_as(made) > 0
    pasted = batch.foreground.expand_as(made) > 0
    assert (made[hole] == 0.25).all()
    assert (made[pasted] == -0.5).all()
    assert torch.equal(made[~hole & ~pasted], batch.photo[~hole & ~pasted])
    assert torch.equal(blockwise.region(batch), (hole | pasted)[:, :1].float())


def test_the_generator_sees_the_pasted_object_and_not_the_truth(batch: Batch) -> None:
    image, mask = blockwise.generator_inputs(with_object(batch), objects=True)
    assert torch.equal(image, with_object(batch).pasted)
    assert set(mask.unique().tolist()) == {0.0, 0.5, 1.0}
    image, mask = blockwise.generator_inputs(batch, objects=True)
    assert torch.equal(image, batch.photo)
    assert torch.equal(mask, batch.mask)


def test_a_perfect_output_costs_nothing_but_the_critics_opinion(
    tiny_recipes: dict[str, Recipe], batch: Batch, features: Path
) -> None:
    recipe = with_settings(tiny_recipes["blockwise"], {"objective.hole": "1"})
    objective = blockwise.Objective(recipe, features)
    predicted = batch.photo.clone().requires_grad_()
    terms = objective.generator_loss(batch, {"filled": predicted})
    sum(terms.values()).backward()
    assert predicted.grad.isfinite().all()
    assert terms["patch_perceptual"].item() == terms["hole"].item() == 0


class Squared(nn.Module):
    """A distance that can be computed by hand."""

    def forward(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        return (ours - theirs).square().mean()


def test_the_patch_perceptual_loss_by_hand(tiny_recipes: dict[str, Recipe]) -> None:
    """An error of 1 in 8x8 pixels: 64 of 16x16 in the inner patch, 64 of 24x24 in the outer."""
    recipe = with_settings(
        tiny_recipes["blockwise"],
        {"objective.perceptual": "0", "objective.patches": "[0.5, 0.75]"},
    )
    objective = blockwise.Objective(recipe, None)
    objective.distance = Squared()
    objective.config = replace(objective.config, perceptual=10.0, adversarial=0)
    objective.critic = None
    mask = torch.zeros(1, 1, 32, 32)
    mask[:, :, 20:28, 4:12] = 1
    batch = Batch(torch.zeros(1, 3, 32, 32), mask)
    terms = objective.generator_loss(batch, {"filled": torch.ones(1, 3, 32, 32)})
    assert float(terms["patch_perceptual"]) == pytest.approx(10 * (64 / 16**2 + 64 / 24**2))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"perceptual": "0"}, {"adversarial"}),
        ({"perceptual": "0", "adversarial": "0", "hole": "2"}, {"hole"}),
        ({"adversarial": "0"}, {"patch_perceptual"}),
    ],
)
def test_terms_of_weight_0_are_not_computed(
    settings: dict[str, str],
    expected: set[str],
    tiny_recipes: dict[str, Recipe],
    batch: Batch,
    features: Path,
) -> None:
    names = {f"objective.{name}": text for name, text in settings.items()}
    recipe = with_settings(tiny_recipes["blockwise"], names)
    objective = blockwise.Objective(recipe, features if "perceptual" not in settings else None)
    assert set(objective.generator_loss(batch, {"filled": batch.photo})) == expected
    assert (objective.critic is not None) == ("adversarial" in expected)


def test_the_record_says_that_lpips_was_replaced_and_by_what(
    tiny_recipes: dict[str, Recipe], features: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipes["blockwise"]
    notes = blockwise.Objective(recipe, features).notes["patch_perceptual"]
    assert notes.startswith("SqueezeNet features (squeezenet1_1_random.safetensors: relu1")
    assert notes.endswith("for LPIPS")
    vgg = with_settings(recipe, {"objective.features": "vgg19"})
    assert "VGG-19" in blockwise.Objective(vgg, features).notes["patch_perceptual"]
    with pytest.raises(UnreadableError):
        blockwise.Objective(recipe, tmp_path)
    with pytest.raises(UsageError, match="--features"):
        blockwise.Objective(recipe, None)
    with pytest.raises(UsageError, match="squeezenet"):
        blockwise.Objective(with_settings(recipe, {"objective.features": "alex"}), features)


def test_lpips_measures_the_patches_where_its_files_are_given(
    tiny_recipes: dict[str, Recipe], tmp_path: Path
) -> None:
    tensors = {}
    convs = {0: (3, 64, 11), 3: (64, 192, 5), 6: (192, 384, 3), 8: (384, 256, 3), 10: (256, 256, 3)}
    for number, (inside, outside, kernel) in convs.items():
        tensors[f"features.{number}.weight"] = torch.randn(outside, inside, kernel, kernel) * 0.05
        tensors[f"features.{number}.bias"] = torch.zeros(outside)
    save_file(tensors, tmp_path / "alexnet_torchvision.safetensors")
    widths = enumerate((64, 192, 384, 256, 256))
    heads = {f"lin{k}.model.1.weight": torch.rand(1, width, 1, 1) for k, width in widths}
    save_file(heads, tmp_path / "lpips_alex.safetensors")
    settings = {"crop": "64", "objective.patches": "[0.5, 0.75]", "objective.adversarial": "0"}
    recipe = with_settings(tiny_recipes["blockwise"], settings)
    objective = blockwise.Objective(recipe, tmp_path)
    note = "LPIPS (alexnet_torchvision.safetensors, lpips_alex.safetensors)"
    assert objective.notes == {"patch_perceptual": note}
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 20:40, 20:40] = 1
    batch = Batch(torch.rand(2, 3, 64, 64), mask)
    filled = torch.zeros(2, 3, 64, 64, requires_grad=True)
    loss = objective.generator_loss(batch, {"filled": filled})["patch_perceptual"]
    loss.backward()
    assert loss.item() > 0
    assert filled.grad.isfinite().all()
    assert not filled.grad[:, :, :20].any()


def test_a_crop_too_small_for_the_critic_is_a_usage_error() -> None:
    recipe = with_settings(find_recipe("blockwise"), {"crop": "64", "objective.perceptual": "0"})
    with pytest.raises(UsageError, match="128"):
        blockwise.Objective(recipe, None)


@pytest.mark.parametrize("name", ["blockwise", "blockwise-fill", "blockwise-small"])
def test_the_recipes_train_as_the_paper_does(name: str) -> None:
    recipe = find_recipe(name)
    config, objective = recipe.generator, recipe.objective
    assert recipe.images == config.head_images + config.added_blocks * config.block_images
    if name != "blockwise-small":
        assert (recipe.lr, recipe.batch) == (2e-4, 8)
        assert (objective.perceptual, objective.adversarial, objective.critic_scales) == (10, 1, 3)
        assert recipe.holes.boxes == sum(vars(recipe.holes).values()) == 1
        assert (config.head_images, config.block_images) == (150_000 * 8, 1_500 * 8)
        assert (recipe.crop, objective.hole) == (256, 0)
    assert config.harmonize == bool(recipe.pasted.share)


@pytest.mark.parametrize("images", [0, 105])
def test_a_graph_exported_at_any_time_of_the_procedure_does_what_torch_does(images: int) -> None:
    """The finished network is exported in test_exporter.py, with all families."""
    ort = pytest.importorskip("onnxruntime")
    generator = small().eval()
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            nn.init.normal_(tensor, std=0.3)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    generator.load_state_dict({k: exporter._rounded(w) for k, w in generator.state_dict().items()})
    generator.begin(images)
    model = exporter.to_onnx(generator)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for count, height, width in ((1, 32, 32), (3, 40, 72)):
        image = torch.rand(count, 3, height, width) * 2 - 1
        mask = torch.randint(0, 3, (count, 1, height, width)) / 2
        found = session.run(generator.outputs, {"image": image.numpy(), "mask": mask.numpy()})
        with torch.no_grad():
            expected = generator(image, mask)
        for ours, theirs in zip(found, expected, strict=True):
            assert np.abs(ours - theirs.numpy()).max() <= 1e-3
    kept = {name for name in generator.state_dict() if name not in generator.idle}
    assert len(generator.idle) == {0: 3, 105: 2}[images] * 10
    assert kept <= {tensor.name for tensor in model.graph.initializer}
