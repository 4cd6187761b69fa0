"""Methods on a user's own data: ``nestbench.estimate(frame, "ols-cr1s-t", formula=..., group=...)``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from nestbench.estimators import registry
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.null import null_words
from nestbench.sim.errors import InvalidInput
from nestbench.sim.model import Model
from nestbench.user_data import UserData, prepare

if TYPE_CHECKING:
    from nestbench.side_by_side import SideBySide

Choice = str | Mapping[str, Any] | Estimator
"""A method by name, as a table with options, or itself."""

COLUMNS = ("estimate", "std_error", "df", "statistic", "p_value", "lower", "upper")


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


@overload
def estimate(
    frame: pd.DataFrame,
    estimator: Choice,
    *,
    formula: str = ...,
    group: str = ...,
    random: str = ...,
    level: float = ...,
    engine: str = ...,
    subgroup: str | None = ...,
    null: Mapping[str, float] | None = ...,
    **options: Any,
) -> Fit: ...


@overload
def estimate(
    frame: pd.DataFrame,
    estimator: list[Choice] | tuple[Choice, ...],
    *,
    formula: str = ...,
    group: str = ...,
    random: str = ...,
    level: float = ...,
    engine: str = ...,
    subgroup: str | None = ...,
    null: Mapping[str, float] | None = ...,
) -> SideBySide: ...


def estimate(
    frame: pd.DataFrame,
    estimator: Choice | list[Choice] | tuple[Choice, ...],
    *,
    formula: str = "grade ~ age + gender",
    group: str = "school",
    random: str = "1",
    level: float = 0.95,
    engine: str = "auto",
    subgroup: str | None = None,
    null: Mapping[str, float] | None = None,
    **options: Any,
) -> Fit | SideBySide:
    """Fit one method to a table of data, or several side by side.

    Parameters
    ----------
    frame : DataFrame
        One row a student. Rows with missing values in the columns used are dropped, and counted in `messages`.
    estimator : str, mapping or Estimator, or a sequence of them
        A name from ``nestbench list estimators``, or a table with its options ``{"name": "means", "weights": "size"}``.
        A list gives a `SideBySide`: a table a term, ``found["ols"]`` for one fit.
    formula : str
        Fixed part, as formulaic reads it; column names with blanks in backticks.
    group : str
        Name of the group column.
    random : str
        Random part within a group: ``"1"``, or ``"1 + age"`` for a random slope.
    level : float
        Confidence level.
    engine : str
        ``auto``, ``reference`` or ``batched``.
    subgroup : str, optional
        Name of a column of groups within groups, for the three-level methods.
    null : mapping of str to float, optional
        Term -> the value that its p-value and statistic test instead of 0: ``{"treated": 0.3}``.
    **options
        Options of the estimator.

    Raises
    ------
    InvalidInput
        The data, the formula, the method or an option can't be used; the message says why.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 5.0, 9.0], "x": [0, 1, 2, 0, 1, 2], "g": list("aabbcc")})
    >>> fit = estimate(frame, "ols-cr1s-t", formula="y ~ x", group="g")
    >>> fit.status.name, fit.n, fit.groups
    ('OK', 6, 3)
    >>> float(round(fit.terms.loc["x", "estimate"], 3))
    2.25
    """
    model = Model(formula, group, random, level, subgroup, null or {})
    if isinstance(estimator, (list, tuple)):
        return _side_by_side(frame, estimator, model, engine, options)
    chosen = chosen_estimator(estimator, options)
    return fit_one(prepare(frame, model), chosen, model, engine)


def _side_by_side(
    frame: pd.DataFrame, choices: Sequence[Choice], model: Model, engine: str, options: Mapping[str, Any]
) -> SideBySide:
    from nestbench.side_by_side import fit_all

    if options:
        raise InvalidInput(
            f"expected options of one method, got {', '.join(options)} for {len(choices)}; give each its own: "
            '{"name": "means", "weights": "size"}'
        )
    return fit_all(frame, model, choices, engine)


def chosen_estimator(choice: Choice, options: Mapping[str, Any]) -> Estimator:
    """Return an estimator by name, table or itself, with options set."""
    found = choice if isinstance(choice, Estimator) else registry.get(choice)
    return found.with_options(options) if options else found


def fit_one(data: UserData, estimator: Estimator, model: Model, engine: str = "auto") -> Fit:
    """Fit one method to prepared data."""
    estimates = estimator.fit(data.batch, model, engine)
    values = {name: float(found[0]) for name, found in estimates.quantities.items()}
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
    columns = {name: getattr(estimates, name)[0] for name in COLUMNS if name != "statistic"}
    table = pd.DataFrame({**columns, "statistic": statistic}, index=pd.Index(estimates.terms, name="term"))
    return table[list(COLUMNS)]
