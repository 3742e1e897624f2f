"""Compiling kernels with Numba, and keeping the machine code.

Numba 0.68 with llvmlite 0.50: wheels for Linux (x86-64, ARM), macOS (ARM) and Windows, so that
nobody needs a C compiler. Machine code lies in Numba's cache: beside the kernels' file, else in the
user's cache folder, or where NUMBA_CACHE_DIR says.
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
    """Compile on the first call.

    Of fast arithmetic only what keeps infinities and NaN meaningful: sums may be reordered.
    """
    how = numba.njit(
        nogil=True,
        cache=_can_cache(function),
        error_model="numpy",
        fastmath={"reassoc", "contract", "arcp", "nsz"},
    )
    return cast("F", how(function))


def compile_all(calls: Iterable[Call]) -> None:
    """Compile kernels, or take them from the cache."""
    for function, arguments in calls:
        function(*arguments)


def are_compiled(calls: Iterable[Call]) -> bool:
    """Whether kernels need not be compiled: this process or Numba's cache has them.

    Asks a part of Numba that is not promised to stay; where it went, the answer is False, and a
    note about compiling comes once too often.
    """
    with contextlib.suppress(Exception):
        return all(_has(function, arguments) for function, arguments in calls)
    return False


def _can_cache(function: Callable[..., Any]) -> bool:
    try:
        FunctionCache(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written to
        return False
    return True


def _has(function: Any, arguments: tuple[Any, ...]) -> bool:
    signature = tuple(numba.typeof(argument) for argument in arguments)
    if signature in function.overloads:
        return True
    cache = FunctionCache(function.py_func)
    key = cache._index_key(signature, function.targetctx.codegen())  # noqa: SLF001 no other way
    return key in cache._cache_file._load_index()  # noqa: SLF001 no other way
