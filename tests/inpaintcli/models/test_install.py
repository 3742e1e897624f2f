"""Models are added whole or not at all; what cannot be used is named and leaves nothing behind."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra `tensorrt` or `train` is not installed")

import onnx
from onnx import helper, numpy_helper
from PIL import Image

from inpaintcli.errors import ExitCode, ModelError, OutputError, UsageError
from inpaintcli.models import install
from inpaintcli.models.cards import cards, find_card, shipped_cards, unreadable_cards, verify
from inpaintcli.models.install import add_model, remove_model
from tests.conftest import photo_pixels
from tests.inpaintcli.models.graphs import KINDS, LAMA_255, Graph, twin, write

FLOAT, INT64, DOUBLE, STRING = 1, 7, 11, 8


def graph_of(path, inputs, outputs, nodes=None, opset=17, domains=(), constants=()):
    """A graph of inputs and outputs as (name, type, shape); without nodes they are joined up."""
    nodes = nodes or [
        helper.make_node("Identity", [inputs[0][0] if inputs else "k"], [name])
        for name, *_ in outputs
    ]
    values = [[helper.make_tensor_value_info(*one) for one in side] for side in (inputs, outputs)]
    made = helper.make_graph(nodes, "g", *values, list(constants))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    path.write_bytes(
        helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


def pair(shape_of_image=("n", 3, "h", "w"), shape_of_mask=("n", 1, "h", "w"), kind=FLOAT):
    return [("image", kind, list(shape_of_image)), ("mask", kind, list(shape_of_mask))]


PICTURE = [("output", FLOAT, ["n", 3, "h", "w"])]


def whole(folder: Path) -> bytes:
    return write(folder / "whole.onnx", LAMA_255).read_bytes()


def from_bytes(make):
    def written(folder):
        path = folder / "bad.onnx"
        path.write_bytes(make(folder))
        return path

    return written


def from_graph(inputs, outputs, **options):
    return lambda folder: graph_of(folder / "bad.onnx", inputs, outputs, **options)


def external_missing(folder):
    path = write(folder / "bad.onnx", KINDS["painted"])
    (folder / "bad.data").unlink()
    return path


def external_truncated(folder):
    path = write(folder / "bad.onnx", KINDS["painted"])
    (folder / "bad.data").write_bytes(b"")
    return path


def external_elsewhere(folder):
    path = write(folder / "bad.onnx", KINDS["painted"])
    path.write_bytes(path.read_bytes().replace(b"bad.data", b"/etc/xyz"))
    return path


def external_above(folder):
    path = write(folder / "bad.onnx", KINDS["painted"])
    path.write_bytes(path.read_bytes().replace(b"bad.data", b"../a.bin"))
    return path


def sparse(folder, size=2_000_000_000):
    path = folder / "bad.onnx"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def sparse_tail(folder):
    """A whole model, then 2 GB of nothing."""
    path = write(folder / "bad.onnx", LAMA_255)
    with path.open("r+b") as file:
        file.truncate(2_000_000_000)
    return path


def folder_named_onnx(folder):
    path = folder / "bad.onnx"
    path.mkdir()
    return path


def png(folder):
    Image.fromarray(photo_pixels(32, 32)).save(folder / "photo.png")
    return (folder / "photo.png").rename(folder / "bad.onnx")


def nan(folder):
    nodes = [
        helper.make_node("Sub", ["image", "image"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["output"]),
    ]
    return graph_of(folder / "bad.onnx", pair(), PICTURE, nodes)


def custom_op(folder):
    nodes = [helper.make_node("Inpaint", ["image", "mask"], ["output"], domain="my.ops")]
    return graph_of(folder / "bad.onnx", pair(), PICTURE, nodes, domains=["my.ops"])


def unknown_op(folder):
    nodes = [helper.make_node("FillTheHole", ["image", "mask"], ["output"])]
    return graph_of(folder / "bad.onnx", pair(), PICTURE, nodes)


def wrong_shapes_inside(folder):
    weights = numpy_helper.from_array(np.zeros((3, 7, 3, 3), np.float32), "k")
    nodes = [helper.make_node("Conv", ["image", "k"], ["output"])]
    return graph_of(folder / "bad.onnx", pair(), PICTURE, nodes, constants=[weights])


def smaller_output(folder):
    nodes = [
        helper.make_node("MaxPool", ["image"], ["output"], kernel_shape=[2, 2], strides=[2, 2])
    ]
    outputs = [("output", FLOAT, ["n", 3, "a", "b"])]
    return graph_of(folder / "bad.onnx", pair(), outputs, nodes)


def cycle(folder):
    nodes = [
        helper.make_node("Add", ["image", "b"], ["a"]),
        helper.make_node("Add", ["a", "image"], ["b"]),
        helper.make_node("Identity", ["b"], ["output"]),
    ]
    return graph_of(folder / "bad.onnx", pair(), PICTURE, nodes)


GARBAGE = {
    "empty": from_bytes(lambda _: b""),
    "one byte": from_bytes(lambda _: b"\x08"),
    "zeros": from_bytes(lambda _: bytes(5000)),
    "text": from_bytes(lambda _: b"This is not a model.\n" * 50),
    "html of a login page": from_bytes(lambda _: b"<!DOCTYPE html><html>Sign in</html>"),
    "a pointer of git lfs": from_bytes(
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 208044816\n"
    ),
    "a zip": from_bytes(lambda _: b"PK\x03\x04" + bytes(200)),
    "a pickle": from_bytes(lambda _: b"\x80\x02}q\x00X\x05\x00\x00\x00stateq\x01."),
    "noise": from_bytes(lambda _: np.random.default_rng(1).bytes(20000)),
    "a photo": png,
    "truncated early": from_bytes(lambda folder: whole(folder)[:40]),
    "truncated late": from_bytes(lambda folder: whole(folder)[:-9]),
    "a byte too many": from_bytes(lambda folder: whole(folder) + b"\x00"),
    "a broken length": from_bytes(lambda folder: b"\x3a\xff\xff\xff\xff\x7f" + whole(folder)),
    "two graphs": from_bytes(lambda folder: whole(folder) * 2),
    "no graph": from_bytes(
        lambda _: helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()[:8]
    ),
    "an empty graph": from_graph([], []),
    "2 GB of nothing": sparse,
    "more than 2 GB": lambda folder: sparse(folder, 2**31 + 5),
    "a model and 2 GB": sparse_tail,
    "external data missing": external_missing,
    "external data truncated": external_truncated,
    "external data elsewhere": external_elsewhere,
    "external data above": external_above,
    "custom operators": custom_op,
    "unknown operators": unknown_op,
    "a cycle": cycle,
    "wrong shapes inside": wrong_shapes_inside,
    "no picture": from_graph([("tokens", INT64, ["n", 77])], [("output", FLOAT, ["n", 768])]),
    "no mask": from_graph([("image", FLOAT, ["n", 3, "h", "w"])], PICTURE),
    "a classifier": from_graph(
        [("image", FLOAT, ["n", 3, 224, 224])], [("output", FLOAT, ["n", 3, 224, 224])]
    ),
    "rank 3": from_graph(pair((3, "h", "w"), (1, "h", "w")), [("output", FLOAT, [3, "h", "w"])]),
    "rank 5": from_graph(pair(("n", 3, 1, "h", "w")), [("output", FLOAT, ["n", 3, 1, "h", "w"])]),
    "channels last": from_graph(
        pair(("n", "h", "w", 3), ("n", "h", "w", 1)), [("output", FLOAT, ["n", "h", "w", 3])]
    ),
    "doubles": from_graph(pair(kind=DOUBLE), [("output", DOUBLE, ["n", 3, "h", "w"])]),
    "texts": from_graph([("image", STRING, ["n"])], [("output", STRING, ["n"])]),
    "three inputs": from_graph([*pair(), ("noise", FLOAT, ["n", 8])], PICTURE),
    "not square": from_graph(pair((1, 3, 64, 128), (1, 1, 64, 128)), PICTURE),
    "two sizes": from_graph(pair((1, 3, 64, 64), (1, 1, 32, 32)), PICTURE),
    "tiny": from_graph(pair((1, 3, 8, 8), (1, 1, 8, 8)), PICTURE),
    "an output that is smaller": smaller_output,
    "nan": nan,
    "identity": from_graph(pair(), PICTURE),
    "an opset of the future": from_graph(pair(), PICTURE, opset=999),
    "a folder": folder_named_onnx,
    "not there": lambda folder: folder / "bad.onnx",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_and_leaves_nothing_behind(name, models, tmp_path, program):
    path = GARBAGE[name](tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = program("models", "add", path)
    assert done.returncode in (ExitCode.MODEL, ExitCode.USAGE), done.stderr.decode()
    said = done.stderr.decode()
    assert len(said.splitlines()) <= 8
    assert len(said) < 1500
    assert sorted(tmp_path.rglob("*")) == before
    assert not models.exists()


def test_there_are_at_least_thirty_kinds_of_garbage():
    assert len(GARBAGE) >= 30


@pytest.mark.parametrize(
    "text",
    [
        "", "name = 'x'", "\x00", "[contract]", "file = 3", "name = 'x'\nfile = '/nowhere.onnx'",
    ],
)  # fmt: skip
def test_garbled_cards_are_refused(text, models, tmp_path, program):
    path = tmp_path / "card.toml"
    path.write_text(text)
    program("models", "add", path, check=6)
    assert not models.exists()


@pytest.mark.parametrize("name", ["notes.txt", "model.pt", "model.safetensors", "model"])
def test_files_of_other_kinds_are_refused(name, models, tmp_path, program):
    path = tmp_path / name
    path.write_bytes(whole(tmp_path))
    done = program("models", "add", path, check=2)
    assert b".onnx" in done.stderr
    assert not models.exists()


def test_a_model_that_was_added_fills_from_the_command_line(models, tmp_path, program):
    path = write(tmp_path / "My LaMa (512).onnx", LAMA_255)
    added = json.loads(program("models", "add", path, "--json", check=0).stdout)
    assert added["name"] == "my-lama-512"
    assert added["contract"]["name"] == "lama-255"
    path.unlink()  # the copy is what is used
    Image.fromarray(np.full((90, 90, 3), (200, 100, 50), np.uint8)).save(tmp_path / "a.png")
    mask = np.zeros((90, 90), np.uint8)
    mask[20:60, 30:60] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    call = ("fill", tmp_path / "a.png", "--mask", tmp_path / "m.png", "--model", "my-lama-512")
    done = program(*call, "-o", tmp_path / "o.png", "--json", check=0)
    assert json.loads(done.stdout.splitlines()[0])["model"] == "my-lama-512"
    filled = np.asarray(Image.open(tmp_path / "o.png")).astype(int)
    assert np.abs(filled - (200, 100, 50)).max() <= 1
    assert b"my-lama-512" in program("models", "list", check=0).stdout
    assert b"my-lama-512: whole" in program("models", "verify", check=0).stdout
    assert b"contract.name: lama-255" in program("models", "show", "my-lama-512").stdout
    assert b"my-lama-512" in program("doctor").stdout
    program("models", "remove", "my-lama-512", check=0)
    assert list(models.iterdir()) == []
    program(*call, "--overwrite", "-o", tmp_path / "o.png", check=6)


def test_external_data_is_copied_and_verified(models, tmp_path):
    card = add_model(write(tmp_path / "m.onnx", KINDS["painted"]))
    assert card.external.keys() == {"m.data"}
    (tmp_path / "m.data").unlink()
    verify(card)
    (models / "m" / "m.data").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"damaged.*m\.data"):
        verify(card)


def test_a_damaged_model_is_named_by_verify_and_doctor(models, tmp_path, program):
    add_model(write(tmp_path / "m.onnx", LAMA_255))
    (models / "m" / "m.onnx").write_bytes(b"damaged")
    done = program("models", "verify", check=6)
    assert b"m: damaged" in done.stdout
    assert b"membrane: whole" in done.stdout


def test_an_unreadable_card_spoils_no_other_model(models, tmp_path, program):
    add_model(write(tmp_path / "m.onnx", LAMA_255))
    (models / "m" / "card.toml").write_text("name = ")
    assert set(unreadable_cards()) == {"m"}
    assert "m" not in cards()
    assert find_card().name in shipped_cards()
    assert b"m: damaged" in program("models", "verify", check=6).stdout
    assert b"card.toml" in program("models", "list", check=0).stderr
    assert b"card.toml" in program("doctor").stdout
    program("models", "show", "m", check=6)
    program("models", "remove", "m", check=0)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("name", ["membrane", "dmfn-small"])
def test_shipped_names_are_taken_and_shipped_models_stay(name, models, tmp_path, program):
    path = write(tmp_path / "m.onnx", LAMA_255)
    assert (
        b"comes with the program" in program("models", "add", path, "--name", name, check=2).stderr
    )
    program("models", "remove", name, check=2)
    assert not models.exists()
    assert name in cards()


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "A", ".hidden", "x.toml", "x.onnx", "x" * 65, "a b", "-x", "x."]
)
def test_names_that_no_folder_should_have_are_refused(name, models, tmp_path):
    with pytest.raises(UsageError, match="cannot be a model's name"):
        add_model(write(tmp_path / "m.onnx", LAMA_255), name=name)
    assert not models.exists()


@pytest.mark.parametrize("name", ["nobody", "../data", "", "."])
def test_only_what_is_installed_can_be_removed(name, models, tmp_path):
    add_model(write(tmp_path / "m.onnx", LAMA_255))
    with pytest.raises(ModelError, match="Installed: m"):
        remove_model(name)
    assert (models / "m" / "card.toml").exists()


def test_a_name_is_given_once(models, tmp_path):
    path = write(tmp_path / "m.onnx", LAMA_255)
    card = add_model(path)
    with pytest.raises(UsageError, match="installed already"):
        add_model(path)
    assert add_model(path, name="other").sha256 == card.sha256
    assert sorted(one.name for one in models.iterdir()) == ["m", "other"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_leaves_nothing_behind(number, models, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(install, "_copy", fail)
    with pytest.raises(OutputError, match="cannot be installed"):
        add_model(write(tmp_path / "m.onnx", LAMA_255))
    assert not models.exists()


def test_an_interruption_leaves_nothing_behind(models, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        add_model(write(tmp_path / "m.onnx", LAMA_255))
    assert not models.exists()


def test_a_file_that_changes_while_it_is_copied_is_refused(models, tmp_path, monkeypatch):
    path = write(tmp_path / "m.onnx", LAMA_255)
    plain = install._copy

    def changed(source, target, sha256):
        source.write_bytes(b"another")
        plain(source, target, sha256)

    monkeypatch.setattr(install, "_copy", changed)
    with pytest.raises(ModelError, match="changed meanwhile"):
        add_model(path)
    assert not models.exists()


def test_a_model_of_ones_own_is_added_by_its_card(models, tmp_path):
    shipped = find_card()
    for file in (shipped.path, shipped.file):
        shutil.copy(file, tmp_path)
    path = tmp_path / shipped.path.name
    with pytest.raises(UsageError, match="comes with the program"):
        add_model(path)
    card = add_model(path, name="mine")
    assert (card.name, card.sha256, card.contract) == ("mine", shipped.sha256, None)
    assert (card.training, card.scores) == (shipped.training, shipped.scores)
    assert card.file.parent == models / "mine"
    with pytest.raises(UsageError, match="--as"):
        add_model(path, name="other", wanted="lama-1")


def test_a_card_with_another_contract_is_added_anew(models, tmp_path):
    first = add_model(write(tmp_path / "m.onnx", twin(LAMA_255, exchanged=False)))
    text = first.path.read_text().replace("grow = 3", "grow = 9")
    (models / "m" / "changed.toml").write_text(text)
    card = add_model(models / "m" / "changed.toml", name="again")
    assert card.contract.grow == 9
    assert card.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('output_dtype = "float32"', 'output_dtype = "int8"'),
        lambda text: text.replace('["mask"]', '["hole"]'),
        lambda text: text.replace("grow = 3", "grow = -1"),
        lambda text: text.replace("grow = 3", "grow = 0.5"),
        lambda text: text.replace("grow = 3", "grew = 3"),
        lambda text: text.replace("output_range = [0.0, 255.0]", "output_range = [1.0, 1.0]"),
        lambda text: text.replace("max_thickness = 24", "max_thickness = 64"),
        lambda text: text.replace("side = 64\n", "side = 128\n"),
        lambda text: text.replace("[contract.inputs", "[other.inputs"),
        lambda text: text.replace('output = "output"', 'output = "else"'),
        lambda text: text.replace("[contract.inputs.mask]", "[contract.inputs.hole]"),
    ],
)
def test_a_card_that_does_not_fit_its_model_is_refused(change, models, tmp_path):
    first = add_model(write(tmp_path / "m.onnx", LAMA_255))
    text = first.path.read_text()
    assert change(text) != text
    path = models / "m" / "changed.toml"
    path.write_text(change(text))
    with pytest.raises(ModelError):
        add_model(path, name="again")
    assert [one.name for one in models.iterdir()] == ["m"]


@pytest.mark.usefixtures("models")
def test_a_stated_licence_is_kept_and_an_unknown_one_said(tmp_path):
    path = write(tmp_path / "m.onnx", Graph(side=64))
    assert "unknown" in add_model(path).licence
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"license": "MIT"})
    onnx.save(model, path)
    assert add_model(path, name="stated").licence == "MIT"
