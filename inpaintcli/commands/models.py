"""The commands `models ...`."""

from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console

app = typer.Typer(help="The models that are shipped or installed.", no_args_is_help=True)


@app.command("list")
@with_options
def list_models(*, console: Console) -> None:
    """List the models by name; the default is marked."""
    from inpaintcli.models import model_info

    model_info.list_models(console)


@app.command("show")
@with_options
def show_model(
    name: Annotated[str, typer.Argument(help="A model's name, or the path of its card.")],
    *,
    console: Console,
) -> None:
    """Show a model's card."""
    from inpaintcli.models import model_info

    model_info.show_model(console, name)


@app.command("verify")
@with_options
def verify_models(*, console: Console) -> None:
    """Check every model's file against the sha256 of its card."""
    from inpaintcli.models import model_info

    raise typer.Exit(model_info.verify_models(console))


@app.command("add")
@with_options
def add_model(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE.onnx|CARD.toml", help="A model of any program, or a card."),
    ],
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="To call it by.  [the file's name]")
    ] = None,
    contract: Annotated[
        str | None,
        typer.Option("--as", metavar="CONTRACT", help="What it takes and gives, if unclear."),
    ] = None,
    console: Console,
) -> None:
    """Add a model that you have, such as LaMa or MI-GAN; then fill with --model NAME."""
    from inpaintcli.models import model_info

    model_info.add(console, file, name, contract)


@app.command("remove")
@with_options
def remove_model(
    name: Annotated[str, typer.Argument(help="The name of a model that was added.")],
    *,
    console: Console,
) -> None:
    """Remove a model that was added."""
    from inpaintcli.models import model_info

    model_info.remove(console, name)
