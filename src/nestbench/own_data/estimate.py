"""Methods on a user's own data: ``nestbench.estimate(frame, "ols-cr1s-t", formula=..., group=...)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import pandas as pd

from nestbench.own_data.fit import Choice, Fit, chosen_estimator, fit_one
from nestbench.own_data.side_by_side import SideBySide, fit_all
from nestbench.own_data.user_data import prepare
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model


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
        A name from ``nestbench list methods``, or a table with its options ``{"name": "means", "weights": "size"}``.
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
        Options of the method.

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
    """Fit several methods; options of one would be ambiguous and are refused."""
    if options:
        raise InvalidInput(
            f"expected options of one method, got {', '.join(options)} for {len(choices)}; give each its own: "
            '{"name": "means", "weights": "size"}'
        )
    return fit_all(frame, model, choices, engine)
