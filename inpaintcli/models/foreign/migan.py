"""MI-GAN's network alone: known - 0.5, then the picture in [-1, 1], 0 in the hole."""

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kind import KnownFile
from inpaintcli.models.foreign.signature import SIGNED, Signature

NAME = "migan"
ABOUT = "MI-GAN without its pipeline (migan.onnx, 4 channels)"
KNOWN: tuple[KnownFile, ...] = ()


def contracts(signature: Signature) -> list[Contract]:
    """One input of four channels; usually 512 px."""
    if not signature.joined or not signature.is_float:
        return []
    return [
        signature.contract(
            NAME,
            channels=("known", "rgb"),
            rgb_range=SIGNED,
            mask_range=(-0.5, 0.5),
            output_range=SIGNED,
        )
    ]
