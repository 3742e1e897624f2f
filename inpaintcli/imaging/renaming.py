"""A file gets a name that was free until then, in one step, also where there are no hard links."""

import ctypes
import errno
import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # macOS, sys/stdio.h
_AT_FDCWD = -100
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_in_process = threading.Lock()


def rename_new(source: Path, target: Path) -> None:
    """Rename a file to a name that no file has.

    The system itself refuses to replace a file: Windows always, Linux by renameat2, macOS by
    renamex_np. On the few file systems that know neither hard links nor this (some network shares),
    the name is looked for first, and a file that another program creates in that very moment is
    replaced: rather that than a name under which there is nothing yet.

    Raises:
        FileExistsError: the name is taken.
        OSError: the file cannot be renamed, to another disk, say.
    """
    try:
        _renamed_by_system(source, target)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        with _in_process:
            if os.path.lexists(target):
                raise FileExistsError(
                    errno.EEXIST, os.strerror(errno.EEXIST), str(target)
                ) from error
            source.rename(target)


def _renamed_by_system(source: Path, target: Path) -> None:
    """Rename without replacing.

    Raises:
        OSError: with an errno of _NOT_SUPPORTED, this system or file system does not know how.
    """
    if os.name == "nt":
        source.rename(target)  # refuses to replace, there
        return
    function = _system_function()
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(target))
    names = os.fsencode(source), os.fsencode(target)
    if sys.platform == "darwin":
        failed = function(*names, _RENAME_EXCL)
    else:
        failed = function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


@cache
def _system_function() -> Any:
    """The C library's function; None where it has none."""
    name = "renamex_np" if sys.platform == "darwin" else "renameat2"
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return None
    text, number, flags = ctypes.c_char_p, ctypes.c_int, ctypes.c_uint
    at_folders = [number, text, number, text, flags]
    function.argtypes = [text, text, flags] if sys.platform == "darwin" else at_folders
    function.restype = number
    return function
