"""What is removed from an output's metadata is said, and the option is part of its fingerprint."""

import pytest
from PIL import Image

from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.requests import FillRequest
from inpaintcli.console import Console
from inpaintcli.options import FillOptions
from tests.inpaintcli.imaging.metadata import carriers

THUMBNAIL = carriers.THUMBNAIL[900:1200]


@pytest.fixture
def photo(tmp_path):
    """A photo with a thumbnail and a C2PA manifest, and its mask."""
    pieces = (carriers.app1(carriers.exif(second=carriers.THUMBNAIL)), carriers.jumbf())
    (tmp_path / "in.jpg").write_bytes(carriers.jpeg(*pieces))
    mask = Image.new("L", (60, 80))  # the orientation is 6
    mask.paste(255, (20, 20, 40, 50))
    mask.save(tmp_path / "in.mask.png")
    return tmp_path


def filled(folder, model, policy):
    said, job = [], LocalJob(folder / "in.jpg", folder / "in.mask.png", folder / "out.jpg")
    options = FillOptions(metadata=policy)
    outcome = JobRunner.for_one(model, options, said.append, overwrite=True).run(job)
    return outcome, said, (folder / "out.jpg").read_bytes()


def test_what_is_removed_is_in_the_note_and_losses_are_said_at_once(photo, grey_model):
    outcome, said, data = filled(photo, grey_model, "safe")
    assert THUMBNAIL not in data
    note = outcome.to_json()["note"]
    assert "the EXIF thumbnail" in note
    assert "C2PA manifest" in note
    assert "C2PA" in said[0]
    assert not any("thumbnail" in sentence for sentence in said)


def test_what_is_kept_although_it_shows_the_photo_is_said(photo, grey_model):
    outcome, said, data = filled(photo, grey_model, "keep")
    assert data.count(THUMBNAIL) == 2
    assert "kept as asked" in said[0]
    assert "the EXIF thumbnail" in outcome.to_json()["note"]


def test_strip_also_holds_where_nothing_was_to_be_filled(photo, grey_model):
    Image.new("L", (60, 80)).save(photo / "in.mask.png")
    _, _, data = filled(photo, grey_model, "strip")
    assert THUMBNAIL not in data
    assert b"Exif" not in data


def test_another_value_of_the_option_is_another_output():
    found = [
        FillRequest(console=Console(), options=FillOptions(metadata=policy)).fingerprint()
        for policy in ("keep", "safe", "strip")
    ]
    assert len({str(one) for one in found}) == 3


def test_there_is_no_fourth_value():
    with pytest.raises(ValueError, match="keep, safe, strip"):
        FillOptions(metadata="none")


@pytest.mark.parametrize("command", ["fill", "harmonize"])
@pytest.mark.parametrize(("policy", "kept"), [("strip", False), ("safe", True)])
def test_strip_holds_on_standard_output_too(photo, program, command, policy, kept):
    """Of a photo whose mask is empty, which is copied otherwise."""
    mask = photo / "empty.png"
    Image.new("L", (60, 80)).save(mask)
    words = (photo / "in.jpg", "--mask", mask, "--metadata", policy, "-o", "-")
    assert (b"Exif" in program(command, *words, check=0).stdout) is kept
