"""Compiling kernels with Numba, and caching their machine code.

Numba 0.68 with llvmlite 0.50: wheels for Linux (x86-64, ARM), macOS (ARM) and Windows, so that
nobody needs a C compiler. Machine code lies in Numba's cache (kernel_cache.py): beside the kernels'
file, else in the user's cache folder, or in the folder that NUMBA_CACHE_DIR names.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import numba as untyped_numba

from inpaintcli.kernels import kernel_cache

numba: Any = untyped_numba

F = TypeVar("F", bound=Callable[..., Any])
Call = tuple[Callable[..., None], tuple[Any, ...]]
"""A kernel, and arguments of the types that it is always called with."""


def kernel(function: F) -> F:
    """Decorator: compile the function when it is first called, without Python's global lock.

    Of fast-math only the flags that keep infinities and NaN meaningful: sums may be reordered.
    """
    compile_lazily = numba.njit(
        nogil=True,
        error_model="numpy",
        fastmath={"reassoc", "contract", "arcp", "nsz"},
    )
    compiled = compile_lazily(function)
    cache = kernel_cache.cache_of(function)
    if cache is not None:
        compiled._cache = cache  # noqa: SLF001 as `cache=True` does
    return cast("F", compiled)


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


def why_not_kept(calls: Iterable[Call]) -> str:
    """Why the machine code is not kept for the next run; empty where it is."""
    reasons = (kernel_cache.why_not_kept(cast("Any", function).py_func) for function, _ in calls)
    return next((reason for reason in reasons if reason), "")


def _is_compiled(function: Any, arguments: tuple[Any, ...]) -> bool:
    signature = tuple(numba.typeof(argument) for argument in arguments)
    if signature in function.overloads:
        return True
    cache = kernel_cache.cache_of(function.py_func)
    return cache is not None and cache.contains(signature, function.targetctx.codegen())
