"""Options of the command line, made from their declarations in inpaintcli/options.py."""

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache, reduce, wraps
from inspect import Parameter, Signature, signature
from operator import or_
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from inpaintcli.options import Option, option_of

OutputOption = Annotated[
    str | None,
    typer.Option(
        "-o", "--output", help="File, folder or URL; - is standard output. [NAME.filled.EXT]"
    ),
]


def _model_names(incomplete: str) -> list[str]:
    """What the shell offers for `--model`."""
    from inpaintcli.models.cards import cards

    return [name for name in cards() if name.startswith(incomplete)]


COMPLETIONS: dict[str, Callable[[str], list[str]]] = {"model": _model_names}
"""What the shell offers besides the choices that an option has by its type."""


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """A command in which every dataclass of options stands for its single options.

    `def fill(photo: ..., *, options: FillOptions, console: Console)` becomes a command with the
    arguments of the function and `--grow`, `--feather`, ..., `--json`, `--quiet`, ...; the function
    is called with one value for each dataclass. A parameter whose annotation holds an `Option`
    becomes one option.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type] = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)
    }
    parameters: list[Parameter] = []
    for parameter in signature(function).parameters.values():
        group = groups.get(parameter.name)
        if group is not None:
            parameters += _parameters_of(group)
        else:
            parameters.append(_parameter(parameter.name, hints[parameter.name], parameter.default))

    @wraps(function)
    def command(**values: Any) -> None:
        plain = {name: _plain(value) for name, value in values.items()}
        grouped = {
            name: group(**{field.name: plain.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        function(**plain, **grouped)

    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


@cache
def _parameters_of(group: type) -> tuple[Parameter, ...]:
    hints = get_type_hints(group, include_extras=True)
    return tuple(
        _parameter(field.name, hints[field.name], field.default) for field in fields(group)
    )


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    """A parameter as typer reads it."""
    declared = option_of(annotation)
    if declared is not None:
        kind, option = declared
        kind = _typer_type(name, kind)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            default = kind(default)
        annotation = Annotated[kind, _typer_option(name, option)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _typer_type(name: str, kind: Any) -> Any:
    """A type that typer knows: it needs an enumeration where the declaration has a Literal."""
    if get_origin(kind) is Literal:
        return StrEnum(name, {choice: choice for choice in get_args(kind)})
    if get_origin(kind) is list:
        return types.GenericAlias(list, (_typer_type(name, get_args(kind)[0]),))
    if get_origin(kind) is types.UnionType:
        first, *others = (_typer_type(name, one) for one in get_args(kind))
        return reduce(or_, others, first)
    return kind


def _typer_option(name: str, option: Option) -> Any:
    check = option.check

    def checked(text: str) -> str:
        problem = check(text) if check else ""
        if problem:
            raise typer.BadParameter(problem)
        return text

    names = [*([option.short] if option.short else []), f"--{name.replace('_', '-')}"]
    return typer.Option(
        *names,
        metavar=option.metavar,
        help=option.help,
        min=option.least,
        max=option.most,
        callback=checked if check else None,
        autocompletion=COMPLETIONS.get(name),
    )


def _plain(value: Any) -> Any:
    """The texts of an enumeration's members, as the declaration has them."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, StrEnum) else value
