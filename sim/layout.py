"""Layouts: how many schools, how large, which are treated."""

from __future__ import annotations

from dataclasses import dataclass

from nestbench.sim.batch import Ints, offsets_of
from nestbench.sim.errors import InvalidInput

import numpy as np


@dataclass(frozen=True, slots=True)
class Layout:
    """Schools and their students.

    Attributes
    ----------
    schools : int
        Number of schools G.
    students : int or tuple of int
        Students per school: one number for all, or one a school.
    treated_schools : int
        The first `treated_schools` schools are treated.
    """

    schools: int = 10
    students: int | tuple[int, ...] = 20
    treated_schools: int = 0

    def __post_init__(self) -> None:
        if self.schools < 1:
            raise InvalidInput(f"expected layout.schools >= 1, got {self.schools}; a layout needs a school")

    def sizes(self) -> Ints:
        """Return the students per school [G]."""
        if isinstance(self.students, int):
            return np.full(self.schools, self.students, dtype=np.int64)
        return np.asarray(self.students, dtype=np.int64)
