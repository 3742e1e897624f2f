"""Files and names in stores, side by side."""

from pathlib import Path, PurePath

import pytest
from tests.inpaintcli.test_stores import fsspec, put, root

from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.storage.places import (
    fetched,
    held,
    is_one,
    joined,
    looked_up,
    names_in,
    place,
    publish,
    relative,
)
from inpaintcli.storage.stores import Facts, Url

__all__ = ["fsspec", "root"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.png", Path("a.png")),
        ("C:/photos/a.png", Path("C:/photos/a.png")),
        ("file:///photos/a%20b.png", Path("/photos/a b.png")),
        ("s3://bucket/a.png", Url("s3://bucket/a.png")),
        ("s3://bucket/x/", Url("s3://bucket/x")),
        ("-", Path("-")),
    ],
)
def test_what_a_text_names(text, found):
    assert place(text) == found


def test_chains_are_refused():
    with pytest.raises(UsageError, match="chain"):
        place("zip://a.png::s3://bucket/all.zip")


@pytest.mark.parametrize(
    ("folder", "text", "found"),
    [
        (Path("lists"), "a.png", Path("lists/a.png")),
        (Path("lists"), "/photos/a.png", Path("/photos/a.png")),
        (Path("lists"), "s3://b/a.png", Url("s3://b/a.png")),
        (Url("s3://b/lists"), "a.png", Url("s3://b/lists/a.png")),
        (Url("s3://b/lists"), "../a.png", Url("s3://b/a.png")),
        (Url("s3://b/lists"), "gs://c/a.png", Url("gs://c/a.png")),
    ],
)
def test_what_a_cell_of_a_list_names(folder, text, found):
    assert joined(folder, text) == found


def test_a_file_is_held_as_it_is_and_a_name_in_a_store_as_a_copy(root, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    with held(path) as same:
        assert same == path
    put(root / "a.png", b"2")
    with held(root / "a.png") as copy:
        assert copy.read_bytes() == b"2"
        assert copy.name == "a.png"
    assert not copy.exists()


def test_names_too_long_for_a_file_are_fetched_all_the_same(root, tmp_path):
    url = root / ("x" * 400 + ".png")
    put(url, b"1")
    assert fetched(url, tmp_path, "photo").suffix == ".png"


def test_what_is_not_there_is_named(root, tmp_path):
    with pytest.raises(UnreadableError, match=r"memory://box/a\.png does not exist"):
        fetched(root / "a.png", tmp_path, "photo")


def test_many_names_are_looked_up_at_once(root):
    put(root / "a.png", b"123")
    file, there, gone = looked_up([Path("x"), root / "a.png", root / "b.png"])
    assert file == Path("x")
    assert there.known.size == 3
    assert gone.known == Facts()


def test_names_in_a_store_are_known_after_one_listing(root, tmp_path):
    put(root / "x/a.png", b"123")
    named = names_in(root)
    assert named(PurePath("x/a.png")).known.size == 3
    assert named(PurePath("x/b.png")).known == Facts()
    assert names_in(tmp_path)(PurePath("x/a.png")) == tmp_path / "x/a.png"


def test_what_lies_in_what():
    assert relative(Url("s3://b/x/a.png"), Url("s3://b")).as_posix() == "x/a.png"
    assert relative(Path("x/a.png"), Path("x")).as_posix() == "a.png"
    with pytest.raises(ValueError, match="not in"):
        relative(Path("x/a.png"), Url("s3://b"))
    assert is_one(Url("s3://b/a"), Url("s3://b/a"))
    assert not is_one(Path("a"), Url("s3://b/a"))


def test_publishing_never_replaces_unless_told_to(root, tmp_path):
    for target in (root / "a.png", tmp_path / "a.png"):
        publish(b"1", target, overwrite=False, temporary=".t")
        with pytest.raises(OutputError, match=r"a\.png exists"):
            publish(b"2", target, overwrite=False, temporary=".t")
        publish(b"2", target, overwrite=True, temporary=".t")
        with held(target) as path:
            assert path.read_bytes() == b"2"
