"""What the commands `gimp install`, `uninstall` and `status` do and say."""

from dataclasses import dataclass
from typing import Any

from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, OutputError
from inpaintcli.gimp.install import (
    Installed,
    in_words,
    install,
    look,
    state_of,
    uninstall,
    worker_command,
)
from inpaintcli.gimp.profiles import NAMED, Profile, profiles, searched, worker_state
from inpaintcli.gimp.registration import Registration, registration
from inpaintcli.gimp.worker import running_worker, stop_worker
from inpaintcli.models.cards import DEFAULT, cards

NO_PROFILE = "No folder of a GIMP 3 was found."
UNREGISTERED = "GIMP does not have the plug-in"


@dataclass(frozen=True)
class Line:
    """What is said of one profile. `status`: installed, outdated, absent, removed or failed."""

    found: Installed
    status: str
    registration: Registration
    error: InpaintError | None = None

    def to_json(self) -> dict[str, Any]:
        """As `--json` has it."""
        profile = self.found.profile
        return {
            "schema": 1,
            "status": self.status,
            "profile": str(profile.folder),
            "kind": profile.kind,
            "gimp": profile.version or None,
            "plug_in": str(profile.plug_in),
            "version": self.found.version or None,
            "problem": self.found.problem or None,
            "registered": self.registration.registered,
            "why": self.registration.why or None,
            "note": profile.note or None,
            "worker": in_words(worker_command(profile)),
            "error": None if self.error is None else _fields_of(self.error),
        }

    def in_words(self) -> list[str]:
        """For people."""
        profile = self.found.profile
        lines = [f"{profile.folder}: {self.status}{self._of_version()}"]
        if self.error is not None:
            lines += [self.error.message, self.error.hint]
        elif self.found.problem:
            lines += [f"{self.found.problem}; `inpaintcli gimp install` renews it"]
        if self.status not in ("absent", "removed", "failed"):
            lines.append(self._of_registration())
        if profile.note and self.status != "removed":
            lines.append(profile.note)
        if profile.is_confined and self.status in ("installed", "outdated"):
            lines.append(in_words(worker_command(profile)))
        return [lines[0], *(f"  {line}" for line in lines[1:] if line)]

    def _of_version(self) -> str:
        return f", version {self.found.version}" if self.found.version else ""

    def _of_registration(self) -> str:
        if self.registration.registered is None:
            why = self.registration.why or "not asked"
            return f"Whether GIMP has it is not known: {why}."
        if self.registration.registered:
            return "GIMP has it: Filters > Enhance > Inpaint Selection..."
        return (
            f"{UNREGISTERED}: {self.registration.why}. Its folder and file must have one name and "
            "the file must be executable; GIMP needs its Python plug-ins (Debian: python3-gi, "
            "gir1.2-gtk-3.0)."
        )


def _fields_of(error: InpaintError) -> dict[str, Any]:
    return {"code": int(error.code), "message": error.message, "hint": error.hint}


def install_everywhere(console: Console, *, check: bool) -> ExitCode:
    """Install into every profile; `check` asks GIMP whether it has the plug-in.

    Raises:
        OutputError: there is no profile.
    """
    known = _profiles()
    stop_worker(worker_state())  # one of an older version must not be asked any more
    lines = [_installed(profile, check=check) for profile in known]
    return _say(console, lines)


def uninstall_everywhere(console: Console) -> ExitCode:
    """Remove the plug-in from every profile, and end the worker."""
    lines = []
    for profile in profiles():
        stop_worker(state_of(profile))
        lines.append(_removed(profile))
    stop_worker(worker_state())
    if not lines:
        console.say(NO_PROFILE)
    return _say(console, lines)


def status_everywhere(console: Console, *, check: bool) -> ExitCode:
    """Say how the plug-in stands in every profile, and whether a worker runs."""
    found = [look(profile) for profile in profiles()]
    lines = [_line(one, check=check) for one in found]
    if not lines:
        console.say(f"{NO_PROFILE} {_way_out()}")
    code = _say(console, lines)
    worker = running_worker(worker_state())
    console.record({"schema": 1, "worker": worker, "state": str(worker_state())})
    if not console.json:
        console.data(_of_worker(worker))
    return code


def in_one_line() -> tuple[bool, str, str]:
    """For `doctor`: whether the plug-in is installed and current, the fact, and the way out."""
    found = [look(profile) for profile in profiles()]
    if not found:
        return False, "no folder of a GIMP 3", "Start GIMP 3 once, then: inpaintcli gimp install"
    good = sum(one.installed and not one.problem for one in found)
    fact = f"installed in {good} of {len(found)} profiles"
    return good == len(found), fact, "" if good == len(found) else "inpaintcli gimp install"


def _profiles() -> list[Profile]:
    known = profiles()
    if not known:
        raise OutputError(NO_PROFILE, hint=_way_out())
    return known


def _way_out() -> str:
    places = ", ".join(str(place) for place in searched())
    return (
        f"Start GIMP 3 once, which makes it, and then `inpaintcli gimp install`; looked in {places}"
        f" (3.*). {NAMED} names another folder."
    )


def _installed(profile: Profile, *, check: bool) -> Line:
    try:
        install(profile, _models())
    except InpaintError as error:
        return Line(look(profile), "failed", Registration(None), error)
    return _line(look(profile), check=check)


def _removed(profile: Profile) -> Line:
    try:
        status = "removed" if uninstall(profile) else "absent"
    except InpaintError as error:
        return Line(look(profile), "failed", Registration(None), error)
    return Line(look(profile), status, Registration(None))


def _line(found: Installed, *, check: bool) -> Line:
    status = "absent"
    if found.installed:
        status = "outdated" if found.problem else "installed"
    asked = registration(found.profile) if check and found.installed else Registration(None)
    return Line(found, status, asked)


def _models() -> list[str]:
    """Names for the dialog, the default first."""
    return sorted(cards(), key=lambda name: (name != DEFAULT, name))


def _say(console: Console, lines: list[Line]) -> ExitCode:
    for line in lines:
        console.record(line.to_json())
        if not console.json:
            for text in line.in_words():
                console.data(text)
    errors = [line.error for line in lines if line.error is not None]
    return errors[0].code if errors else ExitCode.OK


def _of_worker(worker: dict[str, Any] | None) -> str:
    if worker is None:
        return "No worker is running; the plug-in starts one."
    return (
        f"A worker is running: process {worker['process']}, inpaintcli {worker['version']}, "
        f"port {worker['port']} of 127.0.0.1."
    )
