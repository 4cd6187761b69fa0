"""How this project compiles: two decorators over `numba.njit`, so that every kernel has the same rules.

Kernels are plain scalar loops over float64 arrays, compiled once and cached on disk, and release the GIL.
Division by zero gives inf or NaN as in NumPy. `accumulate` allows sums to be reassociated (vectorised);
it is for cross-product loops alone, where the order of summation carries no meaning, and never assumes
that NaN and inf do not occur.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a scalar-loop kernel."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def accumulate(function: F) -> F:
    """Compile a kernel whose sums may be reassociated."""
    rules = {"reassoc", "contract", "nsz"}
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath=rules)(function))
