"""No point of a grid of variance parameters has a higher likelihood than the fit, on random data and a known trap."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from nestbench.estimators.engines.mixed_fit import BatchFit, fit_given, fit_of
from nestbench.estimators.equivalence.agreement import below_grid
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Floats, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource

MODEL = Model("grade ~ age + resources", random="1 + age")
SHORT = 1e-6


def drawn(seed: int, replications: int = 20) -> Batch:
    """Few unequal schools; ages about 0, 15 or 300, effects from nearly none to strong, at times heavy-tailed."""
    rng = np.random.default_rng(seed)
    schools, least = int(rng.choice([4, 6, 9, 14])), int(rng.choice([2, 4]))
    sizes = rng.integers(least, least + int(rng.choice([3, 20])), size=replications * schools)
    school = np.repeat(np.arange(len(sizes)), sizes)
    about = rng.normal(size=len(school)) + float(rng.choice([0.0, 0.5])) * rng.normal(size=len(sizes))[school]
    level, slope = np.exp(rng.uniform(np.log(0.05), np.log(10.0), 2))
    effects = rng.normal(size=(2, len(sizes))) * (
        rng.standard_t(2, size=len(sizes)) if seed % 3 == 0 else 1.0
    )
    grade = level * effects[0, school] + slope * effects[1, school] * about + rng.normal(size=len(school))
    columns = {
        "grade": grade,
        "age": about + float(rng.choice([0.0, 15.0, 300.0])),
        "resources": rng.normal(size=len(sizes))[school],
    }
    return Batch(
        columns=columns,
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=offsets_of(np.full(replications, schools)),
        replications=np.arange(replications),
        streams=StreamSource(1, "maxima"),
    )


def best_of_grid(fit: BatchFit, batch: Batch, model: Model, restricted: bool, covariance: str) -> Floats:
    """The highest log-likelihood [R] on a grid in the fit's own coordinates, which is wide enough for both scales."""
    top = 40.0 / float(fit.part.unit.min())
    levels = [0.0, *np.geomspace(0.02, top, 12)]
    correlations = (0.0,) if covariance == "diagonal" else (-0.99, -0.6, 0.0, 0.6, 0.99)
    best = np.full(batch.size, -np.inf)
    for first, last, r in itertools.product(levels, levels, correlations):
        psi = np.array([[first**2, r * first * last], [r * first * last, last**2]])
        relative = fit.part.back @ psi @ np.swapaxes(fit.part.back, 1, 2)
        at = fit_given(batch, model, restricted, relative, covariance).quantities["(loglik)"]
        best = np.fmax(best, at)
    return best


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("restricted", [True, False], ids=["REML", "ML"])
def test_no_point_of_a_grid_is_better(restricted: bool, covariance: str) -> None:
    for seed in range(5):
        batch = drawn(seed)
        fit = batch.once(fit_of, MODEL, restricted, covariance)
        found = fit.quantities["(loglik)"]
        there = np.isfinite(found)
        assert there.sum() >= 10
        missed = (best_of_grid(fit, batch, MODEL, restricted, covariance) - found)[there]
        assert missed.max() <= SHORT, (seed, missed)


STREAMS = StreamSource(5, "a20fef1a9cadda8e")
"""Of the data sets that lme4 was run on, whatever key this law has now."""


def two_maxima(replications: range) -> Batch:
    """Slopes that vary about the mean age, 15: without a correlation the likelihood has a second, lower maximum."""
    return RandomIntercept(slope_sd=1.0).draw(Layout(schools=20, size_range=(4, 24)), STREAMS, replications)


def test_a_slope_that_is_not_centred_is_fitted_at_the_higher_of_two_maxima() -> None:
    batch = two_maxima(range(30, 60))
    fit = batch.once(fit_of, MODEL, True, "diagonal")
    found = fit.quantities["(loglik)"]
    assert found[7] == pytest.approx(
        -535.138804, abs=1e-6
    )  # lme4 1.1 from theta = (15, 1); -577.60 from its own start
    assert (best_of_grid(fit, batch, MODEL, True, "diagonal") - found).max() <= SHORT


def test_both_engines_find_it() -> None:
    batch = two_maxima(range(37, 38))
    chosen = get({"name": "reml-satt", "covariance": "diagonal"})
    got, expected = (chosen.fit(batch, MODEL, engine) for engine in ("batched", "reference"))
    assert got.status[0] == expected.status[0] == FitStatus.OK
    assert got.quantities["(slope_sd[age])"][0] == pytest.approx(1.11, abs=0.005)
    for field in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(getattr(got, field), getattr(expected, field), rtol=1e-7, err_msg=field)


def test_a_random_intercept_has_no_better_theta_on_a_fine_grid() -> None:
    model = Model(MODEL.formula)
    for seed, restricted in itertools.product(range(6), (True, False)):
        batch = drawn(seed)
        found = batch.once(fit_of, model, restricted).quantities["(loglik)"]
        for theta in [0.0, *np.geomspace(1e-3, 1e3, 121)]:
            at = fit_given(batch, model, restricted, np.full(batch.size, theta)).quantities["(loglik)"]
            assert not (at > found + SHORT).any(), (seed, theta)


@pytest.mark.parametrize(
    "choice", [{"name": "reml-satt", "covariance": "diagonal"}, "reml-z", "ml-z", "mundlak-z", "nested-z"]
)
def test_an_audit_finds_fits_below_its_grid(choice: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """None as fitted; all when the likelihood that a method reports is lowered by 5."""
    chosen = get(choice)  # type: ignore[arg-type]
    batch = drawn(1, 4)
    model = MODEL
    if chosen.name == "nested-z":
        klass = np.arange(batch.rows) // 2 % 2 * 1.0
        batch = replace(batch, columns={**batch.columns, "class": klass}, _memo={})
        model = Model(MODEL.formula, subgroup="class")
    assert below_grid(chosen, batch, model) == {"below_grid": 0, "worst_below_grid": 0.0}

    def lower(batch: Batch, model: Model, options: object) -> Estimates:
        found = chosen.fit(batch, model, "batched")
        return replace(found, quantities={"(loglik)": found.quantities["(loglik)"] - 5.0})

    row = below_grid(replace(chosen, batched=lower), batch, model)
    assert row["below_grid"] >= 3
    assert 1.0 < row["worst_below_grid"] <= 5.0 + 1e-6
