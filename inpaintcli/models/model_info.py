"""The commands `models list`, `show` and `verify`."""

import dataclasses
from pathlib import Path
from typing import Any

from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, ModelError
from inpaintcli.models.cards import DEFAULT, Card, cards, find_card, verify


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
    for name, card in sorted(cards().items()):
        problem = _problem(card)
        if problem is not None:
            code = problem.code
            console.say(str(problem))
        state = "damaged" if problem else "whole"
        console.record({"schema": 1, "name": name, "state": state})
        if not console.json:
            console.data(f"{name}: {state}")
    return code


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
