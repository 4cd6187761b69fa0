"""Formulas to design matrices, with formulaic's terms and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula
from formulaic.errors import FormulaicError

from nestbench.sim.batch import Batch, Category, Column, Floats
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.model import Model


@dataclass(frozen=True, slots=True)
class Design:
    """A model compiled against a batch's columns.

    Attributes
    ----------
    model : Model
    response : str
        The outcome's name.
    terms : tuple of str
        Names of the p columns of X, as formulaic names them: ``Intercept``, ``age``, ``gender[T.male]``.
    random_terms : tuple of str
        Names of the q columns of Z: ``("Intercept",)`` for a random intercept.
    """

    model: Model
    response: str
    terms: tuple[str, ...]
    random_terms: tuple[str, ...]

    @property
    def intercept(self) -> bool:
        """Whether X has an intercept column."""
        return "Intercept" in self.terms

    def fixed(self, batch: Batch) -> Floats:
        """Return X as rows of columns, float64 [p, N], over all replications of the batch."""
        return _stack([_materialise(self.model.formula, "rhs", batch, r)[1] for r in range(batch.size)])

    def outcome(self, batch: Batch) -> Floats:
        """Return y, float64 [N]."""
        parts = [_materialise(self.model.formula, "lhs", batch, r)[1][0] for r in range(batch.size)]
        return np.concatenate(parts)

    def random(self, batch: Batch) -> Floats:
        """Return Z as rows of columns, float64 [q, N]."""
        return _stack([_materialise("~ " + self.model.random, "rhs", batch, r)[1] for r in range(batch.size)])


def design_of(batch: Batch, model: Model) -> Design:
    """Compile a model against the columns of a batch (call it as ``batch.once(design_of, model)``).

    Raises
    ------
    InvalidInput
        The formula can't be read, or names a column that isn't there.
    """
    lhs, _ = _materialise(model.formula, "lhs", batch, 0)
    rhs, _ = _materialise(model.formula, "rhs", batch, 0)
    random, _ = _materialise("~ " + model.random, "rhs", batch, 0)
    return Design(model, lhs[0], tuple(rhs), tuple(random))


def _materialise(formula: str, side: str, batch: Batch, r: int) -> tuple[list[str], Floats]:
    rows = batch.replication(r).rows
    frame = pd.DataFrame({name: _values(column, rows) for name, column in batch.columns.items()})
    try:
        parsed = Formula(formula)
        part = parsed if side == "rhs" and not hasattr(parsed, "rhs") else getattr(parsed, side)
        matrix = part.get_model_matrix(frame)
    except (FormulaicError, NameError, KeyError, AttributeError) as error:
        missing = str(error).split("`")[1] if "`" in str(error) else formula
        raise InvalidInput(
            f"expected a formula over the columns {', '.join(batch.columns)}, got '{formula}' "
            f"({error}).{did_you_mean(missing, batch.columns)}"
        ) from error
    return [str(c) for c in matrix.columns], np.ascontiguousarray(matrix.to_numpy(dtype=np.float64).T)


def _values(column: Column, rows: slice) -> Any:
    if isinstance(column, Category):
        return pd.Categorical.from_codes(column.codes[rows], categories=pd.Index(column.levels))
    return column[rows]


def _stack(parts: list[Floats]) -> Floats:
    return np.ascontiguousarray(np.concatenate(parts, axis=1))
