"""What every random-intercept population keeps: its truth, its variance, draws that don't depend on how they are cut.

Statistical checks compare replication-level averages with their expectation, 4.9 standard errors (false alarm
1e-6), on fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import offsets_of
from nestbench.sim.random_intercept import RandomIntercept
from tests.sim.random_intercept.cases import (
    by_replication,
    cases,
    close,
    column,
    draw,
    effect_columns,
    errors,
    pair_products,
)


@cases
def test_chunks_are_invisible(case: tuple[RandomIntercept, Layout]) -> None:
    """Replications 0 .. 11, drawn at once or as 0 .. 4, 5, 6 .. 11, are the same to the bit, schools included."""
    whole = draw(case, range(12))
    parts = [draw(case, r) for r in (range(5), range(5, 6), range(6, 12))]
    for name in whole.columns:
        np.testing.assert_array_equal(column(whole, name), np.concatenate([column(p, name) for p in parts]))
    sizes = np.concatenate([np.diff(p.school_offsets) for p in parts])
    np.testing.assert_array_equal(whole.school_offsets, offsets_of(sizes))
    labels = [label for p in parts for r in range(p.size) for label in p.replication(r).labels]
    assert [label for r in range(12) for label in whole.replication(r).labels] == labels


@cases
def test_schools_have_students_and_numbers_are_finite(case: tuple[RandomIntercept, Layout]) -> None:
    batch = draw(case, range(20))
    assert np.diff(batch.school_offsets).min() >= 1
    assert all(np.isfinite(column(batch, name)).all() for name in batch.columns)
    assert all(len(column(batch, name)) == batch.rows for name in batch.columns)
    assert (np.diff(batch.replication_offsets) == case[1].schools - case[0].missing_schools).all() or case[
        0
    ].missing


@cases
def test_the_truth_is_what_a_large_study_finds(case: tuple[RandomIntercept, Layout]) -> None:
    """OLS on the true columns of 400 data sets, with errors by data set, finds every effect within 4.9 of them.

    Confounding and informative sizes make this estimate biased; their own tests say by how much.
    """
    population, _ = case
    if population.age_confounding or population.size_correlation:
        pytest.skip("biased by design")
    batch = draw(case, range(400))
    parts = effect_columns(population, batch)
    x = np.stack(list(parts.values()))
    beta = np.linalg.solve(x @ x.T, x @ column(batch, "grade"))
    scores = np.add.reduceat(x * (column(batch, "grade") - beta @ x), batch.row_offsets[:-1], axis=1)
    bread = np.linalg.inv(x @ x.T)
    se = np.sqrt(np.diag(bread @ scores @ scores.T @ bread))
    z = (beta - np.array([population.effects[name] for name in parts])) / se
    assert np.abs(z).max() < 4.9, dict(zip(parts, z, strict=True))


@cases
def test_total_variance_and_icc_are_as_declared(case: tuple[RandomIntercept, Layout]) -> None:
    """E e^2 = total_sd^2 and E e e' = school_sd^2 for two students of one school, plus what slopes and arms add."""
    population, layout = case
    if population.size_correlation:
        pytest.skip("rows of large schools are not a fair sample of the school effects; see its own test")
    batch = draw(case, range(1500))
    e, share = errors(population, batch), layout.treated_part
    total, shared = population.total_sd**2, population.school_sd**2
    if layout.classes:
        shared += population.class_sd**2 * (3 - 1) / (9 - 1)
    if population.slope_sd:
        deviation = column(batch, "age") - population.age_mean
        cross = 2 * population.slope_correlation * population.slope_sd * population.school_sd
        # both SDs by resources: E exp((h + k) r / 2 - (h^2 + k^2) / 4)
        cross *= np.exp(-((population.school_sd_resources - population.slope_sd_resources) ** 2) / 8)
        close(by_replication(batch, e**2 * deviation), cross * population.age_sd**2)
        total += population.slope_sd**2 * population.age_sd**2
    if population.treatment_sd:
        total += population.treatment_sd**2 * share
        shared += population.treatment_sd**2 * (
            share if layout.assignment != "students" else (0.7 * 6 + 0.3 * 12) / 110
        )
    close(by_replication(batch, e**2), total)
    close(pair_products(batch, e), shared)
