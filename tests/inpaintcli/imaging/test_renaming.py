"""A name appears with the whole file under it, and replaces none, whatever the file system can."""

import errno
import os
import stat
from pathlib import Path

import pytest

from inpaintcli.errors import OutputError
from inpaintcli.imaging import images, renaming
from inpaintcli.imaging.renaming import rename_new


@pytest.fixture(params=["by the system", "by looking first"])
def ways(request, monkeypatch):
    """With the system's own call, and without it."""
    if request.param == "by looking first":

        def unknown(*_):
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(renaming, "_renamed_by_system", unknown)


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("taken_by", ["a file", "a folder", "a broken link"])
def test_a_name_that_is_taken_is_left_alone(tmp_path, taken_by):
    source, target = tmp_path / "one", tmp_path / "two"
    source.write_bytes(b"1")
    if taken_by == "a file":
        target.write_bytes(b"2")
    elif taken_by == "a folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        rename_new(source, target)
    assert source.read_bytes() == b"1"
    assert os.path.lexists(target)


@pytest.mark.usefixtures("ways")
def test_a_free_name_is_given(tmp_path):
    source, target = tmp_path / "one", tmp_path / os.fsdecode(b"n\xe4me\n")
    source.write_bytes(b"1")
    rename_new(source, target)
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == b"1"


@pytest.mark.skipif(os.name == "nt", reason="hard links are not used there")
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_without_hard_links_a_name_never_stands_for_an_unfinished_file(
    tmp_path, monkeypatch, number
):
    """A reader who asks again and again sees no file, then the whole one."""
    path, seen = tmp_path / "out.png", []

    def no_links(*_):
        seen.append(path.exists())
        raise OSError(number, os.strerror(number))

    def looking(call):
        def wrapped(*arguments, **keywords):
            seen.append(path.exists())
            result = call(*arguments, **keywords)
            if path.exists():
                assert path.read_bytes() == b"whole"
            return result

        return wrapped

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    for name in ("touch", "replace", "rename"):
        monkeypatch.setattr(Path, name, looking(getattr(Path, name)))
    monkeypatch.setattr(renaming, "_renamed_by_system", looking(renaming._renamed_by_system))
    images.write_bytes(b"whole", path)
    assert not any(seen)
    assert path.read_bytes() == b"whole"


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, kind):
    path = tmp_path / "out.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)
    for write in (
        lambda: images.write_bytes(b"1", path, overwrite=True),
        lambda: images.check_writable(path, overwrite=True),
    ):
        with pytest.raises(OutputError, match="regular"):
            write()
    assert path.is_symlink() or stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]
