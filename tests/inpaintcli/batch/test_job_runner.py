"""One job becomes an Outcome, whatever happens in it."""

import json
import os

import pytest
from PIL import Image

from inpaintcli.batch.fill_steps import EMPTY_MASK
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import exit_code_of
from inpaintcli.errors import ExitCode
from inpaintcli.options import FillOptions


def outcome_of(folder, out, model, name="1"):
    job = LocalJob(folder / f"{name}.png", folder / f"{name}.mask.png", out / f"{name}.png")
    return runner(model).run(job)


def runner(model):
    return JobRunner.for_one(model, FillOptions(), lambda _: None)


def test_a_fault_of_the_program_is_reported_as_one(folder, tmp_path, grey_model, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("inpaintcli.inpaint.pipeline.fill", broken)
    outcome = outcome_of(folder, tmp_path, grey_model)
    assert outcome.error.code == ExitCode.FAULT
    assert "oh" in outcome.error.message


def test_result_lines_hold_what_the_contract_names(folder, tmp_path, grey_model):
    (folder / "2.png").write_bytes(b"")
    good, bad = (outcome_of(folder, tmp_path, grey_model, name) for name in ("1", "2"))
    for outcome in (good, bad):
        line = json.loads(json.dumps(outcome.to_json()))
        assert {"schema", "status", "input", "mask", "output", "seconds", "error"} <= set(line)
        assert (line["schema"], line["model"], line["engine"]) == (1, "grey", "grey")
        assert (line["device"], line["precision"]) == ("cpu", "fp32")
    assert good.to_json()["error"] is None
    assert set(bad.to_json()["error"]) == {"code", "message", "hint"}


def test_an_empty_mask_copies_the_photo_byte_for_byte_and_says_so(folder, tmp_path, grey_model):
    Image.new("L", (64, 48)).save(folder / "1.mask.png")
    outcome = outcome_of(folder, tmp_path, grey_model)
    assert (outcome.status, outcome.note) == ("filled", EMPTY_MASK)
    assert (tmp_path / "1.png").read_bytes() == (folder / "1.png").read_bytes()


@pytest.mark.parametrize("value", [1, 127])
def test_a_mask_that_only_looks_empty_is_reported_with_its_lightest_value(
    folder, tmp_path, grey_model, value
):
    Image.new("L", (64, 48), value).save(folder / "1.mask.png")
    outcome = outcome_of(folder, tmp_path, grey_model)
    assert f"{value} of 255" in outcome.note
    assert "--mask-threshold" in outcome.note


def test_missing_folders_are_made(folder, tmp_path, grey_model):
    assert outcome_of(folder, tmp_path / "a/b", grey_model).status == "filled"


def test_an_output_that_appeared_meanwhile_is_not_replaced(folder, tmp_path, grey_model):
    (tmp_path / "1.png").write_bytes(b"mine")
    assert outcome_of(folder, tmp_path, grey_model).error.code == ExitCode.OUTPUT
    assert (tmp_path / "1.png").read_bytes() == b"mine"
    job = LocalJob(folder / "1.png", folder / "1.mask.png", tmp_path / "1.png", replaces=True)
    assert runner(grey_model).run(job).status == "filled"


@pytest.mark.skipif(os.name == "nt", reason="other limits of names there")
@pytest.mark.parametrize("name", ["a" * 240, "\u00e9\u4e2d\U0001f600 \u0627 b", "tab\tand\nline"])
def test_long_and_foreign_names(folder, tmp_path, grey_model, name):
    for end in (".png", ".mask.png"):
        (folder / f"1{end}").rename(folder / f"{name}{end}")
    outcome = outcome_of(folder, tmp_path, grey_model, name)
    assert outcome.status == "filled", outcome.error


def test_a_name_too_long_for_the_disk_is_reported(folder, tmp_path, grey_model):
    job = LocalJob(folder / "1.png", folder / "1.mask.png", tmp_path / ("a" * 300 + ".png"))
    outcome = runner(grey_model).run(job)
    assert outcome.error.code == ExitCode.OUTPUT
    assert "too long" in outcome.error.message


def test_exit_codes_of_a_run():
    assert exit_code_of({"filled": 3, "skipped": 1}) == ExitCode.OK
    assert exit_code_of({}) == ExitCode.OK
    assert exit_code_of({"filled": 3, "failed": 1}) == ExitCode.SOME_FAILED
