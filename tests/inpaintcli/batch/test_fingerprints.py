"""By what a file, and what was made of it, is known again."""

import os
import time
from dataclasses import replace

import pytest

from inpaintcli.batch.fingerprints import Digest, FileStamp, RunFingerprint, digest_of

RUN = RunFingerprint(model="m" * 64, options={"grow": 0})


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
    fingerprint = RUN.of_job(photo, mask)
    assert fingerprint.difference(photo, mask, RUN) == ""


def test_each_part_of_a_fingerprint_counts(pair, tmp_path):
    photo, mask = pair
    other = tmp_path / "other"
    other.write_bytes(b"other")
    fingerprint = RUN.of_job(photo, mask)
    assert fingerprint.difference(other, mask, RUN) == "the photo"
    assert fingerprint.difference(photo, other, RUN) == "the mask"
    assert fingerprint.difference(photo, None, RUN) == "the mask"
    assert fingerprint.difference(photo, mask, replace(RUN, model="n" * 64)) == "the model"
    assert fingerprint.difference(photo, mask, replace(RUN, options={"grow": 1})) == "an option"


def test_content_counts_not_name_nor_time(pair, tmp_path):
    photo, mask = pair
    fingerprint = RUN.of_job(photo, mask)
    moved = tmp_path / "moved.jpg"
    moved.write_bytes(photo.read_bytes())
    age(moved)
    assert fingerprint.difference(moved, mask, RUN) == ""


def test_a_change_that_keeps_size_and_time_is_seen(pair):
    photo, mask = pair
    age(photo)
    fingerprint = RUN.of_job(photo, mask)
    before = photo.stat()
    photo.write_bytes(b"PHOTO")
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fingerprint.difference(photo, mask, RUN) == "the photo"


def test_a_file_is_not_read_again_while_its_stamp_stays(pair):
    photo, _ = pair
    digest = Digest("not its hash", FileStamp.of(photo))
    assert digest.matches(photo)
    assert not Digest("not its hash", None).matches(photo)


def test_a_file_changed_just_now_has_no_stamp_to_trust(pair):
    """It may change again within the same tick of the file system's clock."""
    assert digest_of(pair[0]).stamp is None


def test_an_old_file_has_one(pair, monkeypatch):
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr("inpaintcli.batch.fingerprints.time.time_ns", lambda: later)
    assert digest_of(pair[0]).stamp == FileStamp.of(pair[0])
