import json
import tarfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from inpaintcli.errors import UnreadableError, UsageError
from training.data import Crops, Photos
from training.recipe import Pasted, Recipe


def shard(folder: Path, path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for photo in sorted(folder.iterdir()):
            tar.add(photo, photo.name)
    return path


def test_a_tar_shard_gives_the_same_crops_as_its_folder(
    photo_folder: Path, tmp_path: Path, tiny_membrane: Recipe
) -> None:
    tar = shard(photo_folder, tmp_path / "photos.tar")
    a = Crops(Photos([photo_folder]), tiny_membrane).batch(0)
    b = Crops(Photos([tar]), tiny_membrane).batch(0)
    assert torch.equal(a.photo, b.photo)
    assert torch.equal(a.mask, b.mask)


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


def test_a_batch_is_scaled_to_plus_minus_one_with_1_in_the_hole(
    photos: Photos, tiny_membrane: Recipe
) -> None:
    batch = Crops(photos, tiny_membrane).batch(4)
    assert batch.photo.shape == (2, 3, 32, 32)
    assert batch.mask.shape == (2, 1, 32, 32)
    assert batch.index == 4
    assert -1 <= float(batch.photo.min()) < float(batch.photo.max()) <= 1
    assert set(batch.mask.unique().tolist()) == {0.0, 1.0}
    rgb, hole = Crops(photos, tiny_membrane).crop(5)
    assert np.array_equal(batch.mask[1, 0].numpy() > 0, hole)
    back = ((batch.photo[1] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(back, rgb)


def test_a_crop_depends_on_its_number_and_the_seed_alone(
    photos: Photos, photo_folder: Path, tiny_membrane: Recipe
) -> None:
    walked = Crops(photos, tiny_membrane)
    for index in range(12):
        walked.crop(index)
    fresh = Crops(Photos([photo_folder], cache_bytes=0), tiny_membrane)
    assert np.array_equal(walked.crop(12)[0], fresh.crop(12)[0])
    other = Crops(photos, replace(tiny_membrane, seed=1))
    assert not np.array_equal(walked.crop(12)[0], other.crop(12)[0])


def test_an_epoch_shows_every_photo_once(photos: Photos, tiny_membrane: Recipe) -> None:
    crops = Crops(photos, tiny_membrane)
    for epoch in range(3):
        shown = [crops._photo_of(epoch * 5 + i) for i in range(5)]
        assert sorted(shown) == [0, 1, 2, 3, 4]


def test_batches_prepared_ahead_are_those_asked_for_one_by_one(
    photos: Photos, tiny_membrane: Recipe
) -> None:
    crops = Crops(photos, tiny_membrane)
    batches = crops.batches(6)
    for number, batch in enumerate(islice(batches, 4)):
        assert torch.equal(batch.photo, crops.batch(6 + 2 * number).photo)
        assert batch.index == 6 + 2 * number
    batches.close()


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


def test_small_photos_are_enlarged_to_the_crop(tmp_path: Path, tiny_membrane: Recipe) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((5, 9, 3), np.uint8))
    rgb, _ = Crops(Photos([tmp_path]), tiny_membrane).crop(0)
    assert rgb.shape == (32, 32, 3)


def test_the_cache_keeps_to_its_room(photo_folder: Path) -> None:
    photos = Photos([photo_folder], cache_bytes=40 * 60 * 3)
    for index in range(5):
        photos.get(index)
    assert sum(rgb.nbytes for rgb in photos._cache.values()) <= 40 * 60 * 3
    assert photos._cache


@pytest.fixture
def pasting(tiny_membrane: Recipe) -> Recipe:
    return replace(tiny_membrane, pasted=Pasted(share=0.5), batch=8)


def test_without_pasted_objects_a_batch_has_none(photos: Photos, tiny_membrane: Recipe) -> None:
    batch = Crops(photos, tiny_membrane).batch(0)
    assert batch.pasted is None
    assert batch.foreground is None
    assert batch.to(torch.device("cpu")).pasted is None


def test_pasted_objects_come_with_their_masks_and_the_untouched_photo(
    photos: Photos, pasting: Recipe
) -> None:
    batch = Crops(photos, pasting).batch(0).to(torch.device("cpu"))
    plain = Crops(photos, replace(pasting, pasted=Pasted())).batch(0)
    assert torch.equal(batch.photo, plain.photo)
    with_object = batch.foreground.flatten(1).any(1)
    assert 0 < int(with_object.sum()) < 8
    assert torch.equal(batch.mask[~with_object], plain.mask[~with_object])
    assert torch.equal(batch.pasted[~with_object], batch.photo[~with_object])
    assert not (batch.mask * batch.foreground).any()
    known = (batch.mask + batch.foreground == 0).expand_as(batch.photo)
    assert torch.equal(batch.pasted[known], batch.photo[known])
    assert not torch.equal(batch.pasted[with_object], batch.photo[with_object])


def test_pasted_objects_depend_on_the_crops_number_and_the_seed_alone(
    photos: Photos, photo_folder: Path, pasting: Recipe
) -> None:
    walked = Crops(photos, pasting)
    walked.batch(0)
    fresh = Crops(Photos([photo_folder], cache_bytes=0), pasting)
    assert torch.equal(walked.batch(8).pasted, fresh.batch(8).pasted)


def test_annotated_objects_are_cut_as_their_crop_is(tmp_path: Path, pasting: Recipe) -> None:
    """A red object on green, annotated: all that is pasted was red in the crop."""
    photo = np.zeros((60, 80, 3), np.uint8)
    photo[..., 1] = 200
    photo[20:45, 30:50] = (0, 0, 220)  # BGR
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    outline = [[30, 20, 49, 20, 49, 44, 30, 44]]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 60, "width": 80}],
        "annotations": [{"image_id": 1, "segmentation": outline}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    pasted = Pasted(share=1, annotations=str(tmp_path / "coco.json"), share_of_crop=(0.01, 0.6))
    crops = Crops(Photos([tmp_path / "a.png"]), replace(pasting, pasted=pasted))
    for index in range(6):
        crop = crops.drawn(index)
        red = crop.rgb[..., 0] > 110
        assert (crop.composite.foreground == red).mean() > 0.99
