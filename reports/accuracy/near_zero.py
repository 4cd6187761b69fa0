"""Data sets in which a method from outside estimates a variance near 0: there the last bits decide single fits.

They differ between processors. Where the true variance is 0 that concerns a whole condition (`check`); elsewhere only
the data sets whose estimate is small, and `parted` makes a pair of its own of these if numbers of theirs have moved: it
is judged by its measures, data set by data set, as a condition of a true 0 is. The others are held to every number.

Small is an SD below `NEAR` residual SDs, in both runs: docs/gate.md has what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nestbench.reports.accuracy.baseline import Record
from nestbench.reports.accuracy.common import at_numbers
from nestbench.reports.accuracy.differences import Pair
from nestbench.reports.accuracy.moves import moved_fits
from nestbench.sim.observed.batch import Floats, Ints

NEAR = 0.1
"""SDs of the residuals below which an estimated SD is near 0."""
RESIDUAL = "(residual_sd)"


def parted(pair: Pair) -> Iterator[Pair]:
    """Yield a pair, in two where numbers moved in data sets with a variance near 0: the others, and these."""
    near = _near(pair)
    if not len(near) or not moved_fits(_on(pair, near))[2]:
        yield pair
        return
    others = np.setdiff1d(pair.before.replications, near)
    if len(others):
        yield _on(pair, others)
    yield replace(_on(pair, near), at_zero=True)


def components(record: Record) -> list[str]:
    """Return the terms of a record that are SDs of random parts."""
    return [name for name in record.measures if name.startswith("(") and "_sd" in name and name != RESIDUAL]


def _near(pair: Pair) -> Ints:
    """Return the data sets in which both runs estimate an SD near 0; none where the rule doesn't hold."""
    nothing = np.empty(0, dtype=np.int64)
    if not (pair.same_data and pair.outside and not pair.at_zero and pair.same_replications):
        return nothing
    before, after = (_small(pair, record) for record in (pair.before, pair.after))
    return nothing if before is None or after is None else pair.before.replications[before & after]


def _small(pair: Pair, record: Record) -> npt.NDArray[np.bool_] | None:
    """Return in which replications of a record an SD is near 0; None if they aren't all kept, or it has no SD."""
    found = [sd for name in components(record) if (sd := _estimates(pair, record, name)) is not None]
    residual = _estimates(pair, record, RESIDUAL)
    if residual is None:
        residual = np.full(len(record.replications), pair.cell.truth.get(RESIDUAL, np.nan))
    if not found or record.rows < len(record.replications):
        return None
    return np.asarray(np.any([sd < NEAR * residual for sd in found], axis=0))


def _estimates(pair: Pair, record: Record, name: str) -> Floats | None:
    """Return the estimates of a term as they are kept [R]; None where there are none."""
    kept = record.kept.get(name)
    if kept is None:
        return None
    truth = pair.cell.truth.get(name, np.nan)
    # Of a term without a true value the estimates are kept, not errors.
    return float(np.nan_to_num(truth)) + kept.grid.centre + kept.grid.scale * kept.values()["bias"]


def _on(pair: Pair, numbers: Ints) -> Pair:
    """Return a pair on some of its data sets."""
    return replace(pair, before=at_numbers(pair.before, numbers), after=at_numbers(pair.after, numbers))
