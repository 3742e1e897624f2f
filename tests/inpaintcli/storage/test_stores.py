"""Names in a store behave as paths do, and what is put there is whole or not there."""

import io
import time
from pathlib import Path, PurePosixPath

import pytest

from inpaintcli.errors import UsageError
from inpaintcli.storage import stores
from inpaintcli.storage.folders import find_pictures
from inpaintcli.storage.locations import parse_location, relative_path
from inpaintcli.storage.stores import FileInfo, StoreUrl

fsspec = pytest.importorskip("fsspec", reason="the extra `remote` is not installed")


@pytest.fixture
def root(monkeypatch):
    """An empty store."""
    memory = fsspec.filesystem("memory")
    opened = type(memory)._open

    def readers_of_their_own(self, path, mode="rb", **options):
        found = opened(self, path, mode, **options)
        return io.BytesIO(found.getvalue()) if mode == "rb" else found

    # fsspec hands one file, with one position, to all who read a name in memory at once.
    monkeypatch.setattr(type(memory), "_open", readers_of_their_own)
    yield StoreUrl("memory://box")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def put(url, data, *, overwrite=False):
    url.put(data, overwrite=overwrite, temporary=".0.inpaintcli-part")


def content(url, folder):
    url.fetch(folder / "copy")
    return (folder / "copy").read_bytes()


def names(root):
    return sorted(url.text for url in root.files_below())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (StoreUrl("s3://b/x") / "a.png", "s3://b/x/a.png"),
        (StoreUrl("s3://b/x") / PurePosixPath("y/a.png"), "s3://b/x/y/a.png"),
        (StoreUrl("s3://b/x") / "../a.png", "s3://b/a.png"),
        (StoreUrl("s3://b/x/a.png").parent, "s3://b/x"),
        (StoreUrl("s3://b/x/a.png").with_name("c.tif"), "s3://b/x/c.tif"),
        (StoreUrl("memory://") / "a.png", "memory://a.png"),
        (StoreUrl("s3://b/x") / "y//a.png", "s3://b/x/y//a.png"),
        (StoreUrl("s3://b/x//a.png").parent / "c.png", "s3://b/x//c.png"),
        (StoreUrl("s3://b/x//a.png").with_name("c.tif"), "s3://b/x//c.tif"),
        (StoreUrl("https://h/a.png?sig=x/y.z").with_name("c.tif"), "https://h/c.tif"),
        (StoreUrl("https://h/x/a.png?sig=x/y.z").parent, "https://h/x"),
    ],
)
def test_names_are_joined_as_paths_are(given, text):
    assert str(given) == text


def test_the_parts_of_a_name():
    url = StoreUrl("S3://bucket/a b/c.tar.png")
    assert (url.scheme, url.name, url.stem, url.suffix) == ("s3", "c.tar.png", "c.tar", ".png")
    assert url.is_relative_to(StoreUrl("s3://bucket/a b"))
    assert not url.is_relative_to(StoreUrl("gs://bucket"))
    assert not url.is_relative_to(Path("bucket"))


@pytest.mark.parametrize(
    ("text", "name", "suffix"),
    [
        ("https://h/a.PNG?X-Sig=a%2Fb/c.d&v=1", "a.PNG", ".PNG"),
        ("http://h/list.csv#top", "list.csv", ".csv"),
        ("s3://b/a.png?versionId=3.L4kq", "a.png", ".png"),
        ("s3://b/what?.png", "what?.png", ".png"),
    ],
)
def test_a_query_is_no_part_of_a_name(text, name, suffix):
    url = StoreUrl(text)
    assert (url.name, url.suffix, f"{url.stem}{url.suffix}") == (name, suffix, name)
    assert str(url) == text  # and the store is asked with it


def test_keys_with_empty_folders_are_fetched_and_listed_as_they_are(monkeypatch, tmp_path):
    keys = {"box/in/a//b.png": b"1", "box/in//c.png": b"2", "box/in/a/b.png": b"3"}

    class Keys:
        def invalidate_cache(self):
            pass

        def find(self, path, **_):
            return {
                key: {"type": "file", "size": len(data)}
                for key, data in keys.items()
                if key.startswith(f"{path}/")
            }

        def get_file(self, path, target):
            Path(target).write_bytes(keys[path])

    monkeypatch.setattr(stores, "_opened", lambda url: (Keys(), url.text.partition("://")[2]))
    found = find_pictures(StoreUrl("s3://box/in")).pictures
    assert {url.text.removeprefix("s3://"): content(url, tmp_path) for url in found} == keys
    below = {relative_path(url, StoreUrl("s3://box/in")).as_posix() for url in found}
    assert below == {"a/b.png", "c.png"}  # two of them would have one output, and are refused


@pytest.mark.parametrize("renaming", [False, True], ids=["objects", "files"])
def test_what_exists_is_replaced_only_when_asked_to(root, tmp_path, monkeypatch, renaming):
    if renaming:
        monkeypatch.setattr(stores, "RENAMING_STORES", frozenset({"memory"}))
        monkeypatch.setattr(stores, "CREATE_ONLY_STORES", frozenset())
    url = root / "deep/a.png"
    put(url, b"one")
    with pytest.raises(FileExistsError):
        put(url, b"two")
    assert content(url, tmp_path) == b"one"
    put(url, b"two", overwrite=True)
    assert content(url, tmp_path) == b"two"
    assert names(root) == [str(url)]


def test_a_file_that_grows_has_another_name_until_it_is_complete(root, monkeypatch):
    monkeypatch.setattr(stores, "RENAMING_STORES", frozenset({"memory"}))
    monkeypatch.setattr(stores, "CREATE_ONLY_STORES", frozenset())
    seen = []
    rename = stores._rename
    monkeypatch.setattr(stores, "_rename", lambda *args: (seen.extend(names(root)), rename(*args)))
    put(root / "a.png", b"whole")
    assert seen == ["memory://box/.0.inpaintcli-part"]
    assert names(root) == ["memory://box/a.png"]


def test_a_part_that_could_not_be_renamed_is_removed(root, monkeypatch):
    monkeypatch.setattr(stores, "RENAMING_STORES", frozenset({"memory"}))
    monkeypatch.setattr(stores, "CREATE_ONLY_STORES", frozenset())

    def broken(*_):
        raise PermissionError(13, "no")

    monkeypatch.setattr(stores, "_rename", broken)
    with pytest.raises(PermissionError):
        put(root / "a.png", b"whole")
    assert names(root) == []


def test_what_was_listed_is_not_asked_for_again(root, monkeypatch):
    put(root / "a.png", b"123")
    [url] = root.files_below()
    monkeypatch.setattr(stores, "_opened", lambda _: pytest.fail("asked"))
    assert url.exists()
    assert url.is_file()
    assert not url.is_dir()
    assert url.file_info().size == 3


def test_below_looks_as_deep_as_reported(root):
    for name in ("a.png", "x/b.png", "x/y/c.png"):
        put(root / name, b"1")
    assert len(root.files_below()) == 3
    assert [url.name for url in root.files_below(recursive=False)] == ["a.png"]
    assert (root / "x").is_dir()
    assert not (root / "z").is_dir()
    assert (root / "z").files_below() == []


def test_a_changed_file_has_another_tag(root):
    url = root / "a.png"
    put(url, b"1")
    before = url.file_info()
    put(url, b"2", overwrite=True)
    assert url.file_info() != before
    assert (root / "b.png").file_info() == FileInfo()


@pytest.mark.parametrize(("age", "known"), [(0, False), (60, True)])
def test_a_time_in_complete_seconds_counts_only_once_it_is_over(age, known):
    info = {"type": "file", "size": 1, "mtime": float(int(time.time()) - age)}
    assert bool(stores._parsed(info).version) is known


def test_errors_of_a_client_are_errors_of_the_system(root, monkeypatch):
    class Strange:
        def exists(self, _):
            raise ValueError("the moon is full")

    monkeypatch.setattr(stores, "_opened", lambda _: (Strange(), "a"))
    with pytest.raises(OSError, match="the moon is full"):
        (root / "a.png").exists()


@pytest.mark.parametrize(
    ("text", "package"),
    [("s3://b/a.png", "s3fs"), ("gs://b/a.png", "gcsfs"), ("https://b/a.png", "aiohttp requests")],
)
def test_a_missing_package_is_named(text, package, monkeypatch):
    import fsspec.core

    def missing(_):
        raise ImportError(f"Install {package}")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UsageError, match=package) as caught:
        parse_location(text).exists()
    assert caught.value.hint == f"pip install {package}"


def test_fsspec_itself_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(UsageError, match="fsspec") as caught:
        parse_location("s3://b/a.png").exists()
    assert caught.value.hint == "pip install 'inpaintcli[remote]'"


def test_unknown_stores_are_reported():
    with pytest.raises(UsageError, match="nope"):
        parse_location("nope://a.png").exists()
