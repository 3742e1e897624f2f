"""Install the plug-in into GIMP's profiles, take it out again, say how it stands."""

import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inpaintcli import __version__
from inpaintcli.errors import OutputError
from inpaintcli.gimp import picture_request, protocol
from inpaintcli.gimp.profiles import Profile, worker_state

MAIN = "inpaintcli.py"
SETTINGS = "settings.json"
"""Written beside the plug-in: how to reach the program, and which files are ours."""


@dataclass(frozen=True)
class Installed:
    """The plug-in in one profile. `problem` is empty where it is whole and of this version."""

    profile: Profile
    installed: bool
    version: str = ""
    problem: str = ""


def sources() -> dict[str, Path]:
    """The plug-in's files by the name under which they are installed.

    Raises:
        OutputError: they are not there; the package is damaged.
    """
    package = Path(__file__).parent
    checkout = package.parent.parent / "plugins" / "gimp" / "inpaintcli"
    folder = next((f for f in (package / "plug_in", checkout) if (f / MAIN).exists()), None)
    if folder is None:
        raise OutputError("The plug-in's files are missing.", hint="Install inpaintcli again.")
    found = {path.name: path for path in sorted(folder.glob("*.py"))}
    shared = (Path(str(module.__file__)) for module in (protocol, picture_request))
    return {**found, **{path.name: path for path in shared}}


def worker_command(profile: Profile | None = None) -> list[str]:
    """The command that starts a worker for a profile, of absolute paths."""
    # -P: a folder of our name in GIMP's working directory is not the program.
    command = [sys.executable, "-P", "-m", "inpaintcli", "gimp", "worker"]
    if profile is not None and profile.is_confined:
        command += ["--state", str(state_of(profile))]
    return command


def state_of(profile: Profile) -> Path:
    """The state file that a profile's plug-in reads: a sandbox may see nothing but its own."""
    return profile.plug_in / "worker.json" if profile.is_confined else worker_state()


def install(profile: Profile, models: list[str]) -> None:
    """Install or renew the plug-in in one profile; whole or not at all.

    Args:
        profile: of a GIMP.
        models: names that the dialog offers, the default first.

    Raises:
        OutputError: the folder cannot be written, or holds a plug-in of others.
    """
    folder, files = profile.plug_in, sources()
    if folder.exists() and not _is_ours(folder):
        raise OutputError(
            f"{folder} holds something else than this plug-in.", hint="Move it away first."
        )
    before = _settings(folder).get("files", [])
    names = [*files, SETTINGS]
    settings = {
        "version": __version__,
        "worker": worker_command(profile),
        "command": in_words(worker_command(profile)),
        "state": str(state_of(profile)),
        "can_start": not profile.is_confined,
        "models": models,
        "files": names,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            if name != MAIN:
                _put(folder / name, path.read_bytes())
        _put(folder / SETTINGS, json.dumps(settings, indent=1).encode())
        _put(folder / MAIN, files[MAIN].read_bytes(), mode=0o755)
        for name in set(before) - set(names):
            (folder / Path(name).name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error


def uninstall(profile: Profile) -> bool:
    """Remove what `install` wrote and nothing else; whether there was anything.

    Raises:
        OutputError: it cannot be removed.
    """
    folder = profile.plug_in
    names = _settings(folder).get("files")
    if not names:
        return False
    try:
        for name in names:
            (folder / Path(name).name).unlink(missing_ok=True)
            for compiled in (folder / "__pycache__").glob(f"{Path(name).stem}.*.pyc"):
                compiled.unlink()
        state = state_of(profile)
        if profile.is_confined:
            for path in (state, state.with_name(state.name + ".lock"), state.with_suffix(".log")):
                path.unlink(missing_ok=True)
        for place in (folder / "__pycache__", folder):
            with suppress(OSError):  # not empty: the rest is not ours
                place.rmdir()
    except OSError as error:
        raise OutputError(f"{folder} cannot be removed: {error.strerror}.") from error
    return True


def look(profile: Profile) -> Installed:
    """How the plug-in stands in a profile, by its files alone."""
    folder = profile.plug_in
    settings = _settings(folder)
    if not (folder / MAIN).exists():
        return Installed(profile, False)
    version = str(settings.get("version", ""))
    return Installed(profile, True, version, _problem(folder, settings))


def _problem(folder: Path, settings: dict[str, Any]) -> str:
    """What is wrong with an installed plug-in, in words; empty where nothing is."""
    if not settings:
        return f"it was copied without its settings ({SETTINGS})"
    for name, path in sources().items():
        copy = folder / name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            return f"{name} is not this version's"
    if os.name == "posix" and not os.access(folder / MAIN, os.X_OK):
        return f"{MAIN} is not executable"
    worker = settings.get("worker") or [""]
    if worker[0] != sys.executable:
        return f"it starts another program, {worker[0]}"
    return ""


def _is_ours(folder: Path) -> bool:
    """Whether a folder is an installation of ours, a copy made by hand, or empty."""
    main = folder / MAIN
    if _settings(folder) or not any(folder.iterdir()):
        return True
    with suppress(OSError, UnicodeDecodeError):
        return "plug-in-inpaint-selection" in main.read_text(encoding="utf-8")
    return False


def _settings(folder: Path) -> dict[str, Any]:
    """What install wrote; empty where it did not, or where it cannot be read."""
    try:
        fields = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) and "worker" in fields else {}


def _put(path: Path, data: bytes, mode: int = 0o644) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.chmod(mode)
    temporary.replace(path)


def in_words(command: list[str]) -> str:
    """A command as one types it."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(command)
    return shlex.join(command)
