"""pymer4's tables and its word on convergence, by a stand-in: neither it nor R is where the tests run."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from nestbench.league.asked import Asked
from nestbench.league.packages.pymer4 import lmer

SPREAD = [
    ("school", "sd__(Intercept)", 2.0),
    ("school", "sd__age", 3.0),
    ("school", "cor__(Intercept).age", -0.5),
]
COLUMNS = ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high")


class Frame(list[dict[str, Any]]):
    """Rows as polars has them."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return list(self)


def fitted(status: str) -> SimpleNamespace:
    """A fit of a random slope that says this of its convergence."""
    rows = [*SPREAD, ("Residual", "sd__Observation", 1.5)]
    return SimpleNamespace(
        fit=lambda **_: None,
        result_fit=Frame([{"term": "age", **{name: k for k, name in enumerate(COLUMNS)}}]),
        ranef_var=Frame([dict(zip(("group", "term", "estimate"), row, strict=True)) for row in rows]),
        result_fit_stats={"logLik": [-7.0]},
        convergence_status=status,
    )


@pytest.mark.parametrize(("said", "converged"), [("TRUE", True), ("FALSE", False)])
def test_what_it_says_of_convergence_is_heard(
    said: str, converged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fitted(f'Convergence status\n: [1] {said}\nattr(,"gradient")\n[1] 0.0078\n')
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(from_pandas=lambda data: data))
    monkeypatch.setitem(sys.modules, "pymer4.models", SimpleNamespace(lmer=lambda formula, data: fit))
    monkeypatch.setitem(sys.modules, "pymer4", SimpleNamespace())
    found = lmer(pd.DataFrame(), Asked("grade ~ age", slope="age"))
    assert found == {
        **{
            name: {"age": float(k)}
            for k, name in enumerate(("estimate", "std_error", "df", "p_value", "lower", "upper"))
        },
        "variance": {"school": 4.0, "slope": 9.0, "residual": 2.25, "covariance": -3.0},
        "loglik": -7.0,
        "converged": converged,
    }
