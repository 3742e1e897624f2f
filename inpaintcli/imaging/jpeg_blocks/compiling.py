"""Whether the kernels are compiled, and compiling them before they are needed."""

from collections.abc import Callable

import numpy as np

from inpaintcli.imaging.jpeg_blocks import decoding, encoding
from inpaintcli.imaging.jpeg_blocks.huffman import LOOKUP_SIZE
from inpaintcli.kernels.numba_kernels import Call, are_compiled, compile_all, why_not_kept

COMPILE_S = 10
"""About how long that takes."""


def prepare(notes: Callable[[str], None], *, progressive: bool) -> None:
    """Compile the kernels, or load them; a note says so where that takes some seconds.

    Args:
        notes: takes the sentence.
        progressive: with those that progressive files need.
    """
    calls = _calls(progressive=progressive)
    if are_compiled(calls):
        return
    reason = why_not_kept(calls)
    once = "" if reason else ", once on this machine"
    notes(f"Compiling the coder of JPEG{once}: about {COMPILE_S} s.")
    compile_all(calls)


def _calls(*, progressive: bool) -> list[Call]:
    """The kernels, each with arguments of its types that give it nothing to do."""
    file, plain, bounds = np.frombuffer(bytes(1), np.uint8), np.zeros(1, np.uint8), np.zeros(2, int)
    order, unit, band = np.zeros(0, np.int32), np.zeros(1, np.int64), np.ones(5, np.int64)
    tables, blocks = np.zeros((1, 2, LOOKUP_SIZE), np.int32), np.zeros((0, 64), np.int16)
    state, table = np.zeros(encoding.STATE_SIZE, np.int64), np.zeros((2, 512), np.int64)
    decoded = (plain, bounds.astype(np.int64), order, unit, band, tables, blocks)
    coded = (plain, state, table, order, unit, band, blocks)
    calls: list[Call] = [
        (decoding.unstuffed, (file, 0, 0, plain, bounds.astype(np.int64))),
        (decoding.decode_first, decoded),
        (encoding.encode_first, coded),
    ]
    if progressive:
        calls += [(decoding.decode_refinement, decoded), (encoding.encode_refinement, coded)]
    return calls
