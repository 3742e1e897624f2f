"""The commands `models ...`."""

from typing import Annotated

import typer

from inpaintcli.commands.options import JsonOption
from inpaintcli.console import Console

app = typer.Typer(help="The models that are shipped or installed.", no_args_is_help=True)


@app.command("list")
def list_models(json: JsonOption = False) -> None:
    """List the models by name; the default is marked."""
    from inpaintcli.models import model_info

    model_info.list_models(Console(json=json))


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="A model's name, or the path of its card.")],
    json: JsonOption = False,
) -> None:
    """Show a model's card."""
    from inpaintcli.models import model_info

    model_info.show_model(Console(json=json), name)


@app.command("verify")
def verify_models(json: JsonOption = False) -> None:
    """Check every model's file against the sha256 of its card."""
    from inpaintcli.models import model_info

    raise typer.Exit(model_info.verify_models(Console(json=json)))
