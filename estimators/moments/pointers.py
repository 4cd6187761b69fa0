"""Arrays from addresses inside kernels: they take any number of columns without being compiled for each.

``array_at(floats_at(address), (n,))`` is a view of n float64 values, ``array_at(codes_at(address),
(n,))`` of int32 codes. Whoever passes an address keeps the array behind it alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
from numba import types
from numba.extending import intrinsic


def _pointer(typing_context: Any, address: Any, element: Any) -> Any:
    """Return signature and code of an intrinsic that takes an integer for the address of elements of a type."""
    signature = types.CPointer(element)(types.int64)  # type: ignore[no-untyped-call]

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """Return the code: the integer, taken for a pointer."""
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, codegen


def _floats_at(typing_context: Any, address: Any) -> Any:
    """Type an address as that of float64 values."""
    return _pointer(typing_context, address, types.float64)


def _codes_at(typing_context: Any, address: Any) -> Any:
    """Type an address as that of int32 codes."""
    return _pointer(typing_context, address, types.int32)


array_at: Callable[[Any, tuple[int]], Any] = numba.carray  # type: ignore[attr-defined]
floats_at: Callable[[int], Any] = cast(Any, intrinsic)(_floats_at)
codes_at: Callable[[int], Any] = cast(Any, intrinsic)(_codes_at)
