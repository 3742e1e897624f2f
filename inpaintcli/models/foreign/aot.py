"""AOT for manga: all in [-1, 1], the picture 0 in the hole, sides multiples of 8 from 128 on."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import SIGNED, Signature

NAME = "aot"
ABOUT = "AOT for manga (aot.onnx)"
KNOWN: tuple[KnownFile, ...] = ()


def contracts(signature: Signature) -> list[Contract]:
    """A picture in [-1, 1] and a mask, 1 in the hole."""
    if signature.joined or not signature.is_float:
        return []
    return [signature.contract(NAME, rgb_range=SIGNED, output_range=SIGNED, multiple=8, least=128)]
