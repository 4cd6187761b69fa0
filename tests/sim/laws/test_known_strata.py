"""Slopes, classes and spreads of a fixed design drawn by statistics: the same population as row by row."""

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
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.laws.known_strata import row_strata
from nestbench.sim.observed.affine import strata_of
from nestbench.sim.observed.batch import Batch, Category, Floats
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.strata import StrataColumns
from nestbench.sim.streams import StreamSource

MODEL = Model("grade ~ hours + girl + arm", subgroup="class")
SIZES = (1, 2, 3, 7, 16, 24, 40)
LAWS: dict[str, dict[str, Any]] = {
    "slope": {"slope": "hours", "slope_sd": 0.8, "slope_correlation": -0.6},
    "between schools": {"residual_cv": 1.2},
    "arms": {"spread": "arm", "residual_spread": 0.9, "school_spread": -1.2},
    "within schools": {"spread": "girl", "residual_spread": 1.1},
    "classes": {"subgroup": "class", "class_icc": 0.3},
}
ALL = {**LAWS["slope"], **LAWS["between schools"], **LAWS["within schools"], **LAWS["classes"]}


@pytest.fixture
def law(tmp_path: Path) -> FixedDesign:
    """Schools of 1 to 40 rows; classes and sexes are mixed in the file, one school has girls alone."""
    rng = np.random.default_rng(8)
    school = np.repeat(np.arange(len(SIZES)), SIZES)
    n = len(school)
    columns = {"hours": rng.normal(3.0, 1.5, n), "girl": ((rng.random(n) < 0.5) | (school == 3)) * 1}
    columns |= {"arm": school % 2, "class": np.where(rng.random(n) < 0.4, "a", "b"), "school": school}
    pd.DataFrame(columns).to_csv(tmp_path / "design.csv", index=False)
    effects = {"Intercept": 2.0, "hours": 0.4}
    return FixedDesign(str(tmp_path / "design.csv"), "hours + girl + arm", effects=effects, icc=0.25)


def draw(law: FixedDesign, replications: int, name: str = "strata") -> Batch:
    return law.draw(Layout(), StreamSource(2, name), range(replications))


def students(batch: Batch) -> Batch:
    return replace(batch, columns=dict(batch.columns), _memo={})


@pytest.mark.parametrize("more", [*LAWS.values(), ALL], ids=[*LAWS, "all"])
def test_students_have_the_cross_products_that_were_drawn(law: FixedDesign, more: dict[str, Any]) -> None:
    other = replace(law, **more)
    batch = draw(other, 4)
    assert other.strata(Layout()) > 0
    found = moments_of(batch, MODEL)
    assert isinstance(batch.columns, StrataColumns)
    assert not batch.columns._made
    expected = moments_of(students(draw(other, 4)), MODEL)
    np.testing.assert_allclose(
        found.cross, expected.cross, rtol=1e-12, atol=1e-12 * np.abs(found.cross).max()
    )
    for method in ("ols-cr2-satt", "reml-kr", "nested-satt"):
        one, two = (get(method).fit(b, MODEL) for b in (batch, students(batch)))
        np.testing.assert_allclose(one.std_error, two.std_error, rtol=1e-8)


def test_the_file_stays_as_it_is(law: FixedDesign) -> None:
    """Strata are rows apart from each other in the file; what is constant in them isn't in schools."""
    batch = draw(replace(law, **ALL), 3)
    rows = draw(replace(law, version=1), 3)
    left, right = (b.replication(1).frame().drop(columns="grade") for b in (batch, rows))
    pd.testing.assert_frame_equal(left, right)
    chosen = batch.take([2, 0]).replication(0).frame()
    pd.testing.assert_frame_equal(chosen, batch.replication(2).frame())


def sums(batch: Batch, by: Floats) -> Floats:
    """Of the outcome, by groups of rows [R, k]: sums, with each column, of squares, and single rows."""
    y = np.asarray(batch.columns["grade"]).reshape(batch.size, -1)
    frame = batch.replication(0).frame()
    weights = [np.ones(len(frame)), *(frame[name].to_numpy(float) for name in ("hours", "girl"))]
    inside = by == np.unique(by)[:, None]
    parts = [(y * w) @ inside.T for w in weights]
    return np.concatenate([*parts, y**2 @ inside.T, y[:, ::7]], axis=1)


def alike(law: FixedDesign, replications: int) -> None:
    """Sums over schools and strata, single students, and random directions of all these and their squares, by KS
    tests of statistics against students; of T tests each has a false alarm of 1e-6 / T."""
    frame = pd.read_csv(law.data)
    by = frame.groupby(["school", "class", "girl"]).ngroup().to_numpy()
    school = frame["school"].to_numpy()
    found = []
    for version, name in ((3, "three"), (1, "one")):
        drawn = draw(replace(law, version=version), replications, name)
        assert (replace(law, version=version).strata(Layout()) > 0) == (version == 3)
        found.append(np.concatenate([sums(drawn, by), sums(drawn, school)], axis=1))
    a, b = found
    # A group of boys alone has no sum over girls.
    kept = b.std(axis=0) > 0
    a, b = a[:, kept], b[:, kept]
    centre, spread = b.mean(axis=0), b.std(axis=0)
    directions = np.random.default_rng(1).normal(size=(b.shape[1], 20))
    a, b = ((x - centre) / spread for x in (a, b))
    a, b = (np.concatenate([x, x @ directions, (x @ directions) ** 2], axis=1) for x in (a, b))
    values = [stats.ks_2samp(*pair, method="asymp").pvalue for pair in zip(a.T, b.T, strict=True)]
    assert min(values) > 1e-6 / len(values)


def test_both_versions_are_one_population(law: FixedDesign) -> None:
    alike(replace(law, **ALL), 1500)


@pytest.mark.slow
@pytest.mark.parametrize("more", [*LAWS.values(), ALL], ids=[*LAWS, "all"])
@pytest.mark.parametrize("shape", ["normal", "chi2(4)"])
def test_both_versions_are_one_population_in_many_data_sets(
    law: FixedDesign, more: dict[str, Any], shape: str
) -> None:
    alike(replace(law, school_errors=shape, **more), 20_000)


def covariance(law: FixedDesign) -> Floats:
    """The covariance of two students of one data set, as it is stated [N, N]."""
    batch = draw(law, 1)
    stated = law.covariance(Layout(), batch, slice(0, batch.rows))
    assert stated is not None
    b, d = stated
    school = np.repeat(np.arange(len(SIZES)), SIZES)
    return np.asarray((b.T @ b) * (school[:, None] == school) + np.diag(d))


@pytest.mark.parametrize("name", ["slope", "within schools", "classes"])
def test_students_have_the_covariance_that_is_stated(law: FixedDesign, name: str) -> None:
    """Every entry, by the fourth moments of normal errors; of T entries each has a false alarm of 1e-6 / T."""
    other, reps = replace(law, effects={}, **LAWS[name]), 3000
    assert other.strata(Layout()) > 0
    y = np.asarray(draw(other, reps).columns["grade"]).reshape(reps, -1)
    stated = covariance(other)
    error = np.sqrt((stated**2 + np.outer(np.diag(stated), np.diag(stated))) / reps)
    assert (np.abs(y.T @ y / reps - stated) < stats.norm.isf(0.5e-6 / y.shape[1] ** 2) * error).all()


def test_strata_are_rows_of_a_school_that_share_class_and_value(law: FixedDesign) -> None:
    frame = pd.read_csv(law.data)
    file = draw(replace(law, version=1), 1)
    classes = frame.groupby(["school", "class"]).ngroup().to_numpy()
    found = row_strata(file, classes, frame["girl"].to_numpy(float))
    groups = frame.groupby(["school", "class", "girl"]).ngroup().to_numpy()
    assert found.of_rows.tolist() == groups.tolist()
    assert found.school_of.tolist() == frame.groupby(groups)["school"].first().tolist()
    assert found.order is not None
    assert (np.diff(groups[found.order]) >= 0).all()
    assert row_strata(file, None, frame["arm"].to_numpy(float)).order is None


@pytest.mark.parametrize("more", LAWS.values(), ids=LAWS)
def test_version_two_is_what_it_was(law: FixedDesign, more: dict[str, Any]) -> None:
    """Key and bytes of runs that were drawn row by row, since only schools of one variance had statistics."""
    one, two, three = (replace(law, version=v, **more) for v in (1, 2, 3))
    keys = [Cell(each, Layout(), Model("grade ~ hours")).key for each in (one, two, three)]
    assert keys[0] == keys[1] != keys[2]
    a, b = (np.asarray(draw(each, 2).columns["grade"]).tobytes() for each in (one, two))
    assert a == b
    assert (two.strata(Layout()), "version 2" in two.why_row_by_row) == (0, True)


def test_what_is_drawn_alike_in_two_versions_has_one_key(law: FixedDesign) -> None:
    keys = [Cell(replace(law, version=v), Layout(), Model("grade ~ hours")).key for v in (2, 3)]
    assert keys[0] == keys[1]
    tails = [Cell(replace(law, version=v, residual_shape="t(5)"), Layout(), MODEL).key for v in (1, 2, 3)]
    assert len(set(tails)) == 1


def test_too_few_students_to_a_stratum_are_drawn_themselves(law: FixedDesign) -> None:
    other = replace(law, spread="hours", residual_spread=0.3)
    assert other.strata(Layout()) == 0
    assert "fewer than 4 students share" in other.why_row_by_row
    assert strata_of(draw(other, 2)) is not None


def test_classes_may_be_a_category_or_numbers(law: FixedDesign) -> None:
    batch = draw(replace(law, **LAWS["classes"]), 1)
    assert isinstance(batch.columns["class"], Category)
    assert batch.replication(0).frame()["class"].isin(["a", "b"]).all()
