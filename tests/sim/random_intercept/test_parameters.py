"""What each parameter says of the data is so in the data.

Statistical checks compare replication-level averages with their expectation, 4.9 standard errors (false alarm
1e-6), on fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Category
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from tests.sim.random_intercept.cases import (
    CASES,
    by_replication,
    close,
    column,
    draw,
    errors,
    pair_products,
)


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


def test_blocks_are_neighbours_with_their_share_treated() -> None:
    """Every school of a block is treated as often as its share: 600 data sets, at 5 standard errors."""
    batch = draw(CASES["blocks"], range(600))
    frame = batch.replication(0).frame()
    schools = frame.groupby("school", observed=True).first().sort_values("resources")
    assert schools["block"].tolist() == ["B1"] * 6 + ["B2"] * 6
    assert schools.groupby("block", observed=True)["treated"].sum().tolist() == [2.0, 2.0]
    treated = column(batch, "treated")[batch.school_offsets[:-1]].reshape(-1, 12)
    close(treated[:, 0], 1 / 3)


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
