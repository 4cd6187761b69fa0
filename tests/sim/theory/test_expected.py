"""Expected variances of many data sets at once against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory.expected import expected_of, mean_ratio
from nestbench.sim.theory.rows import rows_of_batch
from nestbench.sim.theory.scores import moments_of
from nestbench.sim.theory.standardised import standardised
from tests.oracles import sandwich_exact as dense

MODEL = Model(formula="y ~ age + z + group_mean(z)")


def unequal() -> tuple[Batch, np.ndarray, np.ndarray]:
    """Two data sets of 7 and 5 unequal schools, B' [2, N] and residual variances that differ between students."""
    rng = np.random.default_rng(4)
    sizes, counts = np.array([3, 9, 4, 14, 6, 5, 11, 8, 2, 7, 3, 12]), np.array([7, 5])
    n = int(sizes.sum())
    age = 40.0 + rng.normal(size=n) + np.repeat(rng.normal(size=12), sizes)
    batch = Batch(
        columns={"y": rng.normal(size=n), "age": age, "z": 0.01 * rng.normal(size=n)},
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=offsets_of(counts),
        replications=np.arange(2),
        streams=StreamSource(0, "x"),
    )
    return batch, np.stack([np.full(n, 0.7), 0.3 * (age - 40.0)]), 0.5 + rng.random(n)


@pytest.mark.parametrize("kind", ["iid", "cr0", "cr1s", "cr2", "cr3"])
def test_against_dense(kind: str) -> None:
    batch, factors, variance = unequal()
    design = batch.once(design_of, MODEL)
    on = rows_of_batch(batch)
    found = expected_of(on, moments_of(on, standardised(design, batch), factors, variance), factors, variance)
    for r in range(2):
        rows, groups = batch.replication(r).rows, batch.replication(r).groups
        x, b = design.fixed(batch)[:, rows].T, factors[:, rows].T
        omega = np.diag(variance[rows]) + (groups[:, None] == groups[None, :]) * (b @ b.T)
        for term in range(4):
            _, expected, true = dense.size(x, omega, groups, term, kind, 2.0)
            got = found.estimates[kind][r, term], found.variance[r, term]
            assert got == pytest.approx((expected, true), rel=1e-6)


def test_mean_ratio_and_its_error() -> None:
    """Over 400 sets of 50 draws the stated errors are the spread of the ratio."""
    rng = np.random.default_rng(1)
    v = rng.gamma(8.0, size=(400, 50))
    e = v * rng.gamma(20.0, size=v.shape) / 20.0
    pairs = np.array([mean_ratio(a, b) for a, b in zip(e, v, strict=True)])
    assert pairs[:, 0].mean() == pytest.approx(1.0, abs=0.005)
    assert np.sqrt((pairs[:, 1] ** 2).mean()) == pytest.approx(pairs[:, 0].std(), rel=0.17)
    assert mean_ratio(np.array([4.0]), np.array([1.0])) == (2.0, 0.0)
