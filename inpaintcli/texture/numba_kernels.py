"""Compiling kernels with Numba, and caching their machine code.

Numba 0.68 with llvmlite 0.50: wheels for Linux (x86-64, ARM), macOS (ARM) and Windows, so that
nobody needs a C compiler. Machine code lies in Numba's cache: beside the kernels' file, else in the
user's cache folder, or in the folder that NUMBA_CACHE_DIR names.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import numba as untyped_numba
from numba.core.caching import FunctionCache as UntypedCache

numba: Any = untyped_numba
FunctionCache: Any = UntypedCache

F = TypeVar("F", bound=Callable[..., Any])
Call = tuple[Callable[..., None], tuple[Any, ...]]
"""A kernel, and arguments of the types that it is always called with."""


def kernel(function: F) -> F:
    """Decorator: compile the function when it is first called, without Python's global lock.

    Of fast-math only the flags that keep infinities and NaN meaningful: sums may be reordered.
    """
    compile_lazily = numba.njit(
        nogil=True,
        cache=_can_cache(function),
        error_model="numpy",
        fastmath={"reassoc", "contract", "arcp", "nsz"},
    )
    return cast("F", compile_lazily(function))


def compile_all(calls: Iterable[Call]) -> None:
    """Compile kernels, or load them from the cache."""
    for function, arguments in calls:
        function(*arguments)


def are_compiled(calls: Iterable[Call]) -> bool:
    """Whether all kernels are compiled already, in this process or in Numba's cache.

    Uses a private part of Numba; should that be gone, the answer is False, and a note about
    compiling appears once too often.
    """
    with contextlib.suppress(Exception):
        return all(_is_compiled(function, arguments) for function, arguments in calls)
    return False


def _can_cache(function: Callable[..., Any]) -> bool:
    try:
        FunctionCache(function)
    except RuntimeError:  # neither this folder nor the user's cache folder is writable
        return False
    return True


def _is_compiled(function: Any, arguments: tuple[Any, ...]) -> bool:
    signature = tuple(numba.typeof(argument) for argument in arguments)
    if signature in function.overloads:
        return True
    cache = FunctionCache(function.py_func)
    key = cache._index_key(signature, function.targetctx.codegen())  # noqa: SLF001 no public API
    return key in cache._cache_file._load_index()  # noqa: SLF001 no public API
