"""How large the data sets of a population are, in schools, rows and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nestbench.sim.cells.layout import Layout


@dataclass(frozen=True, slots=True)
class DataSize:
    """A data set as it is expected to be.

    Attributes
    ----------
    schools, rows, columns : int
    statistics : int
        Numbers that stand for it until somebody asks for rows; 0 where it is drawn row by row.
    outcome : int
        Of one whose outcome alone is drawn row by row: the numbers of outcome and statistics, which stand for it until
        somebody asks for its other columns; else 0.
    """

    schools: int
    rows: int
    columns: int = 5
    statistics: int = 0
    outcome: int = 0


def data_size(population: Any, layout: Layout) -> DataSize:
    """Return the size of a data set: what the population says of it (`data_size`), or by the layout."""
    own = getattr(population, "data_size", None)
    return (
        own(layout) if callable(own) else DataSize(layout.schools, round(layout.schools * layout.mean_size))
    )
