"""The curve between designs, and the root on it: against functions that are known."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nestbench.sizing.curve import curve_of, root_of


def where(step: int) -> float:
    return -math.log(step)


@given(st.floats(0.2, 5.0), st.integers(10, 1500), st.floats(-0.2, 0.2))
def test_the_root_of_a_known_response(scale: float, schools: int, bend: float) -> None:
    """Response^2 = scale G^-(1 + bend), known without error next to its root, though the working model says 1 / G."""

    def response(g: float) -> float:
        return math.sqrt(scale * g ** -(1.0 + bend))

    at = np.array([0.8 * schools, schools, 1.3 * schools])
    curve = curve_of(-np.log(at), np.array([response(g) for g in at]), np.full(3, 1e-9))
    assert curve is not None
    root = root_of(curve, where, response(schools - 0.5), range(4, 2001))
    assert root.reached
    assert abs(root.value - schools) <= 1
    assert root.low <= root.value <= root.high


@given(st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_more_error_widens_the_interval(one: float, other: float) -> None:
    at = -np.log(np.array([100.0]))
    roots = []
    for error in sorted((one, other)):
        curve = curve_of(at, np.array([0.3]), np.array([0.3 * error]))
        assert curve is not None
        roots.append(root_of(curve, where, 0.3, range(4, 2001)))
    assert roots[1].low <= roots[0].low <= 100 <= roots[0].high <= roots[1].high


def test_out_of_reach_is_said() -> None:
    curve = curve_of(np.array([0.0]), np.array([1.0]), np.array([0.01]))
    assert curve is not None
    root = root_of(curve, where, 1e-6, range(4, 2001))
    assert (root.value, root.reached) == (2000, False)
    assert curve_of(np.array([0.0]), np.array([np.nan]), np.array([np.nan])) is None
