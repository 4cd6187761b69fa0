"""Conformance of inference: df that were used, equality with a reference, size; and under ``python -O``."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.estimators.methods import registry
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing import conformance as conformance_module
from nestbench.testing import conformance_inference, contract
from nestbench.testing import suite as testing
from nestbench.testing.conformance_inference import (
    check_consistency,
    check_reference,
    check_size,
    without_effects,
)
from nestbench.testing.contract import Breach, Skipped, case_of
from nestbench.testing.suite import conformance
from tests.reports.accuracy import planted

CELL = Cell(RandomIntercept(icc=0.2), Layout(20, 10, 10), Model("grade ~ age + treated"))


def own_inference(used: float, stated: float, level: float = 0.95):  # type: ignore[no-untyped-def]
    """A method whose p-values and limits come from t(used), and that says it was t(stated)."""

    def method(frame, model):  # type: ignore[no-untyped-def]
        rows = planted.cr1s(frame, model)
        for row in rows.values():
            b, s = row["estimate"], row["std_error"]
            reach = stats.t.ppf((1 + level) / 2, used) * s
            row |= {"df": stated, "p_value": 2 * stats.t.sf(abs(b / s), used)}
            row |= {"lower": b - reach, "upper": b + reach}
        return rows

    return method


@settings(max_examples=25, deadline=None)
@given(
    df=st.floats(1.0, 60.0), off=st.sampled_from([-0.5, 0.0, 1.0, np.inf]), level=st.sampled_from([0.9, 0.99])
)
def test_df_that_were_not_used_are_seen(df: float, off: float, level: float) -> None:
    cell = replace(CELL, model=replace(CELL.model, level=level))
    case = case_of(own_inference(df, df + off, level), cell)
    if off == 0.0:
        check_consistency(case)
    else:
        with pytest.raises(Breach, match=r"its estimate, standard error and df = .* give"):
            check_consistency(case)


def test_limits_of_another_level_are_seen() -> None:
    with pytest.raises(Breach, match=r"^lower of Intercept in data set 0 is"):
        check_consistency(case_of(own_inference(19, 19, level=0.9), CELL))


def test_without_df_p_values_and_intervals_must_not_contradict_each_other() -> None:
    def made(p_age: float):  # type: ignore[no-untyped-def]
        def method(frame, model):  # type: ignore[no-untyped-def]
            return {"age": {"estimate": 2.0, "lower": 1.0, "upper": 3.0, "p_value": p_age}}

        return method

    check_consistency(case_of(made(0.06), CELL))  # discrete draws: .06 is near enough to .05
    with pytest.raises(
        Breach, match=r"p-value of age in data set 0 is 0\.4, but its interval, 1 to 3, leaves out 0"
    ):
        check_consistency(case_of(made(0.4), CELL))


KNOWN = [
    name for name in registry.known() if not name.startswith(("gls", "nested", "lmer", "pyfixest", "linear"))
]


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_every_method_is_consistent(name: str) -> None:
    check_consistency(case_of(name, None))


SEEN_BESIDE_A_REFERENCE = ["SE x 1.03", "SE x 0.96", "df - 1", "sign of a small effect", "a school dropped"]


@pytest.mark.parametrize("defect", SEEN_BESIDE_A_REFERENCE)
def test_a_reference_shows_defects(defect: str) -> None:
    with pytest.raises(Breach, match=r"and ols-cr1s-t differ in .* in data set "):
        check_reference(case_of(planted.DEFECTS[defect], CELL, reference="ols-cr1s-t"))


def test_the_method_itself_equals_its_reference() -> None:
    check_reference(case_of(planted.cr1s, CELL, reference="ols-cr1s-t"))
    check_reference(case_of(own_inference(19, 19), CELL, reference="ols-cr1s-t"))


def test_a_p_value_alone_is_compared_with_the_references() -> None:
    def method(frame, model, df=18):  # type: ignore[no-untyped-def]
        rows = own_inference(df, np.nan)(frame, model)
        return {t: {k: row[k] for k in ("estimate", "p_value")} for t, row in rows.items()}

    check_reference(case_of(lambda f, m: method(f, m, 19), CELL, reference="ols-cr1s-t"))
    with pytest.raises(Breach, match=r"and ols-cr1s-t differ in the p-value of (Intercept|age|treated): "):
        check_reference(case_of(method, CELL, reference="ols-cr1s-t"))


def test_fits_that_only_the_reference_has_are_seen() -> None:
    def failing(frame, model):  # type: ignore[no-untyped-def]
        if frame["grade"].iloc[0] > frame["grade"].median():
            raise ArithmeticError("did not work out")
        return planted.cr1s(frame, model)

    with pytest.raises(Breach, match=r"only the second has a usable Intercept .*FAILED ArithmeticError"):
        check_reference(case_of(failing, CELL, reference="ols-cr1s-t"))


def test_references_that_cannot_serve_are_input_errors() -> None:
    with pytest.raises(InvalidInput, match=r"unknown method 'ols-cr1s'.*Did you mean"):
        case_of("ols", CELL, reference="ols-cr1s")
    with pytest.raises(
        InvalidInput, match="expected a reference that answers on these data, got raising: ValueError"
    ):
        case_of("ols", CELL, reference=raising)


def raising(frame, model):  # type: ignore[no-untyped-def]
    raise ValueError("never")


def test_without_a_reference_the_outcome_says_what_is_not_seen() -> None:
    checks = {c.name: c for c in conformance(planted.DEFECTS["df - 1"], on=CELL, replications=30)}
    assert checks["reference"].outcome == "skip"
    assert (
        "df that are wrong, but from which p-values and intervals follow, aren't seen"
        in checks["reference"].reason
    )
    assert {c.outcome for c in checks.values()} == {"pass", "skip"}


def test_size_is_held_where_nothing_has_an_effect() -> None:
    """p / 5 rejects with chance .25 where .1 is allowed: missed by 400 data sets with probability below 1e-6."""

    def eager(frame, model):  # type: ignore[no-untyped-def]
        rows = own_inference(19, np.nan)(frame, model)
        return {t: {"estimate": row["estimate"], "p_value": row["p_value"] / 5} for t, row in rows.items()}

    with pytest.raises(
        AssertionError, match=r"eager: rejection rate under the null hypothesis should be at most 0\.1"
    ):
        check_size(case_of(eager, CELL, replications=400))
    check_size(case_of(planted.cr1s, CELL, replications=60))
    with pytest.raises(Skipped, match="no p-values"):
        check_size(case_of(lambda f, m: {"age": 1.0}, CELL))


def test_null_laws_keep_the_other_effects() -> None:
    null = without_effects(CELL, ["age"])
    assert null.truth == {**CELL.truth, "age": 0.0}


def test_no_check_of_users_methods_is_a_bare_assert() -> None:
    """Under ``python -O`` they would be gone."""
    for module in (contract, conformance_module, conformance_inference, testing):
        tree = ast.parse(inspect.getsource(module))
        found = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)]
        assert not found, f"{module.__name__}: bare assert in lines {found}"


OPTIMISED = """
from nestbench.testing import conformance
rows = lambda frame, model: {"b_age": {"estimate": 1.0, "std_error": -1.0}}
print([check.outcome for check in conformance(rows)][0])
"""


@pytest.mark.slow
def test_nonconforming_under_python_O() -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-c", OPTIMISED], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "fail", done.stdout + done.stderr


def test_command_has_a_reference(tmp_path: Path) -> None:
    run = CliRunner().invoke
    some = ["--replications", "30", "--skip", "coverage", "--skip", "size"]
    same = run(app, ["test", "ols-cr1s-t", "--reference", "ols-cr1s-t", *some])
    assert same.exit_code == 0, same.output
    other = run(app, ["test", "ols-cr1s-z", "--reference", "ols-cr1s-t", *some])
    assert other.exit_code == 1
    words = " ".join(other.output.split())
    assert "ols-cr1s-z and ols-cr1s-t differ in df of Intercept: inf and 19 in data set 0" in words
    for option in ("--reference", "--replications", "--formula", "--random", "--skip"):
        assert option in run(app, ["test", "--help"], env={"COLUMNS": "200"}).output
