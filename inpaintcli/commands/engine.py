"""The commands `engine ...`."""

from typing import Annotated

import typer

from inpaintcli.commands.options import (
    GpuOption,
    JsonOption,
    ModelOption,
    PrecisionName,
    PrecisionOption,
    QuietOption,
)
from inpaintcli.console import Console

app = typer.Typer(help="Compiled engines and their cache.", no_args_is_help=True)


@app.command("build")
def build(
    model: ModelOption = None,
    device: GpuOption = "cuda",
    precision: PrecisionOption = PrecisionName.auto,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compile a model for the GPU now, so that the first photo need not wait for it."""
    from inpaintcli.models import compiled_engines

    console = Console(json=json, quiet=quiet)
    compiled_engines.build(console, model, device, precision.value)


@app.command("list")
def list_engines(json: JsonOption = False) -> None:
    """List the compiled engines, the last used first."""
    from inpaintcli.models import compiled_engines

    compiled_engines.list_plans(Console(json=json))


@app.command("show")
def show_engine(
    key: Annotated[str, typer.Argument(help="An engine's key, or the beginning of one.")],
    json: JsonOption = False,
) -> None:
    """Show all that is known of a compiled engine, and how it agrees with the CPU."""
    from inpaintcli.models import compiled_engines

    compiled_engines.show_plan(Console(json=json), key)


@app.command("clear")
def clear_engines(json: JsonOption = False) -> None:
    """Remove all compiled engines."""
    from inpaintcli.models import compiled_engines

    compiled_engines.clear_plans(Console(json=json))
