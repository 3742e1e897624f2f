from pathlib import Path

import pytest
import torch
from inpaintcli_training.catalog import build_generator
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.generators import membrane
from inpaintcli_training.layers.blocks import composite
from inpaintcli_training.layers.pullpush import membrane as smooth_fill
from inpaintcli_training.losses.critics import crop_windows
from inpaintcli_training.recipe import Recipe, with_settings


@pytest.fixture(params=["1", "2"], ids=["one size", "two sizes"])
def tiny_membrane(tiny_membrane: Recipe, request: pytest.FixtureRequest) -> Recipe:
    return with_settings(tiny_membrane, {"generator.sizes": request.param})


def restless(recipe: Recipe) -> torch.nn.Module:
    """A generator whose zero-started layers are not zero."""
    generator = build_generator(recipe)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return generator


def test_the_first_step_equals_the_classical_membrane(tiny_membrane: Recipe, batch: Batch) -> None:
    filled = build_generator(tiny_membrane)(batch.photo, batch.mask)
    torch.testing.assert_close(filled, smooth_fill(batch.photo, batch.mask))


def test_known_pixels_come_back_and_the_hole_is_not_looked_at(
    tiny_membrane: Recipe, batch: Batch
) -> None:
    generator = restless(tiny_membrane)
    filled = generator(batch.photo, batch.mask)
    assert torch.equal(filled, composite(batch.photo, batch.mask, filled))
    noise = composite(batch.photo, batch.mask, torch.rand_like(batch.photo))
    assert torch.equal(filled, generator(noise, batch.mask))


def test_what_half_the_size_says_is_seen_at_full_size(tiny_membrane: Recipe, batch: Batch) -> None:
    generator = restless(with_settings(tiny_membrane, {"generator.sizes": "2"}))
    filled = generator(batch.photo, batch.mask)
    with torch.no_grad():
        generator.stem.weight[:, 16:] = 0  # what it sees of the smaller fill
    assert not torch.equal(filled, generator(batch.photo, batch.mask))


def test_pictures_of_a_batch_do_not_see_each_other(tiny_membrane: Recipe, batch: Batch) -> None:
    generator = restless(tiny_membrane)
    together = generator(batch.photo, batch.mask)
    alone = generator(batch.photo[:1], batch.mask[:1])
    torch.testing.assert_close(together[:1], alone)


def test_gradients_reach_every_parameter(
    tiny_membrane: Recipe, batch: Batch, features: Path
) -> None:
    generator = restless(tiny_membrane)
    recipe = with_settings(tiny_membrane, {"objective.vgg": "0.1"})
    objective = membrane.Objective(recipe, features)
    terms = objective.generator_loss(batch, {"filled": generator(batch.photo, batch.mask)})
    assert set(terms) == {"hole", "squeezenet", "vgg"}
    sum(terms.values()).backward()
    silent = [n for n, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_terms_of_weight_0_need_no_features(tiny_membrane: Recipe, batch: Batch) -> None:
    recipe = with_settings(tiny_membrane, {"objective.squeezenet": "0"})
    objective = membrane.Objective(recipe, None)
    assert set(objective.generator_loss(batch, {"filled": batch.photo})) == {"hole"}
    assert objective.notes == {}


def test_notes_name_the_file_and_its_layers(tiny_membrane: Recipe, features: Path) -> None:
    notes = membrane.Objective(tiny_membrane, features).notes
    assert list(notes) == ["squeezenet1_1_random.safetensors"]
    assert notes["squeezenet1_1_random.safetensors"][-1] == "fire9"


@pytest.mark.parametrize("most", [0, 1, 8])
def test_the_shift_depends_on_the_crops_number_alone(most: int) -> None:
    shifts = {membrane._shift(seed, most) for seed in range(40)}
    assert shifts == {membrane._shift(seed, most) for seed in range(40)}
    assert all(0 <= y <= max(0, most - 1) and 0 <= x <= max(0, most - 1) for y, x in shifts)
    assert len(shifts) == 1 if most < 2 else len(shifts) > 10


def test_vgg_sees_a_window_that_holds_part_of_the_hole(batch: Batch) -> None:
    side = 16
    corners = membrane._window_corners(batch, side)
    assert corners == membrane._window_corners(batch, side)
    windows = crop_windows(batch.mask, corners, side)
    assert windows.shape == (len(batch.photo), 1, side, side)
    assert windows.flatten(1).any(dim=1).all()


def test_the_patch_critic_tells_holes_from_photos_and_pushes_the_generator(
    tiny_membrane: Recipe, batch: Batch
) -> None:
    settings = {"objective.squeezenet": "0", "objective.adversarial": "0.1"}
    objective = membrane.Objective(with_settings(tiny_membrane, settings), None)
    assert objective.critic is not None
    grey = torch.zeros_like(batch.photo, requires_grad=True)
    objective.generator_loss(batch, {"filled": grey})["adversarial"].backward()
    assert grey.grad is not None
    assert grey.grad.any()
    assert not (grey.grad * (1 - batch.mask)).any()
    assert all(p.grad is None for p in objective.critic.parameters())
    optimizer = torch.optim.Adam(objective.critic.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = objective.critic_loss(batch, {"filled": grey.detach()})["critic"]
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_a_patch_counts_by_its_share_of_the_hole() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :4] = 1  # half of the first of four patches
    values = torch.tensor([[[[2.0, 50.0], [50.0, 50.0]]]])
    assert membrane._in_hole(values, mask) == pytest.approx(2)
