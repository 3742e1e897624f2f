"""The plug-in in GIMP's profiles: found everywhere, whole, and gone without a trace."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from inpaintcli.cli import main
from inpaintcli.errors import OutputError
from inpaintcli.gimp import registration as registration_module
from inpaintcli.gimp import report
from inpaintcli.gimp.install import (
    MAIN,
    SETTINGS,
    install,
    look,
    sources,
    state_of,
    uninstall,
    worker_command,
)
from inpaintcli.gimp.profiles import Machine, Profile, profiles
from inpaintcli.gimp.registration import registration

ROOT = Path(__file__).parents[3]
PYTHON_FILES = {path.name for path in (ROOT / "plugins/gimp/inpaintcli").glob("*.py")}
PYTHON_FILES |= {"protocol.py", "picture_request.py"}


@pytest.fixture
def profile(tmp_path):
    return Profile(tmp_path / "GIMP" / "3.0", "system", "3.0")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a GIMP 3.0 and a GIMP 3.2, and no worker of somebody else."""
    for name in ("GIMP3_DIRECTORY", "XDG_STATE_HOME", "INPAINTCLI_GIMP_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("INPAINTCLI_GIMP_STATE", str(tmp_path / "worker.json"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for version in ("3.0", "3.2", "2.10"):
        (tmp_path / "config" / "GIMP" / version).mkdir(parents=True)
    return tmp_path / "config" / "GIMP"


def run(monkeypatch, capsys, *words) -> tuple[int, list[dict]]:
    monkeypatch.setattr(sys, "argv", ["inpaintcli", "gimp", *words, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().out.splitlines()
    return int(ended.value.code or 0), [json.loads(line) for line in told]


@pytest.mark.parametrize(
    ("platform", "folder", "kind"),
    [
        ("linux", ".config/GIMP/3.0", "system"),
        ("linux", ".config/GIMP/3.2", "system"),
        ("linux", ".var/app/org.gimp.GIMP/config/GIMP/3.0", "flatpak"),
        ("linux", "snap/gimp/current/.config/GIMP/3.0", "snap"),
        ("darwin", "Library/Application Support/GIMP/3.0", "system"),
        ("win32", "AppData/Roaming/GIMP/3.0", "system"),
    ],
)
def test_a_profile_is_found_on_every_system(tmp_path, platform, folder, kind):
    (tmp_path / folder).mkdir(parents=True)
    (found,) = profiles(Machine(platform, tmp_path, {}))
    assert (found.folder, found.kind) == (tmp_path / folder, kind)
    assert found.version == folder[-3:]
    assert bool(found.note) == found.is_confined == (kind in ("flatpak", "snap"))


def test_the_environments_folders_count(tmp_path):
    (tmp_path / "x" / "GIMP" / "3.0").mkdir(parents=True)
    for platform, name in (("linux", "XDG_CONFIG_HOME"), ("win32", "APPDATA")):
        (found,) = profiles(Machine(platform, tmp_path, {name: str(tmp_path / "x")}))
        assert found.folder == tmp_path / "x" / "GIMP" / "3.0"
    named = {"GIMP3_DIRECTORY": str(tmp_path / "new"), "XDG_CONFIG_HOME": str(tmp_path / "x")}
    (found,) = profiles(Machine("linux", tmp_path, named))
    assert (found.folder, found.kind) == (tmp_path / "new", "named")


def test_other_folders_are_no_profiles(tmp_path):
    for name in ("2.10", "3", "3.0.bak", "old-3.0"):
        (tmp_path / ".config" / "GIMP" / name).mkdir(parents=True)
    (tmp_path / ".config" / "GIMP" / "3.4").write_text("a file")
    assert profiles(Machine("linux", tmp_path, {})) == []


def test_folder_and_file_have_one_name_and_the_file_is_executable(profile):
    install(profile, ["membrane"])
    folder = profile.folder / "plug-ins" / "inpaintcli"
    assert {path.name for path in folder.iterdir()} == PYTHON_FILES | {SETTINGS}
    assert stat.S_IMODE((folder / f"{folder.name}.py").stat().st_mode) == 0o755
    assert look(profile).problem == ""


def test_the_settings_reach_this_environments_program(profile):
    install(profile, ["membrane", "other"])
    told = json.loads((profile.plug_in / SETTINGS).read_text())
    assert told["worker"] == worker_command() == [sys.executable, "-P", *told["worker"][2:]]
    assert Path(told["state"]).is_absolute()
    assert told["models"] == ["membrane", "other"]
    assert told["can_start"] is True


@pytest.mark.parametrize("kind", ["flatpak", "snap"])
def test_a_sandbox_has_its_state_where_it_can_see_it(tmp_path, kind):
    profile = Profile(tmp_path, kind, "3.0")
    install(profile, ["membrane"])
    told = json.loads((profile.plug_in / SETTINGS).read_text())
    assert told["can_start"] is False
    assert state_of(profile).parent == profile.plug_in
    assert told["state"] == str(state_of(profile))
    assert told["state"] in told["command"]


def test_install_again_renews_and_removes_what_is_no_longer_part(profile):
    install(profile, ["membrane"])
    old = profile.plug_in / "gone_by.py"
    old.write_text("")
    told = json.loads((profile.plug_in / SETTINGS).read_text())
    told["files"].append("gone_by.py")
    (profile.plug_in / SETTINGS).write_text(json.dumps(told))
    (profile.plug_in / "layers.py").write_text("# of an older version")
    assert "layers.py" in look(profile).problem
    install(profile, ["membrane"])
    assert look(profile).problem == ""
    assert not old.exists()


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / MAIN).chmod(0o644),
        lambda folder: (folder / "selected.py").unlink(),
        lambda folder: (folder / SETTINGS).unlink(),
        lambda folder: (folder / SETTINGS).write_text("{"),
    ],
    ids=["not executable", "a file missing", "no settings", "broken settings"],
)
def test_what_is_wrong_is_seen_and_mended(profile, harm):
    install(profile, ["membrane"])
    harm(profile.plug_in)
    assert look(profile).problem
    install(profile, ["membrane"])
    assert look(profile).problem == ""


def test_uninstall_removes_what_install_wrote_and_nothing_else(profile):
    plug_ins = profile.folder / "plug-ins"
    (plug_ins / "other").mkdir(parents=True)
    (plug_ins / "other" / "other.py").write_text("")
    install(profile, ["membrane"])
    cache = profile.plug_in / "__pycache__"
    cache.mkdir()
    (cache / "layers.cpython-313.pyc").write_text("")
    (profile.plug_in / "notes.txt").write_text("mine")
    assert uninstall(profile)
    assert [path.name for path in profile.plug_in.iterdir()] == ["notes.txt"]
    assert (plug_ins / "other" / "other.py").exists()
    assert not uninstall(profile)
    (profile.plug_in / "notes.txt").unlink()
    install(profile, ["membrane"])
    uninstall(profile)
    assert not profile.plug_in.exists()


def test_uninstall_leaves_the_folder_even_where_the_settings_lie(profile, tmp_path):
    install(profile, ["membrane"])
    victim = tmp_path / "victim"
    victim.write_text("")
    told = json.loads((profile.plug_in / SETTINGS).read_text())
    told["files"] += [str(victim), "../../../victim"]
    (profile.plug_in / SETTINGS).write_text(json.dumps(told))
    uninstall(profile)
    assert victim.exists()


def test_a_plug_in_of_others_is_not_overwritten(profile):
    profile.plug_in.mkdir(parents=True)
    (profile.plug_in / MAIN).write_text("print('mine')")
    with pytest.raises(OutputError, match="something else"):
        install(profile, ["membrane"])
    assert (profile.plug_in / MAIN).read_text() == "print('mine')"


def test_a_folder_that_cannot_be_written_is_told(profile):
    profile.folder.mkdir(parents=True)
    (profile.folder / "plug-ins").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        install(profile, ["membrane"])


def test_every_source_is_a_file():
    assert set(sources()) == PYTHON_FILES
    assert all(path.is_file() for path in sources().values())


def test_the_commands_go_through_all_profiles(home, monkeypatch, capsys):
    code, lines = run(monkeypatch, capsys, "install", "--no-check")
    assert code == 0
    assert [(line["status"], line["gimp"]) for line in lines] == [
        ("installed", "3.0"), ("installed", "3.2"),
    ]  # fmt: skip
    assert not (home / "2.10" / "plug-ins").exists()
    code, lines = run(monkeypatch, capsys, "status", "--no-check")
    assert [line.get("status") for line in lines] == ["installed", "installed", None]
    assert lines[-1]["worker"] is None
    assert report.in_one_line() == (True, "installed in 2 of 2 profiles", "")
    code, lines = run(monkeypatch, capsys, "uninstall")
    assert [line["status"] for line in lines] == ["removed", "removed"]
    assert not list(home.rglob("*.py"))
    code, lines = run(monkeypatch, capsys, "uninstall")
    assert (code, [line["status"] for line in lines]) == (0, ["absent", "absent"])


def test_one_profile_that_fails_does_not_stop_the_others(home, monkeypatch, capsys):
    blocked = home / "3.0" / "plug-ins" / "inpaintcli"
    blocked.mkdir(parents=True)
    (blocked / MAIN).write_text("")
    code, lines = run(monkeypatch, capsys, "install", "--no-check")
    assert code == 5
    assert [line["status"] for line in lines] == ["failed", "installed"]
    assert lines[0]["error"]["hint"]


def test_without_a_gimp_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["inpaintcli", "gimp", "install"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 5
    told = capsys.readouterr().err
    assert "Start GIMP 3 once" in told
    assert str(tmp_path) in told


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "found", "words"),
    [
        ("echo inpaintcli-registered True", True, ""),
        ("echo \"Unable to run '/x/inpaintcli.py'\" >&2; echo inpaintcli-registered False",
         False, "Unable to run"),
        ("echo cannot open display >&2; exit 1", None, "cannot open display"),
        ("sleep 60", None, "did not answer"),
    ],
)  # fmt: skip
def test_gimp_itself_is_asked(profile, tmp_path, monkeypatch, script, found, words):
    console = tmp_path / "bin" / "gimp-console-3.0"
    console.parent.mkdir()
    console.write_text(f"#!/bin/sh\n{script}\n")
    console.chmod(0o755)
    monkeypatch.setenv("PATH", f"{console.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(registration_module, "LIMIT_S", 2)
    told = registration(profile)
    assert told.registered is found
    assert words in told.why


def test_where_no_gimp_can_be_asked_it_says_so(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert registration(profile).registered is None
    assert "no gimp-console" in registration(profile).why
