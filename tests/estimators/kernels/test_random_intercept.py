"""The search for the variance ratio against its definition: a likelihood written out, on a finer grid than its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.engines.mixed_fit import fit_of
from nestbench.sim.observed.batch import Batch, Floats, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource

MODEL = Model("grade ~ age + resources")


def at_odds(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Sizes and effects of large schools that are alike and pairs that are not: several maxima at times."""
    large, pairs = int(rng.integers(2, 8)), int(rng.integers(4, 30))
    sizes = np.repeat([int(rng.choice([30, 100, 300])), 2], [large, pairs])
    spread = np.repeat([rng.choice([0.0, 0.03]), rng.choice([1.0, 3.0, 10.0])], [large, pairs])
    return sizes, spread * rng.normal(size=large + pairs)


def schools_of(rng: np.random.Generator) -> Floats:
    """Sizes of one replication's schools: few or many, equal or not, some with a single student."""
    schools = int(rng.choice([4, 6, 12, 30]))
    if rng.random() < 0.4:
        return np.full(schools, int(rng.integers(2, 20)))
    sizes = rng.integers(1, int(rng.choice([4, 12, 60])), schools) + 1
    sizes[: schools // 2] = rng.choice([1, 2, 40], schools // 2)
    return sizes


def drawn(seed: int, replications: int) -> Batch:
    """ICC 0 to .999, heavy tails, ages that hang on the school's effect, with more or less of them between schools."""
    rng = np.random.default_rng(seed)
    sizes, grade, age, resources = [], [], [], []
    for r in range(replications):
        own, icc = schools_of(rng), float(rng.choice([0.0, 0.02, 0.2, 0.9, 0.999]))
        u = np.sqrt(icc) * (rng.standard_t(2, len(own)) if rng.random() < 0.4 else rng.normal(size=len(own)))
        if r % 3 == 0:
            own, u = at_odds(rng)
        sizes.append(own)
        school = np.repeat(np.arange(len(own)), own)
        e = rng.standard_t(2, len(school)) if rng.random() < 0.3 else rng.normal(size=len(school))
        between = float(rng.choice([0, 0.5, 3])) * u + float(rng.choice([0, 1, 5])) * rng.normal(
            size=len(own)
        )
        between *= r % 3 > 0
        grade.append(u[school] + np.sqrt(1 - icc) * e)
        age.append(rng.normal(size=len(school)) + between[school])
        resources.append(rng.normal(size=len(own))[school])
    return Batch(
        columns={
            name: np.concatenate(c) for name, c in (("grade", grade), ("age", age), ("resources", resources))
        },
        group="school",
        school_offsets=offsets_of(np.concatenate(sizes)),
        replication_offsets=offsets_of(np.array([len(own) for own in sizes])),
        replications=np.arange(replications),
        streams=StreamSource(1, "grid"),
    )


def on_grid(batch: Batch, r: int, ratios: Floats, restricted: bool) -> Floats:
    """The profiled log-likelihood at variance ratios: V = I + ratio ZZ', inverted school by school (Woodbury)."""
    data = batch.replication(r).frame()
    z = pd.get_dummies(np.asarray(data["school"])).to_numpy(float)
    y, x = data["grade"].to_numpy(), np.column_stack([np.ones(len(data)), data["age"], data["resources"]])
    w, n = np.column_stack([x, y]), z.sum(axis=0)
    nu = len(y) - 3 if restricted else len(y)
    less = ratios[:, None] / (1 + n * ratios[:, None])
    b = w.T @ w - np.einsum("gi,lg,gj->lij", z.T @ w, less, z.T @ w)
    log_x = np.linalg.slogdet(b[:, :3, :3])[1]
    rss = np.exp(np.linalg.slogdet(b)[1] - log_x)
    twice = nu * (1 + np.log(2 * np.pi * rss / nu)) + np.log1p(n * ratios[:, None]).sum(axis=1)
    return np.asarray(-0.5 * (twice + log_x * restricted))


RATIOS = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 600)])


@pytest.mark.parametrize("restricted", [True, False], ids=["REML", "ML"])
def test_no_variance_ratio_of_a_dense_grid_is_better(restricted: bool) -> None:
    batch = drawn(2, 60)
    fit = batch.once(fit_of, MODEL, restricted)
    found, several = fit.quantities["(loglik)"], 0
    for r in range(batch.size):
        values = on_grid(batch, r, RATIOS, restricted)
        inner = (values[1:-1] > values[:-2] + 1e-9) & (values[1:-1] > values[2:] + 1e-9)
        several += int(inner.sum() + (values[0] > values[1])) > 1
        assert values.max() <= found[r] + 1e-7, (r, found[r], values.max())
    # as they must be: some with an effect of 0, some with another maximum beside the highest
    assert (fit.fits.theta == 0).sum() >= 5
    assert several >= 3
