"""Tests exactly at alpha: p = k/B often equals it, and then test and interval must say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.estimators.engines.inference import critical_value, wald
from nestbench.estimators.kernels.student_t import quantile
from nestbench.estimators.methods.registry import get
from nestbench.reports.measures.draws import Draws, draws_of
from nestbench.reports.measures.statistics import rejects
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model, alpha_of, rejected
from nestbench.sim.random_intercept import RandomIntercept

LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


@given(st.integers(1, 999), st.integers(1, 10_000))
def test_a_p_value_of_alpha_rejects_and_the_next_one_does_not(thousandths: int, draws: int) -> None:
    level = thousandths / 1000
    k = int((1 - Fraction(thousandths, 1000)) * draws)
    assert rejected(np.array([k / draws]), level)[0]
    assert not rejected(np.array([(k + 1) / draws]), level)[0]
    assert alpha_of(level) == (1000 - thousandths) / 1000


def drawn(level: float) -> tuple[Batch, Model]:
    model = Model("grade ~ treated", level=level)
    law = RandomIntercept(icc=0.2, effects={"Intercept": 50.0})
    return Cell(law, Layout(6, 5, 3, assignment="random"), model).draw(1, range(400)), model


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_permutation_and_exact_wild_reject_when_the_interval_leaves_out_zero(
    level: float, engine: str
) -> None:
    batch, model = drawn(level)
    if engine == "reference":
        batch = batch.take(list(range(40)))
    for choice in ("permutation", {"name": "ols-wild", "draws": 99}, {"name": "ols-wild", "draws": 9}):
        got = get(choice).fit(batch, model, engine)
        k = got.terms.index("treated")
        outside = (got.lower[:, k] > 0) | (got.upper[:, k] < 0)
        at_alpha = np.abs(got.p_value[:, k] - model.alpha) < 1e-9
        np.testing.assert_array_equal(outside, rejected(got.p_value[:, k], level))
        assert not at_alpha.any() or outside[at_alpha].all()


def test_the_share_of_rejections_is_the_size_of_an_exact_test() -> None:
    """20 assignments of 3 of 6 schools: p is a multiple of .1, the size at level .9 is .1 (false alarm 1e-6)."""
    batch, model = drawn(0.9)
    got = get("permutation").fit(batch, model)
    (draws,) = (d for d in draws_of(got, {"treated": 0.0}, model.level) if "treated" in d.terms)
    assert isinstance(draws, Draws)
    share = rejects(draws)[draws.terms.index("treated")].mean()
    assert abs(share - 0.1) < 4.9 * np.sqrt(0.09 / 400)


@given(
    st.integers(400_000, 999_999),
    st.one_of(st.floats(0.25, 1e5), st.sampled_from([1.0, 2.0, 3.0, 20.0, np.inf])),
    st.sampled_from([-1e-9, 1e-9]),
)
def test_wald_tests_and_intervals_agree_but_within_rounding_of_alpha(
    millionths: int, df: float, beside: float
) -> None:
    """Wald quantiles keep ``1.0 - level``: 2^-54 of the tail, which moves a critical value less than its own rounding.

    |d log q / d log alpha| = P(|T| > q) / (2 q f(q)) is below max(1, 1/df) far out and grows as 1 / level near q = 0.
    """
    level = millionths / 1_000_000
    alpha = alpha_of(level)
    (q,), (exact,) = critical_value(np.array([df]), level), [quantile(alpha, df)]
    steepness = max(1.0, 1.0 / df) / level
    assert abs(q / exact - 1.0) <= 2.0**-54 / alpha * steepness + 1e-12 * max(1.0, 1.0 / df)
    one = np.array([[exact * (1.0 + beside)]])
    lower, _, p_value = wald(one, np.ones((1, 1)), df, level)
    assert (lower[0, 0] > 0.0) == rejected(p_value, level)[0, 0] == (beside > 0.0)


ROOT = Path(__file__).parents[2]
QUANTILES = {
    ("sim/observed/model.py", "alpha_of"),
    ("estimators/engines/inference.py", "_quantiles"),
    ("estimators/methods/pairs_bootstrap.py", "answer_of"),
    ("reports/comparing/decomposition.py", "_critical"),
    ("reports/measures/proportions.py", "clopper_pearson"),
    # What other packages are asked for: these functions go into scripts without nestbench.
    ("src/nestbench/league/packages/statsmodels.py", "by_term"),
    ("src/nestbench/league/packages/pyfixest.py", "feols"),
    ("src/nestbench/league/packages/mixedlm_rs.py", "fit"),
}
"""Where 1 - level is the tail of a quantile of a continuous distribution, and where alpha is made."""


def levels_subtracted(source: str) -> Iterator[tuple[str, str]]:
    """Yield function and expression of every ``1 - level``, but in level (1 - level), the variance of a share."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        nodes = list(ast.walk(function))
        spread = {id(n.right) for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult)}
        for node in nodes:
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and id(node) not in spread:
                of = ast.unparse(node.right)
                one = isinstance(node.left, ast.Constant) and node.left.value == 1
                if one and re.search(r"\blevels?(\[.*\])?$", of):
                    yield function.name, ast.unparse(node)


def test_alpha_is_made_in_one_place() -> None:
    """``1.0 - 0.9`` is below .1: what is compared with alpha, or shows it, takes it from `alpha_of`."""
    assert list(levels_subtracted("def f(pieces): return 1 / (1.0 - pieces[0].level)"))
    assert not list(levels_subtracted("def f(level): return level * (1.0 - level)"))
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for room in ("sim", "estimators", "experiments", "reports", "src")
        for path in sorted((ROOT / room).rglob("*.py"))
        for name, _ in levels_subtracted(path.read_text(encoding="utf-8"))
    }
    assert found <= QUANTILES
    assert ("estimators/engines/inference.py", "_quantiles") in found
