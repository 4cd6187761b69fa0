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
    home : str
        Its record, as ``module:NAME`` of this folder: a name, since that module loads what draws.
    """

    says: str
    uses: frozenset[str]
    home: str
