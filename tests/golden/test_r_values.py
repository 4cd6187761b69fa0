"""The methods against R on further synthetic data: sizes 1..200, one-student schools, boundaries, slopes, ICC near 1.

`r/make_data.R` makes the data, `r/make_values.R` the values (lmer's likelihood maximised further by Newton steps). The
default engine runs; that the other agrees is for test_equivalence.py. Left out is the CR2 at an ICC near 1 (a test of
its own). Tolerances: 1e-6; degrees of freedom 1e-4, for lmerTest differentiates numerically.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nestbench.own_data.estimate import estimate
from nestbench.own_data.fit import Fit

HERE = Path(__file__).parent / "r"
VALUES: dict[str, Any] = json.loads((HERE / "values.json").read_text(encoding="utf-8"))


def named(term: str) -> str:
    """Return one name for R's and formulaic's: ``x:prog[T.B]`` and ``x:progB`` are ``progB:x``."""
    plain = re.sub(r"\[T\.([^\]]*)\]", r"\1", term.replace("(Intercept)", "Intercept"))
    return ":".join(sorted(plain.split(":")))


def fit(name: str, method: str, **changes: Any) -> Fit:
    case = VALUES[name]
    labels = dict.fromkeys(("school", "class"), str)
    frame = pd.read_csv(HERE / f"{name}.csv", dtype=labels)
    return estimate(frame, method, formula=case["formula"], group=case["group"], **changes)


def assert_column(got: Fit, column: str, terms: list[str], expected: list[float], rel: float = 1e-6) -> None:
    values = {named(str(term)): value for term, value in got.terms[column].items()}
    for term, value in zip(terms, expected, strict=True):
        assert values[named(term)] == pytest.approx(value, rel=rel), (column, term)


@pytest.mark.parametrize("name", VALUES)
def test_pooled_and_cluster_robust(name: str) -> None:
    ref = VALUES[name]["lm"]
    for method, kind in {"ols-cr0-z": "CR0", "ols-cr1s-t": "CR1S", "ols-cr3-t": "CR3"}.items():
        if "se" in ref[kind]:
            assert_column(fit(name, method), "std_error", ref["terms"], ref[kind]["se"])
    got = fit(name, "ols-cr2-satt")
    assert_column(got, "estimate", ref["terms"], ref["coef"])
    assert_column(got, "std_error", ref["terms"], ref["CR2"]["se"])
    assert_column(got, "df", ref["terms"], ref["CR2"]["df"])


MIXED = [(name, block) for name, case in VALUES.items() for block in ("ri", "rs", "nest") if block in case]


@pytest.mark.parametrize(("name", "block"), MIXED)
def test_mixed_models(name: str, block: str) -> None:
    case, ref = VALUES[name], VALUES[name][block]
    changes: dict[str, Any] = {}
    if block == "rs":
        changes = {"random": case["random"], "covariance": "diagonal" if case["diag"] else "full"}
    if block == "nest":
        changes = {"subgroup": case["subgroup"]}
    got = fit(name, "nested-satt" if block == "nest" else "reml-satt", **changes)
    assert_column(got, "estimate", ref["terms"], ref["fixef"])
    assert_column(got, "std_error", ref["terms"], ref["se"])
    assert_column(got, "df", ref["terms"], ref["satt"], 1e-4)
    assert got.loglik == pytest.approx(ref["loglik"][0], rel=1e-9)
    for kind in ("kr", "cr2"):
        if "se" in ref.get(kind, {}):
            adjusted = fit(name, f"reml-{kind}", **changes)
            assert_column(adjusted, "std_error", ref["terms"], ref[kind]["se"])
            assert_column(adjusted, "df", ref["terms"], ref[kind]["df"], 1e-5)


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_cr2_where_nearly_all_variance_is_between_schools(engine: str) -> None:
    """R's values; 60-digit arithmetic at the fitted theta of 77.38 agrees with both engines to 1e-11."""
    got = fit("s_hugeicc", "reml-cr2", engine=engine)
    assert got.terms.loc["x", "std_error"] == pytest.approx(0.1211999, rel=1e-4)
    assert got.terms.loc["sex[T.m]", "std_error"] == pytest.approx(0.3085730, rel=1e-4)
    assert got.terms.loc["x", "df"] == pytest.approx(3.492821, rel=1e-4)
