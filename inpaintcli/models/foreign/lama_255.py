"""LaMa as Carve and the OpenCV zoo publish it: picture in [0, 1], output in [0, 255]."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import BYTES, Signature

NAME = "lama-255"
ABOUT = "LaMa (lama_fp32.onnx, inpainting_lama_2025jan.onnx)"
KNOWN: tuple[KnownFile, ...] = (
    KnownFile("LaMa, lama_fp32.onnx of Carve", 208_044_816, "1faef530", "Apache-2.0"),
)


def contracts(signature: Signature) -> list[Contract]:
    """`image` in [0, 1] and `mask`, 1 in the hole; usually 512 px."""
    if signature.joined or not signature.is_float:
        return []
    return [signature.contract(NAME, output_range=BYTES)]
