"""Layouts: how many schools, how large, which are treated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim import checks
from nestbench.sim.batch import Ints
from nestbench.sim.errors import InvalidInput


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

    Raises
    ------
    InvalidInput
        A value outside its range, or values that contradict each other; the message names them.
    """

    schools: int = 10
    students: int | tuple[int, ...] = 20
    treated_schools: int = 0

    def __post_init__(self) -> None:
        checks.count("layout.schools", self.schools, low=1)
        _check_students(self)
        checks.count("layout.treated_schools", self.treated_schools)
        if self.treated_schools > self.schools:
            raise InvalidInput(
                f"expected layout.treated_schools <= layout.schools, got {self.treated_schools} treated of "
                f"{self.schools} schools; treat fewer or add schools"
            )

    def sizes(self) -> Ints:
        """Return the students per school [G]."""
        return np.broadcast_to(np.asarray(self.students, dtype=np.int64), self.schools).copy()

    @property
    def balanced(self) -> bool:
        """Whether every school has the same number of students."""
        return isinstance(self.students, int) or len(set(self.students)) == 1


def _check_students(layout: Layout) -> None:
    if isinstance(layout.students, (list, tuple)):
        object.__setattr__(layout, "students", tuple(layout.students))
        for size in layout.students:
            checks.count("each size in layout.students", size, low=1)
        if len(layout.students) != layout.schools:
            raise InvalidInput(
                f"expected layout.students to list one size for each of layout.schools = {layout.schools}, got "
                f"{len(layout.students)} sizes; set layout.schools = {len(layout.students)} or change the list"
            )
    else:
        checks.count("layout.students", layout.students, low=1)
