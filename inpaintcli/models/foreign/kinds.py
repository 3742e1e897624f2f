"""The list of all kinds of contracts, and what each makes of a graph."""

from inpaintcli.errors import UsageError
from inpaintcli.models.contract import Contract, inverted
from inpaintcli.models.foreign import (
    aot,
    lama_1,
    lama_4,
    lama_255,
    migan,
    migan_pipeline,
    painted,
    pairs,
)
from inpaintcli.models.foreign.kind import Kind, KnownFile
from inpaintcli.models.foreign.signature import Signature

# The likeliest first; mypy checks every module against the protocol.
KINDS: tuple[Kind, ...] = (
    painted,
    lama_255,
    lama_1,
    aot,
    migan,
    lama_4,
    migan_pipeline,
    pairs,
)


def known_file(size: int, sha256: str) -> tuple[Kind, KnownFile] | None:
    """The published file of that size and sha256, with its kind of contract."""
    for kind in KINDS:
        for file in kind.KNOWN:
            if file.size == size and sha256.startswith(file.sha256):
                return kind, file
    return None


def possible_contracts(signature: Signature) -> list[Contract]:
    """All contracts that a graph of a signature may have, each also with an inverted mask."""
    stated = [contract for kind in KINDS for contract in kind.contracts(signature)]
    return [*stated, *map(inverted, stated)]


def chosen(contracts: list[Contract], name: str) -> Contract:
    """The contract of a name.

    Raises:
        UsageError: there is none; the message names those that suit the graph.
    """
    for contract in contracts:
        if contract.name == name:
            return contract
    known = ", ".join(one.name for one in contracts if not one.name.endswith("-inverted"))
    raise UsageError(
        f"The contract '{name}' does not suit this model.",
        hint=f"Those that do: {known or 'none'}; NAME-inverted where the mask is 0 in the hole.",
    )
