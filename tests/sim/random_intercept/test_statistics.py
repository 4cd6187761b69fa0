"""Both versions of a law are one law: statistics drawn are distributed as those of students drawn.

A case has schools of one kind, so that schools of all replications are independent draws of one vector of sums. KS
tests compare each of its parts, and statistics of several of them, between the versions; of T tests each has a false
alarm of 1e-6 / T.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.affine import strata_of
from nestbench.sim.observed.batch import Batch, Category, Floats
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.random_intercept.chi_squares import chi_squares
from nestbench.sim.random_intercept.statistics import allows
from nestbench.sim.streams import StreamSource

EFFECTS = {"Intercept": 2.0, "age": 0.5, "gender": 1.0, "resources": 0.5}
STUDENTS: dict[str, Any] = {"assignment": "students", "treated_share": 0.4}
LAWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one student": ({}, {"students": 1}),
    "two students": ({}, {"students": 2}),
    "three students": ({}, {"students": 3}),
    "a class": ({}, {"students": 12}),
    "many students": ({}, {"students": 150}),
    "few boys": ({"male_share": 0.05}, {"students": 9}),
    "icc 0": ({"icc": 0.0}, {"students": 5}),
    "slopes": ({"slope_sd": 0.7, "slope_correlation": 0.5}, {"students": 6}),
    "random sizes": ({"residual_cv": 0.6}, {"students": 8, "size_cv": 0.8}),
    "classes": ({"class_icc": 0.2, "effects": {**EFFECTS, "teacher": 0.5}}, {"students": 7, "classes": 3}),
    "treated students": (
        {
            "treated_variance_ratio": 3.0,
            "treatment_sd": 0.5,
            "effects": {**EFFECTS, "treated": 0.5, "age:treated": 0.4, "gender:treated": -0.7},
        },
        {"students": 7, **STUDENTS},
    ),
    "treated students in classes": ({"class_icc": 0.1}, {"students": 11, "classes": 2, **STUDENTS}),
    "missing students": ({"missing": 0.4, "icc": 0.3}, {"students": 6}),
    "missing treated students in classes": (
        {"missing": 0.6, "class_icc": 0.1, "effects": {**EFFECTS, "treated": 1.0}},
        {"students": 5, "classes": 2, **STUDENTS},
    ),
    "missing schools": (
        {"missing_schools": 300, "missing_resources": 1.0, "missing": 0.3},
        {"students": 5, "size_cv": 0.5},
    ),
    "confounded": (
        {"age_icc": 0.3, "age_confounding": 0.6, "resources_confounding": -0.4, "school_errors": "chi2(4)"},
        {"students": 5},
    ),
    "informative sizes": ({"size_correlation": 0.7, "icc": 0.4}, {"students": 9, "size_cv": 0.7}),
    "arms": (
        {"treated_variance_ratio": 4.0, "treated_school_variance_ratio": 0.3, "treatment_sd": 0.4},
        {"students": 5, "treated_share": 0.4, "assignment": "random"},
    ),
    "spreads by resources": (
        {"slope_sd": 0.5, "slope_correlation": -0.6, "slope_sd_resources": 0.7, "school_sd_resources": -0.8},
        {"students": 4, "size_range": (1, 9)},
    ),
    "effects of size and pairs": (
        {"effects": {**EFFECTS, "treated": 0.5, "size": 0.7, "treated:size": -0.4, "age:resources": 0.5}},
        {"students": 8, "size_spread": 0.7, "treated_share": 0.5, "assignment": "pairs"},
    ),
    "school age": ({"age_icc": 0.3, "effects": {**EFFECTS, "school_age": 1.0}}, {"students": 4}),
}


def draw(name: str, version: int, schools: int, seed: int = 14) -> Batch:
    law, layout = LAWS[name]
    population = RandomIntercept(**{"effects": EFFECTS, "age_mean": 1.0, **law}, version=version)
    assert allows(population)
    replications = range((version - 1) * 10**6, (version - 1) * 10**6 + max(1, schools // 500))
    return population.draw(Layout(schools=500, **layout), StreamSource(seed, name), replications)


def numbers(batch: Batch, name: str) -> Floats:
    column = batch.columns[name]
    return np.asarray(column.codes if isinstance(column, Category) else column, dtype=np.float64)


def of_students(batch: Batch) -> Floats:
    """Sums over the students of each school: of 1, age, male, treated, grade, resources and all their products
    [S, k]."""
    names = ("age", "gender", "treated", "grade", "resources")
    columns = [np.ones(batch.rows), *(numbers(batch, c) for c in names)]
    products = [a * b for i, a in enumerate(columns) for b in columns[: i + 1]]
    if "class" in batch.columns:
        first = (numbers(batch, "class") == 0).astype(float)
        products += [first * columns[4], first * columns[1] * columns[4]]
    return np.add.reduceat(np.stack(products), batch.school_offsets[:-1], axis=1).T


def of_strata(batch: Batch) -> Floats:
    """The same from strata, by hand."""
    strata = strata_of(batch)
    assert strata is not None
    gender = strata.constants["gender"]
    assert isinstance(gender, Category)
    n, (age, grade) = strata.count.astype(float), strata.mean.T
    scatter = np.einsum("tcf,tdf->tcd", strata.factor, strata.factor)
    treated = np.asarray(strata.constants["treated"])
    resources = np.asarray(strata.constants["resources"])
    columns = [np.ones(len(n)), age, gender.codes.astype(float), treated, grade, resources]
    products = [n * a * b for i, a in enumerate(columns) for b in columns[: i + 1]]
    for at, (i, j) in {2: (0, 0), 11: (1, 0), 14: (1, 1)}.items():
        products[at] = products[at] + np.where(n > 0, scatter[:, i, j], 0.0)
    if "class" in strata.constants:
        classes = strata.constants["class"]
        assert isinstance(classes, Category)
        first = (classes.codes == 0).astype(float)
        products += [first * n * grade, first * (n * age * grade + scatter[:, 1, 0])]
    return np.add.reduceat(np.stack(products), strata.offsets[:-1], axis=1).T


def compared(a: Floats, b: Floats) -> list[tuple[Floats, Floats]]:
    """Samples to be compared: each sum, twenty directions in them, their squares, products of pairs, largest parts."""
    centre, spread = b.mean(axis=0), b.std(axis=0)
    kept = spread > 0
    a, b = ((x[:, kept] - centre[kept]) / spread[kept] for x in (a, b))
    directions = np.random.default_rng(3).normal(size=(b.shape[1], 20))
    products = [(i, j) for i in range(b.shape[1]) for j in range(i)]
    parts = [(x, x @ directions, (x @ directions) ** 2) for x in (a, b)]
    parts = [
        (*p, np.stack([p[0][:, i] * p[0][:, j] for i, j in products], axis=1), p[0].max(axis=1)[:, None])
        for p in parts
    ]
    left, right = (np.concatenate(p, axis=1) for p in parts)
    return list(zip(left.T, right.T, strict=True))


def alarms(name: str, schools: int) -> dict[int, float]:
    """Return the p-values of KS tests below 1e-6 over their number."""
    pairs = compared(of_strata(draw(name, 2, schools)), of_students(draw(name, 1, schools)))
    values = {
        k: float(stats.ks_2samp(a, b, method="asymp").pvalue) if np.unique(b[:500]).size > 1 else 1.0
        for k, (a, b) in enumerate(pairs)
    }
    return {k: p for k, p in values.items() if p < 1e-6 / len(values)}


@pytest.mark.parametrize("name", ["two students", "treated students in classes"])
def test_school_sums_are_distributed_alike(name: str) -> None:
    assert not alarms(name, 4000)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_school_sums_of_many_schools_are_distributed_alike(name: str) -> None:
    assert not alarms(name, 20_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["three students", "missing students"])
def test_sums_of_a_million_schools_are_distributed_alike(name: str) -> None:
    """Each sum, and ten directions in them; of T tests each has a false alarm of 1e-6 / T."""
    a, b = of_strata(draw(name, 2, 10**6)), of_students(draw(name, 1, 10**6))
    kept = np.flatnonzero(b.std(axis=0) > 0)
    directions = np.random.default_rng(5).normal(size=(len(kept), 10)) / b[:, kept].std(axis=0)[:, None]
    columns = [*zip(a[:, kept].T, b[:, kept].T, strict=True)]
    columns += [*zip((a[:, kept] @ directions).T, (b[:, kept] @ directions).T, strict=True)]
    assert min(stats.ks_2samp(*pair, method="asymp").pvalue for pair in columns) > 1e-6 / len(columns)


@pytest.mark.parametrize("planted", ["chi2", "means"])
def test_a_wrong_law_is_seen(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A degree of freedom too many, or means that ignore how many students they are of: KS tests fail."""
    from nestbench.sim.random_intercept import statistics

    right = statistics.draw_numbers

    def wrong(*given: Any) -> statistics.Numbers:
        made = right(*given)
        if planted == "chi2":
            made.chi2[:, ::2] += np.random.default_rng(1).normal(size=made.chi2[:, ::2].shape) ** 2
        else:
            made.z[:, : 3 * made.count.shape[1] : 3] *= 1.6
        return made

    monkeypatch.setattr(statistics, "draw_numbers", wrong)
    assert alarms("icc 0", 4000)


@pytest.mark.parametrize("name", LAWS)
def test_completed_students_have_the_statistics(name: str) -> None:
    batch = draw(name, 2, 500)
    given, found = of_strata(batch), of_students(batch)
    scale = np.abs(found).max(axis=0) + 1e-300
    assert (np.abs(given - found) / scale).max() < 1e-12


@pytest.mark.parametrize("df", [1, 2, 3, 4, 9, 60, 99_999])
def test_chi_squares(df: int) -> None:
    """Of both parities, however many tries a number of them has; KS tests with a false alarm of 1e-6."""
    rng = np.random.default_rng(df)
    each = np.tile([df, df - 1], (40, 50))
    z, u = rng.standard_normal((40, 30)), rng.random((40, 30))
    chi2 = chi_squares(each, z, u, StreamSource(df, "chi2"), range(40))
    assert stats.kstest(chi2[:, ::2].ravel(), stats.chi2(df).cdf).pvalue > 1e-6
    if df > 1:
        assert stats.kstest(chi2[:, 1::2].ravel(), stats.chi2(df - 1).cdf).pvalue > 1e-6
    else:
        assert (chi2[:, 1::2] == 0.0).all()


def test_tries_that_do_not_suffice_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few tries the first lot has: every chi-square is there, and cuts of the batch aren't seen."""
    from nestbench.sim.random_intercept import chi_squares

    calls = []
    right = chi_squares.try_chi_squares

    def few(df: Any, z: Any, u: Any, chi2: Any, done: Any) -> None:
        calls.append(len(done))
        right(df, z[:, :70], u[:, :70], chi2, done)

    monkeypatch.setattr(chi_squares, "try_chi_squares", few)
    law, layout = RandomIntercept(version=2), Layout(schools=20, students=9)
    whole = law.draw(layout, StreamSource(5, "k"), range(4))
    assert len(calls) > 4
    for r in range(4):
        part = law.draw(layout, StreamSource(5, "k"), range(r, r + 1))
        rows = whole.replication(r).rows
        np.testing.assert_array_equal(numbers(part, "grade"), numbers(whole, "grade")[rows])


def test_students_of_a_school_are_independent_normals() -> None:
    """Ages and residuals of five students: each, sums and differences, radii and the largest (KS, 1e-6 each)."""
    law = RandomIntercept(version=2, icc=0.0, age_mean=0.0, effects={})
    batch = law.draw(Layout(schools=100, students=5), StreamSource(8, "k"), range(40))
    for name in ("age", "grade"):
        z = numbers(batch, name).reshape(-1, 5)
        found = [z[:, 0], z[:, 4], (z[:, 1] - z[:, 2]) / np.sqrt(2), z.sum(axis=1) / np.sqrt(5)]
        found.append(stats.norm.ppf(stats.norm.cdf(z.max(axis=1)) ** 5))
        found.append(stats.norm.ppf(stats.chi2(2).cdf(z[:, 0] ** 2 + z[:, 3] ** 2)))
        assert all(stats.kstest(values, "norm").pvalue > 1e-6 for values in found)
    both = numbers(batch, "age") * numbers(batch, "grade")
    assert abs(both.mean()) < 4.9 / np.sqrt(len(both))
    boys = numbers(batch, "gender").reshape(-1, 5)
    first, last = boys[:, 0], boys[:, 4]
    assert abs((first - last).mean()) < 4.9 * np.sqrt(0.5 / len(boys))
    assert abs(((first - 0.5) * (last - 0.5)).mean()) < 4.9 * 0.25 / np.sqrt(len(boys))


@pytest.mark.parametrize("assignment", ["first", "students"])
def test_somebody_is_always_left(assignment: str) -> None:
    """Where everybody is missing the first student is there, a girl or a boy, treated or not as any."""
    law = RandomIntercept(missing=0.98, missing_schools=1)
    layout = Layout(schools=2, students=2, treated_share=0.5, assignment=assignment)
    batch = law.draw(layout, StreamSource(1, "k"), range(4000))
    strata = strata_of(batch)
    assert strata is not None
    sizes = np.diff(batch.row_offsets)
    assert sizes.min() == 1
    assert np.diff(batch.school_offsets).min() == 1
    assert (np.diff(batch.replication_offsets) == 1).all(), (
        "one of two schools drops out, or one student is left"
    )
    assert (strata.factor[strata.count == 1] == 0.0).all()
    alone = sizes == 1
    assert alone.mean() > 0.99
    boys, treated = (numbers(batch, name)[batch.row_offsets[:-1]][alone] for name in ("gender", "treated"))
    assert abs(boys.mean() - 0.5) < 4.9 * 0.5 / np.sqrt(alone.sum())
    one = law.draw(layout, StreamSource(1, "k"), range(2, 3))
    assert one.replication(0).labels == batch.replication(2).labels
    rows = batch.replication(2).rows
    np.testing.assert_array_equal(numbers(one, "grade"), numbers(batch, "grade")[rows])
    if assignment == "students":
        assert abs(treated.mean() - 0.5) < 4.9 * 0.5 / np.sqrt(alone.sum())


def test_schools_that_stay_keep_their_labels() -> None:
    """Those of among all, and the numbers they have when nobody drops out."""
    layout, source = Layout(schools=12, students=6), StreamSource(3, "k")
    full = RandomIntercept().draw(layout, source, range(5))
    left = RandomIntercept(missing_schools=5, missing_resources=1.0).draw(layout, source, range(5))
    for r in range(5):
        labels = left.replication(r).labels
        assert len(labels) == 7
        every = full.replication(r).labels
        assert set(labels) < set(every)
        given, kept = strata_of(full.take([r])), strata_of(left.take([r]))
        assert given is not None
        assert kept is not None
        same = given.take(np.array([every.index(label) for label in labels]))
        np.testing.assert_array_equal(same.mean, kept.mean)


def test_what_the_law_does_not_allow_is_drawn_by_students() -> None:
    for parameters in (
        {"residual_shape": "t(5)"},
        {"residual_age": 0.5},
        {"residual_proportional": 0.5},
        {"missing": 0.1, "missing_age": 0.5},
        {"missing": 0.1, "effects": {"school_age": 1.0}},
    ):
        law = RandomIntercept(**parameters, version=2)  # type: ignore[arg-type]
        layout, source = Layout(schools=4, students=5), StreamSource(1, "k")
        one, two = (each.draw(layout, source, range(2)) for each in (replace(law, version=1), law))
        assert strata_of(two) is None
        np.testing.assert_array_equal(numbers(one, "grade"), numbers(two, "grade"))


def test_drawing_completes_nobody() -> None:
    """A million students in ten schools: their statistics, at once."""
    batch = RandomIntercept(version=2).draw(
        Layout(schools=10, students=10**5), StreamSource(1, "k"), range(50)
    )
    strata = strata_of(batch)
    assert strata is not None
    assert strata.count.sum() == batch.rows == 50 * 10**6
    assert len(strata.count) == 50 * 20
