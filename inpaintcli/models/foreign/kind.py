"""What a module of this room offers."""

from dataclasses import dataclass
from typing import Protocol

from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.signature import Signature


@dataclass(frozen=True)
class KnownFile:
    """A published file. `sha256` are its first eight digits or more, `size` is in bytes."""

    title: str
    size: int
    sha256: str
    licence: str


class Kind(Protocol):
    """A kind of contract.

    NAME: as `--as` takes it. ABOUT: which models have it. KNOWN: published files that have it.
    """

    NAME: str
    ABOUT: str
    KNOWN: tuple[KnownFile, ...]

    def contracts(self, signature: Signature) -> list[Contract]:
        """The contracts that a graph of this signature may have, the likeliest first."""
