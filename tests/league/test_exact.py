"""The exact values of the league's own data sets, against dense definitions that share no code with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from nestbench.estimators.estimates import STD_ERROR
from nestbench.league import information
from nestbench.league.condition import Condition, conditions
from nestbench.league.exact import Truths
from nestbench.league.information import observed_information
from nestbench.league.judging import judge
from nestbench.league.package import Setting, Way, mixed, same
from nestbench.league.packages import linearmodels
from tests.oracles import mixed_dense

INTERCEPTS = [
    c for c in conditions() if c.asked.random == "intercept" and not {"collinear", "arm_text"} & {*c.made}
]
FEW = ("balanced", "three-schools", "icc-.9", "missing-rows", "age-1e-6")
TOO_FAR = ("nearly-collinear", "age-far-from-0", "all-one-student")
"""Where dense matrices lose the digits that are compared, or nothing is identified."""


def parts(condition: Condition, number: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, Truths]:
    data = condition.data_set(number)
    truths, clean = Truths(data, condition.asked), data.dropna()
    names = condition.asked.formula.split(" ~ ")[1].split(" + ")
    x = np.column_stack([np.ones(len(clean)), *(np.asarray(clean[name], dtype=float) for name in names)])
    return (
        np.asarray(clean["grade"]),
        x,
        np.unique(clean["school"].astype(str), return_inverse=True)[1],
        truths,
    )


def check_mixed(condition: Condition) -> None:
    y, x, schools, truths = parts(condition)
    exact = truths.of(Way("w", None, mixed("reml-satt"), ""))  # type: ignore[arg-type]
    values, variance = exact.values, exact.values["variance"]
    v = variance["school"] * mixed_dense.same(schools) + variance["residual"] * np.eye(len(y))
    beta, _, c = mixed_dense.gls(y, x, v)
    error = np.sqrt(np.diag(c))
    np.testing.assert_allclose([*values["estimate"].values()], beta, rtol=0, atol=1e-8 * error.max())
    np.testing.assert_allclose([*values["std_error"].values()], error, rtol=1e-8)
    deviance = mixed_dense.deviance(y, x, v, restricted=True)
    assert values["loglik"] == pytest.approx(-deviance / 2, abs=1e-7)
    total = variance["school"] + variance["residual"]
    for school in (-1e-3, 1e-3):
        for residual in (-1e-3, 1e-3):
            a, b = max(variance["school"] + school * total, 0.0), variance["residual"] + residual * total
            if b > 0.0 and (a, b) != (variance["school"], variance["residual"]):
                other = a * mixed_dense.same(schools) + b * np.eye(len(y))
                assert mixed_dense.deviance(y, x, other, restricted=True) > deviance - 1e-9
    if not exact.boundary:
        df = [*truths.of(Way("w", None, mixed("reml-kr"), "")).values["df"].values()]  # type: ignore[arg-type]
        pieces = [mixed_dense.same(schools), np.eye(len(y))]
        np.testing.assert_allclose(df, mixed_dense.kenward_roger(x, v, pieces)[1], rtol=1e-6)


@pytest.mark.parametrize("condition", [c for c in INTERCEPTS if c.name in FEW], ids=lambda c: c.name)
def test_mixed_models(condition: Condition) -> None:
    check_mixed(condition)


@pytest.mark.slow
@pytest.mark.parametrize(
    "condition",
    [c for c in INTERCEPTS if c.name not in (*FEW, *TOO_FAR) and "arm" not in c.asked.formula],
    ids=lambda c: c.name,
)
def test_mixed_models_everywhere(condition: Condition) -> None:
    check_mixed(condition)


def test_the_observed_information_is_that_of_numerical_derivatives() -> None:
    condition = next(c for c in INTERCEPTS if c.name == "two-students")
    y, x, schools, truths = parts(condition, 1)
    way = Way("w", None, mixed("reml-z"), "", adjust=observed_information)  # type: ignore[arg-type]
    values = truths.of(way).values
    n, p = x.shape

    def deviance(at: np.ndarray) -> float:
        v = np.eye(n) + at[p] * mixed_dense.same(schools)
        inverse = np.linalg.inv(v)
        residual = y - x @ at[:p]
        fixed = np.linalg.slogdet(v)[1] + np.linalg.slogdet(x.T @ inverse @ x)[1]
        return float(fixed + (n - p) * np.log(residual @ inverse @ residual))

    ratio = values["variance"]["school"] / values["variance"]["residual"]
    at, step = np.array([*values["estimate"].values(), ratio]), 1e-4
    moves = step * np.eye(p + 1)
    hessian = np.array(
        [
            [
                (deviance(at + a + b) - deviance(at + a - b) - deviance(at - a + b) + deviance(at - a - b))
                / (4 * step**2)
                for b in moves
            ]
            for a in moves
        ]
    )
    errors = np.sqrt(np.diag(2 * np.linalg.inv(hessian)))[:p]
    np.testing.assert_allclose([*values["std_error"].values()], errors, rtol=1e-5)
    # It isn't the model's own by much more than that.
    model = truths.of(Way("w", None, mixed("reml-z"), "")).values["std_error"]  # type: ignore[arg-type]
    assert max(abs(np.array([*model.values()]) / errors - 1)) > 1e-3
    z = values["estimate"]["age"] / values["std_error"]["age"]
    assert values["p_value"]["age"] == pytest.approx(2 * norm.sf(abs(z)))


@pytest.mark.parametrize("name", ["two-students", "slopes-few-schools", "age-far-from-0"])
def test_the_observed_information_is_at_the_maximum_that_a_search_finds(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = next(c for c in conditions() if c.name == name)
    way = Way("w", None, mixed("reml-z"), "", adjust=observed_information)  # type: ignore[arg-type]
    found = [Truths(condition.data_set(1), condition.asked).of(way).values[STD_ERROR]]
    monkeypatch.setattr(information, "SMALL", 0.0)
    found.append(Truths(condition.data_set(1), condition.asked).of(way).values[STD_ERROR])
    assert all(math.isfinite(value) for value in found[1].values())
    np.testing.assert_allclose([*found[0].values()], [*found[1].values()], rtol=1e-9)


def test_the_observed_information_says_nothing_on_the_boundary() -> None:
    condition = next(c for c in INTERCEPTS if c.name == "icc-0")
    for number in range(20):
        truths = Truths(condition.data_set(number), condition.asked)
        found = truths.of(Way("w", None, mixed("reml-z"), "", adjust=observed_information))  # type: ignore[arg-type]
        assert math.isnan(found.values["std_error"]["age"]) == found.boundary


@pytest.mark.parametrize("name", ["balanced", "unequal-few", "icc-0", "age-1e-6"])
def test_random_effects_are_generalised_least_squares_at_swamy_and_aroras_variances(name: str) -> None:
    """Dense: V of the two variances; these by regressions on school dummies and on school means."""
    condition = next(c for c in INTERCEPTS if c.name == name)
    y, x, schools, truths = parts(condition, 3)
    x[:, 2] /= (unit := x[:, 2].std())
    values = truths.of(linearmodels.PACKAGE.way("RandomEffects")).values
    n, p, dummies = *x.shape, np.eye(schools.max() + 1)[schools]
    sizes = dummies.sum(axis=0)
    whole = np.hstack([dummies, x[:, 2:]])
    s2 = float(np.sum((y - whole @ np.linalg.lstsq(whole, y)[0]) ** 2)) / (n - whole.shape[1])
    means, outcome = dummies.T @ x / sizes[:, None], dummies.T @ y / sizes
    between = float(np.sum((outcome - means @ np.linalg.lstsq(means, outcome)[0]) ** 2)) / (len(sizes) - p)
    t2 = max(0.0, between - s2 * np.mean(1 / sizes))
    assert values["variance"] == pytest.approx({"school": t2, "residual": s2}, rel=1e-9, abs=1e-15)
    v = s2 * np.eye(n) + t2 * mixed_dense.same(schools)
    beta, _, c = mixed_dense.gls(y, x, v)
    residual = y - x @ beta
    scale = float(residual @ np.linalg.solve(v, residual)) / (n - p)
    units = np.array([1.0, 1.0, unit])
    np.testing.assert_allclose([*values["estimate"].values()], beta / units, rtol=1e-8)
    np.testing.assert_allclose(
        [*values["std_error"].values()], np.sqrt(scale * np.diag(c)) / units, rtol=1e-8
    )
    assert set(values["df"].values()) == {n - p}


def test_random_effects_have_no_exact_values_where_a_variance_has_no_degree_of_freedom() -> None:
    way = linearmodels.PACKAGE.way("RandomEffects")
    for name in ("collinear", "three-schools", "all-one-student"):
        condition = next(c for c in conditions() if c.name == name)
        values = Truths(condition.data_set(0), condition.asked).of(way).values
        assert all(math.isnan(value) for value in values["estimate"].values()), name


def test_terms_that_are_not_estimable_have_no_exact_value_and_the_others_have() -> None:
    condition = next(c for c in conditions() if c.name == "collinear")
    values = Truths(condition.data_set(0), condition.asked).of(Way("w", None, same("ols-cr1s-t"), "")).values  # type: ignore[arg-type]
    assert math.isnan(values["estimate"]["age"])
    assert math.isfinite(values["p_value"]["treated"])


@pytest.mark.parametrize(("seed", "boundary"), [(49, True), (5, False)])
def test_a_variance_of_0_is_seen_where_some_terms_are_not_estimable(seed: int, boundary: bool) -> None:
    """What rests on df isn't judged there, whatever a package says of it."""
    condition = next(c for c in conditions() if c.name == "collinear")
    truths = Truths(condition.data_set(0, seed), condition.asked)
    way = Way("w", None, mixed("reml-kr"), "")  # type: ignore[arg-type]
    exact = truths.of(way)
    assert exact.boundary == boundary
    off = {**exact.values, "df": {"treated": 1.2 * exact.values["df"]["treated"]}}
    judged = {n.term: n for n in judge(off, exact, way).numbers if n.quantity == "df"}
    assert judged["treated"].wrong != boundary
    assert math.isnan(judged["treated"].error) == boundary


def test_corrections_count_the_rank_of_x_whatever_terms_have_a_standard_error() -> None:
    """CR3 has none for the treatment of one school, which is fitted all the same."""
    condition = next(c for c in conditions() if c.name == "one-treated")
    seen = []

    def adjust(values: dict[str, Any], setting: Setting) -> dict[str, Any]:
        seen.append((len(values[STD_ERROR]), setting.terms))
        return values

    Truths(condition.data_set(0), condition.asked).of(Way("w", None, same("ols-cr3-t"), "", adjust=adjust))  # type: ignore[arg-type]
    ((known, rank),) = seen
    assert known < rank == 3


def test_the_observed_information_says_nothing_where_terms_are_not_estimable() -> None:
    condition = next(c for c in conditions() if c.name == "collinear")
    way = Way("w", None, mixed("reml-z"), "", adjust=observed_information)  # type: ignore[arg-type]
    values = Truths(condition.data_set(0), condition.asked).of(way).values
    assert math.isnan(values[STD_ERROR]["treated"])
