"""The commands `engine ...`."""

from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.options import GpuOption, ModelOption, PrecisionOption

app = typer.Typer(help="Compiled engines and their cache.", no_args_is_help=True)


@app.command("build")
@with_options
def build(
    model: ModelOption = None,
    device: GpuOption = "cuda",
    precision: PrecisionOption = "auto",
    *,
    console: Console,
) -> None:
    """Compile a model for the GPU now, so that the first photo need not wait for it."""
    from inpaintcli.models import compiled_engines

    compiled_engines.build(console, model, device, precision)


@app.command("list")
@with_options
def list_engines(*, console: Console) -> None:
    """List the compiled engines, the last used first."""
    from inpaintcli.models import compiled_engines

    compiled_engines.list_plans(console)


@app.command("show")
@with_options
def show_engine(
    key: Annotated[str, typer.Argument(help="An engine's key, or the beginning of one.")],
    *,
    console: Console,
) -> None:
    """Show all that is known of a compiled engine, and how it agrees with the CPU."""
    from inpaintcli.models import compiled_engines

    compiled_engines.show_plan(console, key)


@app.command("clear")
@with_options
def clear_engines(*, console: Console) -> None:
    """Remove all compiled engines."""
    from inpaintcli.models import compiled_engines

    compiled_engines.clear_plans(console)
