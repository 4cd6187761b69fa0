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

from nestbench.sim.compile_cache import cache_of

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a scalar-loop kernel."""
    return _compiled(function, False)


def accumulate(function: F) -> F:
    """Compile a kernel whose sums may be reassociated."""
    return _compiled(function, {"reassoc", "contract", "nsz"})


def _compiled(function: F, fastmath: bool | set[str]) -> F:
    """Return the function compiled on first use, with the cache of this project."""
    dispatcher: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
    dispatcher._cache = cache_of(function)  # what cache=True does, with our cache in place of numba's
    return cast(F, dispatcher)
