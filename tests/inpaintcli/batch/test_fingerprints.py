"""By what a file, and what was made of it, is known again."""

import os
import time

import pytest

from inpaintcli.batch.fingerprints import Digest, Stamp, digest_of, key_of

MODEL, OPTIONS = "m" * 64, {"grow": 0}


@pytest.fixture
def pair(tmp_path):
    photo, mask = tmp_path / "a.jpg", tmp_path / "a.png"
    photo.write_bytes(b"photo")
    mask.write_bytes(b"mask")
    return photo, mask


def age(path, seconds=60):
    """Make a file look older, as far as a program can."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_the_same_files_model_and_options_are_no_change(pair):
    photo, mask = pair
    key = key_of(photo, mask, MODEL, OPTIONS)
    assert key.changed(photo, mask, MODEL, dict(OPTIONS)) == ""


def test_each_part_of_a_key_counts(pair, tmp_path):
    photo, mask = pair
    other = tmp_path / "other"
    other.write_bytes(b"other")
    key = key_of(photo, mask, MODEL, OPTIONS)
    assert key.changed(other, mask, MODEL, OPTIONS) == "the photo"
    assert key.changed(photo, other, MODEL, OPTIONS) == "the mask"
    assert key.changed(photo, None, MODEL, OPTIONS) == "the mask"
    assert key.changed(photo, mask, "n" * 64, OPTIONS) == "the model"
    assert key.changed(photo, mask, MODEL, {"grow": 1}) == "an option"


def test_content_counts_not_name_nor_time(pair, tmp_path):
    photo, mask = pair
    key = key_of(photo, mask, MODEL, OPTIONS)
    moved = tmp_path / "moved.jpg"
    moved.write_bytes(photo.read_bytes())
    age(moved)
    assert key.changed(moved, mask, MODEL, OPTIONS) == ""


def test_a_change_that_keeps_size_and_time_is_seen(pair):
    photo, mask = pair
    age(photo)
    key = key_of(photo, mask, MODEL, OPTIONS)
    before = photo.stat()
    photo.write_bytes(b"PHOTO")
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert key.changed(photo, mask, MODEL, OPTIONS) == "the photo"


def test_a_file_is_not_read_again_while_its_stamp_stays(pair):
    photo, _ = pair
    digest = Digest("not its hash", Stamp.of(photo))
    assert digest.still_of(photo)
    assert not Digest("not its hash", None).still_of(photo)


def test_a_file_changed_just_now_has_no_stamp_to_trust(pair):
    """It may change again within the same tick of the file system's clock."""
    assert digest_of(pair[0]).stamp is None


def test_an_old_file_has_one(pair, monkeypatch):
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr("inpaintcli.batch.fingerprints.time.time_ns", lambda: later)
    assert digest_of(pair[0]).stamp == Stamp.of(pair[0])
