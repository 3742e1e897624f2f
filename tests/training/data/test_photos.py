"""Where photos come from: folders, shards, lists; what cannot be read is left out and counted."""

import pickle
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from inpaintcli_training.data.photos import Photos

from inpaintcli.errors import UnreadableError, UsageError


def shard(folder: Path, path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for photo in sorted(folder.iterdir()):
            tar.add(photo, photo.name)
    return path


def test_a_folder_is_searched_for_photos_and_shards(photo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    shard(photo_folder, tmp_path / "deep" / "photos.tar")
    for name in ("notes.txt", "one.mask.png", "one_mask.png"):
        (tmp_path / name).write_text("no photo")
    cv2.imwrite(str(tmp_path / "one.PNG"), np.zeros((8, 8, 3), np.uint8))
    assert len(Photos([tmp_path])) == 6


def test_photos_come_in_rgb(tmp_path: Path) -> None:
    bgr = np.zeros((4, 4, 3), np.uint8)
    bgr[:, :, 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), bgr)
    assert Photos([tmp_path]).get(0)[0, 0].tolist() == [200, 0, 0]


def test_unreadable_photos_are_skipped_counted_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = np.full((8, 8, 3), 99, np.uint8)
    cv2.imwrite(str(tmp_path / "b.png"), good)
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    (tmp_path / "c.jpg").write_bytes(b"")
    photos = Photos([tmp_path])
    for _ in range(2):
        assert np.array_equal(photos.get(0), good)
        assert np.array_equal(photos.get(2), good)
    assert photos.unreadable == {0, 2}
    assert [record.message for record in caplog.records] == [
        f"left out, cannot be decoded: {tmp_path / name}" for name in ("a.jpg", "c.jpg")
    ]


def test_a_photo_that_went_away_counts_as_unreadable(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    photos = Photos([tmp_path])
    (tmp_path / "a.png").unlink()
    photos.get(0)
    assert photos.unreadable == {0}


def test_without_any_readable_photo_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(UnreadableError, match="None"):
        Photos([tmp_path]).get(0)


def test_an_empty_folder_a_missing_one_and_a_compressed_shard_are_errors(
    photo_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="No photo"):
        Photos([tmp_path])
    with pytest.raises(UnreadableError, match="does not exist"):
        Photos([tmp_path / "nowhere"])
    with pytest.raises(UnreadableError, match="tar"):
        Photos([shard(photo_folder, tmp_path / "compressed.tar", "w:gz")])


def test_the_cache_keeps_to_its_room(photo_folder: Path) -> None:
    photos = Photos([photo_folder], cache_bytes=40 * 60 * 3)
    for index in range(5):
        photos.get(index)
    assert sum(rgb.nbytes for rgb in photos._cache.values()) <= 40 * 60 * 3
    assert photos._cache


def named(photos: Photos) -> list[str]:
    return [entry.path.name for entry in photos.entries]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "# two photos\n\n3.png\n  1.png  \n"),
        ("list.csv", "3.png,scene\n1.png,face\n"),
        ("list.csv", "width,path\n9,3.png\n9,1.png\n"),
        ("list.csv", 'file,note\n"3.png","a, b"\n1.png,\n'),
    ],
)
def test_a_list_names_photos_relative_to_itself(
    name: str, text: str, photo_folder: Path, tmp_path: Path
) -> None:
    for photo in photo_folder.iterdir():
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    (tmp_path / name).write_text(text, encoding="utf-8")
    photos = Photos([tmp_path / name])
    assert named(photos) == ["3.png", "1.png"]
    assert photos.get(0).shape == (80, 50, 3)


def test_a_list_names_folders_and_shards_too_but_no_lists(
    photo_folder: Path, tmp_path: Path
) -> None:
    shard(photo_folder, tmp_path / "photos.tar")
    path = tmp_path / "list.txt"
    path.write_text(f"photos.tar\n{photo_folder}\n")
    assert len(Photos([path])) == 10
    path.write_text("list.txt\n")
    with pytest.raises(UsageError, match="another list"):
        Photos([path])


def test_a_photo_that_a_list_names_and_that_is_missing_is_counted(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "list.txt").write_text("missing.jpg\na.png\n")
    photos = Photos([tmp_path / "list.txt"])
    assert photos.get(0).shape == (8, 8, 3)
    assert photos.unreadable == {0}


def test_an_empty_list_and_one_that_is_no_text_are_errors(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("")
    with pytest.raises(UsageError, match="No photo"):
        Photos([tmp_path / "list.csv"])
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableError, match="list"):
        Photos([tmp_path / "list.txt"])


def test_masks_are_taken_only_where_they_are_wanted(tmp_path: Path) -> None:
    for name in ("a.png", "a.mask.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    assert named(Photos([tmp_path])) == ["a.png"]
    assert named(Photos([tmp_path], masks=True)) == ["a.mask.png", "a.png"]


def test_another_process_gets_the_photos_without_what_is_decoded(photo_folder: Path) -> None:
    photos = Photos([photo_folder], cache_bytes=1000)
    photos.leave_out([2])
    part = pickle.loads(pickle.dumps(photos.divided(4)))  # noqa: S301 - our own bytes
    assert part.cache_bytes == 250
    assert part.unreadable == {2}
    assert np.array_equal(part.get(1), photos.get(1))
