import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.guided_one import GuidedJob, GuidedRequest, put_into_photo
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, MaskMismatchError, OutputError, UnreadableError, UsageError
from inpaintcli.imaging.images import read_picture
from inpaintcli.objects.placement import Placement
from tests.conftest import photo_pixels

REQUEST = GuidedRequest(console=Console(json=True))


@pytest.fixture
def job(tmp_path):
    """A photo, and a guide with a red disk before noise."""
    rows, columns = np.mgrid[:120, :140]
    inside = np.hypot(rows - 60, columns - 70) < 30
    noise = np.random.default_rng(0).integers(90, 120, (120, 140, 3))
    guide = np.where(inside[..., None], noise + np.array([120, -60, -60]), noise).astype(np.uint8)
    Image.fromarray(photo_pixels(150, 200)).save(tmp_path / "photo.png")
    Image.fromarray(guide).save(tmp_path / "guide.png")
    Image.fromarray(inside).save(tmp_path / "outline.png")
    placement = Placement.parse("35,25,70,70", "100,60")
    output = tmp_path / "photo.guided.png"
    return GuidedJob(
        tmp_path / "photo.png", None, output, guide=tmp_path / "guide.png", placement=placement
    )


def test_the_object_in_the_box_is_found_and_put_in(job, capsys):
    assert put_into_photo(REQUEST, job) == ExitCode.OK
    line = json.loads(capsys.readouterr().out)
    assert (line["status"], line["output"]) == ("filled", str(job.output))
    assert line["placed"] == [100, 60, 70, 70]
    assert (line["method"], line["amount"], line["guide"]) == ("predicted", 1.0, str(job.guide))
    before, after = (read_picture(path).pixels for path in (job.photo, job.output))
    changed = (before != after).any(axis=2)
    assert changed.sum() == pytest.approx(np.pi * 30**2, rel=0.15)
    changed[60:130, 100:170] = False
    assert not changed.any()


def test_a_mask_of_the_guide_needs_no_box(job, capsys):
    named = replace(
        job, mask=job.guide.with_name("outline.png"), placement=Placement.parse(None, "0,0")
    )
    assert put_into_photo(REQUEST, named) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["placed"] == [0, 0, 59, 59]


def test_what_cannot_be_is_an_object_of_json_too(job, capsys):
    def refused(error: type[Exception], problem: str, **changes) -> None:
        with pytest.raises(error, match=problem):
            put_into_photo(REQUEST, replace(job, **changes))
        assert json.loads(capsys.readouterr().out)["status"] == "failed"

    refused(UsageError, "where in the guide", placement=Placement.parse(None, "0,0"))
    refused(MaskMismatchError, "900,0", placement=Placement.parse("900,0,9,9", "0,0"))
    refused(MaskMismatchError, "outside", placement=Placement.parse("35,25,70,70", "300,0"))
    refused(UnreadableError, "nowhere", guide=Path("nowhere.png"))
    refused(OutputError, "guide.png", output=job.guide)
    flat = job.guide.with_name("flat.png")
    Image.fromarray(np.full((120, 140, 3), 99, np.uint8)).save(flat)
    refused(MaskMismatchError, "of the guide", guide=flat)
    assert not job.output.exists()


def test_a_dry_run_writes_nothing(job, capsys):
    request = GuidedRequest(console=Console(), dry_run=True)
    assert put_into_photo(request, job) == ExitCode.OK
    assert "would put the box 35,25,70,70" in capsys.readouterr().out
    assert not job.output.exists()
