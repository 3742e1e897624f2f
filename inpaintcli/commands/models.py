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
