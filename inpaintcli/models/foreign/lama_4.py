"""LaMa with one input of four channels: the picture in [0, 1], 0 in the hole, then the mask."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import Signature

NAME = "lama-4"
ABOUT = "LaMa with one input (wipe.photos)"
KNOWN: tuple[KnownFile, ...] = ()


def contracts(signature: Signature) -> list[Contract]:
    """RGB and a mask, 1 in the hole; sides multiples of 32."""
    if not signature.joined or not signature.is_float:
        return []
    return [signature.contract(NAME, channels=("rgb", "mask"))]
