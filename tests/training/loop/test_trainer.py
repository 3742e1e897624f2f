"""One step and its state: exact resume, the formulas of EMA and rate, a stop at NaN."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from inpaintcli_training.data.crops import Batch, Crops, Photos
from inpaintcli_training.family import Stages
from inpaintcli_training.loop.ema import initial_ema, update_ema
from inpaintcli_training.loop.run_folder import (
    load_checkpoint,
    load_ema,
)
from inpaintcli_training.loop.train import (
    DivergedError,
    Trainer,
    learning_rate,
    save_checkpoint,
)
from inpaintcli_training.recipe import Recipe, with_settings
from torch import Tensor

from inpaintcli.errors import UsageError
from tests.training.loop.stepping import assert_same, everything, poisoned, steps


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    precision: str, tiny: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny, precision=precision)
    crops = Crops(photos, recipe)
    whole = Trainer(recipe, features)

    saved: list[Tensor] = []

    def save_in_the_middle(step: int) -> None:
        if step == 2:
            torch.rand(1)  # as a network with dropout would
            saved.append(torch.get_rng_state())
            before = {name: tensor.clone() for name, tensor in everything(whole).items()}
            save_checkpoint(whole, tmp_path)
            after = everything(whole)  # a run that is not saved would go on the same
            assert all(torch.equal(after[name], tensor) for name, tensor in before.items())

    expected = steps(whole, crops, 4, save_in_the_middle)
    torch.manual_seed(99)  # whatever happened to the random numbers in between
    resumed = Trainer(recipe, features)
    resumed.load_state_dict(load_checkpoint(tmp_path))
    assert resumed.images == 4
    assert torch.equal(torch.get_rng_state(), saved[0])
    assert steps(resumed, crops, 2) == expected[2:]
    assert_same(resumed, whole)


def test_a_run_in_parts_can_be_interrupted_after_any_step(
    tiny_dmfn: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny_dmfn, accumulate=2, critic_steps=2)
    crops = Crops(photos, recipe)
    trainer = Trainer(recipe, features)

    def save(step: int) -> None:
        (tmp_path / str(step)).mkdir()
        save_checkpoint(trainer, tmp_path / str(step))

    expected = steps(trainer, crops, 4, save)
    for step in (1, 2, 3):
        resumed = Trainer(recipe, features)
        resumed.load_state_dict(load_checkpoint(tmp_path / str(step)))
        assert steps(resumed, crops, 4 - step) == expected[step:]


def test_the_same_seed_makes_the_same_run_and_another_seed_another(
    tiny: Recipe, photos: Photos, features: Path
) -> None:
    crops = Crops(photos, tiny)
    trainers = [Trainer(tiny, features) for _ in range(2)]
    losses = [steps(trainer, crops, 2) for trainer in trainers]
    assert losses[0] == losses[1]
    assert_same(*trainers)
    other = replace(tiny, seed=1)
    assert steps(Trainer(other, features), Crops(photos, other), 2) != losses[0]


def test_a_step_changes_generator_critic_and_ema(
    tiny: Recipe, photos: Photos, features: Path
) -> None:
    trainer = Trainer(tiny, features)
    before = {name: tensor.clone() for name, tensor in everything(trainer).items()}
    steps(trainer, Crops(photos, tiny), 1)
    after = everything(trainer)
    for part in ("generator", "ema") + (("critic/weights",) if trainer.critic else ()):
        names = [name for name in before if name.startswith(f"/{part}/")]
        assert names
        assert any(not torch.equal(before[name], after[name]) for name in names)
    assert all(tensor.isfinite().all() for tensor in after.values())


def test_the_learning_rate_warms_up_stays_and_falls_to_zero(tiny_membrane: Recipe) -> None:
    recipe = replace(
        tiny_membrane, lr=1.0, batch=10, warmup_images=100, images=1000, decay_images=200
    )
    assert learning_rate(recipe, 0) == pytest.approx(0.1)
    assert learning_rate(recipe, 40) == pytest.approx(0.5)
    assert learning_rate(recipe, 90) == learning_rate(recipe, 800) == 1
    assert learning_rate(recipe, 850) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert learning_rate(recipe, 900) == pytest.approx(0.5)
    assert learning_rate(recipe, 1000) == learning_rate(recipe, 2000) == pytest.approx(0)
    flat = replace(recipe, decay_images=0, warmup_images=0)
    assert learning_rate(flat, 0) == learning_rate(flat, 1000) == 1


def test_both_optimizers_take_the_rate(tiny_dmfn: Recipe, photos: Photos, features: Path) -> None:
    recipe = replace(tiny_dmfn, warmup_images=8)
    trainer = Trainer(recipe, features)
    steps(trainer, Crops(photos, recipe), 1)
    rates = {
        o.param_groups[0]["lr"]
        for o in (trainer.generator_optimizer.optimizer, trainer.critic_optimizer.optimizer)
    }
    assert rates == {recipe.lr * 2 / 8}


def test_the_ema_follows_its_formula(tiny_membrane: Recipe, photos: Photos, features: Path) -> None:
    recipe = replace(tiny_membrane, ema_decay=0.15)
    trainer = Trainer(recipe, features)
    expected = {k: v.clone() for k, v in trainer.ema.items()}
    for step in range(3):
        steps(trainer, Crops(photos, recipe), 1)
        decay = min(0.15, (1 + step) / (10 + step))  # 0.1, then 0.15
        for name, weight in trainer.generator.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * weight
    for name, average in trainer.ema.items():
        torch.testing.assert_close(average, expected[name])


def gradients(trainer: Trainer, crops: Crops) -> dict[str, Tensor]:
    """Of the generator in the first step."""
    found: dict[str, Tensor] = {}

    def look(*_args: object, **_kwargs: object) -> None:
        weights = trainer.generator.named_parameters()
        found.update({name: w.grad.clone() for name, w in weights})

    trainer.generator_optimizer.scaler.step = look
    steps(trainer, crops, 1)
    return found


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_has_the_gradient_of_the_whole_where_losses_are_means(
    parts: int, tiny_dmfn: Recipe, photos: Photos, features: Path
) -> None:
    """All of DMFN's but the relativistic one, whose means are those of a part."""
    plain = with_settings(tiny_dmfn, {"objective.adversarial": "0", "precision": "fp32"})
    plain = replace(plain, batch=4)
    cut = replace(plain, accumulate=parts)
    whole = gradients(Trainer(plain, features), Crops(photos, plain))
    pieces = gradients(Trainer(cut, features), Crops(photos, cut))
    # A bias before an instance norm has no gradient but rounding, which grows with the rest.
    rounding = 4e-6 * max(float(gradient.abs().max()) for gradient in whole.values())
    for name, gradient in whole.items():
        close = 1e-4 * float(gradient.abs().max()) + rounding
        assert float((pieces[name] - gradient).abs().max()) < close, name


def test_in_parts_the_hole_loss_is_the_mean_over_the_parts_holes(
    tiny_membrane: Recipe, photos: Photos
) -> None:
    recipe = replace(
        with_settings(tiny_membrane, {"objective.squeezenet": "0", "precision": "fp32"}),
        batch=4,
        accumulate=2,
    )
    trainer, crops = Trainer(recipe, None), Crops(photos, recipe)
    expected = []
    for batch in (crops.batch(0, 2), crops.batch(2, 2)):
        filled = trainer.generator(batch.photo, batch.mask)
        error = ((filled - batch.photo).abs() * batch.mask).sum()
        expected.append(float((error / (3 * batch.mask.sum())).detach()))
    assert steps(trainer, crops, 1)[0]["hole"] == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_a_scaled_gradient_that_overflows_lowers_the_scale_and_stops_nothing(
    tiny_membrane: Recipe, photos: Photos
) -> None:
    recipe = with_settings(tiny_membrane, {"objective.squeezenet": "0", "precision": "fp16"})
    trainer = Trainer(recipe, None)
    before = {k: v.clone() for k, v in trainer.generator.state_dict().items()}
    overflow, scale = trainer.generator.head.weight.register_hook(lambda g: g * math.inf), 65536.0
    assert trainer.generator_optimizer.scaler.get_scale() == scale
    steps(trainer, Crops(photos, recipe), 1)
    assert trainer.generator_optimizer.scaler.get_scale() == scale / 2
    after = trainer.generator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    trainer.generator_optimizer.scaler.update(1e-4)
    with pytest.raises(DivergedError, match="gradient"):
        steps(trainer, Crops(photos, recipe), 1)
    overflow.remove()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks at all tensors
def test_compiled_training_has_the_losses_of_plain_training(
    tiny: Recipe, photos: Photos, features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced in full; what makes machine code of it is left out, it takes minutes."""
    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **_: compiler(f, backend="eager"))
    plain = replace(tiny, precision="fp32")
    compiled = replace(plain, compile=True)
    crops = Crops(photos, plain)
    expected = steps(Trainer(plain, features), crops, 2)
    for ours, theirs in zip(steps(Trainer(compiled, features), crops, 2), expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_the_ema_follows_weights_and_copies_counters() -> None:
    network = torch.nn.BatchNorm2d(2)
    ema = initial_ema(network)
    network(torch.randn(4, 2, 3, 3))
    update_ema(ema, network, decay=0.5, steps=100)
    assert ema["num_batches_tracked"] == 1
    torch.testing.assert_close(ema["running_mean"], network.running_mean / 2)


@pytest.mark.parametrize(
    ("side", "term"),
    [("generator_loss", "alignment"), ("generator_loss", "mae"), ("critic_loss", "critic")],
)
def test_a_loss_that_is_nan_stops_the_run_by_its_name(
    side: str, term: str, tiny_dmfn: Recipe, photos: Photos, features: Path, monkeypatch
) -> None:
    trainer = Trainer(tiny_dmfn, features)
    poisoned(trainer, term, monkeypatch, side)
    before = {k: v.clone() for k, v in trainer.generator.state_dict().items()}
    with pytest.raises(DivergedError, match=f"'{term}' became nan after 0 images"):
        steps(trainer, Crops(photos, tiny_dmfn), 1)
    after = trainer.generator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_gradient_that_is_nan_stops_the_run_before_it_is_used(
    tiny_membrane: Recipe, photos: Photos, features: Path, monkeypatch
) -> None:
    trainer = Trainer(replace(tiny_membrane, gradient_norm=0.0), features)

    def loss(_batch: Batch, stages: Stages) -> dict[str, Tensor]:
        return {"root": (stages["filled"] * 0).abs().sqrt().sum()}  # 0, with a gradient of inf * 0

    monkeypatch.setattr(trainer.objective, "generator_loss", loss)
    with pytest.raises(DivergedError, match="gradient of root"):
        steps(trainer, Crops(photos, tiny_membrane), 1)
    assert all(p.isfinite().all() for p in trainer.generator.parameters())


def test_settings_changed_on_resume_reach_the_optimizers(
    tiny_dmfn: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    trainer = Trainer(tiny_dmfn, features)
    steps(trainer, Crops(photos, tiny_dmfn), 1)
    save_checkpoint(trainer, tmp_path)
    changed = with_settings(tiny_dmfn, {"weight_decay": "0.5", "betas": "[0.1, 0.2]"})
    resumed = Trainer(changed, features)
    resumed.load_state_dict(load_checkpoint(tmp_path))
    for generator_optimizer in (resumed.generator_optimizer, resumed.critic_optimizer):
        optimizer = generator_optimizer.optimizer
        assert optimizer.param_groups[0]["weight_decay"] == 0.5
        assert optimizer.param_groups[0]["betas"] == (0.1, 0.2)
        assert optimizer.state


def test_a_critic_can_join_a_resumed_run(
    tiny_dmfn: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    off = {"objective.adversarial": "0", "objective.local_matching": "0"}
    alone = Trainer(with_settings(tiny_dmfn, off), features)
    steps(alone, Crops(photos, tiny_dmfn), 1)
    save_checkpoint(alone, tmp_path)
    joined = Trainer(tiny_dmfn, features)
    joined.load_state_dict(load_checkpoint(tmp_path))
    assert "critic" in steps(joined, Crops(photos, tiny_dmfn), 1)[0]


def test_weights_of_another_network_are_a_usage_error(
    tiny_dmfn: Recipe, tiny_membrane: Recipe, features: Path, tmp_path: Path
) -> None:
    save_checkpoint(Trainer(tiny_membrane, features), tmp_path)
    trainer = Trainer(tiny_dmfn, features)
    with pytest.raises(UsageError, match="do not fit"):
        trainer.load_state_dict(load_checkpoint(tmp_path))
    with pytest.raises(UsageError, match="do not fit"):
        trainer.start_from(load_ema(tmp_path)[0])


def test_starting_from_weights_begins_a_fresh_schedule(tiny: Recipe, features: Path) -> None:
    donor = Trainer(replace(tiny, seed=5), features)
    trainer = Trainer(tiny, features)
    trainer.start_from(donor.ema)
    assert trainer.images == 0
    for name, tensor in donor.ema.items():
        assert torch.equal(trainer.ema[name], tensor)
        assert torch.equal(trainer.generator.state_dict()[name], tensor)


def test_fill_uses_the_ema_and_keeps_known_pixels(
    tiny: Recipe, features: Path, batch: Batch
) -> None:
    trainer = Trainer(tiny, features)
    expected = trainer.fill(batch)
    with torch.no_grad():
        for parameter in trainer.generator.parameters():
            parameter.fill_(0.1)
    assert torch.equal(trainer.fill(batch), expected)
    known = batch.mask.expand_as(batch.photo) == 0
    assert torch.equal(expected[known], batch.photo[known])


def test_a_crop_that_the_generator_cannot_take_is_a_usage_error(tiny: Recipe, features) -> None:
    with pytest.raises(UsageError, match="multiples"):
        Trainer(replace(tiny, crop=33), features)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to train on")
def test_a_device_that_is_not_there_is_a_usage_error(tiny: Recipe, features: Path) -> None:
    with pytest.raises(UsageError, match="cuda"):
        Trainer(tiny, features, device="cuda:0")


def test_a_state_saved_before_there_were_several_processes_is_taken_up(
    tiny_dmfn: Recipe, photos: Photos, features: Path
) -> None:
    trainer = Trainer(tiny_dmfn, features)
    steps(trainer, Crops(photos, tiny_dmfn), 1)
    old = trainer.state_dict()
    old["rng"] = old["rng"][0]["cpu"]
    del old["scaler"], old["critic"]["scaler"]
    torch.rand(1)
    resumed = Trainer(tiny_dmfn, features)
    resumed.load_state_dict(old)
    assert torch.equal(torch.get_rng_state(), old["rng"])
    assert resumed.images == 2


@pytest.mark.slow
def test_training_a_tiny_network_lowers_its_loss(
    tiny_membrane: Recipe, photos: Photos, features: Path
) -> None:
    recipe = replace(tiny_membrane, batch=4, lr=3e-3, images=240, decay_images=0)
    losses = steps(Trainer(recipe, features), Crops(photos, recipe), 60)
    first, last = ([sum(loss.values()) for loss in part] for part in (losses[:20], losses[-20:]))
    assert sum(last) < sum(first)
