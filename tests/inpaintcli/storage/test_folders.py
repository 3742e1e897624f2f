"""What is found in a folder, what is told of the rest, and globs."""

from pathlib import PurePath

import pytest

from inpaintcli.errors import UnreadableError
from inpaintcli.storage.folders import GlobFilter, find_pictures
from tests.conftest import touch


def test_pictures_at_any_depth_in_order_without_hidden_ones(tmp_path):
    touch(tmp_path, "b.jpg", "a/z.PNG", "a/.hidden.png", ".git/c.png", "notes.txt")
    found = find_pictures(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found.pictures] == [
        "a/z.PNG",
        "b.jpg",
    ]


def test_loops_of_links_are_reported_not_followed(tmp_path):
    touch(tmp_path, "sub/a.png")
    (tmp_path / "sub/up").symlink_to(tmp_path)
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "good.png").symlink_to("sub/a.png")
    found = find_pictures(tmp_path)
    assert [path.name for path in found.pictures] == ["good.png", "a.png"]
    assert found.links == [tmp_path / "sub/up"]
    assert sorted(path.name for path, _ in found.unreadable) == ["circle.png", "gone.png"]


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch):
    touch(tmp_path, "closed/a.png", "open/b.png")
    import os

    true_scandir = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return true_scandir(path)

    monkeypatch.setattr("inpaintcli.storage.folders.os.scandir", scandir)
    found = find_pictures(tmp_path)
    assert [path.name for path in found.pictures] == ["b.png"]
    (where, error) = found.unreadable[0]
    assert where == tmp_path / "closed"
    assert "Permission denied" in error.message


def test_folders_to_leave_out_are_known_by_any_path(tmp_path):
    touch(tmp_path, "out/a.png", "b.png")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    found = find_pictures(tmp_path, excluded=[tmp_path / "link"])
    assert [path.name for path in found.pictures] == ["b.png"]


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(UnreadableError, match="gone"):
        find_pictures(tmp_path / "gone")


@pytest.mark.parametrize(
    ("glob", "hits"),
    [
        ("*.jpg", ["a.JPG", "x/b.jpg", "x/y/c.jpg"]),
        ("x", ["x/b.jpg", "x/y/c.jpg"]),
        ("x/", ["x/b.jpg", "x/y/c.jpg"]),
        ("x/*", ["x/b.jpg", "x/y/c.jpg"]),
        ("x/b.*", ["x/b.jpg"]),
        ("**/b.jpg", ["x/b.jpg"]),
        ("**/a.jpg", ["a.JPG"]),
        ("y", ["x/y/c.jpg"]),
        ("[ab].*", ["a.JPG", "x/b.jpg"]),
    ],
)
def test_globs(glob, hits):
    paths = ["a.JPG", "x/b.jpg", "x/y/c.jpg", "d.png"]
    assert [path for path in paths if GlobFilter((glob,))(PurePath(path))] == hits
    rest = [path for path in paths if path not in hits]
    assert [path for path in paths if GlobFilter((), (glob,))(PurePath(path))] == rest


def test_exclude_wins_over_include():
    selected = GlobFilter(("*.jpg",), ("raw",))
    assert selected(PurePath("a.jpg"))
    assert not selected(PurePath("raw/a.jpg"))
