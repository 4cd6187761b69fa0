"""Degrees of freedom that theory knows: t tests of balanced designs, where the mixed model's are exact.

All G schools have m students, the only random part is the school's intercept, and each column of X is either constant
within schools or has the same mean in all of them. Then the schools' means hold all that is known of the first kind,
the deviations from them all of the second (Searle, Casella & McCulloch 1992, section 4.6), and the t tests are exact:

    between schools:  G - p_b,            p_b columns of the first kind, the intercept among them
    within schools:   G (m - 1) - p_w,    p_w columns of the second

A method that estimates the school variance at 0 pools the two mean squares, and has other df in that data set.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.observed.design import design_of

_SAME = 1e-9


def balanced_df(cell: Cell, seed: int) -> dict[str, float]:
    """Return the df of each term's exact t test in a condition.

    Parameters
    ----------
    cell : Cell
    seed : int
        Of the data set whose columns are looked at: which are constant within schools doesn't depend on the draw.

    Raises
    ------
    InvalidInput
        The design isn't balanced, or has a column of neither kind.
    """
    batch = cell.draw(seed, range(1))
    sizes = np.diff(batch.school_offsets)
    if len(set(sizes.tolist())) != 1 or cell.model.random != "1" or cell.model.subgroup is not None:
        raise InvalidInput(
            "expected a balanced design (schools of one size, a random intercept alone), whose df theory knows, got "
            f"schools of {sizes.min()} to {sizes.max()} students with the random part '{cell.model.random}'"
            f"{' and classes' if cell.model.subgroup else ''}; state the df with assert_df(method, equals=NUMBER)"
        )
    design = batch.once(design_of, cell.model)
    between, within = _kinds(design.fixed(batch), batch.school_offsets)
    mixed = [t for t, b, w in zip(design.terms, between, within, strict=True) if not (b or w)]
    if mixed:
        raise InvalidInput(
            "expected columns that are constant within schools or have the same mean in all, for which the df are "
            f"exact, got {', '.join(mixed)}; leave them out of the model, or compare with a reference: "
            "assert_df(method, equals='reml-kr')"
        )
    schools = len(sizes)
    outer, inner = schools - int(between.sum()), int(sizes.sum()) - schools - int((~between).sum())
    return {t: float(outer if b else inner) for t, b in zip(design.terms, between, strict=True)}


def _kinds(x: Floats, offsets: Ints) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns of X [p, N] are constant within schools, and which have the same mean in all [p]."""
    sizes = np.diff(offsets)
    means = np.add.reduceat(x, offsets[:-1], axis=1) / sizes
    largest = _SAME * np.abs(x).max(axis=1)
    between = np.abs(x - np.repeat(means, sizes, axis=1)).max(axis=1) <= largest
    return between, np.ptp(means, axis=1) <= largest
