"""With --json, whatever ends a command is one object on standard output, with its exit code."""

import io
import json
import sys

import pytest
from PIL import Image

from inpaintcli.errors import ExitCode, FaultError
from tests.conftest import photo_pixels

COMMANDS = {
    ExitCode.USAGE: (
        ("fill",),
        ("fill", "a.png", "--nope"),
        ("fill", "a.png", "--grow", "much"),
        ("watch", "photos"),
        ("watch", "photos", "--poll", "-1"),
        ("harmonize", "a.png"),
        ("evaluate", "photos", "--holes", "round"),
        ("evaluate", "photos", "--mask", "alpha"),
        ("models", "nope"),
        ("engine", "show", "nothing"),
        ("nope",),
    ),
    ExitCode.UNREADABLE: (
        ("fill", "nowhere.png", "--mask", "alpha"),
        ("watch", "nowhere", "-o", "out"),
        ("harmonize", "nowhere.png", "--mask", "a.png"),
        ("evaluate", "nowhere"),
        ("evaluate", "photos", "--features", "nowhere"),
    ),
    ExitCode.OUTPUT: (
        ("fill", "a.png", "--mask", "a.png", "-o", "a.png"),
        ("evaluate", "photos", "--report", "there.html"),
    ),
    ExitCode.MODEL: (
        ("models", "show", "nothing"),
        ("harmonize", "a.png", "--mask", "a.png", "--model", "nothing"),
    ),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "there.html").touch()
    Image.fromarray(photo_pixels(48, 64)).save(tmp_path / "a.png")
    monkeypatch.setenv("INPAINTCLI_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("code", "words"),
    [(code, words) for code, commands in COMMANDS.items() for words in commands],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value.name,
)
def test_an_error_is_one_object_and_a_sentence(program, code, words):
    done = program(*words, "--json", check=code)
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert (found["schema"], found["status"], found["error"]["code"]) == (1, "failed", code)
    assert found["error"]["message"]
    assert {"input", "mask", "output", "model", "engine"} <= found.keys()
    assert done.stderr
    assert program(*words, check=code).stdout == b""


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["fill", "harmonize", "mask"])
def test_pictures_and_objects_do_not_share_standard_output(program, command):
    done = program(command, "a.png", "--mask", "a.png", "-o", "-", "--json", check=ExitCode.USAGE)
    assert "both want" in json.loads(done.stdout)["error"]["message"]


@pytest.mark.usefixtures("here")
def test_a_word_after_two_dashes_is_no_option(program):
    assert program("fill", "--", "--json", check=ExitCode.UNREADABLE).stdout == b""


@pytest.mark.usefixtures("here")
def test_a_fault_of_the_program_is_an_object_too(program, monkeypatch):
    def broken(*_, **__):
        raise FaultError("It broke.")

    monkeypatch.setattr("inpaintcli.evaluation.evaluate.evaluate_folder", broken)
    done = program("evaluate", "photos", "--json", check=ExitCode.FAULT)
    assert json.loads(done.stdout)["error"]["code"] == 70


@pytest.mark.usefixtures("here")
def test_nothing_follows_the_summary(program, monkeypatch):
    """A report that cannot be written is known when everything is scored and summed up."""

    def full(*_, **__):
        raise FaultError("The disk is full.")

    monkeypatch.setattr("inpaintcli.evaluation.evaluate.write_bytes", full)
    done = program("evaluate", "photos", "--json", "--report", "r.html", check=ExitCode.FAULT)
    assert "summary" in json.loads(done.stdout.splitlines()[-1])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["fill", "harmonize", "remove", "mask"])
def test_a_picture_is_not_written_to_a_terminal(program, monkeypatch, command, tmp_path):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    words = ("--box", "2,2,9,9") if command == "remove" else ("--mask", "a.png")
    done = program(command, "a.png", *words, "-o", "-", check=ExitCode.USAGE)
    assert b"which is a terminal" in done.stderr
    assert terminal.getvalue() == ""
    assert not list(tmp_path.glob("a.*.png"))
