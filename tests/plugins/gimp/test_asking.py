"""The plug-in's side of the conversation, without GIMP: whatever goes wrong is a sentence."""

import ast
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from inpaintcli.gimp import picture_request, protocol
from tests.plugins.gimp.plug_in import FOLDER, load
from tests.plugins.gimp.stand_ins import BEHAVIOURS, SCRIBBLE, StandIn

load("answers")
asking = load("asking")
REQUEST = picture_request.FillRequest(8, 6, 3, "u8", (2, 1, 4, 3), process=1)
ALLOWED = {"gi", "protocol", "picture_request", *(path.stem for path in FOLDER.glob("*.py"))}


def settings(state, **changes):
    fields = {
        "worker": (), "command": "inpaintcli gimp worker", "state": state, "silence_s": 5.0,
        "start_s": 5.0,
    }  # fmt: skip
    return asking.Settings(**{**fields, **changes})


def fill(chosen, request=REQUEST, ask=asking.fill):
    told = []
    answer = ask(
        request,
        lambda: iter([bytes(REQUEST.picture_bytes), bytes([255]) * 12, bytes(request.guide_bytes)]),
        chosen,
        told.append,
    )
    return answer, [one for one in told if one is not None]


@pytest.fixture
def state(tmp_path):
    return tmp_path / "worker.json"


@pytest.fixture
def standing_in(state):
    made = []

    def start(name, **options):
        made.append(StandIn(state, BEHAVIOURS[name], **options))

    yield start
    for one in made:
        one.close()


def test_the_answer_is_the_workers(standing_in, state):
    standing_in("scribble")
    answer, told = fill(settings(state))
    assert answer.data == SCRIBBLE["u8"] * 36
    assert asking.Status("Filling", 0.5) in told


def test_an_object_is_a_box_and_its_weights(standing_in, state):
    standing_in("scribble")
    found, _ = fill(settings(state), replace(REQUEST, request="find"), asking.find)
    assert (found.box, found.weights) == ((2, 1, 4, 2), b"\xff" * 8)


def test_the_answer_to_guided_is_opacity_then_pixels(standing_in, state):
    standing_in("scribble")
    guide = picture_request.Guide(5, 4, 3, (1, 1, 3, 2), (2, 1, 4, 3))
    answer, _ = fill(settings(state), replace(REQUEST, request="guided", guide=guide))
    assert answer.data == b"\xff" * 4 + bytes(8) + SCRIBBLE["u8"] * 36


def test_an_object_outside_of_the_picture_is_refused(standing_in, state):
    standing_in("found_outside")
    with pytest.raises(asking.FailureError, match="outside of the picture"):
        fill(settings(state), replace(REQUEST, request="find"), asking.find)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash", "broke off"),
        ("garbage", "broke off"),
        ("too_few", "35 bytes"),
        ("broken_answer", "broke off"),
        ("silence", "has not answered"),
        ("out_of_memory", "memory is too little"),
    ],
)
def test_a_worker_that_fails_is_told_in_a_sentence(standing_in, state, name, words):
    standing_in(name)
    with pytest.raises(asking.FailureError, match=words):
        fill(settings(state, silence_s=0.5))


@pytest.mark.parametrize(
    ("command", "words", "typed"),
    [
        ((), "was not found", "inpaintcli gimp install"),
        (("/nowhere/inpaintcli",), "cannot be started", "inpaintcli gimp install"),
        ((sys.executable, "-c", "raise SystemExit(2)"), "older than this plug-in", None),
        ((sys.executable, "-c", "raise SystemExit('no disk')"), "no disk", None),
        ((sys.executable, "-c", "pass"), "did not start within", None),
    ],
)
def test_a_program_that_does_not_start_is_told_in_a_sentence(state, command, words, typed):
    chosen = settings(state, worker=command, start_s=1.0)
    with pytest.raises(asking.FailureError, match=words) as caught:
        fill(chosen)
    assert caught.value.command == (typed or "inpaintcli gimp worker")


def test_a_sandbox_is_told_the_command_and_starts_nothing(state, tmp_path):
    marker = tmp_path / "started"
    command = (sys.executable, "-c", f"open({str(marker)!r}, 'w')")
    chosen = settings(state, worker=command, can_start=False, command="the very command")
    with pytest.raises(asking.FailureError, match="sandbox") as caught:
        fill(chosen)
    assert caught.value.command == "the very command"
    assert not marker.exists()


def test_a_worker_of_another_version_is_ended_and_a_new_one_started(standing_in, state):
    standing_in("scribble", protocol=protocol.PROTOCOL + 1)
    command = (sys.executable, "-c", "raise SystemExit('the new one')")
    with pytest.raises(asking.FailureError, match="the new one"):
        fill(settings(state, worker=command))


def test_the_programs_environment_is_not_gimps(state, monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "GI_TYPELIB_PATH"):
        monkeypatch.setenv(name, "/gimp")
    found = asking._environment(settings(state))
    assert "/gimp" not in found.values()
    assert found[protocol.STATE_VARIABLE] == str(state)


def test_settings_are_those_of_install_or_of_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"worker": ["a", "b c"], "state": "/s", "models": ["m"]}))
    found = asking.read_settings(path)
    assert (found.worker, found.models, str(found.state)) == (("a", "b c"), ("m",), "/s")
    monkeypatch.setenv(asking.COMMAND_VARIABLE, shlex.join(["x", "y z"]))
    monkeypatch.setenv(protocol.STATE_VARIABLE, "/other")
    found = asking.read_settings(path)
    assert (found.worker, str(found.state)) == (("x", "y z"), "/other")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"worker": 7}', "\x00"])
def test_settings_that_are_damaged_are_as_none(tmp_path, monkeypatch, text):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(asking.COMMAND_VARIABLE, raising=False)
    path = tmp_path / "settings.json"
    path.write_text(text)
    assert asking.read_settings(path).worker == ()


@pytest.mark.parametrize(
    "path", [*sorted(FOLDER.glob("*.py")), protocol.__file__], ids=lambda path: str(path)[-14:]
)
def test_gimps_python_needs_nothing_but_its_own_library(path):
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    assert names - ALLOWED <= sys.stdlib_module_names
