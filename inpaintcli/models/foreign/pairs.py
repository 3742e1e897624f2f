"""Picture and mask in other ranges than those of the models that are known by name."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import BYTES, SIGNED, UNIT, Signature

NAME = "pair"
ABOUT = "other ranges of picture and output: pair-1-1, pair-255-1, pair-signed-255, ..."
KNOWN: tuple[KnownFile, ...] = ()
_RANGES = {"1": UNIT, "255": BYTES, "signed": SIGNED}


def contracts(signature: Signature) -> list[Contract]:
    """`pair-IN-OUT` for each two of the ranges [0, 1], [0, 255] and [-1, 1]."""
    if signature.joined or not signature.is_float:
        return []
    return [
        signature.contract(f"{NAME}-{taken}-{given}", rgb_range=first, output_range=second)
        for taken, first in _RANGES.items()
        for given, second in _RANGES.items()
    ]
