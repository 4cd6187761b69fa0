"""Kernels as values: named and sent about like functions, and handed to numba when they are first called."""

from __future__ import annotations

import pickle
from typing import Any, cast

import numba
import numpy as np

from nestbench.sim.compiled import Kernel, accumulate, kernel


@kernel
def half(x: float) -> float:
    """Return x / 2."""
    return x / 2.0


@accumulate
def total(x: Any) -> float:
    """Return the sum of halves."""
    s = 0.0
    for v in x:
        s += half(v)
    return s


def test_a_kernel_is_sent_by_its_name() -> None:
    """Workers find the one of their own process; no compiled code travels."""
    kept = cast(Kernel, pickle.loads(pickle.dumps(half)))
    assert kept is half
    assert len(pickle.dumps(half)) < 100
    assert half.__name__ == "half"


def test_kernels_call_each_other_and_are_called_by_functions_of_numbas() -> None:
    """A user's own compiled function may call one of ours that nobody has called yet."""
    one = kernel(lambda x: x / 4.0)
    theirs: Any = numba.njit(lambda x: one(x) + half(x))  # type: ignore[no-untyped-call]
    assert theirs(8.0) == 6.0
    assert total(np.arange(5.0)) == 5.0
    assert half(1.0) / 0.25 == 2.0
