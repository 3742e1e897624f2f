"""Compiled code: kernels of Numba, and the cache of their machine code."""
