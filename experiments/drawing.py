"""How data sets are drawn, by their statistics or student by student: in words, and what they hold in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nestbench.estimators.estimator import Estimator
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.data_size import data_size
from nestbench.sim.counted import plural


def held(cell: Cell, estimators: Iterable[Estimator], engine: str) -> int:
    """Return about how many numbers a data set takes while methods fit it: those of its rows and of the design, or
    where it has statistics and nobody asks for rows, these; with cross-products of every school.

    Parameters
    ----------
    cell : Cell
    estimators : iterable of Estimator
    engine : str
    """
    size = data_size(cell.population, cell.layout)
    terms = len(cell.model.formula.split("+"))
    of_rows = size.rows * (size.columns + terms)
    instead = size.statistics or size.outcome
    needed = not instead or asking(cell, estimators, engine)
    return (of_rows if needed else 0) + instead + size.schools * (terms + 3) ** 2


def asking(cell: Cell, estimators: Iterable[Estimator], engine: str) -> list[str]:
    """Return who reads the rows of data sets that have statistics: methods, or the model."""
    key = _columns(cell)
    if key not in _AFFINE:
        _AFFINE[key] = cell.affine()
    if not _AFFINE[key]:
        return ["the model"]
    return [e.label for e in estimators if e.reads_rows or e.engine_name(engine) == "reference"]


def how_drawn(cell: Cell, estimators: Sequence[Estimator], engine: str) -> str:
    """Return in words how a condition's data sets are drawn: by whose statistics and who has students completed, or
    student by student and why.

    Parameters
    ----------
    cell : Cell
    estimators : sequence of Estimator
    engine : str
    """
    population = cell.population
    size = data_size(population, cell.layout)
    if not size.statistics:
        why = getattr(population, "why_row_by_row", "")
        return "student by student" + (f", because {why}" if why else "")
    who = ", ".join(asking(cell, estimators, engine))
    drawn = f"statistics of {plural(size.schools, 'school')} drawn"
    return drawn + (f", students completed for {who}" if who else "")


def strata_of_cell(cell: Cell) -> int:
    """Return `Cell.strata`, found once a process for all conditions with the same columns."""
    key = _columns(cell)
    if key not in _STRATA:
        _STRATA[key] = cell.strata()
    return _STRATA[key]


def _columns(cell: Cell) -> str:
    """Return what conditions with the same columns, drawn in the same way, have in common; else a condition's key."""
    shared = cell.columns_key
    return repr((shared, data_size(cell.population, cell.layout).statistics)) if shared else cell.key


_STRATA: dict[str, int] = {}
_AFFINE: dict[str, bool] = {}
