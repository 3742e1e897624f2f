"""Files and names in stores, side by side."""

from pathlib import Path, PurePath

import pytest

from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.storage.locations import (
    fetch_into,
    is_same_file,
    local_copy,
    locations_in,
    parse_location,
    publish,
    relative_path,
    resolve_in,
    with_file_info,
)
from inpaintcli.storage.stores import FileInfo, StoreUrl
from tests.inpaintcli.storage.test_stores import fsspec, put, root

__all__ = ["fsspec", "root"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.png", Path("a.png")),
        ("C:/photos/a.png", Path("C:/photos/a.png")),
        ("file:///photos/a%20b.png", Path("/photos/a b.png")),
        ("s3://bucket/a.png", StoreUrl("s3://bucket/a.png")),
        ("s3://bucket/x/", StoreUrl("s3://bucket/x")),
        ("-", Path("-")),
    ],
)
def test_what_a_text_names(text, found):
    assert parse_location(text) == found


def test_chains_are_refused():
    with pytest.raises(UsageError, match="chain"):
        parse_location("zip://a.png::s3://bucket/all.zip")


@pytest.mark.parametrize(
    ("folder", "text", "found"),
    [
        (Path("lists"), "a.png", Path("lists/a.png")),
        (Path("lists"), "/photos/a.png", Path("/photos/a.png")),
        (Path("lists"), "s3://b/a.png", StoreUrl("s3://b/a.png")),
        (StoreUrl("s3://b/lists"), "a.png", StoreUrl("s3://b/lists/a.png")),
        (StoreUrl("s3://b/lists"), "../a.png", StoreUrl("s3://b/a.png")),
        (StoreUrl("s3://b/lists"), "gs://c/a.png", StoreUrl("gs://c/a.png")),
    ],
)
def test_what_a_cell_of_a_list_names(folder, text, found):
    assert resolve_in(folder, text) == found


def test_a_file_is_held_as_it_is_and_a_name_in_a_store_as_a_copy(root, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    with local_copy(path) as same:
        assert same == path
    put(root / "a.png", b"2")
    with local_copy(root / "a.png") as copy:
        assert copy.read_bytes() == b"2"
        assert copy.name == "a.png"
    assert not copy.exists()


def test_names_too_long_for_a_file_are_fetched_all_the_same(root, tmp_path):
    url = root / ("x" * 400 + ".png")
    put(url, b"1")
    assert fetch_into(tmp_path, "photo", url).suffix == ".png"


def test_what_is_not_there_is_named(root, tmp_path):
    with pytest.raises(UnreadableError, match=r"memory://box/a\.png does not exist"):
        fetch_into(tmp_path, "photo", root / "a.png")


def test_many_names_are_looked_up_at_once(root):
    put(root / "a.png", b"123")
    file, there, gone = with_file_info([Path("x"), root / "a.png", root / "b.png"])
    assert file == Path("x")
    assert there.listed.size == 3
    assert gone.listed == FileInfo()


def test_names_in_a_store_are_known_after_one_listing(root, tmp_path):
    put(root / "x/a.png", b"123")
    named = locations_in(root)
    assert named(PurePath("x/a.png")).listed.size == 3
    assert named(PurePath("x/b.png")).listed == FileInfo()
    assert locations_in(tmp_path)(PurePath("x/a.png")) == tmp_path / "x/a.png"


def test_what_lies_in_what():
    assert relative_path(StoreUrl("s3://b/x/a.png"), StoreUrl("s3://b")).as_posix() == "x/a.png"
    assert relative_path(Path("x/a.png"), Path("x")).as_posix() == "a.png"
    with pytest.raises(ValueError, match="not in"):
        relative_path(Path("x/a.png"), StoreUrl("s3://b"))
    assert is_same_file(StoreUrl("s3://b/a"), StoreUrl("s3://b/a"))
    assert not is_same_file(Path("a"), StoreUrl("s3://b/a"))


def test_publishing_never_replaces_unless_asked_to(root, tmp_path):
    for target in (root / "a.png", tmp_path / "a.png"):
        publish(b"1", target, overwrite=False, temporary=".t")
        with pytest.raises(OutputError, match=r"a\.png exists"):
            publish(b"2", target, overwrite=False, temporary=".t")
        publish(b"2", target, overwrite=True, temporary=".t")
        with local_copy(target) as path:
            assert path.read_bytes() == b"2"
