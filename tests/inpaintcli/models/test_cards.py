"""Promises about models: what is shipped is whole; what is broken is named."""

import onnx
import pytest
from inpaintcli_engines.base import Profile

from inpaintcli.errors import ModelError
from inpaintcli.models.cards import DEFAULT, cards, find_card, read_card, verify


@pytest.mark.parametrize("name", sorted(cards()))
def test_every_shipped_model_is_whole_and_says_what_it_was_made_of(name):
    card = cards()[name]
    verify(card)
    assert card.task == "fill"
    assert card.licence
    assert card.training["images"] > 0
    assert card.training["data"]
    assert card.scores
    outputs = {value.name for value in onnx.load(card.file).graph.output}
    assert card.harmonizes == ("harmonized" in outputs)
    assert card.parity
    assert card.file.stat().st_size <= 25 << 20


def test_the_default_is_shipped():
    assert find_card().name == DEFAULT


def test_an_unknown_model_is_named_and_the_known_ones_listed():
    with pytest.raises(ModelError, match="'nobody'.*" + DEFAULT):
        find_card("nobody")


def copied(tmp_path, change=lambda text: text):
    card = find_card()
    path = tmp_path / "copy.toml"
    path.write_text(change(card.path.read_text(encoding="utf-8")), encoding="utf-8")
    (tmp_path / card.file.name).write_bytes(card.file.read_bytes())
    return path


def test_a_card_is_found_by_its_path(tmp_path):
    card = find_card(str(copied(tmp_path)))
    verify(card)
    assert card.file.parent == tmp_path


def test_a_damaged_model_is_refused(tmp_path):
    card = read_card(copied(tmp_path))
    data = bytearray(card.file.read_bytes())
    data[len(data) // 2] ^= 1
    card.file.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        verify(card)


def test_a_missing_model_is_refused(tmp_path):
    card = read_card(copied(tmp_path))
    card.file.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        verify(card)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "name = ",
        lambda _: "name = 'x'",
        lambda text: text.replace("size_multiple", "size"),
        lambda text: text.replace("max_thickness = ", "max_thickness = 'x' # "),
    ],
)
def test_a_garbled_card_is_refused(tmp_path, change):
    with pytest.raises(ModelError, match=r"copy\.toml"):
        read_card(copied(tmp_path, change))


def test_a_missing_card_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.toml"):
        find_card(str(tmp_path / "gone.toml"))


def test_the_profile_follows_from_how_holes_are_cut(tmp_path):
    own = find_card()
    assert own.profile.side == (own.size_multiple, 192, 512)
    stated = "[profile]\nbatch = [1, 4, 16]\nside = [64, 256, 1024]\n\n[scores]"
    card = read_card(copied(tmp_path, lambda text: text.replace("[scores]", stated)))
    assert card.profile == Profile(batch=(1, 4, 16), side=(64, 256, 1024))
    falling = stated.replace("64, 256", "256, 64")
    with pytest.raises(ModelError, match="least, usual, most"):
        read_card(copied(tmp_path, lambda text: text.replace("[scores]", falling)))
