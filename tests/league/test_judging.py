"""What is right, near or wrong, of one fit."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.league.condition import chosen
from nestbench.league.exact import Exact, Truths
from nestbench.league.judging import NEAR, NEAR_DF, Outcome, judge, plain
from nestbench.league.package import Way, same, with_tests
from nestbench.league.packages import statsmodels, wildboottest
from tests.league.running import here

BASE = {"estimate": {"x": 0.5}, "std_error": {"x": 0.25}, "variance": {"school": 0.2}, "loglik": -10.0}
VALUES = with_tests({**BASE, "level": 0.95}, {"x": 12.0}, 0.95)
CLAIMS = ("estimate", "std_error", "df", "p_value", "lower", "upper", "variance", "loglik")
WAY = Way("w", lambda data, asked: {}, same("reml-satt"), "c", CLAIMS)


def judged(boundary: bool = False, **changes: Any) -> Outcome:
    exact = Exact(VALUES, {"school": 1.2}, boundary)
    return judge({**VALUES, **changes}, exact, WAY).outcome


def test_exact_numbers_are_right() -> None:
    assert judged() == Outcome.RIGHT


@pytest.mark.parametrize(
    ("quantity", "near", "wrong"),
    [
        ("estimate", 0.5 + 0.9 * NEAR * 0.25, 0.5 + 1.1 * NEAR * 0.25),
        ("std_error", 0.25 * (1 + 0.9 * NEAR), 0.25 * (1 - 1.1 * NEAR)),
        ("df", 12.0 * (1 + 0.9 * NEAR_DF), 12.0 * (1 - 1.1 * NEAR_DF)),
        ("p_value", VALUES["p_value"]["x"] + 0.9 * NEAR, VALUES["p_value"]["x"] - 1.3 * NEAR),
    ],
)
def test_the_tolerance_of_each_quantity(quantity: str, near: float, wrong: float) -> None:
    assert judged(**{quantity: {"x": near}}) == Outcome.NEAR
    assert judged(**{quantity: {"x": wrong}}) == Outcome.WRONG


def test_df_by_a_formula_have_no_tolerance_of_second_derivatives() -> None:
    """N - G - p of 200 students in 20 schools: one too few is wrong."""
    way = Way("w", WAY.fit, same("dummies"), "c", ("estimate", "std_error", "df"))
    values = with_tests({**BASE, "level": 0.95}, {"x": 179.0}, 0.95)
    exact = Exact(values, {"school": 1.2}, False)
    assert judge({**values, "df": {"x": 178.0}}, exact, way).outcome == Outcome.WRONG


def test_ends_are_judged_by_the_half_width() -> None:
    half = VALUES["upper"]["x"] - 0.5
    assert judged(upper={"x": 0.5 + half * (1 + 0.9 * NEAR)}) == Outcome.NEAR
    # 12 df, 1 % of which is .0011 of the quantile.
    assert judged(lower={"x": 0.5 - half * (1 + 2.2 * NEAR)}) == Outcome.WRONG


def test_of_few_df_what_they_are_allowed_to_be_moves_an_interval_by_more() -> None:
    """Of .3 df 1 % move the quantile by a tenth. What df that are allowed make of p or ends isn't wrong either.
    A way that reports no df is held to 1e-3, and a standard error off by 5 % is wrong whatever the df."""
    few = with_tests({**BASE, "level": 0.95}, {"x": 0.3}, 0.95)
    exact = Exact(few, {"school": 1.2}, False)
    for factor, outcome in ((0.995, Outcome.NEAR), (1.005, Outcome.NEAR), (0.98, Outcome.WRONG)):
        other = with_tests(few, {"x": 0.3 * factor}, 0.95)
        assert abs(other["upper"]["x"] / few["upper"]["x"] - 1.0) > 20 * NEAR
        assert judge(other, exact, WAY).outcome == outcome
        ends = {**few, "lower": other["lower"], "upper": other["upper"]}
        assert judge(ends, exact, WAY).outcome == outcome
    no_df = Way("w", WAY.fit, WAY.exact, "c", tuple(name for name in CLAIMS if name != "df"))
    ends = with_tests(few, {"x": 0.3 * 0.995}, 0.95)
    assert judge(ends, exact, no_df).outcome == Outcome.WRONG
    error = with_tests({**few, "std_error": {"x": 0.25 * 1.05}}, {"x": 0.3}, 0.95)
    assert judge(error, exact, WAY).outcome == Outcome.WRONG


def test_variances_and_log_likelihoods() -> None:
    assert judged(variance={"school": 0.2 + 0.9 * NEAR * 1.2}) == Outcome.NEAR
    assert judged(variance={"school": 0.2 + 1.1 * NEAR * 1.2}) == Outcome.WRONG
    assert judged(loglik=-10.0 - 1.1 * NEAR) == Outcome.WRONG


def test_what_is_not_given_is_refused_and_what_did_not_converge_too() -> None:
    assert judged(df={}) == Outcome.REFUSED
    assert judged(loglik=None) == Outcome.REFUSED
    assert judged(loglik=-11.0, converged=False) == Outcome.REFUSED
    # Right numbers are right whatever the flag says.
    assert judged(converged=False) == Outcome.RIGHT


def test_another_convention_that_a_way_names_is_not_wrong() -> None:
    """Collinear columns: R takes p as the rank of X, others count its columns. Neither of both is still wrong."""
    data = chosen(["collinear"])[0].data_set(0)
    truths = Truths(data, chosen(["collinear"])[0].asked)
    way = statsmodels.PACKAGE.way("OLS cluster")
    exact, others = truths.of(way), truths.others(way)
    (words,) = others
    factor = others[words].values["std_error"]["treated"] / exact.values["std_error"]["treated"]
    assert factor == pytest.approx(((200 - 3) / (200 - 4)) ** 0.5, rel=1e-12)
    found = judge(others[words].values, exact, way, others)
    assert (found.outcome, found.note) == (Outcome.OTHER, f"all numbers are those with {words}")
    assert judge(exact.values, exact, way, others).outcome == Outcome.RIGHT
    error = {term: 1.01 * value for term, value in exact.values["std_error"].items()}
    assert judge({**exact.values, "std_error": error}, exact, way, others).outcome == Outcome.WRONG
    # Where X has full rank there is but one convention.
    balanced = Truths(chosen(["balanced"])[0].data_set(0), chosen(["balanced"])[0].asked)
    assert balanced.others(way)[words].values["std_error"] == balanced.of(way).values["std_error"]


@pytest.mark.parametrize(
    "answer", [{}, {"estimate": None}, {"estimate": [1.0]}, {"variance": 3, "loglik": {}}]
)
def test_an_answer_of_another_form_has_nothing_by_name(answer: dict[str, Any]) -> None:
    assert judge(answer, Exact(VALUES, {"school": 1.2}, False), WAY).outcome == Outcome.REFUSED


def test_df_are_not_judged_on_the_boundary() -> None:
    assert judged(boundary=True, df={"x": 100.0}) == Outcome.RIGHT
    assert judged(boundary=True, std_error={"x": 0.3}) == Outcome.WRONG


def test_a_p_value_by_draws_has_its_monte_carlo_error() -> None:
    way = Way("w", WAY.fit, WAY.exact, "c", ("p_value",), draws=9999)
    p = VALUES["p_value"]["x"]
    mcse = (p * (1 - p) / 9999) ** 0.5
    exact = Exact(VALUES, {}, False)
    assert judge({"p_value": {"x": p + 5 * mcse}}, exact, way).outcome == Outcome.RIGHT
    assert judge({"p_value": {"x": p + 6 * mcse}}, exact, way).outcome == Outcome.WRONG


def test_a_p_value_of_all_signs_has_none() -> None:
    """Eight schools have 256 sign vectors: one more or less counted is a wrong share of them, unless it is a tie."""
    data, asked = chosen(["eight-schools"])[0].data_set(0), chosen(["eight-schools"])[0].asked
    truths, way = Truths(data, asked), wildboottest.PACKAGE.ways[0]
    exact, others = truths.of(way), truths.others(way)
    p = exact.values["p_value"]["treated"]
    assert p * 256 == pytest.approx(round(p * 256), abs=1e-9)
    of_one = [
        judge({"p_value": {"treated": p + k / 256}}, exact, way, others).outcome for k in (0, -2, 2, -4)
    ]
    assert of_one == [Outcome.RIGHT, Outcome.OTHER, Outcome.WRONG, Outcome.WRONG]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("(Intercept)", "Intercept"),
        ("armTRUE", "arm"),
        ("armtrue", "arm"),
        ("arm[T.True]", "arm"),
        ("armtreated", "arm[T.treated]"),
        ("age", "age"),
    ],
)
def test_terms_are_found_by_whatever_name(theirs: str, ours: str) -> None:
    assert plain(theirs) == plain(ours)


@pytest.mark.parametrize("defect", ["se", "se 20 %", "df", "sign", "silent"])
def test_a_planted_defect_is_seen_in_a_single_fit(defect: str) -> None:
    ((_, found),) = here(defect, ["balanced"], 1)
    assert found.outcome == (Outcome.REFUSED if defect == "silent" else Outcome.WRONG)


ALL_BUT = ("collinear",)
"""Where the fake package refuses, as it may."""


@pytest.mark.slow
@pytest.mark.parametrize("defect", ["zero", "failures"])
def test_defects_of_some_fits_are_seen_in_the_whole_league(defect: str) -> None:
    found = [judgement for name, judgement in here(defect, [], 5) if name not in ALL_BUT]
    bad = [judgement for judgement in found if judgement.outcome in (Outcome.WRONG, Outcome.REFUSED)]
    assert len(bad) >= (1 if defect == "failures" else 50)


@pytest.mark.slow
def test_a_right_package_is_green_under_100_other_seeds() -> None:
    # Nothing is random given a seed, and no p-value is by draws: no false alarm is expected in 3 900 fits.
    for seed in range(100):
        for name, judgement in here("right", [], 1, seed=1000 + seed):
            wanted = {Outcome.REFUSED} if name in ALL_BUT else {Outcome.RIGHT, Outcome.NEAR}
            assert judgement.outcome in wanted, (seed, name, judgement)
