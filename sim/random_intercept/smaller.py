"""Layouts with fewer students: what doesn't depend on how many there are is found on few of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nestbench.sim.cells.layout import Layout

STUDENTS = 20_000
"""Students of a data set that true values are found on, about, where schools are large."""

LEAST = 20
"""Students of a school that are left as they are."""


def with_fewer_students(layout: Layout, most: int = STUDENTS) -> Layout:
    """Return a layout of as many schools and about `most` students, larger schools still the larger ones; the layout
    itself where it has no more."""
    rows = layout.schools * layout.mean_size
    if rows <= most:
        return layout
    share, least = most / rows, max(LEAST, layout.classes)

    def fewer(size: int) -> int:
        return size if size <= least else max(least, round(size * share))

    changes: dict[str, Any] = {
        "students": fewer(layout.students)
        if isinstance(layout.students, int)
        else tuple(fewer(size) for size in layout.students),
        "giant_school": fewer(layout.giant_school),
    }
    if layout.size_range:
        changes["size_range"] = (fewer(layout.size_range[0]), fewer(layout.size_range[1]))
    return replace(layout, **changes)
