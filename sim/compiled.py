"""How this project compiles: two decorators over `numba.njit`, so that every kernel has the same rules.

Kernels are plain scalar loops over float64 arrays, compiled once and cached on disk, and release the GIL.
Division by zero gives inf or NaN as in NumPy. `accumulate` allows sums to be reassociated (vectorised);
it is for cross-product loops alone, where the order of summation carries no meaning, and never assumes
that NaN and inf do not occur.

A kernel is handed to numba when it is first called, here or by another kernel: what only names kernels never loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function of numba's that is made when it is first needed.

    Parameters
    ----------
    make : function -> dispatcher
        Hands a function to numba.
    function : callable
        What is compiled; the kernel bears its name, under which it is pickled.
    """

    def __init__(self, make: Callable[[Callable[..., Any]], Any], function: Callable[..., Any]) -> None:
        self._make = make
        update_wrapper(self, function)

    @cached_property
    def compiled(self) -> Any:
        """The function as numba's, with its signatures and its cache."""
        return self._make(cast(Any, self).__wrapped__)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks a value for that compiled code names: the type of the function itself."""
        import numba

        return numba.typeof(self.compiled)  # type: ignore[no-untyped-call]

    def __call__(self, *args: Any) -> Any:
        return self.compiled(*args)

    def __reduce__(self) -> str:
        return str(cast(Any, self).__qualname__)


def kernel(function: F) -> F:
    """Compile a scalar-loop kernel."""
    return cast(F, Kernel(_strict, function))


def accumulate(function: F) -> F:
    """Compile a kernel whose sums may be reassociated."""
    return cast(F, Kernel(_reassociated, function))


def _strict(function: Callable[..., Any]) -> Any:
    """Return a function whose sums are summed in the order written."""
    return _cached(function, False)


def _reassociated(function: Callable[..., Any]) -> Any:
    """Return a function whose sums may be summed in any order."""
    return _cached(function, {"reassoc", "contract", "nsz"})


def _cached(function: Callable[..., Any], fastmath: bool | set[str]) -> Any:
    """Return the function as numba's, with the cache of this project."""
    from numba import njit

    from nestbench.sim.compile_cache import cache_of

    dispatcher: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
    dispatcher._cache = cache_of(function)  # what cache=True does, with our cache in place of numba's
    return dispatcher
