"""What replications of a batch have in common in size and design, told before anything is computed of them."""

from __future__ import annotations

from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints


@kernel
def most_schools(offsets: Ints) -> int:
    """Return the schools of the replication with most of them."""
    most = 0
    for r in range(len(offsets) - 1):
        most = max(most, offsets[r + 1] - offsets[r])
    return most


@kernel
def same_design(cross: Floats, offsets: Ints, columns: Ints, r: int) -> bool:
    """Whether replication r > 0 has the same X'X in every school as the one before, to the last bit.

    On a fixed design all that depends on X alone is then done once for many outcomes, with the same result.
    """
    first, before = offsets[r], offsets[r - 1]
    if r < 1 or first - before != offsets[r + 1] - first:
        return False
    for g in range(first - before):
        for a in range(len(columns)):
            for b in range(a + 1):
                i, j = columns[a], columns[b]
                if cross[first + g, i, j] != cross[before + g, i, j]:
                    return False
    return True
