"""Binomials by inversion are those that NumPy draws of the same uniforms."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.sim.random_intercept import statistics
from nestbench.sim.random_intercept.binomials import MOST, binomials, invertible
from nestbench.sim.streams import StreamSource


@pytest.mark.parametrize("p", [0.5, 0.3, 0.9, 0.01, 0.999, 0.4321])
def test_they_are_numpys(p: float) -> None:
    rng = np.random.default_rng(1)
    most = int(MOST / min(p, 1.0 - p))
    assert invertible(most, p)
    assert not invertible(most + 1, p)
    n = rng.integers(0, most + 1, (40, 50))
    n[0], n[1] = most, 1
    own, theirs = StreamSource(2, "key"), StreamSource(2, "key")
    u = np.zeros(n.shape)
    for r, row in enumerate(n):
        # None is used for n = 0.
        u[r, : (row > 0).sum()] = own.at(r, "data").random((row > 0).sum())
    drawn, short = binomials(n, p, u)
    assert not len(short)
    np.testing.assert_array_equal(drawn, [theirs.at(r, "data").binomial(row, p) for r, row in enumerate(n)])


def test_a_uniform_beyond_all_probabilities_is_told() -> None:
    """Their sum is 1 but for rounding: no double below 1 need be below it."""
    n = np.full((3, 2), 5)
    u = np.array([[0.5, 0.1], [0.5, 1.0 + 1e-9], [0.0, 0.9]])
    drawn, short = binomials(n, 0.5, u)
    assert short.tolist() == [1]
    assert drawn[0].tolist() == [2, 1]


def test_what_is_short_is_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where uniforms don't suffice: the row is drawn by NumPy from the same place of its stream."""
    n, source = np.full((4, 6), 9), StreamSource(3, "key")
    right = statistics._binomials(n, 0.4, source, source.states(range(4), "data"))

    def short(*args: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(n), np.array([1, 3])

    monkeypatch.setattr(statistics, "binomials", short)
    drawn = statistics._binomials(n, 0.4, source, source.states(range(4), "data"))
    np.testing.assert_array_equal(drawn[[1, 3]], right[[1, 3]])
    assert not drawn[[0, 2]].any()


@pytest.mark.parametrize("equal", [True, False])
def test_many_students_are_left_to_numpy(equal: bool) -> None:
    n, source = np.full((2, 4), 1000), StreamSource(3, "key")
    n[:, 0] += not equal
    drawn = statistics._binomials(n, 0.5, source, source.states(range(2), "data"))
    np.testing.assert_array_equal(drawn, [source.at(r, "data").binomial(row, 0.5) for r, row in enumerate(n)])
