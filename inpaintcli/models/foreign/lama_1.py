"""LaMa for manga and others of any size: picture and output in [0, 1], sides multiples of 8."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import Signature

NAME = "lama-1"
ABOUT = "LaMa for manga (lama-manga-dynamic.onnx)"
KNOWN: tuple[KnownFile, ...] = ()


def contracts(signature: Signature) -> list[Contract]:
    """A picture in [0, 1] and a mask, 1 in the hole."""
    if signature.joined or not signature.is_float:
        return []
    return [signature.contract(NAME, multiple=8)]
