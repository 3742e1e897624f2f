"""The command `doctor`."""

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console


@with_options
def doctor(*, console: Console) -> None:
    """Say what this machine can use, what is missing, and the command that would install it.

    Exit codes: 0 photos can be filled, 6 the model is damaged, 7 no engine can run.
    """
    from inpaintcli import doctor as examination

    raise typer.Exit(examination.examine(console))
