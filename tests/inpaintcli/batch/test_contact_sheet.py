"""The contact sheet of a run."""

import os
import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch import contact_sheet
from inpaintcli.batch.contact_sheet import THUMBNAIL_SIDE, ContactSheet
from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import OutputError, UnreadableError
from tests.conftest import photo_pixels


def outcome(folder, name="a.png", **changes):
    before, after = folder / name, folder / f"out-{name}"
    for path in (before, after):
        Image.fromarray(photo_pixels(300, 400)).save(path)
    fields = {"status": "filled", "input": before, "mask": None, "output": after}
    return Outcome(**{**fields, **changes})


def page(folder, outcomes, photos=1):
    path = folder / "report.html"
    with closing(ContactSheet(path, photos, overwrite=False)) as sheet:
        for one in outcomes:
            sheet.add(one)
        sheet.write(title="<script>", summary="filled 1 & 2")
    return path.read_text(encoding="utf-8")


def test_it_shows_before_and_after_and_needs_no_other_file(tmp_path):
    text = page(tmp_path, [outcome(tmp_path)])
    assert text.count("data:image/jpeg;base64,") == 2
    assert not re.search(r"(src|href)=\"(?!data:)", text)


def test_names_and_messages_are_escaped(tmp_path):
    error = UnreadableError("<b>bold</b> & broken")
    bad = Outcome(
        status="failed", input=Path("<img src=x>\udcff.png"), mask=None, output=None, error=error
    )
    text = page(tmp_path, [outcome(tmp_path, "a&b <i>.png"), bad])
    assert "<script>" not in text
    assert "<img src=x>" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert "a&amp;b &lt;i&gt;.png" in text


def test_of_many_photos_an_even_sample_is_shown_and_all_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "MAX_PAIRS", 5)
    one = outcome(tmp_path)
    bad = Outcome(
        status="failed", input=one.input, mask=None, output=None, error=UnreadableError("bad")
    )
    text = page(tmp_path, [one] * 20 + [bad] * 3, photos=20)
    assert text.count("<img") == 2 * 5
    assert text.count('class="failed"') == 3
    assert "one in 4" in text


def test_failures_beyond_the_limit_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "MAX_FAILURES", 2)
    bad = Outcome(
        status="failed", input=tmp_path, mask=None, output=None, error=UnreadableError("bad")
    )
    text = page(tmp_path, [bad] * 5)
    assert text.count('class="failed"') == 2
    assert "3 more failed" in text


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P", "I;16"])
def test_thumbnails_of_any_kind_are_small(tmp_path, mode):
    path = tmp_path / "a.png"
    if mode == "I;16":
        Image.fromarray(photo_pixels(300, 400, 1, 16)[..., 0]).save(path)
    else:
        Image.fromarray(photo_pixels(300, 400)).convert(mode).save(path)
    import base64
    import io

    with Image.open(io.BytesIO(base64.b64decode(contact_sheet.thumbnail(path)))) as image:
        assert image.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE * 3 // 4)
        assert 30 < np.asarray(image).mean() < 225


def test_a_report_without_a_folder_is_refused_before_the_work(tmp_path):
    with pytest.raises(OutputError, match="gone is not a folder"):
        ContactSheet(tmp_path / "gone/report.html", 1, overwrite=True)


def test_only_a_report_of_ours_is_replaced(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("<html>mine</html>")
    with pytest.raises(OutputError, match="not a contact sheet"):
        ContactSheet(path, 1, overwrite=False)
    path.unlink()
    page(tmp_path, [outcome(tmp_path)])
    page(tmp_path, [])
    assert not list(tmp_path.glob(".*part"))


def test_a_disk_that_is_full_is_reported_in_the_end_only(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    sheet = ContactSheet(tmp_path / "report.html", 1, overwrite=False)
    with closing(sheet):
        monkeypatch.setattr(sheet._spool, "write", full, raising=False)
        sheet.add(outcome(tmp_path))
        with pytest.raises(OutputError, match="No space"):
            sheet.write(title="", summary="")


def test_no_temporary_folder_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "gone"))
    assert "data:image" in page(tmp_path, [outcome(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "out-a.png", "report.html"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
def test_what_is_no_regular_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "report.html")
    with pytest.raises(OutputError, match="no regular file"):
        ContactSheet(tmp_path / "report.html", 1, overwrite=True)
