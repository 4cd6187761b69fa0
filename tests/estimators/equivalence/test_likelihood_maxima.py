"""No point of a grid of variance parameters has a higher likelihood than the fit, on random data and a known trap."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from nestbench.estimators.engines.mixed_fit import BatchFit, fit_given, fit_of
from nestbench.estimators.engines.mixed_reference import textbook_fit
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
    law = RandomIntercept(slope_sd=1.0, version=1)
    return law.draw(Layout(schools=20, size_range=(4, 24)), STREAMS, replications)


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


def harsh(seed: int, replications: int = 10) -> Batch:
    """3 to 14 schools of 2 to 25 students, ages about 0 to 300, at times perfectly correlated or heavy-tailed."""
    rng = np.random.default_rng(seed)
    schools, least = int(rng.choice([3, 4, 6, 9, 14])), int(rng.choice([2, 3, 4, 6]))
    sizes = rng.integers(least, least + int(rng.choice([1, 3, 20])), size=replications * schools)
    school = np.repeat(np.arange(len(sizes)), sizes)
    count, far = len(school), len(sizes)
    about = rng.normal(size=count) + float(rng.choice([0, 0.5, 2])) * rng.normal(size=far)[school]
    rng.normal(size=count), rng.choice([0, 0.5])  # so that the seeds are those of the search for misses
    level, slope, _ = np.exp(rng.uniform(np.log(0.02), np.log(10), 3))
    effects = rng.normal(size=(3, far)) * (rng.standard_t(2, size=far) if seed % 3 == 0 else 1)
    r = float(rng.choice([0, 0.5, -0.95]))
    effects[1] = r * effects[0] + np.sqrt(1 - r * r) * effects[1]
    noise = rng.normal(size=count) * (rng.standard_t(2, size=count) if seed % 4 == 0 else 1)
    grade = level * effects[0, school] + slope * effects[1, school] * about + noise
    age = about + float(rng.choice([0, 3, 15, 300]))
    return Batch(
        columns={"grade": grade, "age": age, "resources": rng.normal(size=far)[school]},
        group="school",
        school_offsets=offsets_of(sizes),
        replication_offsets=offsets_of(np.full(replications, schools)),
        replications=np.arange(replications),
        streams=StreamSource(1, "harsh"),
    )


def on_faces(fit: BatchFit, batch: Batch, restricted: bool, covariance: str, known: Floats) -> Floats:
    """The highest log-likelihood [R] at a Psi of rank one: a fine grid, then Nelder-Mead where it is near."""

    def at(v: Floats) -> Floats:
        relative = fit.part.back @ np.outer(v, v) @ np.swapaxes(fit.part.back, 1, 2)
        return fit_given(batch, MODEL, restricted, relative, covariance).quantities["(loglik)"]

    diagonal = covariance == "diagonal"
    angles = np.array([0.0, 0.5]) * np.pi if diagonal else np.arange(24) * np.pi / 24
    radii = np.geomspace(0.03, 40.0 / float(fit.part.unit.min()), 24)
    columns = [r * np.array([np.cos(a), np.sin(a)]) for a, r in itertools.product(angles, radii)]
    values = np.array([at(v) for v in columns])
    best = values.max(axis=0)
    for r in np.flatnonzero(best > known - 0.3):
        start = columns[int(values[:, r].argmax())]
        free = np.abs(start) > 1e-9 * np.abs(start).max() if diagonal else np.ones(2, dtype=bool)

        def lower(step: Floats, r: int = int(r), start: Floats = start, free: Floats = free) -> float:
            v = start * 1.0
            v[free] += step * np.abs(start).max()
            return -float(at(v)[r])

        options = {
            "initial_simplex": np.vstack([np.zeros(free.sum()), 0.1 * np.eye(free.sum())]),
            "fatol": 1e-9,
        }
        best[r] = -optimize.minimize(lower, np.zeros(free.sum()), method="Nelder-Mead", options=options).fun
    return best


MISSED = {
    (True, "full"): (102, 402, 481, 537),
    (False, "full"): (221, 273, 276, 420, 442),
    (False, "diagonal"): (101, 282),
}
"""Seeds with a data set whose higher maximum, on a face, a grid without points of the faces doesn't lead to."""


@pytest.mark.slow
@pytest.mark.parametrize(("restricted", "covariance"), MISSED)
def test_no_point_of_a_face_is_better(restricted: bool, covariance: str) -> None:
    for seed in MISSED[restricted, covariance]:
        batch = harsh(seed)
        fit = batch.once(fit_of, MODEL, restricted, covariance)
        found = fit.quantities["(loglik)"]
        missed = on_faces(fit, batch, restricted, covariance, found) - found
        assert np.nanmax(missed) <= SHORT, (seed, missed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("restricted", "covariance", "seed", "r"), [(True, "full", 102, 8), (False, "diagonal", 101, 1)]
)
def test_both_engines_find_the_maximum_on_a_face(
    restricted: bool, covariance: str, seed: int, r: int
) -> None:
    batch = harsh(seed)
    found = batch.once(fit_of, MODEL, restricted, covariance).quantities["(loglik)"][r]
    written = textbook_fit(batch, r, MODEL, restricted, covariance == "diagonal")
    assert -0.5 * written.criterion == pytest.approx(found, abs=SHORT)
