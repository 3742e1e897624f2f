"""NVIDIA's true Python bindings of TensorRT, imported on a machine without TensorRT.

The bindings are a small wheel of their own; the libraries behind them take 2 GB and a GPU. Here the
extension module is edited so that it loads alone: it no longer asks for the libraries, and what it
would find in them may be missing. Every class, flag and signature can then be read; nothing can be
built or run.
"""

import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

_DT_NEEDED = 1
_STB_GLOBAL, _STB_WEAK = 1, 2
_READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
import tensorrt_bindings as trt
found = {}
for name in dir(trt):
    value = getattr(trt, name)
    if isinstance(value, type):
        found[name] = {m: getattr(value, m).__doc__ or "" for m in dir(value)}
json.dump({"version": trt.__version__, "names": dir(trt), "classes": found}, sys.stdout)
"""


def read_api(package: str, version: str, folder: Path) -> dict:
    """What the bindings of that version have: names, and members of classes with their docstrings.

    Args:
        package: on PyPI, such as tensorrt-cu13-bindings.
        version: of it.
        folder: where the wheel is kept for the next time.

    Raises:
        OSError: there is no wheel for this machine, or it cannot be fetched.
    """
    unpacked = folder / f"{package}-{version}"
    if not unpacked.exists():
        _fetch(f"{package}=={version}", folder, unpacked)
    read = subprocess.run(
        [sys.executable, "-c", _READ, str(unpacked)], capture_output=True, text=True, check=True
    )
    return json.loads(read.stdout)


def _fetch(requirement: str, folder: Path, unpacked: Path) -> None:
    if sys.platform != "linux":
        raise OSError("only the Linux wheel is known to be edited rightly")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "-d", str(folder)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"pip cannot fetch {requirement}: {done.stderr.strip()[-300:]}")
    name, version = requirement.split("==")
    wheel = next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    part = unpacked.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(part)
    extension = part / "tensorrt_bindings" / "tensorrt.so"
    extension.write_bytes(without_nvidia_libraries(extension.read_bytes()))
    part.rename(unpacked)


def without_nvidia_libraries(elf: bytes) -> bytes:
    """A 64-bit little-endian shared object that loads without NVIDIA's libraries."""
    image = bytearray(elf)
    assert image[:6] == b"\x7fELF\x02\x01"
    sections = _sections(image)
    names_at = sections[".dynstr"][0]

    def name_at(offset: int) -> bytes:
        start = names_at + offset
        return bytes(image[start : image.index(0, start)])

    start, size = sections[".dynamic"]
    needed = [
        (at, value)
        for at in range(start, start + size, 16)
        for tag, value in [struct.unpack_from("<qQ", image, at)]
        if tag == _DT_NEEDED
    ]
    other = next(value for _, value in needed if not name_at(value).startswith(b"libnv"))
    for at, value in needed:
        if name_at(value).startswith(b"libnv"):
            struct.pack_into("<qQ", image, at, _DT_NEEDED, other)
    start, size = sections[".dynsym"]
    for at in range(start, start + size, 24):
        _name, info, _other, section = struct.unpack_from("<IBBH", image, at)
        if section == 0 and info >> 4 == _STB_GLOBAL:
            image[at + 4] = _STB_WEAK << 4 | info & 15
    return bytes(image)


def _sections(image: bytearray) -> dict[str, tuple[int, int]]:
    """Offset and size of each section by name."""
    (table,) = struct.unpack_from("<Q", image, 0x28)
    entry, count, names = struct.unpack_from("<HHH", image, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", image, table + entry * n) for n in range(count)]
    strings = headers[names][4]
    found = {}
    for header in headers:
        start = strings + header[0]
        found[image[start : image.index(0, start)].decode()] = (header[4], header[5])
    return found
