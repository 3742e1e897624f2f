from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from inpaintcli_training.catalog import build_generator, find_recipe
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.data.masks import random_hole
from inpaintcli_training.generators import regionwise
from inpaintcli_training.layers.blocks import composite, count_parameters
from inpaintcli_training.layers.bodies import MirrorConv
from inpaintcli_training.losses import gram
from inpaintcli_training.perceptual.feature_networks import vgg19
from inpaintcli_training.recipe import Recipe, with_settings
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from inpaintcli.errors import UnreadableError, UsageError


def small() -> regionwise.Generator:
    return regionwise.Generator(regionwise.Config(width=4))


def mirror_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight, bias)


# The convolution


def test_each_position_is_answered_by_the_bank_of_its_region() -> None:
    """Equation 1: two whole convolutions, one of them chosen pixel by pixel in each picture."""
    conv = regionwise.RegionwiseConv(3, 2)
    nn.init.normal_(conv.banks.bias)
    x, mask = torch.randn(2, 3, 6, 5), (torch.rand(2, 1, 6, 5) > 0.5).float()
    banks = zip(conv.banks.weight.chunk(2), conv.banks.bias.chunk(2), strict=True)
    known, missing = (mirror_conv(x, weight, bias) for weight, bias in banks)
    out = conv(x, mask)
    for picture, y, column in np.ndindex(2, 6, 5):
        expected = missing if mask[picture, 0, y, column] else known
        torch.testing.assert_close(out[picture, :, y, column], expected[picture, :, y, column])


def test_the_banks_by_hand() -> None:
    """All weights 1: a known position gets the sum of its window, a missing one minus that."""
    conv = regionwise.RegionwiseConv(1, 1)
    conv.banks.weight.data = torch.stack([torch.ones(1, 3, 3), -torch.ones(1, 3, 3)])
    conv.banks.bias.data = torch.tensor([0.0, 100.0])
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]
    mask = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 0]])[None, None]
    out = conv(x, mask)[0, 0].detach()
    assert float(out[1, 1]) == 45  # known, though its window reaches into the hole
    assert float(out[1, 2]) == 100 - (2 + 3 + 2 + 5 + 6 + 5 + 8 + 9 + 8)  # mirrored at the border


@pytest.mark.parametrize("missing", [False, True], ids=["known", "missing"])
def test_regions_do_not_mix_at_the_border(missing: bool) -> None:
    """The public code's one convolution over a masked concatenation uses both banks there."""
    conv = regionwise.RegionwiseConv(2, 3)
    x, mask = torch.randn(1, 2, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[:, :, 2:5, 3:7] = 1
    before = conv(x, mask)
    for parameter in conv.banks.parameters():
        parameter.data.chunk(2)[0 if missing else 1].normal_()  # the other region's bank
    region = (mask > 0 if missing else mask == 0).expand_as(before)
    after = conv(x, mask)
    assert torch.equal(before[region], after[region])
    assert not torch.isclose(before[~region], after[~region]).any()


def test_a_bank_learns_from_its_region_alone() -> None:
    conv = regionwise.RegionwiseConv(1, 1)
    conv(torch.randn(1, 1, 6, 6), torch.zeros(1, 1, 6, 6)).sum().backward()
    known, missing = conv.banks.weight.grad
    assert known.any()
    assert not missing.any()


def test_a_position_is_missing_where_any_of_its_four_pixels_is() -> None:
    """The public code's resize takes one pixel of four, and not the one that lies there."""
    mask = torch.zeros(1, 1, 6, 6)
    mask[0, 0, 5, 2] = mask[0, 0, 1, 4] = 1
    assert regionwise.halved(mask)[0, 0].tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]


@given(column=st.integers(0, 31))
def test_a_scratch_of_one_pixel_is_missing_at_half_the_resolution(column: int) -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., column] = 1
    assert regionwise.halved(mask)[0, 0, :, column // 2].all()


def test_both_banks_begin_as_strong_as_the_same_convolution_alone() -> None:
    alone = MirrorConv(64, 32).weight.std()
    for bank in regionwise.RegionwiseConv(64, 32).banks.weight.chunk(2):
        torch.testing.assert_close(bank.std(), alone, rtol=0.05, atol=0)


# The generator


def layer_size(inside: int, outside: int, kernel: int = 3) -> int:
    return outside * (inside * kernel**2 + 1)


def test_the_size_is_that_of_the_body_with_skip_links_and_a_second_bank() -> None:
    """The paper states none; its sum, layer by layer. The public code's is 4,706,054."""
    encoder = layer_size(4, 32, 5) + layer_size(32, 64) + layer_size(64, 64)
    encoder += layer_size(64, 128) + 6 * layer_size(128, 128) + 2 * layer_size(256, 128)
    decoder = layer_size(256, 64) + layer_size(128, 64) + layer_size(128, 32)
    decoder += layer_size(64, 16) + layer_size(16, 3)
    assert 2 * encoder + 3 * decoder == 4_019_817
    # The public coarse decoder: 128 channels throughout, region-wise in three layers of five.
    wide = layer_size(256 + 128, 128) + 2 * layer_size(192 + 128, 128)
    wide += layer_size(128, 32) + layer_size(32, 16) + layer_size(16, 3)
    assert 2 * encoder + wide + decoder == 4_706_054
    with torch.device("meta"):
        assert count_parameters(build_generator(find_recipe("regionwise"))) == 4_019_817


def test_only_the_coarse_decoder_is_region_wise() -> None:
    kinds = {
        name.split(".")[0]
        for name, module in small().named_modules()
        if isinstance(module, regionwise.RegionwiseConv)
    }
    assert kinds == {"coarse_decoder"}
    assert all(isinstance(m, regionwise.RegionwiseConv) for m in small().coarse_decoder.children())


def test_the_output_has_the_photos_size_and_range_and_ignores_the_hole() -> None:
    generator = small()
    image, mask = torch.rand(2, 3, 32, 48) * 2 - 1, (torch.rand(2, 1, 32, 48) > 0.6).float()
    predicted = generator(image, mask)
    assert predicted.shape == image.shape
    assert float(predicted.detach().abs().max()) <= 1
    noise = composite(image, mask, torch.rand_like(image))
    assert torch.equal(predicted, generator(noise, mask))


def test_each_picture_of_a_batch_has_its_own_mask(batch: Batch) -> None:
    generator = small()
    assert not torch.equal(batch.mask[0], batch.mask[1])
    together = generator(batch.photo, batch.mask)
    alone = [generator(batch.photo[i : i + 1], batch.mask[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_the_fine_stage_sees_the_photo_with_the_coarse_result_in_the_hole(batch: Batch) -> None:
    generator = small()
    seen: list[Tensor] = []
    generator.fine_encoder.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    coarse = generator.stages(batch)["coarse"]
    expected = composite(batch.photo, batch.mask, coarse)
    torch.testing.assert_close(seen[0], torch.cat([expected, batch.mask], 1))


@pytest.mark.parametrize("colour", [-1.0, 1.0])
def test_every_colour_can_be_reached(colour: float, batch: Batch) -> None:
    """The public code ends in an ELU, which never gives black and hardly learns towards it."""
    generator = small()
    for decoder in (generator.coarse_decoder.colour.banks, generator.fine_decoder.colour.conv):
        nn.init.zeros_(decoder.weight)
        nn.init.constant_(decoder.bias, colour)
    stages = generator.stages(batch)
    assert all((stage == colour).all() for stage in stages.values())
    stages["filled"].sum().backward()
    assert (generator.fine_decoder.colour.conv.bias.grad > 0).all()


def test_a_prediction_out_of_range_still_has_a_gradient(batch: Batch) -> None:
    generator = small()
    nn.init.constant_(generator.fine_decoder.colour.conv.bias, 9.0)
    F.l1_loss(generator.stages(batch)["filled"], batch.photo).backward()
    assert generator.fine_decoder.colour.conv.bias.grad.all()
    assert float(generator(batch.photo, batch.mask).detach().max()) == 1


def test_gradients_reach_every_parameter(
    tiny_regionwise: Recipe, batch: Batch, features: Path
) -> None:
    generator = small()
    objective = regionwise.Objective(tiny_regionwise, features)
    sum(objective.generator_loss(batch, generator.stages(batch)).values()).backward()
    silent = [n for n, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    for module in generator.modules():
        if isinstance(module, regionwise.RegionwiseConv):
            assert all(bank.any() for bank in module.banks.weight.grad.chunk(2))


# The objective


def correlation_by_hand(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Equations 2 and 4 with sigma = 1 / c^2, the mean over pictures; (n, c, positions)."""
    total = 0.0
    pictures, channels, positions = ours.shape
    for picture, i, j in np.ndindex(pictures, positions, positions):
        f_ours = ours[picture, :, i] @ ours[picture, :, j]
        f_theirs = theirs[picture, :, i] @ theirs[picture, :, j]
        total += abs(f_ours - f_theirs) / channels**2
    return total / pictures


def test_the_correlation_by_hand() -> None:
    """Vectors (1, 0), (0, 2) against (1, 0), (1, 1): f = 1, 0, 0, 4 against 1, 1, 1, 2."""
    ours = torch.tensor([[1.0, 0], [0, 2]])[None, :, None]  # channels down, positions across
    theirs = torch.tensor([[1.0, 1], [0, 1]])[None, :, None]
    expected = (0 + 1 + 1 + 2) / 2**2
    assert float(gram.correlation_loss(ours, theirs)) == pytest.approx(expected)


def test_the_correlation_is_the_sum_over_all_pairs_of_positions() -> None:
    ours, theirs = torch.rand(2, 2, 3, 3, 2).unbind()
    by_hand = correlation_by_hand(ours.flatten(2).numpy(), theirs.flatten(2).numpy())
    assert float(gram.correlation_loss(ours, theirs)) == pytest.approx(by_hand, rel=1e-5)


@given(rows=st.integers(1, 50), seed=st.integers(0, 9))
def test_a_chunked_correlation_is_the_whole_one(rows: int, seed: int) -> None:
    torch.manual_seed(seed)
    theirs = torch.randn(2, 4, 5, 7)
    found = []
    for each in (rows, 35):
        ours = theirs.roll(1, 3).requires_grad_()
        loss = gram.correlation_loss(ours, theirs, rows=each)
        loss.backward()
        found.append((loss.detach(), ours.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)


def test_no_more_than_so_many_rows_of_the_correlation_are_kept() -> None:
    """The public code keeps all pairs of all pictures of the batch, several times over."""
    sizes: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    features = torch.rand(2, 4, 16, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = gram.correlation_loss(features, features.detach() + 1, rows=8)
    assert max(sizes, default=0) <= features.numel()
    loss.backward()
    assert features.grad.any()


def test_the_correlation_is_exact_under_autocast() -> None:
    """bf16 has three digits, and features of hundreds give inner products of millions."""
    theirs = 200 * torch.rand(1, 128, 4, 4)
    ours = theirs + torch.rand_like(theirs)
    exact = gram.correlation_loss(ours, theirs)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gram.correlation_loss(ours, theirs), exact)


def test_the_style_by_hand() -> None:
    """Two channels over two positions: Gram matrices (1, 0; 0, 4) and (2, 1; 1, 1), / (c h w)."""
    ours = {"pool1": torch.tensor([[1.0, 0], [0, 2]])[None, :, None]}
    theirs = {"pool1": torch.tensor([[1.0, 1], [0, 1]])[None, :, None]}
    expected = (1 + 1 + 1 + 3) / (2 * 1 * 2)
    assert float(gram.style_loss(ours, theirs)) == pytest.approx(expected)
    ours["pool2"], theirs["pool2"] = torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 3.0)
    assert float(gram.style_loss(ours, theirs)) == pytest.approx(expected + 8)


def test_style_does_not_look_at_where_things_are() -> None:
    theirs = torch.rand(1, 3, 4, 4)
    moved = {"a": theirs.roll((1, 2), (2, 3))}
    assert float(gram.style_loss(moved, {"a": theirs})) == pytest.approx(0, abs=1e-6)
    assert float(gram.correlation_loss(moved["a"], theirs)) > 0.1


def test_the_terms_are_those_of_equation_6_in_their_proportion(
    tiny_regionwise: Recipe, batch: Batch, features: Path
) -> None:
    """lambda_1 and lambda_2 weigh sums; all is divided by the elements of a picture."""
    objective = regionwise.Objective(tiny_regionwise, features)
    stages = {"coarse": torch.rand_like(batch.photo), "filled": torch.rand_like(batch.photo)}
    terms = objective.generator_loss(batch, stages)
    coarse, fine = (composite(batch.photo, batch.mask, stages[k]) for k in ("coarse", "filled"))
    theirs = objective.network(batch.photo)
    correlation = gram.correlation_loss(objective.network(coarse)["pool2"], theirs["pool2"])
    style = gram.style_loss(objective.network(fine), theirs)
    elements = 3 * 32 * 32
    expected = {
        "coarse": (stages["coarse"] - batch.photo).abs().sum() / (2 * elements),
        "refined": (stages["filled"] - batch.photo).abs().sum() / (2 * elements),
        "correlation": 1e-5 * correlation / elements,
        "style": 1e-3 * style / elements,
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=0)


def test_the_loss_does_not_depend_on_how_many_pictures_there_are(
    tiny_regionwise: Recipe, batch: Batch, features: Path
) -> None:
    """The public code sums over the batch, so that its terms grow with it."""
    objective = regionwise.Objective(tiny_regionwise, features)
    stages = {"coarse": torch.rand_like(batch.photo), "filled": torch.rand_like(batch.photo)}
    twice = Batch(batch.photo.repeat(2, 1, 1, 1), batch.mask.repeat(2, 1, 1, 1))
    once_more = {name: stage.repeat(2, 1, 1, 1) for name, stage in stages.items()}
    terms, doubled = (
        objective.generator_loss(*args) for args in ((batch, stages), (twice, once_more))
    )
    torch.testing.assert_close(terms, doubled, rtol=1e-5, atol=0)


def test_a_perfect_output_costs_nothing_and_gives_finite_gradients(
    tiny_regionwise: Recipe, batch: Batch, features: Path
) -> None:
    objective = regionwise.Objective(tiny_regionwise, features)
    predicted = batch.photo.clone().requires_grad_()
    terms = objective.generator_loss(batch, {"coarse": predicted, "filled": predicted})
    assert all(float(term.detach()) == 0 for term in terms.values())
    sum(terms.values()).backward()
    assert predicted.grad.isfinite().all()
    assert all(p.grad is None for p in objective.parameters())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"correlation": "0"}, {"coarse", "refined", "style"}),
        ({"style": "0"}, {"coarse", "refined", "correlation"}),
        ({"correlation": "0", "style": "0"}, {"coarse", "refined"}),
        ({"distance": "0.1"}, {"coarse", "refined", "correlation", "style", "distance"}),
    ],
)
def test_terms_of_weight_0_are_not_computed(
    settings: dict[str, str],
    expected: set[str],
    tiny_regionwise: Recipe,
    batch: Batch,
    features: Path,
) -> None:
    recipe = with_settings(tiny_regionwise, {f"objective.{k}": v for k, v in settings.items()})
    stages = {"coarse": batch.photo, "filled": batch.photo}
    assert set(regionwise.Objective(recipe, features).generator_loss(batch, stages)) == expected


def test_without_feature_terms_no_features_are_needed(tiny_regionwise: Recipe) -> None:
    off = {"objective.correlation": "0", "objective.style": "0"}
    assert regionwise.Objective(with_settings(tiny_regionwise, off), None).notes == {}
    with pytest.raises(UsageError, match="--features"):
        regionwise.Objective(tiny_regionwise, None)
    with pytest.raises(UsageError, match=r"vgg16.*squeezenet"):
        regionwise.ObjectiveConfig(network="vgg11")


# Which network


def test_vgg16_is_taken_where_there_is_one(
    tiny_regionwise: Recipe, tmp_path: Path, short_vgg19: Callable[[Path, int], Path]
) -> None:
    # Its first three blocks are VGG-19's without the fourth convolution of the third.
    save_file(load_file(short_vgg19(tmp_path, 7)), tmp_path / "vgg16_caffe.safetensors")
    objective = regionwise.Objective(tiny_regionwise, tmp_path)
    assert objective.notes == {
        "file": "vgg16_caffe.safetensors",
        "style": ["pool1", "pool2", "pool3"],
        "correlation": "pool2",
    }
    shapes = [tuple(f.shape[1:]) for f in objective.network(torch.zeros(1, 3, 32, 48)).values()]
    assert shapes == [(64, 16, 24), (128, 8, 12), (256, 4, 6)]


def test_a_pool_is_what_follows_the_last_relu_of_its_block(features: Path) -> None:
    found = vgg19(features, ("relu2_2", "pool2"))(torch.rand(1, 3, 16, 16))
    assert torch.equal(found["pool2"], F.max_pool2d(found["relu2_2"], 2))


def test_vgg19_stands_in_and_is_named(tiny_regionwise: Recipe, features: Path) -> None:
    notes = regionwise.Objective(tiny_regionwise, features).notes
    assert notes["file"].startswith("vgg19")
    assert notes["style"] == ["pool1", "pool2", "pool3"]
    assert notes["instead_of"] == "vgg16"
    asked = with_settings(tiny_regionwise, {"objective.network": "vgg19"})
    assert "instead_of" not in regionwise.Objective(asked, features).notes


def test_a_folder_without_either_asks_for_vgg16(tiny_regionwise: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="vgg16"):
        regionwise.Objective(tiny_regionwise, tmp_path)


def test_squeezenets_maps_have_the_channels_and_strides_of_the_pools(
    tiny_regionwise: Recipe, features: Path
) -> None:
    recipe = with_settings(tiny_regionwise, {"objective.network": "squeezenet"})
    objective = regionwise.Objective(recipe, features)
    assert objective.notes["correlation"] == "fire3"
    shapes = [tuple(f.shape[1:]) for f in objective.network(torch.zeros(1, 3, 65, 65)).values()]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8)]


# The recipe


def test_holes_are_irregular_and_never_above_40_percent() -> None:
    """Section 3.1. The public code draws holes of any share."""
    recipe = find_recipe("regionwise")
    rng = np.random.default_rng(0)
    shares = [random_hole(64, rng, recipe.holes, recipe.hole_ratio).mean() for _ in range(300)]
    assert min(shares) > 0
    assert 0.3 < max(shares) <= 0.4
    assert recipe.holes.rectangle == recipe.holes.box == 0
