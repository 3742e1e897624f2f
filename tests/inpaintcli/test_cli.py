"""The contract of the command line, held against the real program with the shipped model."""

import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli import __version__
from inpaintcli.batch.journal import NAME
from tests.conftest import photo_pixels
from tests.programs import PROGRAM, PYTHON, grey, running, until


def run(*arguments, cwd=None, env=None, check=None):
    """The finished process; `check` is the exit code it must have."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=110,
        check=False,
    )
    if check is not None:
        assert done.returncode == check, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


@pytest.fixture
def pair(tmp_path):
    """A photo and its mask: (photo.png, mask.png), and the mask as bools."""
    hole = np.zeros((96, 128), bool)
    hole[30:60, 40:90] = True
    Image.fromarray(photo_pixels(96, 128)).save(tmp_path / "photo.png")
    Image.fromarray(hole.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    return tmp_path / "photo.png", tmp_path / "mask.png", hole


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_fill_one_photo(pair, tmp_path):
    photo, mask, hole = pair
    done = run("fill", photo, "--mask", mask, "-o", tmp_path / "out.png", check=0)
    before, after = pixels(photo), pixels(tmp_path / "out.png")
    np.testing.assert_array_equal(before[~hole], after[~hole])
    assert (before[hole] != after[hole]).any()
    assert done.stdout == b""


def test_the_output_lies_beside_the_photo_by_default(pair, tmp_path, program):
    photo, mask, _ = pair
    program("fill", photo, "--mask", mask, check=0)
    assert (tmp_path / "photo.filled.png").exists()


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_result_line(pair, tmp_path, engine, program):
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    photo, mask, _ = pair
    out = tmp_path / "out.png"
    done = program("fill", photo, "--mask", mask, "-o", out, "--json", "--engine", engine, check=0)
    (line,) = done.stdout.decode().splitlines()
    result = json.loads(line)
    assert result["schema"] == 1
    assert result["status"] == "filled"
    assert (result["input"], result["mask"], result["output"]) == (str(photo), str(mask), str(out))
    assert result["model"] == "membrane"
    assert (result["engine"], result["device"]) == (engine, "cpu")
    assert result["precision"] in ("fp32", "bf16")
    assert result["seconds"] > 0
    assert result["error"] is None


def test_standard_output(pair, program):
    photo, mask, hole = pair
    done = program("fill", photo, "--mask", mask, "-o", "-", check=0)
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image)[~hole], pixels(photo)[~hole])


def test_an_inverted_mask(pair, tmp_path, program):
    photo, mask, hole = pair
    other = tmp_path / "inverted.png"
    Image.fromarray((~hole).astype(np.uint8) * 255).save(other)
    program("fill", photo, "--mask", mask, "-o", tmp_path / "a.png", check=0)
    program("fill", photo, "--mask", other, "--invert-mask", "-o", tmp_path / "b.png", check=0)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_a_threshold(pair, tmp_path, program):
    photo, mask, hole = pair
    Image.fromarray(np.where(hole, 100, 40).astype(np.uint8)).save(mask)
    program(
        "fill", photo, "--mask", mask, "--mask-threshold", 50, "-o", tmp_path / "a.png", check=0
    )
    assert (pixels(tmp_path / "a.png")[hole] != pixels(photo)[hole]).any()


def test_an_empty_mask_is_nothing_to_do(pair, tmp_path, program):
    photo, mask, _ = pair
    Image.new("L", (128, 96)).save(mask)
    done = program("fill", photo, "--mask", mask, "-o", tmp_path / "out.png", check=0)
    assert (tmp_path / "out.png").read_bytes() == photo.read_bytes()
    assert b"nothing to do" in done.stderr


def test_alpha_as_mask(tmp_path, program):
    rgba = np.dstack([photo_pixels(64, 64), np.full((64, 64), 255, np.uint8)])
    rgba[20:40, 20:40] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    program("fill", tmp_path / "a.png", "--mask", "alpha", "-o", tmp_path / "b.png", check=0)
    after = pixels(tmp_path / "b.png")
    assert (after[..., 3] == 255).all()
    assert (after[20:40, 20:40, :3] != 0).any()


def failing(tmp_path, photo, mask):
    """Ways to fail: name -> (arguments, exit code, what the message names)."""
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    Image.new("L", (5, 5), 255).save(tmp_path / "small.png")
    Image.new("L", (128, 96), 255).save(tmp_path / "white.png")
    (tmp_path / "there.png").touch()
    (tmp_path / "a.gif").write_bytes(b"GIF89a...")
    fill = ["fill", photo, "--mask"]
    out = ["-o", tmp_path / "out.png"]
    return {
        "no such option": (["fill", photo, "--nonsense"], 2, "nonsense"),
        "no such command": (["paint"], 2, "paint"),
        "no mask": (["fill", photo], 2, "--mask"),
        "bad device": ([*fill, mask, "--device", "gpu", *out], 2, "gpu"),
        "negative grow": ([*fill, mask, "--grow", "-1", *out], 2, "grow"),
        "folder without output": (["fill", tmp_path, "--mask", mask], 2, "-o"),
        "json and data": ([*fill, mask, "--json", "-o", "-"], 2, "--json"),
        "no attention": ([*fill, mask, "--attention-map", tmp_path / "m.png", *out], 2, "membrane"),
        "other kind": (["fill", tmp_path / "a.gif", "--mask", mask], 3, "a GIF"),
        "options of many": ([*fill, mask, "--report", tmp_path / "r.html", *out], 2, "--report"),
        "no such photo": (["fill", tmp_path / "gone.png", "--mask", mask, *out], 3, "gone.png"),
        "no such mask": ([*fill, tmp_path / "gone.png", *out], 3, "gone.png"),
        "zero bytes": (["fill", tmp_path / "empty.png", "--mask", mask, *out], 3, "empty.png"),
        "no picture": (["fill", tmp_path / "text.png", "--mask", mask, *out], 3, "text.png"),
        "bad mask": ([*fill, tmp_path / "text.png", *out], 3, "text.png"),
        "other size": ([*fill, tmp_path / "small.png", *out], 4, "5x5"),
        "all hole": ([*fill, tmp_path / "white.png", *out], 4, "whole picture"),
        "output exists": ([*fill, mask, "-o", tmp_path / "there.png"], 5, "there.png"),
        "output is input": ([*fill, mask, "-o", photo, "--overwrite"], 5, "photo.png"),
        "no such folder": ([*fill, mask, "-o", tmp_path / "no/such/out.png"], 5, "no/such"),
        "unknown suffix": ([*fill, mask, "-o", tmp_path / "out.xyz"], 5, "xyz"),
        "no such model": ([*fill, mask, "--model", "nobody", *out], 6, "nobody"),
        "no such engine": ([*fill, mask, "--engine", "tensorrt", *out], 7, "tensorrt"),
        "no such device": ([*fill, mask, "--device", "cuda:0", *out], 7, "cuda"),
    }


def test_every_way_to_fail_has_its_code_names_the_thing_and_leaves_nothing(pair, tmp_path, program):
    photo, mask, _ = pair
    for name, (arguments, code, named) in failing(tmp_path, photo, mask).items():
        before = sorted(tmp_path.rglob("*"))
        done = program(*arguments)
        assert done.returncode == code, (name, done.stderr.decode())
        assert named in done.stderr.decode(), (name, done.stderr.decode())
        assert sorted(tmp_path.rglob("*")) == before, name


def test_a_failure_has_its_result_line(pair, tmp_path, program):
    photo, _, _ = pair
    Image.new("L", (5, 5), 255).save(tmp_path / "small.png")
    done = program("fill", photo, "--mask", tmp_path / "small.png", "--json", check=4)
    result = json.loads(done.stdout)
    assert result["status"] == "failed"
    assert result["error"]["code"] == 4
    assert result["error"]["message"]
    assert result["error"]["hint"]
    assert result["output"] == str(photo.with_name("photo.filled.png"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_cannot_be_said_never_ends_a_fill_and_data_that_cannot_be_written_do(pair, tmp_path):
    photo, mask, _ = pair
    words = [*grey(), "fill", photo, "--mask", mask, "--detail", "network"]
    for rest, code in (
        ("-o out.png 2>/dev/full", 0),
        ("-o closed.png >&- 2>&-", 0),
        ("-o full.png --json >/dev/full", 5),
        ("-o - >/dev/full", 5),
    ):
        done = subprocess.run(
            ["sh", "-c", f"{shlex.join(map(str, words))} {rest}"],
            capture_output=True,
            cwd=tmp_path,
            timeout=110,
            check=False,
        )
        assert done.returncode == code, (rest, done.stderr.decode())
        assert b"Traceback" not in done.stderr
        assert (b"Standard output" in done.stderr) == bool(code)
    assert (tmp_path / "out.png").exists()
    assert (tmp_path / "closed.png").exists()


def test_a_reader_that_has_gone_is_no_reason_to_complain():
    reader, writer = os.pipe()
    os.close(reader)
    listing = [*PROGRAM, "models", "list"]
    done = subprocess.run(listing, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (5, b"")


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    hole = np.zeros((64, 64), np.uint8)
    hole[20:40, 20:40] = 255
    for name in ("a.png", "b.jpg", "sub/c.tif"):
        Image.fromarray(photo_pixels(64, 64)).save(photos / name)
    Image.fromarray(hole).save(tmp_path / "mask.png")
    return photos


def test_fill_a_folder(folder, tmp_path, program):
    (folder / "bad.png").write_bytes(b"")
    arguments = ["fill", folder, "--mask", tmp_path / "mask.png", "-o", tmp_path / "out", "--json"]
    lines = [json.loads(line) for line in program(*arguments, check=1).stdout.decode().splitlines()]
    *results, last = lines
    statuses = {Path(line["input"]).name: line["status"] for line in results}
    assert statuses == {
        "a.png": "filled",
        "b.jpg": "filled",
        "c.tif": "filled",
        "bad.png": "failed",
    }
    assert last["schema"] == 1
    assert (last["summary"]["filled"], last["summary"]["failed"]) == (3, 1)
    assert (tmp_path / "out/sub/c.tif").exists()
    (folder / "bad.png").unlink()
    again = program(*arguments, check=0).stdout.decode().splitlines()
    assert json.loads(again[-1])["summary"]["skipped"] == 3


def test_fill_a_list_twice_with_a_report(folder, tmp_path, program):
    rows = [{"photo": "a.png", "output": "x.tif"}, {"photo": "sub/c.tif"}, {"photo": "b.jpg"}]
    pairs = folder / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["fill", pairs, "--mask", tmp_path / "mask.png", "-o", tmp_path / "out"]
    arguments += ["--exclude", "*.jpg", "--report", tmp_path / "report.html", "--fail-fast"]
    assert b"filled  2" in program(*arguments, check=0).stderr
    assert (tmp_path / "out/x.tif").exists()
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") == 4
    assert b"skipped 2  done already" in program(*arguments, "--retry-failed", check=0).stderr


def test_a_dry_run_writes_nothing(folder, tmp_path, program):
    arguments = ["--mask", tmp_path / "mask.png", "-o", tmp_path / "out", "--dry-run"]
    done = program("fill", folder, *arguments, check=0)
    assert done.stdout.decode().count("would fill") == 3
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_nothing_to_do(tmp_path, program):
    (tmp_path / "photos").mkdir()
    program("fill", tmp_path / "photos", "-o", tmp_path / "out", check=0)


def test_photos_without_masks_are_reported_and_skipped(folder, tmp_path, program):
    done = program("fill", folder, "-o", tmp_path / "out", check=0)
    assert done.stderr.decode().count("no mask") == 3


def test_quiet_is_quiet_and_verbose_tells_engine_and_reason(pair, tmp_path, program):
    photo, mask, _ = pair
    done = program("fill", photo, "--mask", mask, "-o", tmp_path / "a.png", "-q", check=0)
    assert done.stderr == b""
    done = program("fill", photo, "--mask", mask, "-o", tmp_path / "b.png", "-v", check=0)
    assert b"membrane" in done.stderr
    assert b"the first choice that serves" in done.stderr


def test_an_interrupt_ends_with_130_and_complete_files(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    hole = np.zeros((500, 500), np.uint8)
    hole[50:450:50, :] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    Image.fromarray(photo_pixels(500, 500)).save(photos / "0.png")
    for number in range(1, 12):
        shutil.copy(photos / "0.png", photos / f"{number}.png")
    out = tmp_path / "out"
    arguments = ["fill", photos, "--mask", tmp_path / "mask.png", "-o", out, "--workers", "1"]
    with running([*PROGRAM, *arguments, "--json"], 110.0) as process:
        until(process, '"filled"')
        process.send_signal(signal.SIGINT)
        told, complaints = process.communicate()
    assert process.returncode == 130, complaints
    written = [path for path in out.iterdir() if path.name != NAME]
    assert 1 <= len(written) < 12
    sums = json.loads(told.splitlines()[-1])["summary"]
    assert (sums["filled"], sums["left"]) == (len(written), 12 - len(written))
    for path in written:
        assert path.suffix == ".png"
        assert pixels(path).shape == (500, 500, 3)


def test_nothing_is_sent_and_nothing_is_written_but_the_output(pair, tmp_path):
    """Libraries included: their telemetry, their notes in the home folder."""
    photo, mask, _ = pair
    home, spool, here = (tmp_path / name for name in ("home", "spool", "here"))
    for folder in (home, spool, here):
        folder.mkdir()
    code = (
        "import sys, socket\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        sys.stderr.write(f'{event} {arguments}\\n')\n"
        "sys.addaudithook(refuse)\n"
        "from inpaintcli.cli import main\nmain()"
    )
    away = ("CI", "TF_BUILD", "JENKINS_URL")  # where libraries send nothing anyway
    environment = {name: value for name, value in os.environ.items() if name not in away}
    environment |= {"HOME": str(home), "TMPDIR": str(spool)}
    command = [*PYTHON, "-c", code, "fill", photo, "--mask", mask, "-q"]
    done = subprocess.run(
        [*map(str, command), "-o", str(tmp_path / "out.png")],
        cwd=here, env=environment, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [list(folder.iterdir()) for folder in (home, spool, here)] == [[], [], []]


def test_version_and_help(program):
    assert program("--version", check=0).stdout.decode().strip() == f"inpaintcli {__version__}"
    for arguments in ([], ["fill"], ["models"], ["evaluate"], ["train"], ["average"], ["export"]):
        assert b"Usage" in program(*arguments, "--help", check=0).stdout


def test_evaluate_without_feature_networks_says_what_is_left_out(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(photo_pixels(64, 80)).save(photos / "a.png")
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    report = tmp_path / "report.html"
    arguments = ["evaluate", photos, "--holes", "centre", "--report", report, "--json"]
    first = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = run(*arguments, env=first, check=0)
    *rows, last = (json.loads(line) for line in done.stdout.decode().splitlines())
    assert [row["method"] for row in rows] == ["photo", "membrane", "telea", "navier-stokes"]
    assert last["summary"]["left_out"] == ["P, FD, LPIPS and FID: they need --features DIR."]
    assert b"left out" in done.stderr
    assert report.read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in photos.iterdir()) == ["a.png"]
    (tmp_path / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
    )
    arguments += ["--features", tmp_path, "--overwrite", "--detail", "network"]
    done = run(*arguments, env=first, check=0)
    assert b"the package torch is not installed" in done.stderr


def test_evaluate_refuses_what_it_cannot_do(tmp_path, program):
    program("evaluate", tmp_path / "nothing", check=3)
    program("evaluate", tmp_path, "--holes", "10-30", check=2)
    program("evaluate", tmp_path, "--mask", "alpha", check=2)
    program("evaluate", tmp_path, "--features", tmp_path, check=3)


def test_models(program):
    assert b"* membrane" in program("models", "list", check=0).stdout
    shown = json.loads(program("models", "show", "membrane", "--json", check=0).stdout)
    assert shown["sha256"]
    assert shown["training"]["images"] > 0
    assert b"membrane: whole" in program("models", "verify", check=0).stdout
    program("models", "show", "nobody", check=6)


def test_folders_of_the_users_own_do_no_harm(pair):
    photo, mask, _ = pair
    for name in ("training", "engines", "inpaintcli"):
        (photo.parent / name).mkdir()
        (photo.parent / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    fill = ["fill", photo, "--mask", mask, "--overwrite", "--detail", "network"]
    run(*fill, cwd=photo.parent, check=0)
    script = Path(sys.executable).parent / "inpaintcli"
    if script.exists():
        arguments = [script, *fill]
        subprocess.run(arguments, cwd=photo.parent, check=True, capture_output=True, timeout=110)


def test_nothing_reaches_for_the_network(pair, tmp_path):
    """With sockets closed: every attempt to make one ends the program with another exit code."""
    photo, mask, _ = pair
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, _arguments):\n"
        "    if event.startswith('socket.') and event != 'socket.gethostname':\n"
        "        sys.stderr.write('reached for the network: ' + event)\n"
        "        os._exit(99)\n"
        "sys.addaudithook(hook)\n"
    )
    environment = {"PYTHONPATH": str(closed)}
    probe = [sys.executable, "-c", "import socket; socket.socket()"]
    seen = subprocess.run(
        probe, env={**os.environ, **environment}, capture_output=True, check=False
    )
    assert seen.returncode == 99
    for engine in ("auto", "onnxruntime"):
        if engine != "auto":
            pytest.importorskip(engine, reason=f"{engine} is not installed")
        out = tmp_path / f"{engine}.png"
        run("fill", photo, "--mask", mask, "-o", out, "--engine", engine, env=environment, check=0)


def test_importing_the_package_and_its_help_load_nothing_heavy():
    code = (
        "import sys, inpaintcli\n"
        "from inpaintcli.cli import app\n"
        "for words in (['--help'], ['fill', '--help'], ['evaluate', '--help']):\n"
        "    app(words, standalone_mode=False)\n"
        "heavy = {'torch', 'openvino', 'onnxruntime', 'cv2', 'numba', 'numpy', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--mask-threshold" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_filling_does_not_load_torch(pair, tmp_path):
    photo, mask, _ = pair
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    environment = {"PYTHONPATH": str(tmp_path)}
    run("fill", photo, "--mask", mask, "-o", tmp_path / "out.png", env=environment, check=0)


def test_training_without_its_extra_says_what_to_install(tmp_path):
    (tmp_path / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
    )
    done = run("train", env={"PYTHONPATH": str(tmp_path)}, check=2)
    assert b"inpaintcli[train]" in done.stderr


def test_a_pipe_takes_the_photo_or_the_mask_and_the_format_that_is_named(pair, tmp_path):
    photo, mask, hole = pair
    words = [*grey(), "fill", "--detail", "network", "-o", "-"]
    for arguments, read in ((["-", "--mask", mask], photo), ([photo, "--mask", "-"], mask)):
        done = subprocess.run(
            [*words, *arguments, "--format", "TIF"],
            input=read.read_bytes(), capture_output=True, check=True, cwd=tmp_path, timeout=120,
        )  # fmt: skip
        with Image.open(io.BytesIO(done.stdout)) as image:
            assert image.format == "TIFF"
            np.testing.assert_array_equal(np.asarray(image)[~hole], pixels(photo)[~hole])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-", "--mask", "-", "-o", "out.png"], "Only one"),
        (["-", "--mask", "m.png"], "-o"),
        (["a.png", "--format", "tif", "-o", "b.png"], "--format"),
        (["a.png", "--format", "gif", "-o", "-"], "gif"),
    ],
)
def test_pipes_that_cannot_be_are_refused(program, words, named):
    done = program("fill", *words, check=2)
    assert named in done.stderr.decode()


@pytest.mark.parametrize("option", [["--fail-fast"], ["--retry-failed"], ["--workers", "2"]])
def test_options_of_many_photos_are_refused_for_one(pair, program, option):
    photo, mask, _ = pair
    done = program("fill", photo, "--mask", mask, *option, check=2)
    assert option[0] in done.stderr.decode()
