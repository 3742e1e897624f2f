"""Photos, masks and outputs on servers of files: SFTP and FTP, spoken to for real."""

import pytest

from inpaintcli.errors import ExitCode, UnreadableError
from inpaintcli.imaging.images import TEMPORARY_SUFFIX
from inpaintcli.storage.locations import parse_location
from tests.inpaintcli.batch.test_remote_runs import ALL, NONE, fill
from tests.inpaintcli.storage import servers
from tests.programs import PYTHON, running, until

pytest.importorskip("fsspec", reason="the extra `remote` is not installed")
__all__ = ["fill"]
PACKAGES = {"sftp": ("paramiko", "asyncssh"), "ftp": ("pyftpdlib",)}


@pytest.fixture(params=PACKAGES)
def server(request, tmp_path, folder):
    """The URL of a server that holds the photos and their masks, and the folder behind it."""
    for package in PACKAGES[request.param]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    behind = tmp_path / "server"
    behind.mkdir()
    folder.rename(behind / "photos")
    command = [*PYTHON, servers.__file__, request.param, behind]
    with running(command, 100.0) as program:
        port = until(program, "port").split()[-1]
        yield (
            parse_location(f"{request.param}://{servers.USER}:{servers.WORD}@127.0.0.1:{port}"),
            behind,
        )


def test_a_batch_is_filled_replaced_where_it_must_be_and_nothing_is_left_over(server, fill):
    url, behind = server
    code, statuses, told = fill(url / "photos", url / "out/deep")
    assert (code, statuses) == (ExitCode.OK, ALL), told
    out = behind / "out/deep"
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(first) == {f"{number}.png" for number in range(6)}
    assert fill(url / "photos", url / "out/deep")[1] == NONE
    (out / "3.png").unlink()
    (behind / "photos/4.png").write_bytes((out / "4.png").read_bytes())
    again = fill(url / "photos", url / "out/deep", grey=0.5)[1]
    assert again == {**NONE, "3": "filled", "4": "filled"}
    second = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(second) == set(first)
    assert {name for name in first if first[name] != second[name]} == {"3.png", "4.png"}


def test_what_is_there_and_unknown_is_not_replaced_unless_asked_to(server, fill):
    url, behind = server
    (behind / "out").mkdir()
    (behind / "out/3.png").write_bytes(b"mine")
    assert fill(url / "photos", url / "out")[1] == {**ALL, "3": "skipped"}
    assert (behind / "out/3.png").read_bytes() == b"mine"
    assert fill(url / "photos", url / "out", overwrite=True)[1] == ALL
    assert (behind / "out/3.png").read_bytes() != b"mine"
    assert not list(behind.rglob(f"*{TEMPORARY_SUFFIX}"))


def test_an_output_grows_under_another_name(server, monkeypatch):
    url, behind = server
    seen = []

    def look(*arguments):
        seen.extend(path.name for path in behind.glob("*.*"))
        return rename(*arguments)

    from inpaintcli.storage import stores

    rename = stores._rename
    monkeypatch.setattr(stores, "_rename", look)
    (url / "a.png").put(b"whole", overwrite=False, temporary=".0.inpaintcli-part")
    assert seen == [".0.inpaintcli-part"]
    assert (behind / "a.png").read_bytes() == b"whole"


def test_a_folder_that_is_not_there_is_reported(server, fill):
    url, _ = server
    with pytest.raises(UnreadableError, match="nowhere"):
        fill(url / "nowhere", url / "out")
