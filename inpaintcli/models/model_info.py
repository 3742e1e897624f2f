"""The commands `models list`, `show`, `verify`, `add` and `remove`."""

import dataclasses
from pathlib import Path
from typing import Any

from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, ModelError
from inpaintcli.models.cards import (
    DEFAULT,
    Card,
    cards,
    find_card,
    unreadable_cards,
    verify,
)
from inpaintcli.models.contract import Contract
from inpaintcli.models.install import add_model, remove_model


def list_models(console: Console) -> None:
    """Print a line for each model; the default one is marked."""
    known = sorted(cards().items())
    width = max((len(name) for name, _ in known), default=0)
    for name, card in known:
        if console.json:
            console.record(_fields(card))
        else:
            mark = "*" if name == DEFAULT else " "
            console.data(f"{mark} {name:{width}}  {card.task}  {card.source}")
    for problem in unreadable_cards().values():
        console.say(str(problem))


def show_model(console: Console, name: str) -> None:
    """Print all fields of a card.

    Raises:
        ModelError: there is no such model.
    """
    card = find_card(name)
    if console.json:
        console.record(_fields(card))
        return
    for key, value in _fields(card).items():
        if isinstance(value, dict):
            for inner, content in value.items():
                console.data(f"{key}.{inner}: {content}")
        else:
            console.data(f"{key}: {value}")


def verify_models(console: Console) -> ExitCode:
    """Verify all models' files; the exit code is that of `ModelError` where one is damaged."""
    code = ExitCode.OK
    problems = {name: _problem(card) for name, card in cards().items()} | unreadable_cards()
    for name, problem in sorted(problems.items()):
        if problem is not None:
            code = problem.code
            console.say(str(problem))
        state = "damaged" if problem else "whole"
        console.record({"schema": 1, "name": name, "state": state})
        if not console.json:
            console.data(f"{name}: {state}")
    return code


def add(console: Console, file: str, name: str | None, wanted: str | None) -> None:
    """Install a model and print what it was recognised as.

    Raises:
        UsageError, ModelError, OutputError: see `install.add_model`.
    """
    card = add_model(Path(file), name=name, wanted=wanted)
    if console.json:
        console.record(_fields(card))
        return
    console.data(f"{card.name}: {_summary(card)}")
    console.say(f"Use it with --model {card.name}; its card: {card.path}")


def remove(console: Console, name: str) -> None:
    """Remove an installed model.

    Raises:
        UsageError, ModelError, OutputError: see `install.remove_model`.
    """
    remove_model(name)
    console.record({"schema": 1, "removed": name})
    console.say(f"removed {name}")


def _summary(card: Card) -> str:
    """What a model is, in one line."""
    contract = card.contract
    if contract is None:
        return f"a model of this program's own contract, licence {card.licence}"
    return (
        f"{contract.name} (by {card.parity.get('found_by', 'its card')}), {_size(contract)}, "
        f"{'' if contract.composites else 'not '}composited, licence {card.licence}"
    )


def _size(contract: Contract) -> str:
    if contract.side is not None:
        return f"squares of {contract.side} px"
    return f"sides in multiples of {contract.multiple} px from {contract.least} px on"


def _problem(card: Card) -> ModelError | None:
    try:
        verify(card)
    except ModelError as error:
        return error
    return None


def _fields(card: Card) -> dict[str, Any]:
    """The card's fields, as values of JSON."""
    fields = {"schema": 1, **dataclasses.asdict(card), "default": card.name == DEFAULT}
    return {key: str(value) if isinstance(value, Path) else value for key, value in fields.items()}
