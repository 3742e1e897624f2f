"""The cache of compiled kernels: Numba's, in which nothing that is damaged or full ends a run.

Code that cannot be read, or is not what was written, is compiled anew and written again; code that
cannot be written is compiled again in the next process. Uses private parts of Numba 0.68.
"""

import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core import caching as untyped_caching

caching: Any = untyped_caching

SPACE = 16 << 20
"""Bytes; the machine code of all kernels and their indexes take about half of that."""
_DIGEST_BYTES = 32
_failures: list[str] = []


class DamagedCodeError(ValueError):
    """A file of machine code does not hold what was written to it."""


class _CheckedFiles(caching.IndexDataCacheFile):  # type: ignore[misc]
    """Files of machine code that begin with the sha256 of the rest: damaged code may crash."""

    def _save_data(self, name: str, data: Any) -> None:
        dumped = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(sha256(dumped).digest() + dumped)

    def _load_data(self, name: str) -> Any:
        data = Path(self._data_path(name)).read_bytes()
        digest, dumped = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if sha256(dumped).digest() != digest:
            raise DamagedCodeError(name)
        return pickle.loads(dumped)  # noqa: S301 - written by this program, and checked


class _Files(caching.CompileResultCacheImpl):  # type: ignore[misc]
    """Chooses the folder; without a home Numba would take one that is called `~`."""

    @property
    def _locator_classes(self) -> list[Any]:
        found = caching.CacheImpl._locator_classes  # noqa: SLF001 no public API
        if Path(os.path.expanduser("~")).is_absolute():  # noqa: PTH111 - Path.home() may raise
            return list(found)
        return [kind for kind in found if kind is not caching.UserWideCacheLocator]


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """The cache of one kernel.

    Raises:
        RuntimeError: no folder can be written.
    """

    _impl_class = _Files

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        files: Any = _CheckedFiles.__new__(_CheckedFiles)
        files.__dict__.update(self.__dict__["_cache_file"].__dict__)
        self._cache_file: Any = files

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel; None where there is none, or where it is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - whatever a damaged file leads to
            with suppress(Exception):
                self.flush()  # an index that cannot be read could not be added to
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, if possible."""
        try:
            with suppress(Exception):
                super().save_overload(sig, data)
                return
            self.flush()  # the index may be damaged so that it can be read
            super().save_overload(sig, data)
        except Exception as error:  # noqa: BLE001 - the kernel works all the same
            _failures.append(getattr(error, "strerror", None) or str(error))

    def contains(self, signature: Any, codegen: Any) -> bool:
        """Whether the kernel is there for these types of arguments, and whole."""
        key = self._index_key(signature, codegen)
        return self._cache_file.load(key) is not None


def cache_of(function: Callable[..., Any]) -> KernelCache | None:
    """The cache of a kernel; None where no folder can be written."""
    try:
        return KernelCache(function)
    except (RuntimeError, OSError):
        return None


def why_not_kept(function: Callable[..., Any]) -> str:
    """Why machine code of a kernel is not kept for the next run; empty where it is."""
    if _failures:
        return _failures[0]
    cache = cache_of(function)
    if cache is None:
        return "no folder for it can be written"
    with suppress(OSError):
        if shutil.disk_usage(cache.cache_path).free < SPACE:
            return f"{cache.cache_path} is full"
    return ""
