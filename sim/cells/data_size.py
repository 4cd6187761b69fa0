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
    """

    schools: int
    rows: int
    columns: int = 5
    statistics: int = 0


def data_size(population: Any, layout: Layout) -> DataSize:
    """Return the size of a data set: what the population says of it (`data_size`), or by the layout."""
    own = getattr(population, "data_size", None)
    return (
        own(layout) if callable(own) else DataSize(layout.schools, round(layout.schools * layout.mean_size))
    )
