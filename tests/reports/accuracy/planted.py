"""A method of a user's own with defects built in: what `nestbench check` must see on the same data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.in_memory import InMemory
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing.given import as_estimator

Table = dict[str, dict[str, float]]
TERMS = ("Intercept", "age", "treated")
EFFECTS = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.0, "treated": 0.3}


def cr1s(frame: pd.DataFrame, model: Any) -> Table:
    """OLS with CR1S errors and t(G - 1), written out."""
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["treated"]])
    y = frame["grade"].to_numpy()
    school = np.unique(frame["school"], return_inverse=True)[1]
    schools, (n, k) = int(school.max()) + 1, x.shape
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    scores = x * (y - x @ beta)[:, None]
    sums = np.column_stack([np.bincount(school, scores[:, j]) for j in range(k)])
    correction = schools / (schools - 1) * (n - 1) / (n - k)
    error = np.sqrt(np.diag(correction * bread @ sums.T @ sums @ bread))
    rows = zip(TERMS, beta, error, strict=True)
    return {t: {"estimate": b, "std_error": s, "df": schools - 1.0} for t, b, s in rows}


def _scaled(factor: float) -> Callable[[pd.DataFrame, Any], Table]:
    def method(frame: pd.DataFrame, model: Any) -> Table:
        return {t: {**row, "std_error": factor * row["std_error"]} for t, row in cr1s(frame, model).items()}

    return method


def _fewer_df(frame: pd.DataFrame, model: Any) -> Table:
    return {t: {**row, "df": row["df"] - 1} for t, row in cr1s(frame, model).items()}


def _flipped(frame: pd.DataFrame, model: Any) -> Table:
    found = cr1s(frame, model)
    return {**found, "treated": {**found["treated"], "estimate": -found["treated"]["estimate"]}}


def _hit(frame: pd.DataFrame) -> bool:
    """True in about 1 % of data sets."""
    return float(frame["grade"].iloc[0]) * 1e6 % 100.0 < 1.0


def _failing(frame: pd.DataFrame, model: Any) -> Table:
    if _hit(frame):
        raise ArithmeticError("did not work out")
    return cr1s(frame, model)


def _silent(frame: pd.DataFrame, model: Any) -> Table:
    found = cr1s(frame, model)
    return {**found, "treated": {**found["treated"], "estimate": 0.0}} if _hit(frame) else found


def _dropping(frame: pd.DataFrame, model: Any) -> Table:
    return cr1s(frame[frame["school"] != frame["school"].iloc[-1]], model)


DEFECTS: dict[str, Callable[[pd.DataFrame, Any], Table]] = {
    "SE x 1.03": _scaled(1.03),
    "SE x 1.05": _scaled(1.05),
    "SE x 0.96": _scaled(0.96),
    "df - 1": _fewer_df,
    "sign of a small effect": _flipped,
    "1 % of fits fail": _failing,
    "a silent zero in 1 % of fits, small effect": _silent,
    "a school dropped": _dropping,
}


def planted_study(
    seed: int, replications: int, method: Callable[[pd.DataFrame, Any], Table] = cr1s
) -> InMemory:
    """Two cells of 20 schools of 10, fitted by a method that calls itself cr1s."""

    def named(frame: pd.DataFrame, model: Any) -> Table:
        return method(frame, model)

    named.__name__ = "cr1s"
    cells = tuple(
        Cell(RandomIntercept(icc=icc, effects=EFFECTS), Layout(20, 10, 10), Model("grade ~ age + treated"))
        for icc in (0.0, 0.2)
    )
    return InMemory(
        Experiment(
            name="planted",
            title="planted",
            aims="",
            cells=cells,
            levels=tuple({"population.icc": icc} for icc in (0.0, 0.2)),
            estimators=(as_estimator(named),),
            replications=replications,
            seed=seed,
        )
    )
