import json
import tarfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training.catalog import find_recipe
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.distributed import Group
from inpaintcli_training.recipe import Augmentation, HoleMix, Pasted, Recipe

from inpaintcli.errors import UsageError


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


def test_small_photos_are_enlarged_to_the_crop(tmp_path: Path, tiny_membrane: Recipe) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((5, 9, 3), np.uint8))
    rgb, _ = Crops(Photos([tmp_path]), tiny_membrane).crop(0)
    assert rgb.shape == (32, 32, 3)


# Of the photos that `golden` makes: mean of the crop, pixels of its hole, middle of the hole.
GOLDEN = {
    "membrane": [
        (113.188, 4416, 55, 60), (167.083, 876, 56, 50), (112.578, 900, 96, 26),
        (165.123, 2726, 39, 43), (115.667, 2125, 92, 45), (103.37, 2751, 76, 46),
    ],
    "dmfn": [
        (126.842, 14152, 95, 127), (137.664, 5293, 138, 83), (119.862, 5964, 109, 206),
        (136.786, 8964, 190, 79), (127.155, 8300, 85, 210), (115.698, 8262, 153, 58),
    ],
}  # fmt: skip
CROPS = {"membrane": 112, "dmfn": 256}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    folder = tmp_path_factory.mktemp("golden")
    for number, (height, width) in enumerate([(300, 400), (420, 260), (200, 333)]):
        y, x = np.mgrid[:height, :width]
        wave = (x + y) * (number + 1) % 256
        picture = np.stack([x * 255 // width, y * 255 // height, wave], 2)
        cv2.imwrite(str(folder / f"{number}.png"), picture.astype(np.uint8))
    return Photos([folder])


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_seed_cuts_the_crops_that_it_always_cut(name: str, golden: Photos) -> None:
    """Means within half a grey level, for OpenCV's versions resize a little differently."""
    crops = Crops(golden, replace(find_recipe(name), crop=CROPS[name]))
    for index, expected in zip((0, 1, 2, 3, 100, 12345), GOLDEN[name], strict=True):
        rgb, hole = crops.crop(index)
        assert float(rgb.mean()) == pytest.approx(expected[0], abs=0.5)
        middle = [int(at) for at in np.argwhere(hole).mean(0)]
        assert (int(hole.sum()), *middle) == expected[1:]


def test_augmentation_leaves_place_and_hole_of_a_crop_as_they_were(
    golden: Photos, tiny_membrane: Recipe
) -> None:
    brighter = replace(tiny_membrane, augment=Augmentation(brightness=0.3))
    for index in range(5):
        rgb, hole = Crops(golden, tiny_membrane).crop(index)
        changed, same = Crops(golden, brighter).crop(index)
        assert np.array_equal(hole, same)
        assert not np.array_equal(rgb, changed)
        inside = (changed > 5) & (changed < 250) & (rgb > 20)
        factors = changed[inside] / rgb[inside]
        assert np.ptp(factors) < 0.06  # one factor, rounded
        assert 0.69 < factors.mean() < 1.31


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_cut_what_one_thread_cuts_in_the_same_order(
    workers: int, photo_folder: Path, tmp_path: Path, tiny_membrane: Recipe
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    photos = Photos([photo_folder, tmp_path])
    crops = Crops(photos, tiny_membrane)
    batches = crops.batches(4, workers=workers)
    for number, batch in enumerate(islice(batches, 6)):
        expected = crops.batch(4 + 2 * number)
        assert torch.equal(batch.photo, expected.photo)
        assert torch.equal(batch.mask, expected.mask)
    batches.close()
    assert photos.unreadable == {5}


def test_what_a_process_could_not_read_is_known_to_the_trainer(
    photo_folder: Path, tmp_path: Path, tiny_membrane: Recipe
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    photos = Photos([photo_folder, tmp_path])
    batches = Crops(photos, tiny_membrane).batches(0, workers=1)
    list(islice(batches, 4))
    batches.close()
    assert photos.unreadable == {5}


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
def test_parts_of_all_processes_are_the_crops_of_the_batch_in_order(
    size: int, parts: int, photos: Photos, tiny_membrane: Recipe
) -> None:
    recipe = replace(tiny_membrane, batch=4, accumulate=parts)
    crops = Crops(photos, recipe)
    found = []
    for rank in range(size):
        batches = crops.batches(8, group=Group(rank, size))
        found.append(list(islice(batches, 2 * parts)))
        batches.close()
    together = [batch for part in zip(*found, strict=True) for batch in part]
    photo = torch.cat([batch.photo for batch in together])
    assert torch.equal(photo, torch.cat([crops.batch(8).photo, crops.batch(12).photo]))
    assert [batch.index for batch in together] == list(range(8, 16, 4 // size // parts))
    assert [batch.first for batch in together] == [8] * size * parts + [12] * size * parts


def test_pictures_of_holes_and_their_weight_go_together(
    photos: Photos, photo_folder: Path, tiny_membrane: Recipe
) -> None:
    with pytest.raises(UsageError, match="none were named"):
        Crops(photos, replace(tiny_membrane, holes=HoleMix(pictures=1)))
    with pytest.raises(UsageError, match="uses none"):
        Crops(photos, tiny_membrane, Photos([photo_folder], masks=True))


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
        crop = crops.training_crop(index)
        red = crop.rgb[..., 0] > 110
        assert (crop.composite.foreground == red).mean() > 0.99
