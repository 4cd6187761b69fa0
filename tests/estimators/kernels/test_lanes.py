"""Decompositions side by side against one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.kernels import lanes, linalg


def graded(p: int, count: int, spread: float, seed: int = 1) -> np.ndarray:
    """Return D B D [count, p, p], the B well-conditioned, the D of any size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, p, p))
    b = np.eye(p) + 0.3 * np.einsum("gij,gkj->gik", x, x) / p
    d = np.exp(rng.uniform(0.0, np.log(spread), (count, p)))
    return np.asarray(d[:, :, None] * b * d[:, None, :])


@pytest.mark.parametrize("p", [1, 2, 3, 6])
@pytest.mark.parametrize("spread", [1.5, 1e8])
def test_lanes_are_as_accurate_as_one_matrix_alone(p: int, spread: float) -> None:
    count, room = 7, 9
    a = graded(p, count, spread)
    a[0] = np.eye(p)  # nothing to turn, and 0 / 0 for the angle
    side = np.full((p + 1, p + 1, room), np.nan)
    side[:p, :p, :count] = np.moveaxis(a, 0, -1)
    vectors = np.empty_like(side)
    lanes.eigen_lanes(side, p, count, vectors, np.empty(room), np.empty(room))
    for g in range(count):
        values, alone = np.empty(p), np.empty((p, p))
        linalg.eigen_graded(a[g].copy(), values, alone)
        found, mine = np.diagonal(side[:p, :p, g]), vectors[:p, :p, g]
        np.testing.assert_allclose(np.sort(found), np.sort(values), rtol=1e-13)
        np.testing.assert_allclose(mine.T @ mine, np.eye(p), atol=1e-14)
        np.testing.assert_allclose(mine @ np.diag(found) @ mine.T, a[g], atol=1e-14 * np.abs(a[g]).max())


def test_a_lane_does_not_depend_on_its_neighbours() -> None:
    a = np.moveaxis(graded(3, 6, 1e3), 0, -1)
    alone, together = np.empty_like(a), np.empty_like(a)
    lanes.eigen_lanes(a.copy(), 3, 6, together, np.empty(6), np.empty(6))
    for g in range(6):
        one = np.ascontiguousarray(a[..., g : g + 1])
        lanes.eigen_lanes(one, 3, 1, alone[..., g : g + 1], np.empty(1), np.empty(1))
    np.testing.assert_allclose(np.abs(alone), np.abs(together), rtol=0, atol=1e-13)
