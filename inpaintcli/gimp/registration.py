"""Ask GIMP itself whether it has the plug-in: only then is the menu's entry there."""

import subprocess
from dataclasses import dataclass

from inpaintcli.gimp.profiles import NAMED, Profile, console_of

PROCEDURE = "plug-in-inpaint-selection"
LIMIT_S = 180
_SAYS = "inpaintcli-registered"
_QUESTION = (
    "from gi.repository import Gimp; "
    f"print('{_SAYS}', Gimp.get_pdb().lookup_procedure('{PROCEDURE}') is not None)"
)


@dataclass(frozen=True)
class Registration:
    """Whether GIMP has the plug-in; None where GIMP could not be asked, and `why`."""

    registered: bool | None
    why: str = ""


def registration(profile: Profile) -> Registration:
    """Start GIMP without windows on a profile and ask. Takes 2 to 12 seconds."""
    console = console_of(profile)
    if console is None:
        return Registration(None, "no gimp-console of that GIMP is on this machine's PATH")
    command = [*console, "-i", "--batch-interpreter", "python-fu-eval", "-b", _QUESTION, "--quit"]
    variables = {NAMED: str(profile.folder)} if profile.kind == "named" else {}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=LIMIT_S,
            env={**_environment(), **variables},
        )
    except subprocess.TimeoutExpired:
        return Registration(None, f"{console[0]} did not answer within {LIMIT_S} s")
    except OSError as error:
        return Registration(None, f"{console[0]} cannot be started: {error.strerror}")
    if f"{_SAYS} True" in done.stdout:
        return Registration(True)
    if f"{_SAYS} False" in done.stdout:
        return Registration(False, _complaint(done.stderr))
    return Registration(None, f"{console[0]} answered nothing: {_last_line(done.stderr)}")


def _environment() -> dict[str, str]:
    """Ours without what would make GIMP's Python take our packages for its own."""
    import os

    hidden = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _complaint(said: str) -> str:
    """What GIMP said of the plug-in."""
    lines = [line.strip() for line in said.splitlines() if "inpaintcli" in line]
    return lines[-1] if lines else "GIMP did not say why"


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
