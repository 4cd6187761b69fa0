"""Layouts: how many schools, how large, which are treated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Ints
from nestbench.sim.parameter import check_declared, declared_of, documented, parameter

ASSIGNMENTS = ("first", "random", "pairs", "blocks", "students")


@documented
@dataclass(frozen=True, slots=True)
class Layout:
    """Schools, their students and their treatment. What isn't fixed is drawn anew in each replication.

    Raises
    ------
    InvalidInput
        A value outside its range, or values that contradict each other; the message names them.
    """

    schools: int = parameter(10, "Number of schools G.", low=1)
    students: int | tuple[int, ...] = parameter(
        20,
        "Students per school: one number for all (the mean, where sizes are random), or one a school.",
        low=1,
    )
    treated_schools: int = parameter(0, "How many schools are treated.", low=0)
    treated_share: float | None = parameter(
        None,
        "The share treated instead of a number: of the schools (rounded), or of each school's students.",
        low=0.0,
        high=1.0,
    )
    assignment: str = parameter(
        "first",
        "Treated are the first schools, random ones, one at random of each pair of neighbours in resources (the column "
        "``pair`` names it), ``treated_share`` of each block of ``block_size`` neighbours (column ``block``), or "
        "``treated_share`` of the students within every school.",
        choices=ASSIGNMENTS,
    )
    block_size: int = parameter(
        0, 'Schools a block, with ``assignment = "blocks"``; pairs are blocks of 2.', low=0
    )
    size_spread: float = parameter(
        0.0,
        "Sizes uniform on whole numbers from round(n (1 - a)) to round(n (1 + a)), a = size_spread, n = students.",
        low=0.0,
        high=1.0,
        open_high=True,
    )
    size_range: tuple[int, int] | None = parameter(
        None, "Sizes uniform on whole numbers from the one to the other.", low=1
    )
    size_cv: float = parameter(
        0.0,
        "Sizes lognormal with mean ``students`` and this coefficient of variation, rounded, at least 1.",
        low=0.0,
        high=5.0,
    )
    giant_school: int = parameter(
        0, "The last school has this many students (0: it is like the others).", low=0
    )
    one_student_schools: int = parameter(0, "The last that many schools have one student each.", low=0)
    shuffle_sizes: bool = parameter(False, "Put the sizes in random order in each replication.")
    classes: int = parameter(
        0,
        "Classes per school (0: none): students are dealt to classes of equal size; columns ``class`` and "
        "``teacher``.",
        low=0,
    )

    def __post_init__(self) -> None:
        checks.make_python(self)
        check_declared(self, "layout")
        _check_students(self)
        _check_sizes(self)
        _check_treatment(self)

    def sizes(self) -> Ints:
        """Return the students per school [G]: those of `students`, `giant_school` and `one_student_schools`."""
        # A copy, since all entries of what broadcast_to gives may be one number in memory.
        sizes = np.broadcast_to(np.asarray(self.students, dtype=np.int64), self.schools).copy()
        if self.giant_school:
            sizes[-1] = self.giant_school
        if self.one_student_schools:
            sizes[-self.one_student_schools :] = 1
        return sizes

    @property
    def random_sizes(self) -> bool:
        """Whether the sizes differ between replications."""
        return bool(self.size_spread or self.size_range or self.size_cv or self.shuffle_sizes)

    @property
    def balanced(self) -> bool:
        """Whether every school has the same number of students in every replication."""
        return not self.random_sizes and len(set(self.sizes().tolist())) == 1

    @property
    def mean_size(self) -> float:
        """Expected students per school (of the lognormal before rounding)."""
        return float(np.mean(self.size_range if self.size_range else self.sizes()))

    @property
    def blocked_by(self) -> int:
        """Schools a block: 2 of pairs, 0 where schools aren't randomised within blocks."""
        return {"pairs": 2, "blocks": self.block_size}.get(self.assignment, 0)

    @property
    def treated_count(self) -> int:
        """How many schools are treated as a whole."""
        if self.assignment == "students":
            return 0
        return (
            self.treated_schools if self.treated_share is None else round(self.treated_share * self.schools)
        )

    @property
    def treated_part(self) -> float:
        """The share treated, of the schools or of each school's students."""
        if self.assignment == "students":
            return float(self.treated_share or 0.0)
        return self.treated_count / self.schools


def _check_students(layout: Layout) -> None:
    if isinstance(layout.students, (list, tuple)):
        # TOML gives lists, which have no hash.
        object.__setattr__(layout, "students", tuple(layout.students))
        for size in layout.students:
            checks.count("each size in layout.students", size, **declared_of(Layout)["students"].allowed)
        if len(layout.students) != layout.schools:
            raise InvalidInput(
                f"expected layout.students to list one size for each of layout.schools = {layout.schools}, got "
                f"{len(layout.students)} sizes; set layout.schools = {len(layout.students)} or change the list"
            )
    else:
        checks.count("layout.students", layout.students, **declared_of(Layout)["students"].allowed)


def _check_sizes(layout: Layout) -> None:
    checks.count("layout.one_student_schools", layout.one_student_schools, high=layout.schools)
    if layout.size_range is not None:
        _check_range(layout)
    drawn = [name for name in ("size_spread", "size_range", "size_cv") if getattr(layout, name)]
    if len(drawn) > 1:
        raise checks.clash(
            f"layout.{drawn[0]}", f"layout.{drawn[1]}", "each says how sizes are drawn", "keep one"
        )
    special = [name for name in ("giant_school", "one_student_schools") if getattr(layout, name)]
    if drawn and not isinstance(layout.students, int):
        raise checks.clash(
            f"layout.{drawn[0]}", "a list in layout.students", "sizes are drawn or listed", "keep one"
        )
    if drawn and special:
        raise checks.clash(f"layout.{drawn[0]}", f"layout.{special[0]}", "sizes are drawn or set", "keep one")
    if layout.giant_school and layout.one_student_schools:
        why = "both set the last school's size"
        raise checks.clash(
            "layout.giant_school", "layout.one_student_schools", why, "list the sizes in layout.students"
        )


def _check_range(layout: Layout) -> None:
    wanted = layout.size_range
    if not isinstance(wanted, (list, tuple)) or len(wanted) != 2:
        raise InvalidInput(f"expected layout.size_range = [smallest, largest], got {wanted!r}")
    low = checks.count(
        "the smallest size in layout.size_range", wanted[0], **declared_of(Layout)["size_range"].allowed
    )
    checks.count("the largest size in layout.size_range", wanted[1], low=low)
    object.__setattr__(layout, "size_range", tuple(wanted))


def _check_treatment(layout: Layout) -> None:
    if layout.treated_share is not None:
        checks.number(
            "layout.treated_share", layout.treated_share, **declared_of(Layout)["treated_share"].allowed
        )
    if layout.treated_share is not None and layout.treated_schools:
        why = "each says how many are treated"
        raise checks.clash("layout.treated_schools", "layout.treated_share", why, "keep one")
    if layout.treated_schools > layout.schools:
        raise InvalidInput(
            f"expected layout.treated_schools <= layout.schools, got {layout.treated_schools} treated of "
            f"{layout.schools} schools; treat fewer or add schools"
        )
    if layout.assignment == "students" and layout.treated_schools:
        why = "treatment is given to students within every school"
        todo = "set layout.treated_share instead"
        raise checks.clash('layout.assignment = "students"', "layout.treated_schools", why, todo)
    _check_blocks(layout)
    if layout.assignment == "pairs" and (layout.schools % 2 or 2 * layout.treated_count != layout.schools):
        raise InvalidInput(
            'expected half of an even number of schools to be treated with layout.assignment = "pairs", got '
            f"{layout.treated_count} treated of {layout.schools}; set layout.treated_share = 0.5 and an even "
            "layout.schools"
        )


def _check_blocks(layout: Layout) -> None:
    if layout.assignment != "blocks":
        if layout.block_size:
            raise InvalidInput(
                f'expected layout.assignment = "blocks" with layout.block_size = {layout.block_size}, got '
                f'"{layout.assignment}"; set it, or leave layout.block_size out'
            )
        return
    size = layout.block_size
    if size < 2 or layout.schools % size:
        fit = "a block_size of 2 or more" if size < 2 else f"a multiple of layout.block_size = {size} schools"
        raise InvalidInput(
            f'expected {fit} with layout.assignment = "blocks", got layout.schools = {layout.schools} in blocks of '
            f"{size}; every block must be full"
        )
    treated, left = divmod(layout.treated_count * size, layout.schools)
    if left or not 0 < treated < size:
        raise InvalidInput(
            f"expected the same whole number of schools treated in each block of {size}, and some untreated, got "
            f"{layout.treated_count} treated of {layout.schools}; set layout.treated_share to a multiple of 1 / {size}"
        )
