"""Who is treated: schools by number, at random or in matched pairs, or students within schools (stream
"treatment")."""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Floats, Ints, offsets_of
from nestbench.sim.streams import StreamSource


def treated_schools(layout: Layout, streams: StreamSource, replications: range, resources: Floats) -> Floats:
    """Return 1.0 for treated schools, 0.0 for others, [R * G]; `resources` [R * G] makes the pairs.

    The assignment ``first`` treats the same schools in every replication, a fixed design; ``random`` and ``pairs`` are
    drawn anew for each, as in a trial that is repeated.

    Parameters
    ----------
    layout : Layout
    streams : StreamSource
    replications : range
    resources : float64 [R * G]
    """
    fixed = (np.arange(layout.schools) < layout.treated_count).astype(np.float64)
    if layout.assignment in ("first", "students") or not layout.treated_count:
        return np.tile(fixed, len(replications))
    rows = resources.reshape(len(replications), layout.schools)
    if layout.assignment == "random":
        drawn = [streams.at(r, "treatment").permutation(fixed) for r in replications]
    else:
        drawn = [
            _one_of_each_pair(row, streams.at(r, "treatment"))
            for r, row in zip(replications, rows, strict=True)
        ]
    return np.concatenate(drawn)


def pairs(resources: Floats, schools: int) -> Ints:
    """Return the number of each school's pair [R * G]: neighbours in the order of resources, within replications."""
    ranks = np.argsort(np.argsort(resources.reshape(-1, schools), axis=1), axis=1)
    return (ranks // 2).ravel()


def treated_students(layout: Layout, streams: StreamSource, replications: range, sizes: Ints) -> Floats:
    """Return 1.0 for treated students [N]: `treated_share` of each school, spread evenly over its rows.

    Student i of a school is treated iff floor((i + 1) share + U) > floor(i share + U), U uniform, one a school: every
    student has the same probability and a school's number of treated students is within one of its share.
    """
    share = float(layout.treated_share or 0.0)
    start = np.concatenate([streams.at(r, "treatment").random(layout.schools) for r in replications])
    counts = sizes.ravel()
    within = np.arange(int(counts.sum())) - np.repeat(offsets_of(counts)[:-1], counts)
    steps = within * share + np.repeat(start, counts)
    return np.asarray(np.floor(steps + share) > np.floor(steps), dtype=np.float64)


def _one_of_each_pair(resources: Floats, generator: np.random.Generator) -> Floats:
    """Return which schools are treated when neighbours in resources are paired and one of each pair is drawn."""
    order = np.argsort(resources).reshape(-1, 2)
    drawn = order[np.arange(len(order)), generator.integers(0, 2, size=len(order))]
    treated = np.zeros(len(resources))
    treated[drawn] = 1.0
    return treated
