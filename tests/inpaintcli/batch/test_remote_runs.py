"""Photos, masks and outputs in a store: one photo, folders, lists, and the run after."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.fill_many import BatchOptions, fill_many, is_many
from inpaintcli.batch.fill_one import fill_photo
from inpaintcli.batch.fingerprints import digest_of_bytes
from inpaintcli.batch.journal import Journal, journal_path
from inpaintcli.batch.journal_entries import JournalEntry
from inpaintcli.errors import ExitCode, OutputError, UnreadableError, UsageError
from inpaintcli.masks.source import BESIDE, mask_source
from inpaintcli.storage import stores
from inpaintcli.storage.locations import local_copy, parse_location
from tests.inpaintcli.batch.test_fill_many import grey_request
from tests.inpaintcli.storage.test_stores import fsspec, put, root

__all__ = ["fsspec", "root"]
ALL = dict.fromkeys("012345", "filled")
NONE = dict.fromkeys("012345", "skipped")


@pytest.fixture
def stored(root, folder):
    """The six photos and their masks, in the store."""
    for path in folder.iterdir():
        put(root / "photos" / path.name, path.read_bytes())
    return root


@pytest.fixture
def fill(tmp_path, capsys):
    """Run the command; gives the exit code, statuses by photo, and standard error."""

    def go(source, output, *, mask=None, **options):
        many = {name: options.pop(name) for name in ("journal", "report") if name in options}
        many = {"journal": tmp_path / "journals", **many}
        if isinstance(output, Path):
            del many["journal"]
        request = grey_request(options)
        code = fill_many(
            request, BatchOptions(source=source, mask=mask_source(mask), output=output, **many)
        )
        out, err = capsys.readouterr()
        *lines, _ = [json.loads(line) for line in out.splitlines()]
        return code, {parse_location(line["input"]).stem: line["status"] for line in lines}, err

    return go


def pixels(one):
    with local_copy(one) as path, Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_in_a_store_is_filled_into_a_folder_in_a_store(fill, stored, folder):
    code, statuses, _ = fill(stored / "photos", stored / "out")
    assert (code, statuses) == (ExitCode.OK, ALL)
    assert sorted(url.name for url in (stored / "out").files_below()) == [
        f"{n}.png" for n in range(6)
    ]
    before, after = pixels(folder / "0.png"), pixels(stored / "out/0.png")
    assert np.array_equal(before[:10], after[:10])
    assert not np.array_equal(before, after)


def test_the_same_bytes_come_out_as_from_files(fill, stored, folder, tmp_path):
    fill(stored / "photos", stored / "out")
    fill(folder, tmp_path / "out")
    with local_copy(stored / "out/3.png") as copy:
        assert copy.read_bytes() == (tmp_path / "out/3.png").read_bytes()


def test_files_and_stores_may_be_mixed(fill, stored, folder, tmp_path):
    assert fill(stored / "photos", tmp_path / "out")[1] == ALL
    mask = tmp_path / "one.png"
    mask.write_bytes((folder / "0.mask.png").read_bytes())
    photos = tmp_path / "photos only"
    photos.mkdir()
    (folder / "1.png").rename(photos / "1.png")
    assert fill(photos, stored / "out", mask=str(mask))[1] == {"1": "filled"}
    assert fill(photos, tmp_path / "o", mask=str(stored / "photos/0.mask.png"))[1] == {
        "1": "filled"
    }


def test_a_second_run_does_what_is_missing_or_changed_and_fetches_nothing_else(
    fill, stored, monkeypatch
):
    fill(stored / "photos", stored / "out")
    (stored / "out/3.png").unlink()
    with local_copy(stored / "photos/4.png") as path, Image.open(path) as image:
        changed = path.with_name("changed.png")
        Image.fromarray(255 - np.asarray(image)).save(changed)
        put(stored / "photos/4.png", changed.read_bytes(), overwrite=True)
    downloaded = []
    fetch = stores.StoreUrl.fetch
    monkeypatch.setattr(
        stores.StoreUrl, "fetch", lambda url, to: (downloaded.append(url.name), fetch(url, to))
    )
    assert fill(stored / "photos", stored / "out")[1] == {**NONE, "3": "filled", "4": "filled"}
    # The changed photo, and its output to see that nobody else has changed that, are read twice.
    assert set(downloaded) == {"3.png", "3.mask.png", "4.png", "4.mask.png"}
    downloaded.clear()
    assert fill(stored / "photos", stored / "out")[1] == NONE
    assert downloaded == []


def test_an_output_that_the_journal_does_not_know_is_not_replaced(fill, stored, tmp_path):
    put(stored / "out/3.png", b"mine")
    assert fill(stored / "photos", stored / "out")[1] == {**ALL, "3": "skipped"}
    with local_copy(stored / "out/3.png") as copy:
        assert copy.read_bytes() == b"mine"
    elsewhere = fill(stored / "photos", stored / "out", journal=tmp_path / "other machine")
    assert elsewhere[1] == NONE
    assert fill(stored / "photos", stored / "out", overwrite=True)[1] == ALL


def test_an_output_that_appears_meanwhile_is_not_replaced(fill, stored, monkeypatch):
    put_ = stores.StoreUrl.put

    def late(url, data, **options):
        if url.name == "2.png":
            put_(url, b"theirs", **options)
        put_(url, data, **options)

    monkeypatch.setattr(stores.StoreUrl, "put", late)
    code, statuses, told = fill(stored / "photos", stored / "out")
    assert (code, statuses) == (ExitCode.SOME_FAILED, {**ALL, "2": "failed"})
    assert "memory://box/out/2.png exists" in told
    with local_copy(stored / "out/2.png") as copy:
        assert copy.read_bytes() == b"theirs"


def test_errors_name_what_the_user_named(fill, stored):
    put(stored / "photos/2.png", b"no picture", overwrite=True)
    put(stored / "photos/3.mask.png", b"no picture", overwrite=True)
    code, statuses, told = fill(stored / "photos", stored / "out")
    assert (code, statuses) == (ExitCode.SOME_FAILED, {**ALL, "2": "failed", "3": "failed"})
    assert "memory://box/photos/2.png is not a picture" in told
    assert "memory://box/photos/3.mask.png is not a picture" in told


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("where", ["file", "store"])
def test_a_list_may_name_urls(fill, stored, tmp_path, kind, where):
    rows = [
        {"photo": str(stored / "photos/0.png"), "mask": str(stored / "photos/1.mask.png")},
        {"photo": str(stored / "photos/2.png"), "output": "deep/two.png"},
        {"photo": str(stored / "photos/9.png")},
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    if kind == "csv":
        cells = [[row.get(name, "") for name in ("photo", "mask", "output")] for row in rows]
        text = "\n".join(",".join(row) for row in [["photo", "mask", "output"], *cells])
    source = parse_location(str(stored / f"lists/pairs.{kind}"))
    if where == "store":
        put(source, text.encode())
    else:
        source = tmp_path / f"pairs.{kind}"
        source.write_text(text)
    code, statuses, told = fill(source, stored / "out")
    assert (code, statuses) == (
        ExitCode.SOME_FAILED,
        {"0": "filled", "2": "filled", "9": "failed"},
    )
    assert "memory://box/photos/9.png does not exist" in told
    found = sorted(str(url) for url in (stored / "out").files_below())
    assert found == ["memory://box/out/0.png", "memory://box/out/deep/two.png"]


def test_a_list_in_a_store_has_paths_of_its_own(fill, stored, tmp_path):
    put(stored / "photos/pairs.csv", b"photo,mask\n0.png,\n1.png,0.mask.png\n")
    assert fill(stored / "photos/pairs.csv", tmp_path / "out")[1] == {"0": "filled", "1": "filled"}


def test_an_output_cannot_leave_its_folder(fill, stored, tmp_path):
    (tmp_path / "pairs.jsonl").write_text(
        json.dumps({"photo": str(stored / "photos/0.png"), "output": "memory://other/0.png"})
    )
    code, _, told = fill(tmp_path / "pairs.jsonl", stored / "out", mask="alpha")
    assert code == ExitCode.SOME_FAILED
    assert "is outside the output folder memory://box/out" in told


def test_the_report_shows_photos_of_a_store(fill, stored, tmp_path):
    fill(stored / "photos", stored / "out", report=tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 12


def test_a_dry_run_writes_nothing(fill, stored):
    before = len(stored.files_below())
    assert fill(stored / "photos", stored / "out", dry_run=True)[1] == NONE
    assert len(stored.files_below()) == before


def test_one_photo(stored, capsys):
    run, photo = grey_request({}), stored / "photos/0.png"
    assert fill_photo(run, photo, BESIDE, stored / "out.png") == ExitCode.OK
    assert fill_photo(run, photo, BESIDE, None) == ExitCode.OK
    assert {url.name for url in stored.files_below()} >= {"out.png", "0.filled.png"}
    with pytest.raises(OutputError, match="exists"):
        fill_photo(run, photo, BESIDE, stored / "out.png")
    with pytest.raises(OutputError, match="inputs are never changed"):
        fill_photo(run, photo, BESIDE, photo)
    with pytest.raises(UnreadableError, match="does not exist"):
        fill_photo(run, stored / "photos/9.png", BESIDE, stored / "out.png")
    with pytest.raises(OutputError, match="cannot be written"):
        fill_photo(run, photo, BESIDE, stored / "out.xyz")
    assert json.loads(capsys.readouterr().out.splitlines()[0])["output"] == "memory://box/out.png"


def test_a_store_that_does_not_answer_is_reported(stored, monkeypatch):
    def away(*_, **__):
        raise ConnectionError("nobody there")

    monkeypatch.setattr(stores, "_opened", away)
    with pytest.raises(UnreadableError, match="nobody there"):
        fill_photo(grey_request({}), stored / "photos/0.png", BESIDE, stored / "out.png")
    with pytest.raises(UnreadableError, match="nobody there"):
        is_many(stored / "photos")


def announced(stored, tmp_path, data=b"whole"):
    """As a run leaves it that is killed between its announcement and the end."""
    path = journal_path(stored / "out", tmp_path)
    entry = JournalEntry(
        status="writing",
        output="a.png",
        photo="a",
        mask=None,
        sha256=digest_of_bytes(data),
        temporary=".0.inpaintcli-part",
    )
    with closing(Journal(stored / "out", path)) as journal:
        journal.append(entry)
    put(stored / "out/.0.inpaintcli-part", b"ha")
    return path


@pytest.mark.parametrize("content", [b"whole", b"other", None])
def test_what_a_killed_run_left_in_a_store_is_repaired(stored, tmp_path, content):
    path = announced(stored, tmp_path)
    if content:
        put(stored / "out/a.png", content)
    with closing(Journal(stored / "out", path)) as journal:
        last = journal.index().last("a.png")
    assert (last is not None and last.status == "filled") == (content == b"whole")
    assert [url.name for url in (stored / "out").files_below()] == (["a.png"] if content else [])


def test_each_store_has_a_journal_of_its_own(tmp_path):
    one, other = (journal_path(parse_location(f"s3://bucket/{name}"), tmp_path) for name in "ab")
    assert one != other
    assert one.parent == tmp_path
    assert journal_path(parse_location("s3://bucket/a"), tmp_path) == one
    assert "inpaintcli" in journal_path(parse_location("s3://bucket/a")).parts


def test_a_journal_folder_is_for_stores_only(folder, tmp_path):
    run = grey_request({})
    with pytest.raises(UsageError, match="--journal"):
        fill_many(run, BatchOptions(source=folder, mask=BESIDE, output=tmp_path, journal=tmp_path))


def test_without_stores_fsspec_is_not_imported(folder, tmp_path):
    code = (
        "import sys; from inpaintcli import cli; sys.argv[1:] = sys.argv[1:]; "
        "import atexit; atexit.register(lambda: print('fsspec' in sys.modules)); cli.main()"
    )
    arguments = ["fill", str(folder), "-o", str(tmp_path / "out"), "--dry-run", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
