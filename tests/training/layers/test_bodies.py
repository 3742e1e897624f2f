import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from inpaintcli_training.layers import bodies
from inpaintcli_training.layers.blocks import count_parameters


@given(height=st.integers(3, 9), width=st.integers(3, 9), reach=st.integers(0, 20))
def test_maps_are_mirrored_to_and_fro_as_numpy_does_it(height, width, reach) -> None:
    x = torch.arange(2 * height * width, dtype=torch.float32).view(1, 2, height, width)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="reflect")
    assert np.array_equal(bodies.mirrored(x, reach).numpy(), expected)


@pytest.mark.parametrize("dilation", [1, 2, 4, 16])
def test_a_flat_map_stays_flat_up_to_its_border(dilation: int) -> None:
    conv = bodies.MirrorConv(2, 3, dilation=dilation)
    flat = conv(torch.full((1, 2, 12, 20), 0.5))
    torch.testing.assert_close(flat, flat[:, :, :1, :1].expand_as(flat))


def test_a_stride_of_two_halves_the_map() -> None:
    assert bodies.MirrorConv(1, 1, stride=2)(torch.rand(1, 1, 12, 20)).shape == (1, 1, 6, 10)


def test_the_body_has_the_papers_layers() -> None:
    """Appendix D: 4 channels in, 32 wide; weights and biases counted layer by layer."""
    with torch.device("meta"):
        encoder = bodies.encoder(4, 32)
        parts = (encoder, bodies.dilated(32), bodies.decoder(128, 32))
        sizes = [count_parameters(part) for part in parts]
    deep = 128 * 128 * 9 + 128
    first = (4 * 25 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    last = 2 * deep + (128 * 9 + 1) * 64 + (64 * 9 + 1) * 64 + (64 * 9 + 1) * 32
    last += (32 * 9 + 1) * 16 + (16 * 9 + 1) * 3
    assert sizes == [first + 2 * deep, 4 * deep, last]


def test_the_body_gives_back_the_pictures_size_and_keeps_the_signal() -> None:
    body = torch.nn.Sequential(bodies.encoder(4, 8), bodies.dilated(8), bodies.decoder(32, 8))
    x = torch.randn(2, 4, 24, 40)
    out = body(x)
    assert out.shape == (2, 3, 24, 40)
    assert 0.05 < float(out.detach().std()) < 20
