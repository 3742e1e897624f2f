"""The card of a model of another program."""

from typing import Any

from inpaintcli_engines.base import EngineInfo, Profile

from inpaintcli.imaging.tiles import TileSizes
from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.recognise import Recognised
from inpaintcli.models.onnx_file import OnnxFile

UNKNOWN = "unknown: the file does not say"
THICKNESS = 0.375
"""Thickest hole, as a share of a tile's side: with its context it fills the tile."""
CONTEXT = 0.8


def card_fields(
    known: Recognised, name: str, file: str, sha256: str, found: OnnxFile, info: EngineInfo
) -> dict[str, Any]:
    """The fields of the card, as values of TOML."""
    contract = known.contract
    stated = {key.lower(): value for key, value in found.metadata.items()}
    licence = known.licence or stated.get("license") or stated.get("licence") or UNKNOWN
    sides = _sides(contract)
    return {
        "schema": 1,
        "name": name,
        "file": file,
        "sha256": sha256,
        "licence": licence,
        "family": "foreign",
        "recipe": contract.name,
        "source": known.title or f"{file}, a model of another program",
        "task": "fill",
        "input": {"size_multiple": contract.size_multiple, "opset": found.opset},
        "working": sides,
        "profile": {
            "batch": [contract.batch] * 3 if contract.batch else list(Profile.batch),
            "side": _profile_sides(contract, sides["max_side"]),
        },
        "contract": contract.to_table(),
        "parity": {
            "found_by": known.found_by,
            "composites": known.evidence.composites,
            "follows_the_colours_around": known.evidence.follows,
            "rim": known.evidence.rim,
            "engine": f"{info.name} {info.version} {info.precision}",
        },
    }


def _sides(contract: Contract) -> dict[str, Any]:
    """How holes are cut into tiles: a tile is a whole square where the model's side is fixed."""
    side = contract.side or -(-TileSizes.max_side // contract.multiple) * contract.multiple
    least = max(TileSizes.min_context, contract.least // 2)
    return {
        "max_thickness": int(side * THICKNESS),
        "context": CONTEXT,
        "min_context": min(least, side // 8) if contract.side else least,
        "max_side": side,
    }


def _profile_sides(contract: Contract, longest: int) -> list[int]:
    if contract.side is not None:
        return [contract.side] * 3
    least = max(contract.least, contract.multiple)
    return [-(-least // contract.multiple) * contract.multiple, longest, longest]
