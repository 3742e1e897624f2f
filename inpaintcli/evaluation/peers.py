"""Methods of other libraries to compare with: each is there if its library is installed.

All take (h, w, 1 or 3) uint8 with a blanked hole and give the same; 16-bit photos are rounded to 8
bits first, as these libraries know no others.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UsageError
from inpaintcli.evaluation.methods import Method, classical_methods
from inpaintcli.imaging.picture import Mask, Picture, Samples

Bytes = NDArray[np.uint8]
Fill = Callable[[Bytes, Mask], NDArray[Any]]
"""Fills (h, w, 3) uint8; the mask is True in the hole."""
PATCH_SIZE = 7
"""Side of a patch, as in the program's own synthesis."""
SEED = 1


@dataclass(frozen=True)
class Peer:
    """A method of another library.

    module: what must be importable, or an attribute of a module after a colon. package: what
    installs it. load: returns the method; imports the library.
    """

    module: str
    package: str
    load: Callable[[], Fill]

    def is_installed(self) -> bool:
        """Whether its library is there."""
        module, _, attribute = self.module.partition(":")
        if importlib.util.find_spec(module) is None:
            return False
        return not attribute or hasattr(importlib.import_module(module), attribute)


def _biharmonic() -> Fill:
    from skimage.restoration import inpaint_biharmonic

    def fill(pixels: Bytes, mask: Mask) -> NDArray[Any]:
        filled = inpaint_biharmonic(pixels, mask, channel_axis=-1, split_into_regions=True)
        return np.asarray(np.rint(np.clip(filled, 0, 1) * 255))

    return fill


def _xphoto(algorithm: str) -> Callable[[], Fill]:
    def load() -> Fill:
        import cv2

        xphoto: Any = vars(cv2)["xphoto"]  # only in OpenCV's contrib build

        def fill(pixels: Bytes, mask: Mask) -> NDArray[Any]:
            filled = np.empty_like(pixels)
            known = (~mask).astype(np.uint8) * 255  # 0 is the hole
            xphoto.inpaint(np.ascontiguousarray(pixels), known, filled, vars(xphoto)[algorithm])
            return filled

        return fill

    return load


def _pypatchmatch() -> Fill:
    from patchmatch import patch_match

    def fill(pixels: Bytes, mask: Mask) -> NDArray[Any]:
        patch_match.set_random_seed(SEED)
        holes = np.ascontiguousarray(mask.astype(np.uint8) * 255)
        return np.asarray(patch_match.inpaint(pixels, holes, patch_size=PATCH_SIZE // 2))

    return fill


def _patchmatch_cython() -> Fill:
    import patchmatch_cython

    def fill(pixels: Bytes, mask: Mask) -> NDArray[Any]:
        return np.asarray(
            patchmatch_cython.inpaint_pyramid(pixels, mask, patch_size=PATCH_SIZE, seed=SEED)
        )

    return fill


PEERS = {
    "biharmonic": Peer("skimage", "scikit-image", _biharmonic),
    "shiftmap": Peer("cv2:xphoto", "opencv-contrib-python-headless", _xphoto("INPAINT_SHIFTMAP")),
    "fsr": Peer("cv2:xphoto", "opencv-contrib-python-headless", _xphoto("INPAINT_FSR_BEST")),
    "pypatchmatch": Peer("patchmatch", "pypatchmatch", _pypatchmatch),
    "patchmatch-cython": Peer("patchmatch_cython", "patchmatch-cython", _patchmatch_cython),
}
"""By name: Damelin and Hoang 2018; He and Sun 2012 as OpenCV has it; Genser et al. 2018
(frequency-selective reconstruction); two ports of PatchMatch inpainting (Barnes et al. 2009)."""


def methods_named(names: Sequence[str]) -> tuple[Method, ...]:
    """The methods of these names, those of OpenCV included.

    Raises:
        UsageError: there is no such method, or its library is not installed.
    """
    classical = {method.name: method for method in classical_methods()}
    return tuple(classical[name] if name in classical else _peer(name) for name in names)


def _peer(name: str) -> Method:
    if name not in PEERS:
        known = ", ".join([*(method.name for method in classical_methods()), *PEERS])
        raise UsageError(f"There is no method '{name}'.", hint=f"There are {known}.")
    peer = PEERS[name]
    if not peer.is_installed():
        raise UsageError(
            f"The method '{name}' needs the package {peer.package}.",
            hint=f"pip install {peer.package}",
        )
    return Method(name, _as_pictures(peer.load()), {peer.package: version(peer.package)})


def _as_pictures(fill: Fill) -> Callable[[Picture, Mask], Samples]:
    """A method for pictures of one or three channels, 8 or 16 bit."""

    def fill_picture(picture: Picture, mask: Mask) -> Samples:
        pixels = picture.pixels
        step = 257 if picture.depth == 16 else 1
        eight = np.rint(pixels / step).astype(np.uint8)
        rgb = np.ascontiguousarray(np.broadcast_to(eight, (*mask.shape, 3)))
        filled = np.clip(np.asarray(fill(rgb, mask), np.float64), 0, 255)
        if pixels.shape[2] == 1:
            filled = filled.mean(axis=2, keepdims=True)
        answer = np.rint(filled * step).astype(pixels.dtype)
        return np.where(mask[..., None], answer, pixels)

    return fill_picture
