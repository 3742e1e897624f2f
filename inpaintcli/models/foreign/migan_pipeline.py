"""MI-GAN with its pipeline: bytes in and out, any size; the mask is 0 in the hole, 255 outside.

It crops all holes at once and scales the crop to 512 pixels, changes a rim of known pixels, and
lets some pixels of the old content through at the hole's rim: so it is given one hole at a time, a
mask that is grown, and the known pixels under that rim as they are.
"""

from dataclasses import replace

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import BYTES, Signature

NAME = "migan-pipeline"
ABOUT = "MI-GAN with its pipeline (migan_pipeline_v2.onnx)"
KNOWN: tuple[KnownFile, ...] = (
    KnownFile("MI-GAN, migan_pipeline_v2.onnx", 28_079_181, "6f1f3530", "MIT"),
)
GROW = 4
"""Pixels: about three of old content shine through, one more is changed."""


def contracts(signature: Signature) -> list[Contract]:
    """`image` and `mask` of bytes; the result is the whole picture."""
    if signature.joined or {spec.dtype.name for spec in signature.inputs} != {"uint8"}:
        return []
    contract = signature.contract(
        NAME, mask="known", rgb_range=BYTES, mask_range=BYTES, output_range=BYTES, multiple=1
    )
    return [replace(contract, grow=GROW, zeroed=False, one_hole=True)]
