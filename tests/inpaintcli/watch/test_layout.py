"""Promises of where a watch looks and what it leaves alone."""

import pytest

from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli.imaging.images import TEMPORARY_SUFFIX
from inpaintcli.masks.source import BESIDE, mask_source
from inpaintcli.watch.layout import watch_layout


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
    layout = watch_layout(photos, BESIDE, tmp_path / "out", {})
    assert not layout.includes(photos / name)


@pytest.mark.parametrize("name", ["a.png", "A.JPG", "sub/täst photo.tiff", "x" * 220 + ".webp"])
def test_photos_are_wanted(photos, tmp_path, name):
    layout = watch_layout(photos, BESIDE, tmp_path / "out", {})
    assert layout.includes(photos / name)
    assert not layout.is_mask(photos / name)


def test_our_own_folders_within_the_watched_one_are_left_alone(photos):
    moved_to = {"--done": photos / "done", "--failed": photos / "sub/failed"}
    layout = watch_layout(photos, BESIDE, photos / "out", moved_to)
    for folder in ("out", "done", "sub/failed"):
        assert not layout.includes(photos / folder / "a.png")
        assert not layout.is_searched(photos / folder)
    assert layout.includes(photos / "sub/a.png")
    assert layout.includes(photos / "outside/a.png")


def test_an_output_folder_that_is_a_link_into_the_watched_one_is_left_alone(photos, tmp_path):
    (photos / "real").mkdir()
    (tmp_path / "out").symlink_to(photos / "real", target_is_directory=True)
    layout = watch_layout(photos, BESIDE, tmp_path / "out", {})
    assert not layout.includes(photos / "real/a.png")


def test_only_a_folder_of_masks_elsewhere_is_watched_too(photos, tmp_path):
    for inside in (photos / "masks", tmp_path / "masks"):
        inside.mkdir()
    assert watch_layout(photos, mask_source(str(photos / "masks")), tmp_path / "o", {}).roots == (
        photos,
    )
    roots = watch_layout(photos, mask_source(str(tmp_path / "masks")), tmp_path / "o", {}).roots
    assert roots == (photos, tmp_path / "masks")


@pytest.mark.parametrize(
    ("mask", "name"), [("masks", "a.png"), (None, "a.mask.png"), ("", "a_mask.png")]
)
def test_a_mask_and_its_photo_have_a_key_in_common(photos, tmp_path, mask, name):
    (photos / "masks").mkdir()
    layout = watch_layout(
        photos, mask_source(None if mask is None else str(photos / mask)), tmp_path / "o", {}
    )
    path = photos / (mask or "") / name
    assert layout.is_mask(path)
    assert set(layout.pairing_keys(path)) & set(layout.pairing_keys(photos / "a.jpg"))


@pytest.mark.parametrize(
    ("output", "moved_to"),
    [
        ("in", {}),
        (".", {}),
        ("out", {"--done": "out"}),
        ("out", {"--failed": "in"}),
        ("out", {"--done": "aside", "--failed": "aside"}),
        ("in/a.png", {}),
    ],
)
def test_places_that_contradict_each_other_are_refused(photos, tmp_path, output, moved_to):
    (photos / "a.png").write_text("x")
    with pytest.raises(UsageError):
        watch_layout(
            photos, BESIDE, tmp_path / output, {k: tmp_path / v for k, v in moved_to.items()}
        )


def test_what_is_missing_is_reported(photos, tmp_path):
    with pytest.raises(UnreadableError, match="not a folder"):
        watch_layout(tmp_path / "nowhere", BESIDE, tmp_path / "out", {})
    with pytest.raises(UnreadableError, match="does not exist"):
        watch_layout(photos, mask_source(str(tmp_path / "nomask.png")), tmp_path / "out", {})
