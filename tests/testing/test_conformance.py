"""The conformance suite: good methods pass, each kind of bad one fails for its own reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing.conformance_checks import CHECKS
from nestbench.testing.suite import NonConforming, check_estimator, conformance

EFFECTS = {"Intercept": 5.0, "age": 2.0, "gender": 1.0, "resources": 0.0, "treated": 0.0}
SMALL = Cell(RandomIntercept(icc=0.0, effects=EFFECTS), Layout(4, 6, 2), Model("grade ~ age + gender"))
TERMS = ("Intercept", "age", "gender[T.male]")


def fitted(frame, ridge=0.0, shrink=1.0):  # type: ignore[no-untyped-def]
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["gender"] == "male"]).astype(float)
    y = frame["grade"].to_numpy()
    if np.linalg.matrix_rank(x) < 3 or len(y) <= 3:
        raise ValueError("rank deficient")
    inverse = np.linalg.inv(x.T @ x + ridge * np.eye(3))
    b = inverse @ x.T @ y
    r = y - x @ b
    se = shrink * np.sqrt(np.diag(inverse) * (r @ r) / (len(y) - 3))
    return {
        n: {"estimate": e, "std_error": s, "df": len(y) - 3} for n, e, s in zip(TERMS, b, se, strict=True)
    }


def good(frame, model):  # type: ignore[no-untyped-def]
    return fitted(frame)


def first_students(frame, model):  # type: ignore[no-untyped-def]
    return fitted(frame.groupby("school").head(4))


def by_name(frame, model):  # type: ignore[no-untyped-def]
    return fitted(frame[frame["school"] != "S01"])


def last_school(frame, model):  # type: ignore[no-untyped-def]
    return fitted(frame[frame["school"] != frame["school"].iloc[-1]])


def unit_bound(frame, model):  # type: ignore[no-untyped-def]
    found = fitted(frame)
    return {n: {**row, "std_error": row["std_error"] + 0.01} for n, row in found.items()}


def random_draws(frame, model):  # type: ignore[no-untyped-def]
    return fitted(frame, shrink=np.random.default_rng().uniform(0.9, 1.1))


def too_sure(frame, model):  # type: ignore[no-untyped-def]
    return fitted(frame, shrink=0.3)


def misnamed(frame, model):  # type: ignore[no-untyped-def]
    return {f"b_{name}": row for name, row in fitted(frame).items()}


def pivoting(frame, model):  # type: ignore[no-untyped-def]
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["gender"] == "male"]).astype(float)
    b = np.linalg.lstsq(x, frame["grade"].to_numpy(), rcond=None)[0]
    return {n: {"estimate": e, "std_error": 0.3} for n, e in zip(TERMS, b, strict=True)}


@pytest.mark.parametrize(
    ("method", "failing", "words"),
    [
        (first_students, "students", "order of students within schools changes the numbers"),
        (by_name, "labels", "renaming the schools changes"),
        (last_school, "schools", "order of schools changes"),
        (unit_bound, "scale", "unit of the outcome changes the numbers: "),
        (random_draws, "determinism", "take random numbers from batch.streams"),
        (too_sure, "coverage", "coverage should be at least 0.9"),
        (misnamed, "schema", "no term is named as the formula names it"),
        (pivoting, "inestimable", "age has the same value for all students"),
    ],
)
def test_each_fault_is_found(method: object, failing: str, words: str) -> None:
    skip = ["size"] if failing == "coverage" else ["coverage", "size"]
    checks = conformance(method, on=SMALL, replications=200, skip=skip)  # type: ignore[arg-type]
    bad = {check.name: check.reason for check in checks if check.outcome == "fail"}
    assert words in bad[failing]


def test_a_good_function_passes_everything() -> None:
    checks = check_estimator(good, on=SMALL, replications=100, reference="ols")
    assert [check.outcome for check in checks] == ["pass"] * len(CHECKS)


@pytest.mark.parametrize("name", ["ols-cr1s-t", "dummies", "means", "ols-cr2-satt"])
def test_own_methods_conform(name: str) -> None:
    checks = check_estimator(name, replications=30, reference=name)
    assert {check.outcome for check in checks} == {"pass"}


def test_engines_that_raise_or_return_rubbish() -> None:
    ols = registry.get("ols")
    assert ols.reference is not None
    engine = ols.reference

    def raising(batch, model, options):  # type: ignore[no-untyped-def]
        found = engine(batch, model, options)
        if (found.status > 1).any():
            raise np.linalg.LinAlgError("Singular matrix")
        return found

    def negative(batch, model, options):  # type: ignore[no-untyped-def]
        found = engine(batch, model, options)
        return replace(found, std_error=-found.std_error)

    def outcome(made: Estimator, name: str) -> str:
        checks = conformance(made, on=SMALL, skip=["coverage"])
        return next(f"{c.outcome}: {c.reason}" for c in checks if c.name == name)

    def made(function):  # type: ignore[no-untyped-def]
        return replace(ols, name="made", reference=function, batched=None)

    assert "raised LinAlgError: Singular matrix; return a status" in outcome(made(raising), "hopeless")
    assert "a standard error is negative" in outcome(made(negative), "schema")
    assert outcome(made(negative), "scale") == "skip: schema failed"


def test_failure_lists_every_check() -> None:
    with pytest.raises(NonConforming) as caught:
        check_estimator(too_sure, on=SMALL, replications=100)
    assert str(caught.value).startswith("too_sure breaks the contract of methods:\n  pass  schema")
    assert len(caught.value.checks) == len(CHECKS)


def test_skip_by_name() -> None:
    checks = check_estimator(unit_bound, on=SMALL, replications=30, skip=["scale", "coverage"])
    assert [c.name for c in checks if c.reason == "as asked"] == ["scale", "coverage"]
    with pytest.raises(InvalidInput, match=r"unknown check 'scales'\. Did you mean 'scale'"):
        check_estimator(good, on=SMALL, skip=["scales"])


FILE = '''
import numpy as np
import nestbench

@nestbench.estimator("mean-by-hand")
def mean_by_hand(frame, model):
    """The mean grade, too sure of itself."""
    return {"Intercept": {"estimate": frame["grade"].mean(), "std_error": 1e-6}}
'''


def test_command_runs_a_file(tmp_path: Path) -> None:
    (tmp_path / "my_methods.py").write_text(FILE)
    (tmp_path / "empty.py").write_text("x = 1\n")
    run = CliRunner().invoke
    done = run(app, ["test", str(tmp_path / "my_methods.py"), "--replications", "40"])
    assert done.exit_code == 1, done.output
    assert "mean-by-hand: " in done.output
    assert "fail  scale" in done.output
    assert "break the contract: mean-by-hand" in done.output
    with pytest.raises(InvalidInput, match="expected a method in"):
        run(app, ["test", str(tmp_path / "empty.py")], catch_exceptions=False)
    with pytest.raises(InvalidInput, match="no such file"):
        run(app, ["test", str(tmp_path / "none.py")], catch_exceptions=False)
    with pytest.raises(InvalidInput, match="unknown method 'olss'"):
        run(app, ["test", "olss"], catch_exceptions=False)
