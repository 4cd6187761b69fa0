"""What can be chosen of a figure, and what a kind of figure says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TERM, CELL, METHODS, MEASURE = "term", "condition", "methods", "measure"
"""What can be chosen of a figure."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a figure: a term, a condition's number, methods, a measure; each may be left open."""

    term: str | None = None
    cell: int | None = None
    methods: Sequence[str] = ()
    measure: str | None = None

    def asked(self) -> dict[str, object]:
        """Return what isn't left open."""
        every = {TERM: self.term, CELL: self.cell, METHODS: self.methods or None, MEASURE: self.measure}
        return {name: value for name, value in every.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of figure.

    Attributes
    ----------
    says : str
        What it shows.
    uses : frozenset of str
        What can be chosen of it: `TERM`, `CELL`, `METHODS`, `MEASURE`.
    measure : str
        The measure it shows, by default where one can be chosen; ``share_`` and ``seconds_`` are those of whole fits.
    replications : bool
        Whether it shows single replications of one condition instead of the performance table.
    """

    says: str
    uses: frozenset[str]
    measure: str = ""
    replications: bool = False
