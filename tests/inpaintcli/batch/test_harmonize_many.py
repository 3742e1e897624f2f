import json

import pytest
from PIL import Image

from inpaintcli.batch.harmonize_many import harmonize_folder
from inpaintcli.batch.harmonize_one import HarmonizeRequest
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, UsageError
from tests.conftest import photo_pixels
from tests.inpaintcli.objects.test_harmonize import square

REQUEST = HarmonizeRequest(console=Console(json=True))


@pytest.fixture
def composites(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "more/c")):
        Image.fromarray(photo_pixels(50 + number, 60)).save(folder / f"{name}.png")
        mask = square(50 + number, 60, 10, 10, 30, 40)
        Image.fromarray(mask).save(folder / f"{name}.mask.png")
    return folder


def run(folder, output, capsys, mask=None) -> tuple[ExitCode, list[dict]]:
    code = harmonize_folder(REQUEST, folder, mask or str(folder), output)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_photo_with_a_mask_is_harmonized_once(composites, tmp_path, capsys):
    output = tmp_path / "out"
    code, lines = run(composites, output, capsys)
    assert code == ExitCode.OK
    assert sorted(path.name for path in output.rglob("*.png")) == ["a.png", "b.png", "c.png"]
    assert {line["method"] for line in lines[:-1]} == {"predicted"}
    assert lines[-1]["summary"]["filled"] == 3
    _, again = run(composites, output, capsys)
    assert again[-1]["summary"]["skipped"] == 3


def test_one_bad_photo_does_not_stop_the_others(composites, tmp_path, capsys):
    Image.fromarray(square(9, 9, 2, 2, 4, 4)).save(composites / "a.mask.png")
    code, lines = run(composites, tmp_path / "out", capsys)
    assert code == ExitCode.SOME_FAILED
    failed = [line for line in lines[:-1] if line["status"] == "failed"]
    assert [line["error"]["code"] for line in failed] == [ExitCode.MASK_MISMATCH]
    assert lines[-1]["summary"]["filled"] == 2


def test_a_folder_needs_an_output(composites):
    with pytest.raises(UsageError, match="output folder"):
        harmonize_folder(REQUEST, composites, str(composites), None)
