import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.evaluation import evaluate
from inpaintcli.inpaint import pipeline
from inpaintcli.options import MaskOptions
from tests.conftest import photo_pixels


@pytest.fixture(autouse=True)
def _no_engine(grey_model, monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "open_model", lambda *_, **__: grey_model)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, size in (("a.png", (64, 80)), ("sub/b.jpg", (72, 64))):
        Image.fromarray(photo_pixels(*size)).save(folder / name)
    return folder


def request(**changes) -> evaluate.EvaluationRequest:
    fields = {
        "console": Console(json=True),
        "drawn_kinds": ("10-20", "centre"),
        "details": ("network",),
    }
    return evaluate.EvaluationRequest(**{**fields, **changes})


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_photo_gets_every_kind_of_hole_by_every_method(photos, capsys):
    assert evaluate.evaluate_folder(request(), photos, None, None) == ExitCode.OK
    *rows, last = records(capsys)
    assert {row["method"] for row in rows} == {"photo", "grey-network", "telea", "navier-stokes"}
    assert {(row["photo"], row["holes"]) for row in rows} == {
        (photo, kind) for photo in ("a.png", "sub/b.jpg") for kind in ("10-20", "centre")
    }
    assert all(row["schema"] == 1 for row in rows)
    summary = last["summary"]
    assert (summary["photos"], summary["holes"], summary["failed"]) == (2, 4, 0)
    assert [group["holes"] for group in summary["groups"]] == ["all", "10-20", "centre"]
    scores = summary["groups"][0]["methods"]
    assert scores["telea"]["hole_psnr"] > scores["grey-network"]["hole_psnr"] > 5
    assert summary["methods"]["grey-network"]["sha256"] == "0"


def test_the_same_seed_is_the_same_holes_whatever_else_is_in_the_folder(photos, capsys):
    def digests(**changes):
        evaluate.evaluate_folder(request(**changes), photos, None, None)
        *rows, last = records(capsys)
        first = [row["mask_sha256"] for row in rows if row["photo"] == "sub/b.jpg"]
        return first, last["summary"]["masks_sha256"]

    before, whole = digests()
    assert digests() == (before, whole)
    assert digests(seed=2)[0] != before
    Image.fromarray(photo_pixels(64, 64)).save(photos / "new.png")
    after, other = digests()
    assert after == before
    assert other != whole


def test_saved_masks_give_the_same_scores_again(photos, tmp_path, capsys):
    saved = tmp_path / "saved"
    evaluate.evaluate_folder(request(output=saved, drawn_kinds=("10-20",)), photos, None, None)
    *drawn, _ = records(capsys)
    assert (saved / "masks/10-20/sub/b.png").exists()
    fill = np.asarray(Image.open(saved / "fills/telea/10-20/a.png"))
    assert fill.shape == (64, 80, 3)
    evaluate.evaluate_folder(request(), photos, str(saved / "masks/10-20"), None)
    *again, _ = records(capsys)
    for one, other in zip(drawn, again, strict=True):
        for scores in (one, other):
            scores["scores"].pop("seconds", None)
        assert one == other


def test_fills_are_kept_under_their_photos_names_for_own_masks(photos, capsys):
    for name, size in (("a.mask.png", (80, 64)), ("sub/b_mask.png", (64, 72))):
        mask = Image.new("L", size)
        mask.paste(255, (10, 10, 30, 30))
        mask.save(photos / name)
    inside = photos / "out"  # and what lies there is no photo
    for _ in range(2):
        code = evaluate.evaluate_folder(
            request(output=inside, overwrite=True), photos, str(photos), None
        )
        assert code == ExitCode.OK
        assert records(capsys)[-1]["summary"]["photos"] == 2
    assert (inside / "fills/navier-stokes/sub/b.png").exists()
    assert not (inside / "masks").exists()


def test_masks_beside_the_photos_are_used_only_when_named(photos, capsys):
    Image.new("L", (80, 64), 255).save(photos / "a.mask.png")
    evaluate.evaluate_folder(request(drawn_kinds=("centre",)), photos, None, None)
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["summary"]["photos"] == 2
    assert "1 masks lie beside the photos" in captured.err


def test_unreadable_files_are_skipped_and_counted(photos, tmp_path, capsys):
    (photos / "bad.jpg").write_bytes(b"no picture")
    Image.fromarray(photo_pixels(20, 20)).save(photos / "tiny.png")
    report = tmp_path / "r.html"
    code = evaluate.evaluate_folder(request(report=report), photos, None, None)
    assert code == ExitCode.SOME_FAILED
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert lines[-1]["summary"]["failed"] == 4
    assert [row["error"]["code"] for row in lines if row.get("error")] == [3, 3, 4, 4]
    assert captured.err.count("bad.jpg is not a picture") == 1
    assert "bad.jpg" in report.read_text()


def test_photos_without_a_mask_are_reported_and_own_groups_are_taken(photos, tmp_path, capsys):
    masks = tmp_path / "masks"
    masks.mkdir()
    mask = Image.new("L", (80, 64))
    mask.paste(255, (10, 10, 30, 30))
    mask.save(masks / "a.png")
    groups = tmp_path / "kinds.csv"
    groups.write_text("file,kind\na.png,stamp\n")
    evaluate.evaluate_folder(request(groups=groups), photos, str(masks), None)
    captured = capsys.readouterr()
    summary = json.loads(captured.out.splitlines()[-1])["summary"]
    assert [group["holes"] for group in summary["groups"]] == ["all", "stamp"]
    assert (summary["skipped"], summary["failed"]) == (1, 0)
    assert "it has no mask" in captured.err


def test_the_table_goes_to_standard_output_and_what_is_left_out_is_said_once(photos, capsys):
    without = request(console=Console(), left_out=("P: no network.",))
    evaluate.evaluate_folder(without, photos, None, None)
    captured = capsys.readouterr()
    assert "hole PSNR" in captured.out
    assert "0-10" not in captured.out
    assert "10-20 % hidden (2)" in captured.out
    assert captured.err.count("left out: P: no network.") == 1
    assert "sha256" in captured.err


def test_the_numpy_metrics_need_no_torch_and_the_rest_is_left_out_with_the_reason(photos):
    """The command as on a machine without the extra `train`."""
    blocked = "import sys; sys.modules['torch'] = None; from inpaintcli.cli import main; main()"
    options = ["--holes", "centre", "--detail", "network", "--limit", "1", "--json"]
    command = ["evaluate", str(photos), *options, "--features", str(photos)]
    done = subprocess.run(
        [sys.executable, "-c", blocked, *command], capture_output=True, text=True, check=True
    )
    *rows, last = map(json.loads, done.stdout.splitlines())
    wanted = {"hole_l1", "hole_l2", "hole_psnr", "hole_ssim", "hole_tv", "psnr", "ssim"}
    assert all(wanted <= row["scores"].keys() for row in rows if row["method"] != "photo")
    assert last["summary"]["networks"] == []
    assert "torch is not installed" in last["summary"]["left_out"][0]


def test_two_photos_that_would_be_saved_as_one_are_refused(photos, tmp_path, capsys):
    Image.fromarray(photo_pixels(64, 80)).save(photos / "a.jpg")
    code = evaluate.evaluate_folder(request(output=tmp_path / "out"), photos, None, None)
    assert code == ExitCode.SOME_FAILED
    assert "would both be saved" in capsys.readouterr().err


ODD_NAMES = ("-x.png", "a\nb.png", "a\x1b[2J\t\r.png", '<i>&".png', os.fsdecode(b"gr\xfc\xdfe.png"))


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("as_json", [True, False], ids=["JSON", "table"])
def test_odd_names_end_no_evaluation(tmp_path, capsys, as_json):
    folder, report = tmp_path / "photos", tmp_path / "r.html"
    folder.mkdir()
    for name in ODD_NAMES:
        Image.fromarray(photo_pixels(64, 80)).save(folder / name)
    wanted = request(console=Console(json=as_json), report=report, output=tmp_path / "out")
    assert evaluate.evaluate_folder(wanted, folder, None, None) == ExitCode.OK
    captured = capsys.readouterr()
    if as_json:
        rows = [json.loads(line) for line in captured.out.splitlines()]
        assert {row["photo"] for row in rows[:-1]} == set(ODD_NAMES)
    saved = {path.name for path in (tmp_path / "out/fills/telea/centre").iterdir()}
    assert saved == set(ODD_NAMES)
    text = report.read_bytes().decode()
    assert "gr\\udcfc\\udcdfe.png" in text
    assert "&lt;i&gt;&amp;&quot;.png" in text


@pytest.mark.parametrize("group", ["\u00b2-\u00b3", "1-x", "a\nb", "all", "\x1b"])
def test_groups_of_any_name_end_no_evaluation(photos, tmp_path, capsys, group):
    mask = Image.new("L", (80, 64))
    mask.paste(255, (10, 10, 30, 30))
    mask.save(tmp_path / "mask.png")
    (photos / "sub/b.jpg").unlink()
    groups, report = tmp_path / "kinds.csv", tmp_path / "r.html"
    groups.write_text(f'file,kind\na.png,"{group}"\nlonely\n', encoding="utf-8")
    wanted = request(groups=groups, report=report, console=Console())
    assert evaluate.evaluate_folder(wanted, photos, str(tmp_path / "mask.png"), None) == ExitCode.OK
    assert "hole PSNR" in capsys.readouterr().out


def test_names_that_differ_by_case_alone_are_two_photos_where_the_disk_says_so(photos, tmp_path):
    Image.fromarray(photo_pixels(64, 80)).save(photos / "A.png")
    if len(list(photos.glob("*.png"))) < 2:
        pytest.skip("this file system has no two names that differ in case alone")
    out = tmp_path / "out"
    assert evaluate.evaluate_folder(request(output=out), photos, None, None) == ExitCode.OK
    assert {path.name for path in (out / "fills/telea/centre").glob("?.png")} == {"a.png", "A.png"}


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_a_report_replaces_regular_files_only(photos, tmp_path):
    report = tmp_path / "r.html"
    report.symlink_to(os.devnull)
    with pytest.raises(OutputError, match="regular"):
        evaluate.evaluate_folder(request(report=report, overwrite=True), photos, None, None)
    assert report.is_symlink()


def test_models_of_one_name_are_distinguished(photos, capsys):
    evaluate.evaluate_folder(request(models=(None, "again"), limit=1), photos, None, None)
    methods = records(capsys)[-1]["summary"]["methods"]
    assert list(methods) == ["grey-network", "grey-network#2", "telea", "navier-stokes"]


def test_what_cannot_be_is_refused_before_any_work(photos, tmp_path):
    (tmp_path / "r.html").touch()
    with pytest.raises(OutputError, match=r"r\.html exists"):
        evaluate.evaluate_folder(request(report=tmp_path / "r.html"), photos, None, None)
    with pytest.raises(OutputError, match="not a folder"):
        evaluate.evaluate_folder(request(report=tmp_path / "no/r.html"), photos, None, None)
    with pytest.raises(UsageError, match="takes a folder"):
        evaluate.evaluate_folder(request(output=tmp_path / "r.html"), photos, None, None)
    with pytest.raises(UsageError, match="no original"):
        evaluate.evaluate_folder(request(), photos, "alpha", None)
    with pytest.raises(UsageError, match="--groups"):
        evaluate.evaluate_folder(request(groups=tmp_path / "k.csv"), photos, None, None)


def test_an_empty_folder_is_nothing_to_do(tmp_path, capsys):
    report = tmp_path / "r.html"
    assert evaluate.evaluate_folder(request(report=report), tmp_path, None, None) == ExitCode.OK
    captured = capsys.readouterr()
    assert "no photo" in captured.err
    assert json.loads(captured.out)["summary"]["holes"] == 0
    assert report.exists()


def test_how_masks_are_read_can_be_changed(photos, tmp_path, capsys):
    mask = Image.new("L", (80, 64), 100)
    mask.paste(0, (10, 10, 30, 30))
    mask.save(tmp_path / "mask.png")
    mask_options = MaskOptions(invert_mask=True, mask_threshold=50)
    (photos / "sub/b.jpg").unlink()
    evaluate.evaluate_folder(
        request(mask_options=mask_options), photos, str(tmp_path / "mask.png"), None
    )
    assert records(capsys)[0]["hole_ratio"] == pytest.approx(400 / 5120, abs=1e-6)


def test_a_study_holds_the_fills_in_pairs(photos, tmp_path, capsys):
    page = tmp_path / "study.html"
    evaluate.evaluate_folder(request(study=page), photos, None, None)
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "telea" in page.read_text()
    assert "study.html" in capsys.readouterr().err
    with pytest.raises(OutputError, match="exists"):
        evaluate.evaluate_folder(request(study=page), photos, None, None)
    same = tmp_path / "both.html"
    with pytest.raises(UsageError, match="both"):
        evaluate.evaluate_folder(request(study=same, report=same), photos, None, None)
