"""Promises of where a watch looks and what it leaves alone."""

import pytest

from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli.imaging.images import TEMPORARY_SUFFIX
from inpaintcli.watch.layout import lay_out


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt", "film.mp4", "a.png.tmp", "a.jpg.part", "a.jpg.crdownload", "a.png~",
        ".a.png", "._a.jpg", "~a.png", "#a.png", "a.tmp.png", "a~.png", "a.part.jpg",
        ".a.png.Xy12Zt", f"a{TEMPORARY_SUFFIX}", ".trash/a.png", "sub/.cache/a.png", "a",
    ],
)  # fmt: skip
def test_unfinished_hidden_and_foreign_files_are_left_alone(photos, tmp_path, name):
    layout = lay_out(photos, None, tmp_path / "out", {})
    assert not layout.wants(photos / name)


@pytest.mark.parametrize("name", ["a.png", "A.JPG", "sub/täst photo.tiff", "x" * 220 + ".webp"])
def test_photos_are_wanted(photos, tmp_path, name):
    layout = lay_out(photos, None, tmp_path / "out", {})
    assert layout.wants(photos / name)
    assert not layout.is_mask(photos / name)


def test_our_own_folders_within_the_watched_one_are_left_alone(photos):
    aside = {"--done": photos / "done", "--failed": photos / "sub/failed"}
    layout = lay_out(photos, None, photos / "out", aside)
    for folder in ("out", "done", "sub/failed"):
        assert not layout.wants(photos / folder / "a.png")
        assert not layout.enters(photos / folder)
    assert layout.wants(photos / "sub/a.png")
    assert layout.wants(photos / "outside/a.png")


def test_an_output_folder_that_is_a_link_into_the_watched_one_is_left_alone(photos, tmp_path):
    (photos / "real").mkdir()
    (tmp_path / "out").symlink_to(photos / "real", target_is_directory=True)
    layout = lay_out(photos, None, tmp_path / "out", {})
    assert not layout.wants(photos / "real/a.png")


def test_only_a_folder_of_masks_elsewhere_is_watched_too(photos, tmp_path):
    for inside in (photos / "masks", tmp_path / "masks"):
        inside.mkdir()
    assert lay_out(photos, str(photos / "masks"), tmp_path / "o", {}).roots == (photos,)
    roots = lay_out(photos, str(tmp_path / "masks"), tmp_path / "o", {}).roots
    assert roots == (photos, tmp_path / "masks")


@pytest.mark.parametrize(
    ("mask", "name"), [("masks", "a.png"), (None, "a.mask.png"), ("", "a_mask.png")]
)
def test_a_mask_and_its_photo_have_a_key_in_common(photos, tmp_path, mask, name):
    (photos / "masks").mkdir()
    layout = lay_out(photos, None if mask is None else str(photos / mask), tmp_path / "o", {})
    path = photos / (mask or "") / name
    assert layout.is_mask(path)
    assert set(layout.keys(path)) & set(layout.keys(photos / "a.jpg"))


@pytest.mark.parametrize(
    ("output", "aside"),
    [
        ("in", {}),
        (".", {}),
        ("out", {"--done": "out"}),
        ("out", {"--failed": "in"}),
        ("out", {"--done": "aside", "--failed": "aside"}),
        ("in/a.png", {}),
    ],
)
def test_places_that_contradict_each_other_are_refused(photos, tmp_path, output, aside):
    (photos / "a.png").write_text("x")
    with pytest.raises(UsageError):
        lay_out(photos, None, tmp_path / output, {k: tmp_path / v for k, v in aside.items()})


def test_what_is_missing_is_told(photos, tmp_path):
    with pytest.raises(UnreadableError, match="not a folder"):
        lay_out(tmp_path / "nowhere", None, tmp_path / "out", {})
    with pytest.raises(UnreadableError, match="does not exist"):
        lay_out(photos, str(tmp_path / "nomask.png"), tmp_path / "out", {})
