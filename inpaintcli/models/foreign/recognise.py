"""Which contract a graph has: by its sha256, by its signature, and by what it does with pictures.

All contracts that suit the signature are tried. Those that the probe contradicts are out; of the
others the best supported wins, if all that are supported as well fill the hole alike. What stays
ambiguous is refused with the options that decide it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from inpaintcli_engines.base import Engine, EngineFailedError
from numpy.typing import NDArray

from inpaintcli.errors import ModelError
from inpaintcli.models.contract import Contract
from inpaintcli.models.foreign.kinds import chosen, known_file, possible_contracts
from inpaintcli.models.foreign.probe import SIDE, Evidence, Verdict, gather
from inpaintcli.models.foreign.signature import described, read_signature

CLEAR = 1.6
"""A contract in whose range the holes span this much more than in any other's is preferred."""
MULTIPLES = (8, 16, 32, 64)
LEAST = 128
"""Pixels: sides from this on are tried; an odd number of multiples, so that no more is needed."""
INTERPOLATED = 3
"""Pixels around a hole that its rim is mixed with where the output is scaled up (bicubic); there a
model that composites shows the known pixels instead of its fill, unless its mask is grown."""
LEAST_USAGE = 0.2
"""Share of its range that an output spans at least, where nothing else supports a contract."""
BY_HAND = "Write a card with a [contract] and add that, if you know better."
_FACTS: dict[Verdict, str] = {
    "failed": "it fails, or gives no picture of the size that it takes",
    "out of range": "its output lies in another range",
    "as it was": "it gives back what is in the hole, as with a mask of the other polarity",
    "red and blue exchanged": "it fills holes with red and blue exchanged",
}
_EXCHANGED: Verdict = "red and blue exchanged"
Candidates = list[tuple[Contract, Evidence]]


@dataclass(frozen=True)
class Recognised:
    """A graph's contract, by what it was found, and the file's title and licence if published."""

    contract: Contract
    evidence: Evidence
    found_by: str
    title: str = ""
    licence: str = ""


def recognise(
    engine: Engine, name: str, *, size: int, sha256: str, wanted: str | None = None
) -> Recognised:
    """The contract of a graph.

    Args:
        engine: the graph on the CPU, in fp32.
        name: of the file, for messages.
        size: of the file, in bytes.
        sha256: of the file.
        wanted: the name of the contract, where the user decides.

    Raises:
        ModelError: no contract suits, several do, or the one that is wanted is contradicted.
        UsageError: the contract that is wanted does not suit the signature.
    """
    signature = read_signature(engine, name)
    contracts = possible_contracts(signature)
    published = known_file(size, sha256)
    probe = _Probe(engine)
    if published is not None and wanted is None:
        kind, file = published
        contract, evidence = _proven(probe, chosen(contracts, kind.NAME), name)
        contract = _completed(contract, evidence, probe)
        return Recognised(contract, evidence, "sha256", file.title, file.licence)
    if wanted is not None:
        contract, evidence = _proven(probe, chosen(contracts, wanted), name)
    else:
        tried = [(contract, probe.evidence(contract)) for contract in contracts]
        contract, evidence = _best(tried, engine, name)
    found_by = "signature and probe" if wanted is None else "--as and probe"
    return Recognised(_completed(contract, evidence, probe), evidence, found_by)


class _Probe:
    """Runs a graph, once for inputs that several contracts share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._outputs: dict[bytes, dict[str, NDArray[Any]] | None] = {}

    def evidence(self, contract: Contract, side: int = SIDE) -> Evidence:
        """What the graph does under a contract, with pictures of a side."""
        try:
            return gather(contract, self._runner(contract.output), side)
        except EngineFailedError:
            return Evidence("failed")

    def _runner(self, output: str) -> Callable[[dict[str, NDArray[Any]]], NDArray[Any]]:
        def run(arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
            key = b"".join(array.tobytes() for array in arrays.values())
            if key not in self._outputs:
                self._outputs[key] = None  # what fails is not tried again
                self._outputs[key] = self._engine.run(arrays)
            outputs = self._outputs[key]
            if outputs is None:
                raise EngineFailedError("It failed before.")
            return outputs[output]

        return run


def _proven(probe: _Probe, contract: Contract, name: str) -> tuple[Contract, Evidence]:
    """A contract that is known or wanted, unless the probe contradicts it."""
    evidence = probe.evidence(contract)
    if evidence.verdict != "possible":
        raise ModelError(
            f"{name} has not the contract '{contract.name}': {_FACTS[evidence.verdict]}.",
            hint=f"Leave --as out, or name another. {BY_HAND}",
        )
    return contract, evidence


def _completed(contract: Contract, evidence: Evidence, probe: _Probe) -> Contract:
    """The contract with what the probe measured: compositing, and which sides the model takes.

    Raises:
        ModelError: it takes no other side than that of the probe.
    """
    rim = evidence.rim + 1 if evidence.rim else 0
    grow = max(contract.grow, rim, INTERPOLATED if evidence.composites else 0)
    contract = replace(contract, composites=evidence.composites, grow=grow)
    if contract.side is not None:
        return contract
    for multiple in sorted({contract.multiple, *(m for m in MULTIPLES if m > contract.multiple)}):
        side = multiple * (2 * (max(contract.least, LEAST) // (2 * multiple)) + 1)
        if probe.evidence(contract, side).verdict == "possible":
            return replace(contract, multiple=multiple)
    raise ModelError(
        f"The model takes pictures of {SIDE} pixels but fails on those of {side}.", hint=BY_HAND
    )


def _best(tried: Candidates, engine: Engine, name: str) -> tuple[Contract, Evidence]:
    """The one contract that the evidence supports.

    Raises:
        ModelError: none is supported, or several are that fill holes differently.
    """
    possible = [one for one in tried if one[1].verdict == "possible"]
    if not possible:
        raise _none_fits(tried, engine, name)
    level = max(evidence.level for _, evidence in possible)
    best = [one for one in possible if one[1].level == level]
    if level == 0:
        best = [one for one in best if one[1].fixed and one[1].usage >= LEAST_USAGE]
        if not best:
            raise _unsupported(tried, engine, name)
    first = _clearest(best)
    rivals = [one for one in best if not one[1].agrees_with(first[1])]
    if any(first[1].usage < CLEAR * rival.usage for _, rival in rivals):
        raise ModelError(
            f"{name} may have several contracts, which fill holes differently.",
            hint=f"{_options([first, *rivals])} Compare them on a photo.",
        )
    return first


def _clearest(best: Candidates) -> tuple[Contract, Evidence]:
    """The first of those whose holes span the most of their range, or nearly so."""
    most = max(evidence.usage for _, evidence in best)
    return next(one for one in best if one[1].usage * CLEAR > most)


def _options(candidates: Candidates) -> str:
    """The options that decide, of contracts that fill alike only the first."""
    told: Candidates = []
    for one in candidates:
        if not any(one[1].agrees_with(other) for _, other in told):
            told.append(one)
    return f"Decide with {', '.join(f'--as {contract.name}' for contract, _ in told[:6])}."


def _unsupported(tried: Candidates, engine: Engine, name: str) -> ModelError:
    """Why nothing supports the contracts that remain."""
    verdicts = {evidence.verdict for _, evidence in tried}
    kept = any(one.verdict == "as it was" and one.composites for _, one in tried)
    if _EXCHANGED in verdicts or kept:
        fact = _FACTS[_EXCHANGED if _EXCHANGED in verdicts else "as it was"]
        return ModelError(f"{name} fills no hole as it should: {fact}.", hint=BY_HAND)
    possible = [one for one in tried if one[1].verdict == "possible"]
    return ModelError(
        f"What {name} gives cannot be made out: known pixels do not come back, and holes do not "
        f"take on the colours around them. It {described(engine)}.",
        hint=f"{_options(possible)} {BY_HAND}",
    )


def _none_fits(tried: Candidates, engine: Engine, name: str) -> ModelError:
    """Why no contract suits, from what was seen most specifically."""
    if not tried:
        return ModelError(
            f"No kind of contract has the inputs and outputs of {name}: it {described(engine)}.",
            hint=BY_HAND,
        )
    order: tuple[Verdict, ...] = (_EXCHANGED, "out of range", "as it was", "failed")
    seen = {evidence.verdict for _, evidence in tried}
    fact = _FACTS[next(verdict for verdict in order if verdict in seen)]
    if seen == {"out of range"}:
        fact = "its output lies in no known range"
    return ModelError(
        f"{name} fills no hole as any known contract says: {fact}. It {described(engine)}.",
        hint=BY_HAND,
    )
