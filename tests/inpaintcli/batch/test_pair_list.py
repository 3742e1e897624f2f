"""Pairs from a file."""

import json
import unicodedata

import pytest

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.pair_list import is_list, plan_list
from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.masks.source import BESIDE, mask_source


@pytest.fixture
def folder(tmp_path):
    for name in ("x/a.jpg", "b.jpg", "b.mask.png", "m/a.png", "other.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "data"


def planned(folder, rows, mask=None, **options):
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return plan_list(path, mask_source(mask), folder.parent / "out", overwrite=False, **options)


def test_csv_and_jsonl_say_the_same(folder):
    rows = [
        {"photo": "x/a.jpg", "mask": "m/a.png", "output": "new/a.tif"},
        {"photo": "b.jpg", "mask": "", "output": ""},
    ]
    (folder / "pairs.csv").write_text(
        "\ufeffphoto,mask,output\r\nx/a.jpg,m/a.png,new/a.tif\r\nb.jpg,,\r\n", encoding="utf-8"
    )
    out = folder.parent / "out"
    selected = (
        LocalJob(folder / "x/a.jpg", folder / "m/a.png", out / "new/a.tif"),
        LocalJob(folder / "b.jpg", folder / "b.mask.png", out / "b.jpg"),
    )
    assert planned(folder, rows).jobs == selected
    assert plan_list(folder / "pairs.csv", BESIDE, out, overwrite=False).jobs == selected


def test_a_mask_for_rows_that_name_none(folder):
    rows = [{"photo": "x/a.jpg"}, {"photo": "b.jpg", "mask": "alpha"}]
    jobs = planned(folder, rows, mask=str(folder / "other.png")).jobs
    assert [job.mask for job in jobs] == [folder / "other.png", None]


def test_a_photo_from_elsewhere_keeps_its_name_only(folder):
    absolute = str(folder / "x/a.jpg")
    (job,) = planned(folder, [{"photo": absolute, "mask": "alpha"}]).jobs
    assert job.output == folder.parent / "out/a.jpg"


@pytest.mark.parametrize("output", ["../a.jpg", "/root.jpg", "x/../../a.jpg"])
def test_no_output_leads_out_of_the_output_folder(folder, output):
    plan = planned(folder, [{"photo": "b.jpg", "output": output}])
    assert not plan.jobs
    assert isinstance(plan.skips[0].error, OutputError)


def test_what_is_missing_fails_its_row_only(folder):
    rows = [{"photo": "gone.jpg"}, {"photo": "b.jpg", "mask": "gone.png"}, {"photo": "b.jpg"}]
    plan = planned(folder, rows)
    assert len(plan.jobs) == 1
    assert {type(skip.error) for skip in plan.skips} == {UnreadableError}


def test_rows_that_would_write_one_output_are_refused(folder):
    rows = [{"photo": "b.jpg"}, {"photo": "x/a.jpg", "mask": "alpha", "output": "b.jpg"}]
    plan = planned(folder, rows)
    assert not plan.jobs
    assert len(plan.skips) == 2


def test_globs_choose_rows_too(folder):
    rows = [{"photo": "b.jpg"}, {"photo": "x/a.jpg", "mask": "alpha"}]
    plan = planned(folder, rows, selected=lambda path: path.name == "b.jpg")
    assert [job.photo.name for job in plan.jobs] == ["b.jpg"]
    assert not plan.skips


@pytest.mark.parametrize("text", ["mask\nb.png\n", "photo,mask\n,a.png\n"])
def test_a_row_without_a_photo_is_refused_with_the_columns(folder, text):
    path = folder / "pairs.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match="row 1") as error:
        plan_list(path, BESIDE, folder.parent / "out", overwrite=False)
    assert "photo, mask, output" in error.value.hint


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"photo": 3}', '{"Maks": "a"}'])
def test_a_bad_line_is_named(folder, line):
    path = folder / "pairs.jsonl"
    path.write_text('{"photo": "b.jpg"}\n' + line + "\n")
    with pytest.raises(UsageError, match="2"):
        plan_list(path, BESIDE, folder.parent / "out", overwrite=False)


def test_a_list_that_is_no_text(folder):
    (folder / "pairs.csv").write_bytes(b"photo\n\xff\xfe")
    with pytest.raises(UnreadableError, match="not a list"):
        plan_list(folder / "pairs.csv", BESIDE, folder.parent / "out", overwrite=False)


def test_lists_are_known_by_suffix(folder):
    assert not is_list(folder)
    assert not is_list(folder / "gone.csv")
    (folder / "p.CSV").touch()
    assert is_list(folder / "p.CSV")


@pytest.mark.parametrize(
    "text",
    [
        "photo, mask\nb.jpg, other.png\n",
        "Photo,MASK\r\nb.jpg,other.png\r\n",
        "photo;mask\r\nb.jpg;other.png\r\n",
        "sep=;\r\nphoto;mask\r\nb.jpg;other.png\r\n",
        "photo\tmask\nb.jpg\tother.png\n",
        "photo,mask,,\r\nb.jpg,other.png,,\r\n,,,\r\n,,,\r\n",
        '"photo","mask"\n"b.jpg","other.png"\n\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_write_is_read(folder, text, encoding):
    path = folder / "pairs.csv"
    path.write_bytes(text.encode(encoding))
    (job,) = plan_list(path, BESIDE, folder.parent / "out", overwrite=False).jobs
    assert (job.photo.name, job.mask.name) == ("b.jpg", "other.png")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("photo,maks\nb.jpg,other.png\n", "'maks'"),
        ("photo,mask,Mask\nb.jpg,other.png,m/a.png\n", "'mask' more than once"),
        ("photo,mask\nb.jpg,other.png,m/a.png\n", "'m/a.png'"),
    ],
)
def test_columns_that_are_not_known_are_refused_by_name(folder, text, named):
    path = folder / "pairs.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=named):
        plan_list(path, BESIDE, folder.parent / "out", overwrite=False)


def test_keys_of_json_count_without_their_case(folder):
    (job,) = planned(folder, [{"Photo": "b.jpg", " Mask": "other.png"}]).jobs
    assert job.mask.name == "other.png"


def test_the_same_row_twice_is_one_job(folder):
    rows = [{"photo": "b.jpg"}, {"photo": "b.jpg"}, {"photo": str(folder / "b.jpg")}]
    rows.append({"photo": "b.jpg", "mask": "b.mask.png"})
    rows.append({"photo": "../data/b.jpg", "mask": "x/../b.mask.png"})
    plan = planned(folder, rows)
    assert len(plan.jobs) == 1
    assert not plan.skips


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(
    "rows",
    [
        [{"photo": "b.jpg", "output": "x/a.jpg"}, {"photo": "x/a.jpg", "mask": "m/a.png"}],
        [{"photo": "x/a.jpg", "mask": "m/a.png", "output": "b.mask.png"}, {"photo": "b.jpg"}],
        [{"photo": "b.jpg", "output": "new.jpg"}, {"photo": "new.jpg", "mask": "m/a.png"}],
    ],
)
def test_a_list_that_would_write_an_input_is_refused_as_a_whole(folder, rows, linked):
    path, out = folder / "pairs.jsonl", folder
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if linked:
        out = folder.parent / "link"
        out.symlink_to(folder)
    with pytest.raises(OutputError, match="input of the same run"):
        plan_list(path, BESIDE, out, overwrite=True)


def test_a_key_that_stands_twice_in_an_object_is_refused(folder):
    (folder / "pairs.jsonl").write_text('{"photo": "b.jpg", "mask": "m/a.png", "Mask": "alpha"}\n')
    with pytest.raises(UsageError, match="'mask' more than once"):
        plan_list(folder / "pairs.jsonl", BESIDE, folder.parent / "out", overwrite=False)
    (folder / "pairs.jsonl").write_text('{"photo": "x/a.jpg", "photo": "b.jpg"}\n')
    with pytest.raises(UsageError, match="'photo' more than once"):
        plan_list(folder / "pairs.jsonl", BESIDE, folder.parent / "out", overwrite=False)


def test_utf_16_without_its_mark_is_refused_in_words(folder):
    (folder / "pairs.csv").write_bytes("photo\tmask\r\nb.jpg\talpha\r\n".encode("utf-16-le"))
    with pytest.raises(UnreadableError, match="not UTF-8 text"):
        plan_list(folder / "pairs.csv", BESIDE, folder.parent / "out", overwrite=False)


@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_rows_find_names_with_umlauts_written_otherwise(folder, written):
    other = {"NFC": "NFD", "NFD": "NFC"}[written]
    for name in ("ü.jpg", "é.png"):
        (folder / unicodedata.normalize(other, name)).touch()
    row = {"photo": unicodedata.normalize(written, "ü.jpg")}
    row["mask"] = unicodedata.normalize(written, "é.png")
    (job,) = planned(folder, [row]).jobs
    assert job.photo.is_file()
    assert job.mask.is_file()
