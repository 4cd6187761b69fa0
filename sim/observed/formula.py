"""Reading formulas with formulaic, one data set at a time: the definition that the compiled designs must
equal.

Besides formulaic's own functions a formula may use

- ``group_mean(x)``: the mean of x in the student's school, within the data set;
- ``group_centred(x)``: x minus that mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, Ints
from nestbench.sim.observed.expressions import GROUP_CENTRED, GROUP_MEAN
from nestbench.sim.observed.parsing import Unreadable, aliases, formula_of, parse, unaliased

if TYPE_CHECKING:
    import pandas as pd


def matrix_of(formula: str, side: str, batch: Batch, r: int) -> tuple[tuple[str, ...], Floats]:
    """Return the names and the columns [k, n] of one side (``"lhs"``, ``"rhs"``) of a formula on one data
    set.

    Missing and undefined values stay in the columns as NaN.

    Raises
    ------
    InvalidInput
        The formula can't be read, has no such side, or names a column or function that isn't there.
    """
    import pandas as pd
    from formulaic.errors import FormulaicError

    sample = batch.replication(r)
    frame = pd.DataFrame({name: _values(column, sample.rows) for name, column in batch.columns.items()})
    for alias, name in aliases(tuple(batch.columns)).items():
        frame[alias] = frame[name]
    try:
        part = _side(formula, side, batch)
        with np.errstate(all="ignore"):  # what isn't defined is NaN, and is told of where it is used
            # "ignore": a dropped row would move all that follow, and schools are slices of rows.
            matrix = part.get_model_matrix(
                frame, context=group_functions(sample.school_sizes), na_action="ignore"
            )
        values = matrix.to_numpy(dtype=np.float64)
    except (
        FormulaicError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        NameError,
        RecursionError,
        SyntaxError,
        TypeError,
        ValueError,
    ) as error:
        raise _unreadable(formula, batch, error) from error
    return tuple(unaliased(str(name)) for name in matrix.columns), np.ascontiguousarray(values.T)


def group_functions(sizes: Ints) -> dict[str, Callable[[Any], pd.Series[float]]]:
    """Return the functions a formula may use on data whose schools have these sizes, in order."""
    import pandas as pd

    def group_mean(x: Any) -> pd.Series[float]:
        """Return the schools' means, a student each."""
        values = np.asarray(x, dtype=np.float64)
        return pd.Series(spread_means(values, np.concatenate([[0], np.cumsum(sizes)])), index=x.index)

    def group_centred(x: Any) -> pd.Series[float]:
        """Return deviations from the schools' means."""
        centred: pd.Series[float] = x - group_mean(x)
        return centred

    return {GROUP_MEAN: group_mean, GROUP_CENTRED: group_centred}


def spread_means(values: Floats, offsets: Ints) -> Floats:
    """Return each row's school mean [N]; school s is the rows ``offsets[s] : offsets[s + 1]``."""
    sizes = np.diff(offsets)
    # For an empty slice reduceat gives the next element, not 0.
    filled = sizes > 0
    sums = np.add.reduceat(values, offsets[:-1][filled]) if filled.any() else np.empty(0)
    means: Floats = np.repeat(sums / sizes[filled], sizes[filled])
    return means


def _side(formula: str, side: str, batch: Batch) -> Any:
    """Return one side of a formula as formulaic's terms, read once a formula and set of columns."""
    columns = tuple(batch.columns)
    try:
        parsed = formula_of(parse(formula, columns, (batch.group,)))
    except Unreadable as error:
        raise error.over(columns) from error
    if side == "rhs" and not hasattr(parsed, "rhs"):
        part = parsed
    elif not hasattr(parsed, side):
        raise InvalidInput(f"expected an outcome before '~', got '{formula}'; e.g. 'grade ~ age'")
    else:
        part = getattr(parsed, side)
    if isinstance(part, tuple):
        raise InvalidInput(
            f"expected one part without '|', got '{formula}'; state the random part in random = ..."
        )
    return part


def _values(column: Column, rows: slice) -> Any:
    """Return the rows of a column as formulaic takes them."""
    import pandas as pd

    if isinstance(column, Category):
        return pd.Categorical.from_codes(column.codes[rows], categories=pd.Index(column.levels))
    return column[rows]


def _unreadable(formula: str, batch: Batch, error: Exception) -> InvalidInput:
    """Return an error of formulaic's as one of ours: with the columns there are and the nearest name, without its
    markup.
    """
    if isinstance(error, InvalidInput):
        return error
    text = re.sub(r"\x1b\[[0-9;]*m|⧛\[[0-9;]*m|⧚", "", str(error)).strip().split("\n")[0]
    words = re.findall(r"`([^`]+)`|name '([^']+)'", str(error))
    named = words[-1][0] or words[-1][1] if words else formula
    hint = did_you_mean(named, [*batch.columns, GROUP_MEAN, GROUP_CENTRED])
    if named == batch.group:
        hint = " The group column can't be a term: choose the methods with school dummies instead."
    columns = ", ".join(batch.columns)
    return InvalidInput(f"expected a formula over the columns {columns}, got '{formula}' ({text}).{hint}")
