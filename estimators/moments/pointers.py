"""Arrays from addresses inside kernels: they take any number of columns without being compiled for each.

``floats_at(address, n)`` is a view of n float64 values, ``codes_at(address, n)`` of int32 codes. Whoever passes an
address keeps the array behind it alive.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from nestbench.sim.compiled import Kernel


def _view(element: str) -> Callable[[Any], Any]:
    """Return how numba makes the view of elements of a type: in its own terms, for Python has no pointers."""

    def make(_: Any) -> Any:
        """Return the function: the address, an integer, is taken for a pointer."""
        from numba import carray, njit, types  # type: ignore[attr-defined]
        from numba.extending import intrinsic

        def pointer(typing_context: Any, address: Any) -> Any:
            """Return signature and code of the cast."""
            signature = types.CPointer(getattr(types, element))(types.int64)  # type: ignore[no-untyped-call]
            return signature, lambda context, builder, signature, arguments: builder.inttoptr(
                arguments[0], context.get_value_type(signature.return_type)
            )

        at: Any = cast(Any, intrinsic)(pointer)
        return cast(Any, njit)(lambda address, n: carray(at(address), (n,)))

    return make


@partial(Kernel, _view("float64"))
def floats_at(address: int, n: int) -> Any:
    """View n float64 values."""


@partial(Kernel, _view("int32"))
def codes_at(address: int, n: int) -> Any:
    """View n int32 codes."""
