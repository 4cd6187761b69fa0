"""What one method says about a user's own data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import DF, ENDS, ESTIMATE, P_VALUE, STD_ERROR, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.estimators.null import null_words
from nestbench.own_data.row_cells import cells_of, digits_of
from nestbench.own_data.user_data import UserData
from nestbench.reports import notebook
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model

Choice = str | Mapping[str, Any] | Estimator
"""A method by name, as a table with options, or itself."""

STATISTIC = "statistic"
COLUMNS = (ESTIMATE, STD_ERROR, DF, STATISTIC, P_VALUE, *ENDS)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What one method says about one data set.

    Attributes
    ----------
    estimator : str
        The method's label.
    engine : str
        Which engine ran: ``reference`` or ``batched``.
    model : Model
    terms : DataFrame
        By term: estimate, std_error, df (inf: normal reference), statistic, p_value, lower, upper. NaN: no answer.
    variance : mapping of str to float
        school_sd, residual_sd, icc and further fit-level numbers the method has.
    loglik : float or None
        Log-likelihood, where the method has one.
    status : FitStatus
    messages : tuple of str
        What was done to the data, and what the method had to say.
    n, groups : int
        Students and schools fitted.
    """

    estimator: str
    engine: str
    model: Model
    terms: pd.DataFrame
    variance: Mapping[str, float]
    loglik: float | None
    status: FitStatus
    messages: tuple[str, ...]
    n: int
    groups: int

    @property
    def usable(self) -> bool:
        """Whether the status allows the numbers to be used."""
        return self.status.usable

    def __repr__(self) -> str:
        head = f"{self.estimator}: {self.status.name}, {self.n} rows in {self.groups} groups, {self.model.formula}"
        head += "" if (tested := null_words([self.model])) == "0" else f"; tests of {tested}"
        table = self.terms.to_string(float_format=lambda value: f"{value:.5g}", na_rep="-")
        extra = [f"{name} {value:.5g}" for name, value in self.variance.items()]
        if self.loglik is not None:
            extra.append(f"loglik {self.loglik:.3f}")
        return "\n".join([head, table, *([", ".join(extra)] if extra else []), *self.messages])

    def _repr_html_(self) -> str:
        return fit_html(self)


def chosen_estimator(choice: Choice, options: Mapping[str, Any]) -> Estimator:
    """Return a method by name, table or itself, with options set."""
    if not isinstance(choice, (str, Mapping, Estimator)):
        raise InvalidInput(
            f"expected a method by name, as a table with options, or an `Estimator`, got {choice!r}; e.g. 'ols-cr1s-t'"
        )
    method = choice if isinstance(choice, Estimator) else registry.get(choice)
    return method.with_options(options) if options else method


def fit_one(data: UserData, estimator: Estimator, model: Model, engine: str = "auto") -> Fit:
    """Fit one method to prepared data.

    Parameters
    ----------
    data : UserData
    estimator : Estimator
    model : Model
    engine : str
        ``auto``, ``reference`` or ``batched``.

    Raises
    ------
    InvalidInput
        The method can't honour the model.
    """
    estimates = estimator.fit(data.batch, model, engine)
    values = {name: float(numbers[0]) for name, numbers in estimates.quantities.items()}
    loglik = values.pop("(loglik)", math.nan)
    text = estimates.texts()[0]
    return Fit(
        estimator.label,
        estimator.engine_name(engine),
        model,
        terms_of(estimates, model),
        {name.strip("()"): value for name, value in values.items() if math.isfinite(value)},
        loglik if math.isfinite(loglik) else None,
        FitStatus(int(estimates.status[0])),
        (*data.messages, *([text] if text else [])),
        data.n,
        data.groups,
    )


def terms_of(estimates: Estimates, model: Model) -> pd.DataFrame:
    """Return the terms of a single fit as a table; statistics are distances from the values tested."""
    null = np.array([model.null_of(term) for term in estimates.terms])
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (estimates.estimate[0] - null) / estimates.std_error[0]
    columns = {name: getattr(estimates, name)[0] for name in COLUMNS if name != STATISTIC}
    table = pd.DataFrame({**columns, STATISTIC: statistic}, index=pd.Index(estimates.terms, name="term"))
    return table[list(COLUMNS)]


def fit_html(fit: Fit) -> str:
    """Return one fit: what was fitted to what, a row a term, fit-level numbers, and what the method had to say."""
    tested = null_words([fit.model])
    head = f"{fit.n} rows in {fit.groups} groups ({fit.model.group}); {fit.model.formula}"
    digits = {term: digits_of([float(row[STD_ERROR])], 3) for term, row in fit.terms.iterrows()}
    names = ("estimate", "SE", "df", "interval", "p")
    rows = [
        [str(term), *(cells_of(fit.estimator, fit.status, row, digits[term], True)[name] for name in names)]
        for term, row in fit.terms.iterrows()
    ]
    headings = ["", *(f"{100 * fit.model.level:g} % interval" if n == "interval" else n for n in names)]
    numbers = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in fit.variance.items()]
    numbers += [] if fit.loglik is None else [f"loglik {fit.loglik:.2f}"]
    return notebook.block(
        notebook.titled(fit.estimator, fit.status.name.lower().replace("_", " ")),
        notebook.line(head + ("" if tested == "0" else f"; p: tests of {tested}")),
        notebook.table(headings, rows),
        *map(notebook.line, filter(None, [", ".join(numbers), *fit.messages])),
    )
