"""What every law keeps: its truth, its declared moments, and draws that don't depend on how they are cut.

Statistical checks compare replication-level averages with their expectation, 4.9 standard errors (false alarm
1e-6), on fixed seeds. A new parameter or law joins by a line in `CASES`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Category, offsets_of
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.random_intercept.statistics import allows
from nestbench.sim.streams import StreamSource

EFFECTS = {"Intercept": 5.0, "age": 0.5, "gender": 1.0, "resources": 0.5, "treated": 0.4}
TREATED: dict[str, Any] = {"schools": 12, "students": 8, "treated_schools": 4}
CONFOUNDED = {"age_icc": 0.4, "age_confounding": 0.6, "resources_confounding": -0.3, "icc": 0.3}


def law(**parameters: Any) -> RandomIntercept:
    """A population drawn student by student; `CASES` has each by statistics, too."""
    return RandomIntercept(
        **{"effects": EFFECTS, "total_sd": 2.0, "age_mean": 3.0, "version": 1, **parameters}
    )


CASES: dict[str, tuple[RandomIntercept, Layout]] = {
    "defaults": (law(), Layout(**TREATED)),
    "icc 0": (law(icc=0.0), Layout(**TREATED)),
    "sizes listed": (law(), Layout(schools=4, students=(2, 30, 5, 9), treated_schools=2)),
    "sizes in a range": (law(), Layout(schools=8, size_range=(2, 14), treated_share=0.5)),
    "sizes spread": (law(), Layout(schools=8, students=10, size_spread=0.75, treated_share=0.5)),
    "sizes lognormal": (law(), Layout(schools=8, students=20, size_cv=0.6, treated_share=0.5)),
    "sizes shuffled": (law(), Layout(schools=3, students=(2, 9, 4), shuffle_sizes=True, treated_schools=1)),
    "giant school": (law(), Layout(schools=6, students=5, giant_school=80, treated_schools=3)),
    "one-student schools": (law(), Layout(schools=12, students=6, one_student_schools=5, treated_schools=3)),
    "informative sizes": (
        law(size_correlation=0.7),
        Layout(schools=8, students=40, size_cv=0.4, treated_schools=3),
    ),
    "age by school": (law(age_icc=0.3), Layout(**TREATED)),
    "school age": (law(age_icc=0.3, effects={**EFFECTS, "school_age": 1.5}), Layout(**TREATED)),
    "confounded": (law(**CONFOUNDED), Layout(**TREATED)),
    "slopes": (law(slope_sd=0.5, slope_correlation=0.4), Layout(**TREATED)),
    "cross-level": (
        law(effects={**EFFECTS, "age:resources": 0.3, "age:treated": -0.2, "gender:treated": 0.7}),
        Layout(**TREATED),
    ),
    "size effects": (
        law(effects={**EFFECTS, "size": 0.5, "treated:size": 0.75}),
        Layout(schools=10, students=12, size_spread=0.5, treated_share=0.5, assignment="random"),
    ),
    "treatment varies": (law(treatment_sd=0.5), Layout(**TREATED, assignment="random")),
    "pairs": (law(), Layout(schools=10, students=5, treated_share=0.5, assignment="pairs")),
    "students treated": (
        law(treatment_sd=0.5, effects={**EFFECTS, "age:treated": 0.3, "gender:treated": -0.4}),
        Layout(schools=8, students=11, treated_share=0.3, assignment="students"),
    ),
    "arms differ": (law(treated_variance_ratio=4.0, treated_school_variance_ratio=3.0), Layout(**TREATED)),
    "students' arms differ": (
        law(treated_variance_ratio=4.0),
        Layout(schools=8, students=10, treated_share=0.3, assignment="students"),
    ),
    "residuals by school": (law(residual_cv=0.8), Layout(**TREATED)),
    "residuals by age": (law(residual_age=0.7), Layout(**TREATED)),
    "residuals in proportion": (law(residual_proportional=1.0, age_icc=0.3), Layout(**TREATED)),
    "residuals in part in proportion": (law(residual_proportional=0.4), Layout(**TREATED)),
    "school effects by resources": (law(school_sd_resources=0.8), Layout(**TREATED)),
    "slopes by resources": (
        law(slope_sd=0.5, slope_correlation=0.4, slope_sd_resources=-0.6, school_sd_resources=0.5),
        Layout(**TREATED),
    ),
    "t residuals": (law(residual_shape="t(6)"), Layout(**TREATED)),
    "lognormal residuals": (law(residual_shape="lognormal(0.5)"), Layout(**TREATED)),
    "chi2 school effects": (law(school_errors="chi2(4)"), Layout(**TREATED)),
    "bimodal school effects": (law(school_errors="bimodal(0.8)"), Layout(**TREATED)),
    "uniform residuals": (law(residual_shape="uniform"), Layout(**TREATED)),
    "skewed resources": (law(resources_shape="chi2(5)"), Layout(**TREATED)),
    "classes": (
        law(class_icc=0.15, effects={**EFFECTS, "teacher": 0.6}),
        Layout(schools=10, students=9, classes=3, treated_schools=4),
    ),
    "missing": (law(missing=0.3), Layout(**TREATED)),
    "missing by age": (law(missing=0.3, missing_age=1.5), Layout(**TREATED)),
    "missing schools": (law(missing_schools=5, missing_resources=1.0), Layout(**TREATED)),
}

CASES |= {
    f"{name}, by statistics": (replace(population, version=2), layout)
    for name, (population, layout) in CASES.items()
    if allows(population)
}

QUICK = ("defaults", "sizes lognormal", "students' arms differ", "classes", "school age")
"""What the default suite tries of those drawn by statistics; CI tries all."""


def _is_slow(name: str) -> bool:
    base, comma, _ = name.rpartition(", by statistics")
    return bool(comma) and base not in QUICK


cases = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if _is_slow(name) else [])
        for name, case in CASES.items()
    ],
)


def draw(case: tuple[RandomIntercept, Layout], replications: range) -> Batch:
    return case[0].draw(case[1], StreamSource(20261122, "contract"), replications)


def column(batch: Batch, name: str) -> np.ndarray:
    values = batch.columns[name]
    return values.codes.astype(float) if isinstance(values, Category) else values


def schools_of(batch: Batch) -> np.ndarray:
    return np.repeat(np.arange(len(batch.school_offsets) - 1), np.diff(batch.school_offsets))


def effect_columns(population: RandomIntercept, batch: Batch) -> dict[str, np.ndarray]:
    """The column of each effect that isn't zero."""
    found: dict[str, np.ndarray] = {}
    for name in [n for n, effect in population.effects.items() if effect]:
        if name == "Intercept":
            found[name] = np.ones(batch.rows)
        elif name == "school_age":
            school, age = schools_of(batch), column(batch, "age")
            found[name] = (np.bincount(school, age) / np.bincount(school))[school]
        else:
            found[name] = np.prod([column(batch, part) for part in name.split(":")], axis=0)
    return found


def errors(population: RandomIntercept, batch: Batch) -> np.ndarray:
    """Grade less its true mean."""
    parts = effect_columns(population, batch)
    return column(batch, "grade") - sum(population.effects[name] * values for name, values in parts.items())


def close(values: np.ndarray, expected: float) -> None:
    """The mean of independent values is the expected one within 4.9 standard errors."""
    spread = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - expected) <= 4.9 * spread + 1e-12, (values.mean(), expected, spread)


def by_replication(batch: Batch, values: np.ndarray) -> np.ndarray:
    """Means of rows within replications."""
    return np.add.reduceat(values, batch.row_offsets[:-1]) / np.diff(batch.row_offsets)


def pair_products(batch: Batch, e: np.ndarray) -> np.ndarray:
    """Mean product of two errors of one school, averaged over schools with two students or more, by replication."""
    n = np.diff(batch.school_offsets)
    sums = np.add.reduceat(e, batch.school_offsets[:-1])
    squares = np.add.reduceat(e**2, batch.school_offsets[:-1])
    two = n > 1
    product = np.where(two, (sums**2 - squares) / np.maximum(n * (n - 1), 1), 0.0)
    starts = batch.replication_offsets[:-1]
    return np.add.reduceat(product, starts) / np.add.reduceat(two.astype(float), starts)


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


def test_lognormal_sizes_have_mean_and_cv() -> None:
    sizes = np.diff(draw(CASES["sizes lognormal"], range(2000)).school_offsets)
    close(sizes.astype(float), 20.0)
    close((sizes / 20.0 - 1.0) ** 2, 0.36)


def test_ranges_are_uniform() -> None:
    for name, low, high in (("sizes in a range", 2, 14), ("sizes spread", 2, 18)):
        sizes = np.diff(draw(CASES[name], range(1500)).school_offsets)
        assert (sizes.min(), sizes.max()) == (low, high)
        counts = np.bincount(sizes)[low:]
        expected = len(sizes) / (high - low + 1)
        assert np.abs(counts - expected).max() < 5.5 * np.sqrt(expected)


def test_special_sizes() -> None:
    assert np.diff(draw(CASES["giant school"], range(1)).school_offsets).tolist() == [5] * 5 + [80]
    assert np.diff(draw(CASES["one-student schools"], range(1)).school_offsets).tolist() == [6] * 7 + [1] * 5
    shuffled = np.diff(draw(CASES["sizes shuffled"], range(600)).school_offsets).reshape(-1, 3)
    assert (np.sort(shuffled, axis=1) == [2, 4, 9]).all()
    close((shuffled[:, 0] == 9).astype(float), 1 / 3)


def test_informative_sizes_correlate_with_school_effects() -> None:
    """The school effect keeps its SD; student and school averages differ as the closed form says."""
    case = CASES["informative sizes"]
    batch = draw(case, range(3000))
    e, n = errors(case[0], batch), np.diff(batch.school_offsets)
    means = np.add.reduceat(e, batch.school_offsets[:-1]) / n
    per = means.reshape(-1, 8)
    close(per.mean(axis=1), 0.0)
    close(pair_products(batch, e), case[0].school_sd ** 2)
    bias = case[0].theory(case[1])["bias"]["ols"]["Intercept"]
    totals = (n.reshape(-1, 8) * per).sum(axis=1) / (8 * 40.0)
    close(totals, 0.7 * np.sqrt(np.log1p(0.16)) * case[0].school_sd)
    assert bias == pytest.approx(0.7 * np.sqrt(np.log1p(0.16)) * case[0].school_sd, rel=1e-4)


def test_age_has_its_school_share() -> None:
    batch = draw(CASES["age by school"], range(1500))
    age = column(batch, "age") - 3.0
    close(by_replication(batch, age**2), 1.0)
    close(pair_products(batch, age), 0.3)


def test_confounding_has_its_correlations() -> None:
    case = CASES["confounded"]
    batch = draw(case, range(2500))
    e, age = errors(case[0], batch), column(batch, "age") - 3.0
    mean = np.add.reduceat(age, batch.school_offsets[:-1]) / 8
    resources = column(batch, "resources")[batch.school_offsets[:-1]]
    u = np.add.reduceat(e, batch.school_offsets[:-1]) / 8
    sd = case[0].school_sd
    close((mean * u).reshape(-1, 12).mean(axis=1), 0.6 * np.sqrt(0.4) * sd)
    close((resources * u).reshape(-1, 12).mean(axis=1), -0.3 * sd)
    close(pair_products(batch, e), sd**2)


def test_arms_have_their_variances() -> None:
    case = CASES["arms differ"]
    batch = draw(case, range(2500))
    e, treated = errors(case[0], batch).reshape(-1, 8), column(batch, "treated").reshape(-1, 8)[:, 0]
    within = e.var(axis=1, ddof=1)
    control, total = 4 * 0.8 / (1 + 3 / 3), 4 * 0.8
    close(within[treated == 0], control)
    close(within[treated == 1], 4 * control)
    close(within.reshape(-1, 12).mean(axis=1), total)
    between = e.mean(axis=1) ** 2 - within / 8
    control = 4 * 0.2 / (1 + 2 / 3)
    close(between[treated == 0], control)
    close(between[treated == 1], 3 * control)


def test_students_are_treated_by_share() -> None:
    batch = draw(CASES["students treated"], range(1000))
    counts = np.add.reduceat(column(batch, "treated"), batch.school_offsets[:-1])
    assert set(counts.tolist()) == {3.0, 4.0}
    close(counts / 11, 0.3)
    case = CASES["students' arms differ"]
    batch = draw(case, range(1500))
    e, treated = errors(case[0], batch), column(batch, "treated") == 1
    control = 3.2 / (1 + 3 * 0.3)
    for arm, variance in ((~treated, control), (treated, 4 * control)):
        values = np.where(arm, e**2, 0.0)
        close(by_replication(batch, values) - by_replication(batch, arm * (variance + 0.8)), 0.0)


def test_pairs_are_neighbours_with_one_treated_each() -> None:
    frame = draw(CASES["pairs"], range(1)).replication(0).frame()
    schools = frame.groupby("school", observed=True).first().sort_values("resources")
    assert schools["pair"].tolist() == [f"P{i}" for i in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5)]
    assert schools.groupby("pair", observed=True)["treated"].sum().tolist() == [1.0] * 5


def test_random_assignment_treats_the_number_asked_for() -> None:
    batch = draw(CASES["treatment varies"], range(600))
    treated = column(batch, "treated")[batch.school_offsets[:-1]].reshape(-1, 12)
    assert (treated.sum(axis=1) == 4).all()
    close(treated[:, 0], 1 / 3)


@pytest.mark.parametrize(
    ("case", "skewness", "kurtosis"),
    [("t residuals", 0.0, None), ("lognormal residuals", 1.7502, None), ("uniform residuals", 0.0, 1.8)],
)
def test_shapes_have_their_moments(case: str, skewness: float, kurtosis: float | None) -> None:
    """Third and fourth moments of the residuals of students without a school effect."""
    parameters = {"icc": 0.0, "total_sd": 1.0, "effects": {}, "residual_shape": CASES[case][0].residual_shape}
    batch = draw((RandomIntercept(**parameters), Layout(schools=2, students=20)), range(4000))
    e = column(batch, "grade")
    close(by_replication(batch, e**3), skewness)
    if kurtosis is not None:
        close(by_replication(batch, e**4), kurtosis)


def test_bimodal_and_skewed_school_effects() -> None:
    for case, skewness, kurtosis in (
        ("bimodal school effects", 0.0, 3 - 2 * 0.8**4),
        ("chi2 school effects", np.sqrt(2), 6.0),
    ):
        parameters = {"icc": 0.999999, "effects": {}, "school_errors": CASES[case][0].school_errors}
        u = column(draw((RandomIntercept(**parameters), Layout(schools=5, students=1)), range(8000)), "grade")
        close((u**3).reshape(-1, 5).mean(axis=1), skewness)
        close((u**4).reshape(-1, 5).mean(axis=1), kurtosis)


def test_residual_spread_by_school_and_by_age() -> None:
    case = CASES["residuals by school"]
    within = errors(case[0], draw(case, range(3000))).reshape(-1, 8).var(axis=1, ddof=1).reshape(-1, 12)
    close(within.mean(axis=1), 3.2)
    # s^2 chi2_7 / 7 of a lognormal s^2: second moment (1 + cv^2) (1 + 2/7)
    close((within**2).mean(axis=1), 3.2**2 * (1 + 0.64) * (1 + 2 / 7))
    case = CASES["residuals by age"]
    batch = draw(case, range(2000))
    e, z = errors(case[0], batch), column(batch, "age") - 3.0
    close(by_replication(batch, (e**2 - 0.8) * z), 3.2 * 0.7)


def test_classes_share_what_is_theirs() -> None:
    """Nine students in three classes of three; errors within classes correlate by icc + class_icc, across by icc."""
    case = CASES["classes"]
    batch = draw(case, range(1500))
    e = errors(case[0], batch).reshape(-1, 3, 3)
    codes = batch.columns["class"]
    assert isinstance(codes, Category)
    assert codes.codes[:9].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    within = ((e.sum(axis=2) ** 2 - (e**2).sum(axis=2)) / 6).mean(axis=1).reshape(-1, 10).mean(axis=1)
    close(within, 4 * (0.2 + 0.15))
    sums = e.sum(axis=2)
    across = ((sums.sum(axis=1) ** 2 - (sums**2).sum(axis=1)) / 54).reshape(-1, 10).mean(axis=1)
    close(across, 4 * 0.2)


def test_missing_students_and_schools() -> None:
    full, case = draw(CASES["defaults"], range(800)), CASES["missing"]
    batch = draw(case, range(800))
    close(np.diff(batch.row_offsets) / np.diff(full.row_offsets), 0.7)
    assert set(column(batch, "grade").tolist()) <= set(column(full, "grade").tolist())
    by_age = draw(CASES["missing by age"], range(800))
    close(np.diff(by_age.row_offsets) / np.diff(full.row_offsets), 0.7)
    assert column(by_age, "age").mean() < 3.0 - 0.2
    gone = draw(CASES["missing schools"], range(800))
    assert (np.diff(gone.replication_offsets) == 7).all()
    assert column(gone, "resources").mean() < -0.2
    kept = gone.replication(0).labels
    assert len(kept) == 7
    assert set(kept) < {f"S{i:02d}" for i in range(1, 13)}


def test_something_is_always_left() -> None:
    batch = RandomIntercept(missing=0.99).draw(Layout(schools=2, students=1), StreamSource(1, "k"), range(50))
    assert (np.diff(batch.row_offsets) >= 1).all()


def test_a_parameter_left_alone_leaves_the_other_numbers() -> None:
    """Switching one feature on changes no column that it doesn't concern: streams have purposes."""
    plain = draw(CASES["defaults"], range(3))
    others = ("t residuals", "residuals by age", "bimodal school effects", "slopes", "slopes by resources")
    for name in (*others, "residuals in part in proportion", "school effects by resources"):
        other = draw(CASES[name], range(3))
        for kept in ("age", "gender", "resources", "treated"):
            np.testing.assert_array_equal(column(plain, kept), column(other, kept))


@pytest.mark.parametrize(
    ("parameters", "layout", "words"),
    [
        ({"icc": 0.7, "class_icc": 0.3}, {}, ["population.icc", "population.class_icc", "below 1"]),
        ({"class_icc": 0.1}, {}, ["population.class_icc", "layout.classes"]),
        ({"effects": {"teacher": 1.0}}, {}, ["population.effects.teacher", "layout.classes"]),
        ({"size_correlation": 0.5}, {}, ["population.size_correlation", "layout.size_cv"]),
        ({"age_confounding": 0.5}, {}, ["population.age_confounding", "population.age_icc"]),
        ({"icc": 0.0, "resources_confounding": 0.5}, {}, ["resources_confounding", "population.icc"]),
        ({"slope_correlation": 0.5}, {}, ["population.slope_correlation", "population.slope_sd"]),
        ({"treated_variance_ratio": 2.0}, {}, ["population.treated_variance_ratio", "both arms"]),
        (
            {"treated_school_variance_ratio": 2.0},
            {"assignment": "students", "treated_share": 0.5},
            ["treated_school_variance_ratio", 'assignment = "students"'],
        ),
        (
            {"residual_proportional": 1.0, "residual_age": 0.5},
            {},
            ["population.residual_proportional", "population.residual_age"],
        ),
        ({"residual_proportional": 1.5}, {}, ["population.residual_proportional", "[0, 1]"]),
        ({"icc": 0.0, "school_sd_resources": 0.5}, {}, ["school_sd_resources", "population.icc = 0"]),
        ({"slope_sd_resources": 0.5}, {}, ["slope_sd_resources", "population.slope_sd = 0"]),
        (
            {"school_sd_resources": 0.5, "resources_shape": "lognormal(1)"},
            {},
            ["population.school_sd_resources", "population.resources_shape", "lognormal(1)"],
        ),
        (
            {"school_sd_resources": 0.5, "resources_confounding": 0.3},
            {},
            ["population.school_sd_resources", "population.resources_confounding", "mean 0"],
        ),
        (
            {
                "slope_sd": 0.5,
                "slope_correlation": 0.2,
                "slope_sd_resources": 0.5,
                "resources_confounding": 0.3,
            },
            {},
            ["population.slope_sd_resources", "population.resources_confounding"],
        ),
        ({"missing_schools": 10}, {}, ["population.missing_schools = 10", "layout.schools = 10"]),
        ({"residual_shape": "cauchy"}, {}, ["population.residual_shape", "normal, t, lognormal"]),
        ({"residual_shape": "t(2)"}, {}, ["population.residual_shape", "> 2"]),
        ({"school_errors": "bimodal(1)"}, {}, ["population.school_errors", "(0, 1)"]),
        ({"school_errors": "normal(3)"}, {}, ["population.school_errors", "without a parameter"]),
        ({"residual_shape": "t(five)"}, {}, ["population.residual_shape", "'five'"]),
        ({"missing": 1.0}, {}, ["population.missing", "[0, 1)"]),
        ({}, {"size_cv": 0.5, "size_spread": 0.5}, ["layout.size_spread", "layout.size_cv"]),
        ({}, {"size_cv": 0.5, "giant_school": 90}, ["layout.size_cv", "layout.giant_school"]),
        ({}, {"size_range": (9, 3)}, ["layout.size_range", ">= 9"]),
        ({}, {"students": (5,) * 10, "size_cv": 0.3}, ["layout.size_cv", "list"]),
        (
            {},
            {"giant_school": 90, "one_student_schools": 2},
            ["layout.giant_school", "layout.one_student_schools"],
        ),
        (
            {},
            {"treated_schools": 3, "treated_share": 0.5},
            ["layout.treated_schools", "layout.treated_share"],
        ),
        ({}, {"treated_schools": 3, "assignment": "students"}, ["layout.treated_schools", "students"]),
        ({}, {"treated_schools": 3, "assignment": "pairs"}, ["pairs", "3 treated of 10"]),
        ({}, {"assignment": "randomly"}, ["layout.assignment", "Did you mean 'random'?"]),
    ],
)
def test_impossible_combinations_name_both(
    parameters: dict[str, Any], layout: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        RandomIntercept(**parameters).check(Layout(**layout))
    assert all(word in str(caught.value) for word in words), str(caught.value)
