"""The commands `models ...`."""

from typing import Annotated

import typer

from inpaintcli.console import Console
from inpaintcli.options import JsonOption

app = typer.Typer(help="The models that are shipped or installed.", no_args_is_help=True)


@app.command("list")
def list_models(json: JsonOption = False) -> None:
    """List the models by name; the default is marked."""
    from inpaintcli import showing

    showing.list_models(Console(json=json))


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="A model's name, or the path of its card.")],
    json: JsonOption = False,
) -> None:
    """Show a model's card."""
    from inpaintcli import showing

    showing.show_model(Console(json=json), name)


@app.command("verify")
def verify_models(json: JsonOption = False) -> None:
    """Check every model's file against the sha256 of its card."""
    from inpaintcli import showing

    raise typer.Exit(showing.verify_models(Console(json=json)))
