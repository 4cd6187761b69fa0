"""A fixed design drawn by its statistics: the same population as row by row, X as it is in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nestbench.estimators.methods.registry import get
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.estimators.null import under_null
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.laws.known_design import KnownRows
from nestbench.sim.observed.affine import strata_of
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.derived import constant_within_schools
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.strata import StrataColumns
from nestbench.sim.streams import StreamSource

FORMULA = "hours * sex + resources"
EFFECTS = {"Intercept": 10.0, "hours": 0.5, "sex[T.girl]": 1.0, "hours:sex[T.girl]": -0.3}
MODEL = Model("grade ~ hours + sex + resources")


@pytest.fixture
def law(tmp_path: Path) -> FixedDesign:
    """Twelve schools of 1, 2, 3 and up to 40 rows, one of boys alone."""
    rng = np.random.default_rng(3)
    school = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 8, 9, 12, 15, 20, 30, 40])
    sex = np.where((rng.random(len(school)) < 0.5) | (school == 6), "boy", "girl")
    columns = {"hours": rng.normal(4.0, 2.0, len(school)), "sex": sex, "other": rng.normal(size=len(school))}
    frame = pd.DataFrame({**columns, "resources": rng.normal(size=12)[school], "school": school})
    frame.to_csv(tmp_path / "design.csv", index=False)
    return FixedDesign(data=str(tmp_path / "design.csv"), formula=FORMULA, effects=EFFECTS, version=2)


def draw(law: FixedDesign, replications: int, seed: int = 1) -> Batch:
    return law.draw(Layout(), StreamSource(seed, "known"), range(replications))


def students(batch: Batch) -> Batch:
    return replace(batch, columns=dict(batch.columns), _memo={})


@pytest.mark.parametrize("random", ["1", "1 + hours"])
@pytest.mark.parametrize(
    ("formula", "completes"),
    [
        ("grade ~ hours + sex + resources", False),
        ("grade ~ hours * sex", False),
        ("grade ~ resources + group_centred(hours) + group_mean(hours)", False),
        ("grade ~ hours + other", True),
        ("grade ~ hours * resources", True),
        ("np.log(grade + 100) ~ hours", True),
    ],
)
def test_moments_are_those_of_the_rows(law: FixedDesign, formula: str, completes: bool, random: str) -> None:
    model, batch = Model(formula, random=random), draw(law, 5)
    found = moments_of(batch, model)
    assert isinstance(batch.columns, StrataColumns)
    assert bool(batch.columns._made) is completes
    expected = moments_of(students(draw(law, 5)), model)
    assert found.regular.all()
    for name in ("cross", "pivot", "contrasts"):
        values, others = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(values, others, rtol=1e-10, atol=1e-12 * np.abs(others).max())


def test_the_design_stays_as_it_is(law: FixedDesign) -> None:
    by_rows = replace(law, version=1)
    one, two = (each.draw(Layout(), StreamSource(1, "known"), range(3)) for each in (by_rows, law))
    assert list(one.columns) == list(two.columns)
    left, right = (batch.replication(2).frame().drop(columns="grade") for batch in (one, two))
    pd.testing.assert_frame_equal(left, right)
    assert two.take([2, 0]).replication(0).frame().equals(two.replication(2).frame())


@pytest.mark.parametrize("method", ["ols-cr2-satt", "dummies", "reml-kr", "mundlak-satt", "ols-hc3", "gee-z"])
@pytest.mark.parametrize("cv", [0.0, 0.5])
def test_methods_find_what_they_find_on_the_rows(law: FixedDesign, method: str, cv: float) -> None:
    model, law = replace(MODEL, null={"hours": 0.4}), replace(law, residual_cv=cv)
    found, expected = (get(method).fit(b, model) for b in (draw(law, 5), students(draw(law, 5))))
    for name in ("estimate", "std_error", "df", "p_value", "lower"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-8)


def sums(batch: Batch) -> Floats:
    """X'y and y'y of every school [R, k]."""
    y = np.asarray(batch.columns["grade"]).reshape(batch.size, -1)
    first = batch.school_offsets[:12]
    parts = [np.add.reduceat(y * column, first, axis=1) for column in rows_of(batch)]
    parts.append(np.add.reduceat(y * y, first, axis=1))
    return np.concatenate(parts, axis=1)


def rows_of(batch: Batch) -> list[Floats]:
    frame = batch.replication(0).frame()
    girl = (frame["sex"] == "girl").to_numpy(float)
    hours = frame["hours"].to_numpy()
    return [np.ones(len(frame)), hours, girl, hours * girl]


@pytest.mark.parametrize("shape", ["normal", pytest.param("chi2(4)", marks=pytest.mark.slow)])
def test_both_versions_are_one_population(law: FixedDesign, shape: str) -> None:
    """Sums of every school, and directions in them, by KS tests; of T tests each has a false alarm of 1e-6 / T."""
    two = replace(law, school_errors=shape)
    one = replace(two, version=1)
    a = sums(two.draw(Layout(), StreamSource(4, "two"), range(2000)))
    b = sums(one.draw(Layout(), StreamSource(4, "one"), range(2000)))
    centre, spread = b.mean(axis=0), np.where(b.std(axis=0) > 0, b.std(axis=0), 1.0)
    directions = np.random.default_rng(1).normal(size=(b.shape[1], 30))
    a, b = ((x - centre) / spread for x in (a, b))
    a, b = (np.concatenate([x, x @ directions, (x @ directions) ** 2], axis=1) for x in (a, b))
    values = [stats.ks_2samp(*pair, method="asymp").pvalue for pair in zip(a.T, b.T, strict=True)]
    assert min(values) > 1e-6 / len(values)


def test_residuals_are_independent_normals(law: FixedDesign) -> None:
    """Row by row: each residual, differences of two of a school, their radii (KS, 1e-6 over their number)."""
    plain = replace(law, effects={}, icc=0.0)
    e = np.asarray(draw(plain, 2000).columns["grade"]).reshape(2000, -1)
    found = [e[:, k] for k in (0, 2, 5, 40, 148)]
    found += [
        (e[:, 1] - e[:, 2]) / np.sqrt(2),
        (e[:, 3] - e[:, 4]) / np.sqrt(2),
        (e[:, 110] + e[:, 111]) / np.sqrt(2),
    ]
    found += [
        stats.norm.ppf(stats.chi2(2).cdf(e[:, i] ** 2 + e[:, j] ** 2))
        for i, j in ((3, 5), (7, 9), (120, 130))
    ]
    assert min(stats.kstest(values, "norm").pvalue for values in found) > 1e-6 / len(found)


@pytest.mark.parametrize("random", ["1", "1 + hours"])
def test_what_x_alone_decides_is_the_same_bytes_alone_or_with_others(law: FixedDesign, random: str) -> None:
    """Methods that reuse it over the data sets of a batch, where another design comes between two of one: X is looked
    at, not assumed."""
    model = replace(MODEL, random=random)
    names = ("ols-cr2-satt", "ols-cr3-t", "ols-jackknife-t", "dummies-cr2-satt", "reml-cr2")
    batch = students(draw(law, 6))
    moved = dict(batch.columns)
    rows = slice(*batch.row_offsets[2:4])
    hours = np.array(moved["hours"])
    hours[rows] = hours[rows][::-1]
    batch = replace(batch, columns={**moved, "hours": hours}, _memo={})
    for name in names:
        method = get(name) if random == "1" or name == "reml-cr2" else None
        if method is None:
            continue
        together = method.fit(batch, model)
        for r in range(batch.size):
            alone = method.fit(batch.take([r]), model)
            for column in ("estimate", "std_error", "df"):
                one, many = getattr(alone, column)[0], getattr(together, column)[r]
                assert one.tobytes() == many.tobytes(), (name, r, column)


def test_tests_have_their_exact_size(law: FixedDesign) -> None:
    """The coverage of OLS tests is what `theory` has by quadrature, within 4.9 standard errors of 20 000 data sets."""
    cell = Cell(law, Layout(), Model(f"grade ~ {FORMULA}"))
    known, batch = cell.theory(), cell.draw(5, range(20_000))
    for name in ("ols", "ols-cr1s-t"):
        estimates = get(name).fit(batch, cell.model)
        table = next(v for k, v in known["coverage"].items() if k in get(name).theory)
        for term, value in table.items():
            j = estimates.terms.index(term)
            truth = known["coefficients"][term]
            covered = ((estimates.lower[:, j] <= truth) & (truth <= estimates.upper[:, j])).mean()
            assert abs(covered - value) <= 4.9 * np.sqrt(value * (1 - value) / 20_000), (name, term)
    assert strata_of(batch) is not None
    assert isinstance(batch.columns, StrataColumns)
    assert not batch.columns._made


BY_ROWS: list[dict[str, Any]] = [
    {"residual_shape": "t(5)"},
    {"slope": "hours", "slope_sd": 0.3},
    {"residual_cv": 0.5},
    {"spread": "hours", "residual_spread": 0.3},
    # The random parts and the shape together: what is made of residuals before and after they are given their SDs.
    {"residual_shape": "chi2(4)", "slope": "hours", "slope_sd": 0.3, "residual_cv": 0.5},
    {"residual_shape": "t(5)", "spread": "hours", "residual_spread": 0.3, "slope": "hours", "slope_sd": 0.3},
]


@pytest.mark.parametrize("more", BY_ROWS, ids=lambda more: " ".join(more))
def test_rows_are_drawn_where_residuals_are_not_alike(law: FixedDesign, more: dict[str, Any]) -> None:
    """Their students are those that were drawn, and have the statistics that methods go by."""
    other = replace(law, **more)
    assert (law.strata(Layout()), other.strata(Layout())) == (12, 0)
    batch = draw(other, 5)
    drawn = other._drawn_rows(StreamSource(1, "known"), range(5))
    found = moments_of(batch, MODEL)
    assert isinstance(batch.columns, KnownRows)
    assert not batch.columns._made
    expected = moments_of(students(draw(other, 5)), MODEL)
    np.testing.assert_allclose(found.cross, expected.cross, rtol=1e-10, atol=1e-9)
    assert np.asarray(batch.columns["grade"]).tobytes() == drawn.tobytes()
    chosen = batch.take([3, 1])
    assert np.asarray(chosen.columns["grade"]).tobytes() == drawn[[3, 1]].tobytes()


def test_another_outcome_on_rows_that_were_drawn_has_their_directions(law: FixedDesign) -> None:
    """A null value changes the outcome: its rows are those of the drawn one, less X b."""
    other, model = replace(law, residual_shape="t(5)"), replace(MODEL, null={"hours": 0.4})
    batch = draw(other, 4).take([2, 3])
    moved, _ = under_null(batch, model)
    hours = np.asarray(batch.columns["hours"])
    expected = np.asarray(batch.columns["grade"]) - 0.4 * hours
    np.testing.assert_allclose(np.asarray(moved.columns["grade"]), expected, rtol=0, atol=1e-12)


def test_which_columns_are_constant_in_schools_is_one_answer_for_all_data_sets(law: FixedDesign) -> None:
    for batch in (draw(law, 3), draw(replace(law, residual_cv=0.5), 3)):
        design = batch.once(design_of, MODEL)
        found = constant_within_schools(batch, design)
        assert found.tolist() == [[term in ("Intercept", "resources") for term in design.terms]] * 3
