"""A package of the league that is right, and copies of it with a defect each: OLS, CR1S, t(G - 1), by plain NumPy."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

from nestbench.league.asked import BY_TERM
from nestbench.league.package import Package, Way, same

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def ols(data: pd.DataFrame, asked: Asked, defect: str = "") -> Answer:
    """Fit by least squares; a defect is named."""
    import numpy as np
    import pandas as pd
    from scipy.stats import t

    data = data.dropna()
    outcome, terms = asked.formula.split(" ~ ")
    columns = [
        data[name] == "treated" if name == "arm" and data[name].dtype != bool else data[name]
        for name in terms.split(" + ")
    ]
    x = np.column_stack([np.ones(len(data)), *(np.asarray(column, dtype=float) for column in columns)])
    y = np.asarray(data[outcome], dtype=float)
    spread = np.abs(x).max(axis=0)
    codes = pd.factorize(data[asked.group])[0]
    n, p, g = len(y), x.shape[1], codes.max() + 1
    if np.linalg.matrix_rank(x / spread) < p:
        raise ValueError("singular")
    centre = np.r_[0.0, x[:, 1:].mean(axis=0)]
    q, r = np.linalg.qr((x - centre) / spread)
    back = np.linalg.inv(r) / spread[:, None]
    # The constant of centred columns is that of the columns less their means.
    back[0] -= centre @ back
    beta, residual = back @ (q.T @ y), y - q @ (q.T @ y)
    sums = np.array([q[codes == k].T @ residual[codes == k] for k in range(g)])
    error = np.sqrt(g / (g - 1) * (n - 1) / (n - p) * ((sums @ back.T) ** 2).sum(axis=0))
    df = np.full(p, g - 1.0)
    if defect == "se":
        error = 1.05 * error
    elif defect == "se 20 %":
        error = 1.2 * error
    elif defect == "df":
        df = df - 1.0
    elif defect == "sign":
        beta = np.r_[beta[:1], -beta[1:]]
    elif defect == "zero" and y[0] > y.mean():
        error = 0.0 * error
    elif defect == "failures" and int(1e6 * abs(y[0] / y[1])) % 100 == 0:
        raise RuntimeError("did not work")
    elif defect == "crash" and len(y) % 2 == 0:
        os.abort()
    elif defect == "hang":
        time.sleep(3600.0)
    elif defect == "print":
        print("hello " * 100, flush=True)
    elif defect == "changed":
        raise AttributeError("'Result' object has no attribute 'params'")
    elif defect == "silent":
        return {"estimate": {}, "converged": True}
    half = t.ppf(0.5 + asked.level / 2, df) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2.0 * t.sf(np.abs(beta / error), df)
    values = (beta, error, df, p_value, beta - half, beta + half)
    text = "arm" in data and data["arm"].dtype != bool
    names = [
        "(Intercept)",
        *(f"{name}treated" if text and name == "arm" else name for name in terms.split(" + ")),
    ]
    return {name: dict(zip(names, column, strict=True)) for name, column in zip(BY_TERM, values, strict=True)}


DEFECTS = ("se", "se 20 %", "df", "sign", "zero", "failures", "crash", "hang", "print", "changed", "silent")


def _way(defect: str) -> Way:
    return Way(defect or "right", partial(ols, defect=defect), same("ols-cr1s-t"), "CR1S; t(G - 1)")


PACKAGE = Package("fake", "numpy", "numpy", tuple(_way(defect) for defect in ("", *DEFECTS)))
