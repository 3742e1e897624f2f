"""What comes from standard input is called so, whatever file it is kept in meanwhile."""

import io
import json
import sys
import tempfile

import numpy as np
import pytest
from PIL import Image

from inpaintcli.errors import ExitCode
from tests.conftest import photo_pixels


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """The names of a photo and its mask, in the present folder."""
    hole = np.zeros((48, 64), np.uint8)
    hole[10:30, 20:40] = 255
    Image.fromarray(photo_pixels(48, 64)).save(tmp_path / "a.png")
    Image.fromarray(hole).save(tmp_path / "m.png")
    monkeypatch.chdir(tmp_path)
    return "a.png", "m.png"


@pytest.fixture
def piped(program, monkeypatch):
    """The command line with standard input; what it prints names no temporary file."""

    def run(data, *words, check=None):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        done = program("fill", *words, "--detail", "network", check=check)
        assert tempfile.gettempdir().encode() not in done.stdout + done.stderr
        assert b"standard input.p" not in done.stdout + done.stderr
        return done

    return run


def test_the_result_line_has_a_dash(pair, piped, tmp_path):
    photo, mask = pair
    data = (tmp_path / photo).read_bytes()
    done = piped(data, "-", "--mask", mask, "-o", "out.png", "--json", "-v", check=0)
    (found,) = map(json.loads, done.stdout.splitlines())
    assert (found["input"], found["mask"], found["output"]) == ("-", mask, "out.png")
    assert b"standard input -> out.png" in done.stderr
    data = (tmp_path / mask).read_bytes()
    done = piped(data, photo, "--mask", "/dev/stdin", "-o", "other.png", "--json", check=0)
    (found,) = map(json.loads, done.stdout.splitlines())
    assert (found["input"], found["mask"]) == (photo, "-")


def test_so_it_is_in_a_dry_run_and_in_errors(pair, piped, tmp_path):
    photo, mask = pair
    data = (tmp_path / photo).read_bytes()
    done = piped(data, "-", "--mask", mask, "-o", "out.png", "--dry-run", check=0)
    assert done.stdout.startswith(b"would fill standard input by m.png into out.png")
    for part, code in ((data[:-900], ExitCode.UNREADABLE), (b"x", ExitCode.UNREADABLE)):
        done = piped(part, "-", "--mask", mask, "-o", "out.png", "--json", check=code)
        (found,) = map(json.loads, done.stdout.splitlines())
        assert "standard input" in found["error"]["message"]
        assert b"standard input" in done.stderr


def test_the_note_on_an_empty_mask_names_it(pair, piped, tmp_path):
    photo, _ = pair
    Image.new("L", (64, 48)).save(tmp_path / "empty.png")
    data = (tmp_path / photo).read_bytes()
    done = piped(data, "-", "--mask", "empty.png", "-o", "out.png", check=0)
    assert done.stderr.startswith(b"standard input: the mask is empty")


@pytest.mark.parametrize("command", ["fill", "watch"])
def test_a_format_is_for_one_photo_to_standard_output(pair, program, tmp_path, command):
    (tmp_path / "photos").mkdir()
    done = program(command, "photos", "-o", "out", "--format", "png", check=ExitCode.USAGE)
    assert b"--format" in done.stderr
    assert not (tmp_path / "out").exists()
    assert pair
