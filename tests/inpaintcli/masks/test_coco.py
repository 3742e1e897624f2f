"""COCO's files, as the format's own library writes them; large ones in little memory."""

import json
import tracemalloc
from pathlib import PurePath

import numpy as np
import pytest

from inpaintcli.errors import UnreadableError
from inpaintcli.imaging.picture import Picture
from inpaintcli.masks.annotations import Annotations
from inpaintcli.masks.drawing import draw_ellipse

HEIGHT, WIDTH = 60, 80
BLANK = Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def image(number=1, name="a.jpg", **fields):
    return {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, **fields}


def annotation(number, image_id=1, **fields):
    return {"id": number, "image_id": image_id, "category_id": 1, **fields}


def written(tmp_path, annotations, images=None, **members):
    path = tmp_path / "instances.json"
    fields = {"info": {}, "images": images or [image()], "annotations": annotations, **members}
    path.write_text(json.dumps(fields))
    return path


def mask_of(path, photo="a.jpg", labels=()):
    drawings = Annotations(path, [PurePath(photo)], labels).of(PurePath(photo))
    return np.logical_or.reduce(
        [np.zeros((HEIGHT, WIDTH), bool), *(drawing.mask(BLANK) for drawing in drawings)]
    )


@pytest.fixture
def blob(rng):
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    for _ in range(6):
        draw_ellipse(mask, tuple(rng.uniform(5, 60, 2)), tuple(rng.uniform(2, 12, 2)))
    mask[::7] ^= rng.random((len(mask[::7]), WIDTH)) < 0.5
    return mask


def test_run_lengths_of_the_formats_own_library_are_read_bit_for_bit(tmp_path, blob):
    library = pytest.importorskip("pycocotools.mask")
    runs = library.encode(np.asfortranarray(blob, np.uint8))
    runs["counts"] = runs["counts"].decode()
    path = written(tmp_path, [annotation(1, segmentation=runs, iscrowd=1)])
    assert (mask_of(path) == blob).all()


def test_plain_run_lengths_are_read_bit_for_bit(tmp_path, blob):
    flat = blob.T.ravel().astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
    counts = np.diff(np.concatenate([[0], edges])).tolist()
    path = written(tmp_path, [annotation(1, segmentation={"size": [60, 80], "counts": counts})])
    assert (mask_of(path) == blob).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools
def test_polygons_cover_what_the_formats_own_library_covers(tmp_path):
    library = pytest.importorskip("pycocotools.mask")
    rings = [[10.5, 8, 50, 12.25, 40, 50, 12, 44.5], [60, 5, 75, 5, 75, 30, 60, 30]]
    theirs = library.decode(library.merge(library.frPyObjects(rings, HEIGHT, WIDTH))).astype(bool)
    ours = mask_of(written(tmp_path, [annotation(1, segmentation=rings)]))
    assert (ours ^ theirs).sum() < 0.03 * theirs.sum()  # they put edges between pixels elsewhere


def test_several_annotations_of_a_photo_add_up_and_others_do_not_count(tmp_path):
    def box(x):
        return [[x, 10, x + 10, 10, x + 10, 20, x, 20]]

    annotations = [
        annotation(1, segmentation=box(5)),
        annotation(2, image_id=2, segmentation=box(30)),
        annotation(3, segmentation=box(50)),
        annotation(4, segmentation=[], bbox=[65, 0, 5, 5]),
    ]
    path = written(tmp_path, annotations, [image(1), image(2, "b.jpg")])
    found = mask_of(path)
    assert found.sum() == 225
    assert found[15, 7]
    assert found[15, 55]
    assert not found[15, 35]


def test_labels_choose_categories_wherever_they_are_in_the_file(tmp_path):
    shape = {"segmentation": [[0, 0, 10, 0, 10, 10, 0, 10]]}
    other = {"segmentation": [[20, 0, 30, 0, 30, 10, 20, 10]], "category_id": 2}
    names = [{"id": 1, "name": "date stamp"}, {"id": 2, "name": "person"}]
    path = written(tmp_path, [annotation(1, **shape), annotation(2, **other)], categories=names)
    assert mask_of(path, labels=("date stamp",)).sum() == 100
    assert mask_of(path, labels=("date stamp", "person")).sum() == 200
    assert mask_of(path, labels=("car",)).sum() == 0


def test_members_may_come_in_any_order(tmp_path):
    path = tmp_path / "a.json"
    fields = {"annotations": [annotation(1, bbox=[0, 0, 5, 5])], "images": [image()]}
    path.write_text(json.dumps(fields))
    assert mask_of(path).sum() == 25


@pytest.mark.parametrize(
    "shape",
    [
        {"segmentation": [[1, 2, 3, 4]]},
        {"segmentation": [[1, 2, 3, 4, 5, 6, 7]]},
        {"segmentation": [[1, 2, 3, 4, 5, float("nan")]]},
        {"segmentation": [[1, 2, 3, 4, 5, float("inf")]]},
        {"segmentation": [[1, 2, 3, 4, 5, "6"]]},
        {"segmentation": [7]},
        {"segmentation": "polygon"},
        {"segmentation": {"size": [60, 80], "counts": [1, 2]}},
        {"segmentation": {"size": [60, 80], "counts": [4801, -1]}},
        {"segmentation": {"size": [60, 80], "counts": "~~~"}},
        {"segmentation": {"size": [60, 80], "counts": "oooo"}},
        {"segmentation": {"size": [-1, 80], "counts": "0"}},
        {"segmentation": {"size": [10**6, 10**6], "counts": [10**12]}},
        {"segmentation": {"counts": "0"}},
        {"bbox": [1, 2, 3]},
        {},
    ],
    ids=str,
)
def test_a_wrong_shape_is_named_and_concerns_its_photo_only(tmp_path, shape):
    annotations = [annotation(17, **shape), annotation(18, image_id=2, bbox=[0, 0, 5, 5])]
    path = written(tmp_path, annotations, [image(1), image(2, "b.jpg")])
    found = Annotations(path, None, ())
    with pytest.raises(UnreadableError, match=r"Annotation 17 of instances.json is wrong: "):
        found.of(PurePath("a.jpg"))
    assert found.of(PurePath("b.jpg"))


@pytest.mark.parametrize("size", [1, 17, 4096])
def test_what_ends_between_two_reads_is_read_whole(tmp_path, monkeypatch, size):
    monkeypatch.setattr("inpaintcli.masks.json_stream.CHUNK", size)
    path = written(tmp_path, [annotation(n, bbox=[n, 0, 1, 1]) for n in range(30)])
    assert mask_of(path).sum() == 30


def test_a_large_file_is_read_in_little_memory(tmp_path):
    """50 MB of annotations; what is kept is that of the one photo that is asked for."""
    path = tmp_path / "instances.json"
    ring = ",".join(f"{x / 3:.2f},{x / 7:.2f}" for x in range(400))
    with path.open("w") as file:
        images = ",".join(json.dumps(image(n, f"{n:06}.jpg")) for n in range(11_000))
        file.write(f'{{"images": [{images}], "annotations": [')
        for number in range(11_000):
            start = "" if number == 0 else ","
            file.write(
                f'{start}{{"id": {number}, "image_id": {number}, "segmentation": [[{ring}]]}}'
            )
        file.write("]}")
    assert path.stat().st_size > 50e6
    tracemalloc.start()
    try:
        found = Annotations(path, [PurePath("004711.jpg")], ())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.of(PurePath("004711.jpg"))
    assert peak < 15e6
