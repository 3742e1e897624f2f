"""AOT-GAN and LaMa-Dilated of Qualcomm's zoo: all in [0, 1], weights in files beside the graph."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import Signature

NAME = "painted"
ABOUT = "AOT-GAN, LaMa-Dilated (Qualcomm's zoo)"
KNOWN: tuple[KnownFile, ...] = ()
_OUTPUT = "painted_image"


def contracts(signature: Signature) -> list[Contract]:
    """`image` and `mask`, 1 in the hole; the output has a name of its own."""
    if signature.joined or not signature.is_float or signature.output.name != _OUTPUT:
        return []
    return [signature.contract(NAME)]
