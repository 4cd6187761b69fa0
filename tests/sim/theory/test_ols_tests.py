"""Theory of the random-intercept law against closed forms and against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.methods.registry import ESTIMATORS, get
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept, known
from nestbench.sim.random_intercept.bias import mean_relative_size
from nestbench.sim.random_intercept.sizes import draw_sizes
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory import ols_tests as theory
from tests.oracles import sandwich_exact as dense


def naive_resources(
    law: RandomIntercept, layout: Layout, replications: range
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the naive interval of `resources` covers, and its squared error over its variance estimate, [R]."""
    batch, n = law.draw(layout, StreamSource(11, "check"), replications), int(layout.sizes().sum())
    shape = (len(replications), n)
    columns = {
        k: (v.codes if isinstance(v, Category) else v).reshape(shape) for k, v in batch.columns.items()
    }
    x = np.stack([np.ones(shape), columns["age"], columns["gender"], columns["resources"]], axis=2)
    bread = np.linalg.inv(x.transpose(0, 2, 1) @ x)
    beta = (bread @ (x.transpose(0, 2, 1) @ columns["grade"][..., None]))[..., 0]
    residual = columns["grade"] - (x @ beta[..., None])[..., 0]
    variance = (residual**2).sum(axis=1) / (n - 4) * bread[:, 3, 3]
    error = beta[:, 3] - law.truth["resources"]
    return np.abs(error) <= stats.t.ppf(0.975, n - 4) * np.sqrt(variance), variance / (error**2).mean()


@pytest.mark.parametrize(("schools", "icc"), [(6, 0.2), (10, 0.05)])
def test_naive_coverage_agrees_with_simulation(schools: int, icc: float) -> None:
    """6 000 data sets: within 4.9 Monte Carlo standard errors (false alarm 1e-6)."""
    law, layout = RandomIntercept(icc=icc), Layout(schools=schools, students=20)
    known = law.theory(layout)["naive_coverage"]["resources"]
    parts = [naive_resources(law, layout, range(a, a + 1000))[0] for a in range(0, 6000, 1000)]
    covered = np.concatenate(parts)
    assert covered.mean() == pytest.approx(known, abs=4.9 * np.sqrt(known * (1 - known) / len(covered)))


@pytest.mark.slow
@pytest.mark.parametrize("schools", [6, 10, 30])
@pytest.mark.parametrize("icc", [0.0, 0.05, 0.2])
def test_naive_coverage_and_ratio_with_many_data_sets(schools: int, icc: float) -> None:
    """40 000 data sets of every cell of `school-effects`; the ratio's error by the delta method, 4.9 of them."""
    law, layout, size = RandomIntercept(icc=icc), Layout(schools=schools, students=20), 40_000
    known = law.theory(layout)
    parts = [naive_resources(law, layout, range(a, a + 1000)) for a in range(0, size, 1000)]
    covered, ratio = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    p = known["naive_coverage"]["resources"]
    assert covered.mean() == pytest.approx(p, abs=4.9 * np.sqrt(p * (1 - p) / size))
    spread = 0.5 * np.sqrt(ratio.var() / ratio.mean() ** 2 + 3.0) / np.sqrt(size)
    assert np.sqrt(ratio.mean()) == pytest.approx(known["naive_se_ratio"]["resources"], rel=4.9 * spread)


@pytest.mark.parametrize(("schools", "icc"), [(6, 0.05), (10, 0.2)])
def test_close_to_the_balanced_closed_form(schools: int, icc: float) -> None:
    """Without student-level columns the naive test is oracle D1 exactly; with them, nearly."""
    law, layout = RandomIntercept(icc=icc), Layout(schools=schools, students=20)
    alone = RandomIntercept(icc=icc, effects={"resources": 0.5})
    exact = alone.theory(layout, Model(formula="grade ~ resources"))["naive_coverage"]["resources"]
    assert exact == pytest.approx(1 - dense.naive_balanced(schools, 20, icc), abs=1e-4)
    more = law.theory(layout)["naive_coverage"]["resources"]
    assert more == pytest.approx(1 - dense.naive_balanced(schools, 20, icc, columns=4), abs=0.004)


def test_without_clustering_ols_is_exact() -> None:
    known = RandomIntercept(icc=0.0).theory(Layout(schools=6, students=20))
    assert known["design_effect"] == 1.0
    assert known["coverage"]["iid-t"] == pytest.approx(
        dict.fromkeys(known["coverage"]["iid-t"], 0.95), abs=1e-9
    )
    assert known["se_ratio"]["iid-t"] == pytest.approx(
        dict.fromkeys(known["se_ratio"]["iid-t"], 1.0), rel=1e-9
    )


def test_equal_arms_hold_for_every_sandwich() -> None:
    """Balanced treatment, 6 schools: sizes of the published table of closed forms (CR0 z, CR1S t, CR2, CR3 t)."""
    law = RandomIntercept(icc=0.2, effects={"treated": 0.3})
    known = law.theory(Layout(schools=6, students=30, treated_schools=3), Model(formula="grade ~ treated"))
    got = {name: 1 - known["coverage"][name]["treated"] for name in known["coverage"]}
    assert got["cr0-z"] == pytest.approx(0.184783, abs=1e-6)
    assert got["cr2-satt"] == pytest.approx(0.05, abs=1e-8)
    assert got["cr3-t"] == pytest.approx(0.034570, abs=1e-6)
    assert got["cr1s-t"] == pytest.approx(0.083012, abs=1e-3)


def test_another_set_of_draws_of_x_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    law, layout = RandomIntercept(icc=0.2), Layout(schools=10, students=20)
    first = law.theory(layout)["naive_coverage"]
    monkeypatch.setattr(known, "X_SEED", 5)
    assert law.theory(layout)["naive_coverage"] == pytest.approx(first, abs=0.002)


@pytest.mark.parametrize(
    ("sizes", "icc", "effect"),
    [((20,) * 5, 0.2, 4.8), ((10, 30), 0.5, 1 + (5 + 20 - 1) * 0.5), ((1,) * 9, 0.3, 1.0)],
)
def test_design_effect(sizes: tuple[int, ...], icc: float, effect: float) -> None:
    n = np.array(sizes)
    assert theory.design_effect((n**2).sum() / n.sum(), icc) == pytest.approx(effect)


def test_a_deficient_design_leaves_tests_unknown() -> None:
    """Nobody is treated: the design has a column of zeros and no test is known; the design effect still is."""
    known = RandomIntercept().theory(Layout(), Model(formula="grade ~ age + treated"))
    assert set(known) == {"design_effect"}


@pytest.mark.parametrize(
    ("parameters", "layout"),
    [
        ({"slope_sd": 0.4, "slope_correlation": 0.5}, {"treated_schools": 4}),
        ({"treated_variance_ratio": 4.0, "treated_school_variance_ratio": 3.0}, {"treated_schools": 3}),
        ({"treatment_sd": 0.6}, {"treated_share": 0.4, "assignment": "students"}),
        ({"class_icc": 0.2}, {"treated_schools": 4, "classes": 3}),
        ({"residual_age": 0.8}, {"treated_schools": 5}),
        ({"missing_schools": 2, "missing": 0.3}, {"treated_schools": 5}),
        ({"age_icc": 0.4}, {"treated_schools": 5, "size_cv": 0.6}),
        ({"residual_shape": "t(5)", "school_errors": "bimodal"}, {"treated_schools": 5}),
    ],
)
def test_expected_variances_of_other_laws(parameters: dict[str, Any], layout: dict[str, Any]) -> None:
    """CR0 variances over the true variance, 1 200 data sets: the ratio by term within 4.9 errors (delta method)."""
    law = RandomIntercept(effects={"age": 0.5, "treated": 0.3}, **parameters)
    chosen = Layout(**{"schools": 10, "students": 12, **layout})
    known = law.theory(chosen, Model(formula="grade ~ age + treated"))
    batch = law.draw(chosen, StreamSource(2, "ratios"), range(1200))
    ratio = {"age": [], "treated": []}
    for r in range(batch.size):
        rows, sample = batch.replication(r).rows, batch.replication(r)
        x = np.stack(
            [np.ones(rows.stop - rows.start), values(batch, "age")[rows], values(batch, "treated")[rows]]
        )
        bread = np.linalg.inv(x @ x.T)
        beta = bread @ x @ values(batch, "grade")[rows]
        starts = np.concatenate([[0], np.cumsum(sample.school_sizes)[:-1]])
        scores = np.add.reduceat(x * (values(batch, "grade")[rows] - beta @ x), starts, axis=1)
        variance = np.diag(bread @ scores @ scores.T @ bread)
        ratio["age"].append((variance[1], (beta[1] - 0.5) ** 2))
        ratio["treated"].append((variance[2], (beta[2] - 0.3) ** 2))
    for term, pairs in ratio.items():
        v, d2 = np.array(pairs).T
        got, influence = v.mean() / d2.mean(), v / v.mean() - d2 / d2.mean()
        spread = influence.std() / np.sqrt(len(v))
        assert got == pytest.approx(known["se_ratio"]["cr0-z"][term] ** 2, rel=4.9 * spread)
    assert ("coverage" in known) == ("residual_shape" not in parameters)


def values(batch: Batch, name: str) -> np.ndarray:
    column = batch.columns[name]
    assert not isinstance(column, Category)
    return column


def test_bias_of_confounding() -> None:
    """OLS and GLS with the variances REML finds, 200 schools x 20: within 4.9 standard errors of the limit."""
    law = RandomIntercept(
        icc=0.3, age_icc=0.4, age_confounding=0.6, resources_confounding=-0.3, effects={}, age_mean=0.0
    )
    layout, g, m = Layout(schools=200, students=20), 200, 20
    known = law.theory(layout, Model(formula="grade ~ age + resources"))
    assert "coverage" not in known
    batch = law.draw(layout, StreamSource(4, "bias"), range(300))
    found = []
    for r in range(300):
        rows = batch.replication(r).rows
        x, y = (
            np.stack([np.ones(g * m), values(batch, "age")[rows], values(batch, "resources")[rows]]),
            values(batch, "grade")[rows],
        )
        bias = np.array([known["bias"]["likelihood"]["age"], known["bias"]["likelihood"]["resources"]])
        e = (y - bias @ x[1:]).reshape(g, m)
        s2 = e.var(axis=1, ddof=1).mean()
        keep = np.sqrt(s2 / max(m * e.mean(axis=1).var(), s2))
        mean = lambda a: np.repeat(a.reshape(-1, g, m).mean(axis=2), m, axis=1)  # noqa: E731
        xt, yt = x - (1 - keep) * mean(x), y - (1 - keep) * mean(y)[0]
        found.append(
            [*np.linalg.lstsq(x.T, y, rcond=None)[0][1:], *np.linalg.lstsq(xt.T, yt, rcond=None)[0][1:]]
        )
    for values_, method in zip(np.array(found).T.reshape(2, 2, -1), ("ols", "likelihood"), strict=True):
        for estimates, term in zip(values_, ("age", "resources"), strict=True):
            spread = estimates.std() / np.sqrt(300)
            # the limit is for many schools: with 200 of them a hundredth of an SD of u is left to O(1/G)
            assert estimates.mean() == pytest.approx(known["bias"][method][term], abs=4.9 * spread + 0.002)


def test_mean_relative_size_is_the_gap_between_averages() -> None:
    """Effects that grow with size differ by the students' mean of (n - M) / M between averages, however sizes are
    drawn; M is the layout's mean, which rounding and the floor of one student leave."""
    for layout in (
        Layout(schools=4000, students=30, size_spread=0.75),
        Layout(schools=4000, size_range=(5, 40)),
        Layout(schools=4000, students=40, size_cv=0.5),
        Layout(schools=20_000, students=3, size_cv=1.0),
        Layout(schools=4, students=(10, 20, 30, 80)),
    ):
        n = np.concatenate([draw_sizes(layout, StreamSource(1, "n"), range(20))[0].ravel()])
        mean = layout.mean_size
        assert mean_relative_size(layout) == pytest.approx((n * (n / mean - 1)).mean() / n.mean(), rel=0.03)


def test_what_x_decides_is_not_given() -> None:
    """One giant school: coverage hangs on its own X, and no mean over a few draws of X is claimed."""
    known = RandomIntercept(effects={"resources": 0.5}).theory(
        Layout(schools=20, giant_school=400), Model(formula="grade ~ resources")
    )
    assert "iid-t" not in known["coverage"]
    assert "iid-t" not in known["se_ratio"]
    assert "resources" in known["coverage"]["cr3-t"]


def test_cr3_is_unknown_with_one_treated_school() -> None:
    """Without the only treated school its effect isn't estimable, and CR3 does not exist."""
    law = RandomIntercept(effects={"treated": 0.3})
    found = [
        law.theory(Layout(schools=8, treated_schools=t), Model(formula="grade ~ treated")) for t in (1, 2)
    ]
    assert "cr3-t" not in found[0]["coverage"]
    assert "cr3-t" in found[1]["coverage"]


def test_heavy_tails_over_x_are_averaged_out_or_not_given() -> None:
    """CR3 for `resources`, 10 schools: 30 000 simulated data sets say 1.426 (MCSE .012); a mean over 48 draws of
    X said 1.517. Six schools have no value that a few hundred draws of X agree on."""
    known = RandomIntercept().theory(Layout(schools=10, students=20, treated_schools=5))
    got, error = (known[key]["cr3-t"]["resources"] for key in ("se_ratio", "se_ratio_mcse"))
    assert got == pytest.approx(1.426, abs=4.9 * np.hypot(0.012, error))
    assert error <= 0.01 * got
    few = RandomIntercept().theory(Layout(schools=5, students=20, treated_schools=2))
    assert "resources" not in few["se_ratio"].get("cr3-t", {})


@pytest.mark.parametrize(
    ("law", "layout", "formula"),
    [
        ({}, {}, "np.log(grade + 500) ~ age + gender + resources"),
        ({}, {}, "age ~ gender + resources"),
        ({"effects": {"Intercept": 50.0, "age": 2.0}}, {}, "grade ~ 0 + age"),
        ({"effects": {"resources": 0.5}}, {}, "grade ~ age + I(resources > 0)"),
        ({"effects": {"resources": 0.5}}, {"treated_schools": 5, "assignment": "pairs"}, "grade ~ treated"),
        ({"effects": {"resources": 0.5}, "school_sd_resources": 0.5}, {}, "grade ~ age"),
        ({"effects": {"resources": 0.5, "age:resources": 0.2}}, {}, "grade ~ age + resources"),
    ],
)
def test_no_test_is_known_where_errors_depend_on_x(
    law: dict[str, Any], layout: dict[str, Any], formula: str
) -> None:
    """Another outcome than the law's, an intercept left out, resources left out that the model's columns hang on."""
    known = RandomIntercept(**law).theory(Layout(**layout), Model(formula=formula))
    assert set(known) <= {"design_effect"}


def test_only_coefficients_that_are_the_same_in_every_data_set_have_numbers() -> None:
    layout = Layout(schools=10, students=20)
    centred = RandomIntercept().theory(layout, Model(formula="grade ~ center(age) + gender + resources"))
    assert centred["coefficients"] == pytest.approx(
        {"center(age)": 2.0, "gender[T.male]": 1.0, "resources": 0.5}
    )
    scaled = RandomIntercept().theory(layout, Model(formula="grade ~ I(age / 10) + scale(gender == 'male')"))
    assert "scale(gender == 'male')" not in scaled.get("coefficients", {})
    split = Model(formula="grade ~ group_centred(age) + group_mean(age) + gender + resources")
    assert RandomIntercept().theory(layout, split)["coefficients"]["group_mean(age)"] == pytest.approx(2.0)


@pytest.mark.parametrize("mean", [1e3, -1e6])
def test_a_far_origin_costs_no_digits(mean: float) -> None:
    """Numbers of terms other than the intercept don't depend on where age is counted from."""
    layout = Layout(schools=10, students=20)
    here, far = (RandomIntercept(age_mean=m, slope_sd=0.3).theory(layout) for m in (0.0, mean))
    for key in ("se_ratio", "coverage"):
        for name, values in here[key].items():
            rest = {term: value for term, value in values.items() if term != "Intercept"}
            assert {t: far[key][name][t] for t in rest} == pytest.approx(rest, rel=1e-6)


@pytest.mark.parametrize(
    ("law", "layout", "formula", "effect"),
    [
        ({}, {}, "grade ~ age + gender + resources", 1 + 19 * 0.2),
        ({}, {}, "grade ~ age + gender", 1 + 19 * 0.45 / 1.25),
        ({}, {}, "grade ~ age + resources", 1 + 19 * 0.2 / 1.25),
        ({"slope_sd": 0.5}, {}, "grade ~ age + gender + resources", 1 + 19 * 0.2 / 1.25),
        ({"class_icc": 0.1}, {"classes": 2}, "grade ~ age + gender + resources", 1 + 19 * 0.2 + 9 * 0.1),
        ({}, {"size_range": (1, 3)}, "grade ~ age + gender + resources", 1 + (14 / 6 - 1) * 0.2),
    ],
)
def test_design_effects_count_what_the_model_leaves_out(
    law: dict[str, Any], layout: dict[str, Any], formula: str, effect: float
) -> None:
    known = RandomIntercept(**law).theory(Layout(**{"students": 20, **layout}), Model(formula=formula))
    assert known["design_effect"] == pytest.approx(effect)


@pytest.mark.parametrize(
    "law",
    [
        {"missing": 0.2},
        {"treatment_sd": 0.5},
        {"size_correlation": 0.5},
        {"resources_confounding": 0.5},
        {"school_sd_resources": 0.5},
        {"treated_variance_ratio": 2.0},
    ],
)
def test_no_design_effect_where_it_differs_between_columns(law: dict[str, Any]) -> None:
    layout = Layout(treated_schools=5, size_cv=0.5)
    assert "design_effect" not in RandomIntercept(**law).theory(layout)


def test_effects_of_zero_have_numbers_too() -> None:
    """Type I errors are of coefficients of 0, found by least squares as 0 but for rounding."""
    for law in (RandomIntercept(effects={"Intercept": 50.0, "age": 2.0}), RandomIntercept(effects={})):
        known = law.theory(Layout(treated_schools=5))
        assert set(known["coefficients"]) == {"Intercept", "age", "gender[T.male]", "resources", "treated"}
        assert known["coefficients"]["treated"] == pytest.approx(0.0, abs=1e-12)
        assert "treated" in known["naive_coverage"]


def test_laws_that_differ_in_effects_share_their_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects that the model holds don't touch the tests, which are computed once; one that is left out does."""
    layout, model = Layout(schools=6, students=8), Model(formula="grade ~ age + gender")
    laws = [
        RandomIntercept(effects=e) for e in ({"age": 2.0}, {"age": 0.3, "gender": 1.0}, {"resources": 1.0})
    ]
    apart = []
    for law in laws:
        monkeypatch.setattr(known, "_AVERAGED", {})
        monkeypatch.setattr(known, "_KNOWN", {})
        apart.append(law.theory(layout, model))
    monkeypatch.setattr(known, "_AVERAGED", {})
    monkeypatch.setattr(known, "_KNOWN", {})
    assert [law.theory(layout, model) for law in laws] == apart
    assert len(known._AVERAGED) == 2
    assert apart[0]["coverage"] == apart[1]["coverage"]
    assert apart[0]["coefficients"] != apart[1]["coefficients"]
    assert apart[0]["coverage"] != apart[2]["coverage"]


def test_no_bias_of_a_design_that_is_always_deficient() -> None:
    law = RandomIntercept(size_correlation=0.5)
    layout, model = (
        Layout(schools=8, size_cv=0.5),
        Model(formula="grade ~ age + gender + resources + treated"),
    )
    assert "bias" not in law.theory(layout, model)
    assert "bias" in law.theory(layout)


def test_methods_say_what_theory_knows_of_them() -> None:
    """Every known test is some method's own; a method whose options are changed does another."""
    known = RandomIntercept().theory(Layout(schools=12, treated_schools=6))
    tested = {e.name: [test for test in e.theory if test in theory.TESTS] for e in ESTIMATORS}
    assert sorted(test for tests in tested.values() for test in tests) == sorted(theory.TESTS)
    for name, tests in tested.items():
        assert get(name).known_in(known["coverage"]) == (known["coverage"][tests[0]] if tests else {})
    changed = get({"name": "ols-cr1s-t", "reference": "z"})
    assert changed.known_in(known["coverage"]) == {}
    assert changed.known_in({changed.label: {"age": 0.9}}) == {"age": 0.9}
