"""Options are declared once: the command line and the Python API follow the declarations."""

from dataclasses import fields, replace
from typing import Annotated, Literal, get_args, get_origin

import pytest
import typer
from typer.testing import CliRunner

from inpaintcli.api import FillKeywords, MaskKeywords
from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import (
    EngineChoice,
    FillOptions,
    MaskChoice,
    MaskOptions,
    ModelChoice,
    Option,
    WorkersOption,
    declared,
)

GROUPS = (EngineChoice, ModelChoice, MaskOptions, FillOptions, Console)


@pytest.fixture
def call():
    """Runs a command that has all groups; gives its result and the values that it was given."""
    app, given = typer.Typer(rich_markup_mode=None), {}

    @app.command()
    @with_options
    def command(
        photo: Annotated[str, typer.Argument()],
        *,
        choice: ModelChoice,
        options: FillOptions,
        workers: WorkersOption = None,
        kinds: Annotated[list[Literal["a", "b"]] | None, Option(help="Some kinds.")] = None,
        console: Console,
    ) -> None:
        given.update(locals())

    return lambda *words: (CliRunner().invoke(app, [*words]), given)


@pytest.mark.parametrize("group", GROUPS)
def test_every_field_of_a_group_is_declared_as_an_option_with_a_default(group):
    assert declared(group).keys() == {field.name for field in fields(group)}
    group()


def test_every_option_is_in_the_help_with_its_text_and_choices(call):
    text = " ".join(call("--help")[0].output.split())
    for group in (ModelChoice, FillOptions, Console):
        for name, (kind, option) in declared(group).items():
            assert f"--{name.replace('_', '-')}" in text
            assert " ".join(option.help.split()) in text
            if get_origin(kind) is Literal:
                assert "|".join(get_args(kind)) in text


def test_without_options_the_defaults_of_the_dataclasses_hold(call):
    result, given = call("a.png")
    assert result.exit_code == 0, result.output
    assert given["choice"] == ModelChoice()
    assert given["options"] == FillOptions()
    assert given["console"] == Console()
    assert (given["photo"], given["workers"], given["kinds"]) == ("a.png", None, None)


def test_options_arrive_in_their_group_as_plain_values(call):
    words = ["--detail", "patches", "--grow", "3", "--engine", "onnxruntime", "--model", "m", "-q"]
    _, given = call("a.png", *words, "--kinds", "b", "--kinds", "a", "--invert-mask")
    assert given["options"] == FillOptions(detail="patches", grow=3, invert_mask=True)
    assert type(given["options"].detail) is str
    assert given["choice"] == ModelChoice(model="m", engine="onnxruntime")
    assert given["console"].quiet
    assert given["kinds"] == ["b", "a"]


@pytest.mark.parametrize(
    "words",
    [
        ["--detail", "both"],
        ["--grow", "-1"],
        ["--mask-threshold", "255"],
        ["--device", "gpu"],
        ["--device", "cuda:x"],
        ["--workers", "0"],
    ],
    ids=" ".join,
)
def test_values_outside_a_declaration_are_wrong_on_the_command_line(call, words):
    assert call("a.png", *words)[0].exit_code == 2


@pytest.mark.parametrize("name", declared(FillOptions))
def test_values_outside_a_declaration_are_wrong_in_python(name):
    kind, option = declared(FillOptions)[name]
    wrong = []
    if get_origin(kind) is Literal:
        wrong.append("nothing of the kind")
    if option.least is not None:
        wrong.append(option.least - 1)
    if option.most is not None:
        wrong.append(option.most + 1)
    for value in wrong:
        with pytest.raises(ValueError, match=name):
            replace(FillOptions(), **{name: value})
    assert wrong or kind is bool


def test_the_python_api_takes_the_same_options():
    groups = (ModelChoice, FillOptions, MaskChoice)
    options = {field.name for group in groups for field in fields(group)} - {"mask"}
    assert FillKeywords.__optional_keys__ == options | {"notes"}
    of_masks = {field.name for group in (MaskOptions, MaskChoice) for field in fields(group)}
    assert MaskKeywords.__optional_keys__ == of_masks - {"mask"} | {"grow"}


def test_the_default_threshold_is_that_of_masks():
    assert MaskOptions().mask_threshold is None  # THRESHOLD, for transparency ALPHA_THRESHOLD
