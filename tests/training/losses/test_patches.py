import pytest
import torch
from inpaintcli_training.losses.patches import cut_patches, patch_boxes


def test_patches_hold_the_whole_region_and_are_only_then_made_smaller() -> None:
    where = torch.zeros(3, 1, 64, 64)
    where[0, :, 10:20, 50:60] = 1  # small: 16 pixels around its middle, moved inside
    where[1, :, 10:50, 10:20] = 1  # 40 high: more than 16, so its own box
    boxes = patch_boxes(where, 16, 1.0)
    assert boxes == [(7, 47, 16), (10, 0, 40), (24, 24, 16)]
    assert patch_boxes(where, 24, 1.5)[1] == (0, 0, 60)
    picture = torch.rand(3, 3, 64, 64)
    patches = cut_patches(picture, boxes, 16)
    assert patches.shape == (3, 3, 16, 16)
    assert torch.equal(patches[0], picture[0, :, 7:23, 47:63])
    assert float(patches[1].mean()) == pytest.approx(float(picture[1, :, 10:50, :40].mean()), 0.05)
