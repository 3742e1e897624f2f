"""Where GIMP 3 keeps a user's plug-ins: on Linux (also Flatpak and Snap), macOS and Windows."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inpaintcli.errors import UsageError
from inpaintcli.gimp.protocol import STATE_VARIABLE, state_path

Kind = Literal["system", "flatpak", "snap", "named"]
NAMED = "GIMP3_DIRECTORY"
FLATPAK = "org.gimp.GIMP"
_NOTES: dict[Kind, str] = {
    "system": "",
    "named": f"named by {NAMED}",
    "flatpak": "GIMP's Flatpak cannot start programs of this machine: start the worker yourself "
    "before you fill (the plug-in shows the command), or let it start with your session.",
    "snap": "GIMP's Snap cannot start programs of this machine: start the worker yourself "
    "before you fill (the plug-in shows the command), or let it start with your session.",
}


@dataclass(frozen=True)
class Profile:
    """One user folder of GIMP 3. `version` is such as 3.0, empty where the folder does not say."""

    folder: Path
    kind: Kind
    version: str

    @property
    def plug_in(self) -> Path:
        """The plug-in's own folder; GIMP wants folder and file of one name."""
        return self.folder / "plug-ins" / "inpaintcli"

    @property
    def note(self) -> str:
        """What a user of this kind of GIMP must know."""
        return _NOTES[self.kind]

    @property
    def is_confined(self) -> bool:
        """Whether GIMP runs in a sandbox that starts no program of the machine."""
        return self.kind in ("flatpak", "snap")


@contextmanager
def home_needed() -> Iterator[None]:
    """Turns the error of Path.home into one for the user.

    Raises:
        UsageError: the user has no home folder.
    """
    try:
        yield
    except RuntimeError as error:
        raise UsageError(
            "This user has no home folder, in which GIMP keeps plug-ins.",
            hint=f"Set HOME; or {NAMED} for the plug-in and {STATE_VARIABLE} for its worker.",
        ) from error


def worker_state() -> Path:
    """Where the worker of this user keeps its state.

    Raises:
        UsageError: the user has no home folder, and the file is not named.
    """
    with home_needed():
        return state_path()


@dataclass(frozen=True)
class Machine:
    """What the places depend on; a parameter, so that a test can be any system."""

    platform: str
    home: Path
    variables: Mapping[str, str]

    @classmethod
    def this(cls) -> "Machine":
        """The one that we run on.

        Raises:
            UsageError: the user has no home folder.
        """
        with home_needed():
            return cls(sys.platform, Path.home(), os.environ)


def profiles(machine: Machine | None = None) -> list[Profile]:
    """All user folders of GIMP 3 that are there; the one of `GIMP3_DIRECTORY` also if it is not."""
    machine = machine or Machine.this()
    named = machine.variables.get(NAMED)
    if named:
        folder = Path(named)
        return [Profile(folder, "named", _version(folder) or "")]
    found: list[Profile] = []
    for base, kind in _bases(machine):
        versions = [(v, f) for f in base.glob("3.*") if (v := _version(f)) and f.is_dir()]
        found += [Profile(folder, kind, version) for version, folder in sorted(versions)]
    return found


def searched(machine: Machine | None = None) -> list[Path]:
    """Where `profiles` looks."""
    return [base for base, _ in _bases(machine or Machine.this())]


def console_of(profile: Profile) -> list[str] | None:
    """The command of the GIMP without windows that uses a profile; None where there is none."""
    if profile.kind == "flatpak":
        flatpak = shutil.which("flatpak")
        return [flatpak, "run", "--command=gimp-console-3.0", FLATPAK] if flatpak else None
    if profile.kind == "snap":
        return None  # the Snap has no console of its own
    version = profile.version or "3.0"
    names = (f"gimp-console-{version}", "gimp-console-3.0", "gimp-console-3", "gimp-console")
    for name in names:
        path = shutil.which(name) or _beside_the_system(name)
        if path:
            return [path]
    return None


def _beside_the_system(name: str) -> str | None:
    """Where installers put GIMP without naming it in PATH."""
    places = (
        Path("/Applications/GIMP.app/Contents/MacOS"),
        Path(os.environ.get("PROGRAMFILES", "C:/Program Files")) / "GIMP 3" / "bin",
        Path(os.environ.get("LOCALAPPDATA", "C:/")) / "Programs" / "GIMP 3" / "bin",
    )
    return shutil.which(name, path=os.pathsep.join(str(place) for place in places))


def _bases(machine: Machine) -> list[tuple[Path, Kind]]:
    """The folders that hold a folder for each version of GIMP."""
    home, variables = machine.home, machine.variables
    if machine.platform == "win32":
        roaming = variables.get("APPDATA")
        return [((Path(roaming) if roaming else home / "AppData" / "Roaming") / "GIMP", "system")]
    if machine.platform == "darwin":
        return [(home / "Library" / "Application Support" / "GIMP", "system")]
    config = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        (config / "GIMP", "system"),
        (home / ".var" / "app" / FLATPAK / "config" / "GIMP", "flatpak"),
        (home / "snap" / "gimp" / "current" / ".config" / "GIMP", "snap"),
    ]


def _version(folder: Path) -> str | None:
    """3.0 for a folder of that name."""
    return folder.name if re.fullmatch(r"3\.\d+", folder.name) else None
