"""The body of the contextual-attention networks (Yu et al. 2018, section 3 and appendix D).

An encoder to a quarter of the resolution, dilated convolutions, a decoder. No normalisation, ELU,
mirror padding in every convolution. `width` is the channels at full resolution (32 in the paper).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DILATIONS = (2, 4, 8, 16)
PAPER_WIDTHS = (1, 2, 2, 4, 4, 4)  # of the encoder's layers, in units of `width`


class MirrorConv(nn.Conv2d):
    """A convolution over a map that is mirrored at its border, the border itself not repeated.

    (n, inside, h, w) -> (n, outside, h / stride, w / stride), sides rounded up. The weights begin
    as Glorot and Bengio (2010) draw them, which keeps the size of a signal over many ELUs; torch's
    own default lets it fade to a thousandth over the depth of this body.
    """

    def __init__(
        self, inside: int, outside: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(inside, outside, kernel, stride, padding=0, dilation=dilation)
        self.reach = dilation * (kernel - 1) // 2
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, see the class."""
        return super().forward(mirrored(x, self.reach))


def mirrored(x: Tensor, reach: int) -> Tensor:
    """The map with `reach` more pixels on every side, mirrored, to and fro where it is short.

    torch's and ONNX's mirror padding ends where the map does, and a dilation of 16 looks further
    than a map of 16 is wide. So a map may be shorter than it looks: such maps, and all in an
    exported graph, which learns its sizes late, are mirrored by gathering rows and columns.
    """
    if torch.is_autocast_enabled(x.device.type):
        # Autocast would turn the map into fp32 first, at a tenth of a training step on the CPU.
        with torch.autocast(x.device.type, enabled=False):
            return mirrored(x, reach)
    if reach <= 2 or (reach < min(x.shape[2:]) and not torch.compiler.is_exporting()):
        return F.pad(x, (reach,) * 4, mode="reflect")
    rows, columns = (_to_and_fro(side, reach, x.device) for side in x.shape[2:])
    return x.index_select(2, rows).index_select(3, columns)


def _to_and_fro(side: int, reach: int, device: torch.device) -> Tensor:
    """The indices of a line of `side` pixels from -reach to side + reach, folded back into it."""
    # A tensor, because the exporter knows no remainder by a size that is not yet known.
    period = torch.full((), 2 * (side - 1), device=device)
    ahead = torch.arange(-reach, side + reach, device=device).abs() % period
    return torch.minimum(ahead, period - ahead)


def layer(
    inside: int, outside: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A mirrored convolution and an ELU."""
    return nn.Sequential(
        MirrorConv(inside, outside, kernel, stride=stride, dilation=dilation), nn.ELU()
    )


def encoder(
    channels: int, width: int, widths: tuple[int, int, int, int, int, int] = PAPER_WIDTHS
) -> nn.Sequential:
    """Six layers from `channels` to a quarter of the resolution.

    K5 - K3S2 - K3 - K3S2 - K3 - K3. Layer 0 works at full resolution, 1 and 2 at a half, 3 to 5 at
    a quarter; skip links begin after 0, 2 and 5.

    Args:
        channels: of the input.
        width: unit of the layers' channels.
        widths: each layer's, in that unit.
    """
    sizes = [width * share for share in widths]
    strides = (1, 2, 1, 2, 1, 1)
    layers = [layer(channels, sizes[0], 5)]
    for before, after, stride in zip(sizes, sizes[1:], strides[1:], strict=False):
        layers.append(layer(before, after, stride=stride))
    return nn.Sequential(*layers)


def dilated(width: int, dilations: tuple[int, ...] = DILATIONS) -> nn.Sequential:
    """Layers of 4 * width channels at a quarter, with dilation 2, 4, 8, 16 in the paper."""
    return nn.Sequential(*(layer(4 * width, 4 * width, dilation=d) for d in dilations))


def decoder(inside: int, width: int, outside: int = 3) -> nn.Sequential:
    """From `inside` channels at a quarter to RGB, or to `outside` channels, not yet clipped.

    K3C128 - K3C128 - resize - K3C64 - K3C64 - resize - K3C32 - K3C16 - K3C3; the last has no ELU.
    """
    return nn.Sequential(
        layer(inside, 4 * width),
        layer(4 * width, 4 * width),
        nn.Upsample(scale_factor=2),
        layer(4 * width, 2 * width),
        layer(2 * width, 2 * width),
        nn.Upsample(scale_factor=2),
        layer(2 * width, width),
        layer(width, width // 2),
        MirrorConv(width // 2, outside),
    )
