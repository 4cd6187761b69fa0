"""Who is treated: schools by number, at random or in blocks of alike schools, or students within schools (stream
"treatment")."""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Category, Floats, Ints, offsets_of
from nestbench.sim.streams import StreamSource


def treated_schools(layout: Layout, streams: StreamSource, replications: range, resources: Floats) -> Floats:
    """Return 1.0 for treated schools, 0.0 for others, [R * G]; `resources` [R * G] makes the blocks.

    The assignment ``first`` treats the same schools in every replication, a fixed design; ``random``, ``pairs`` and
    ``blocks`` are drawn anew for each, as in a trial that is repeated.

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
            _some_of_each_block(layout, row, streams.at(r, "treatment"))
            for r, row in zip(replications, rows, strict=True)
        ]
    return np.concatenate(drawn)


def blocks(resources: Floats, layout: Layout) -> Ints:
    """Return the number of each school's block [R * G]: neighbours in the order of resources, within replications."""
    ranks = np.argsort(np.argsort(resources.reshape(-1, layout.schools), axis=1), axis=1)
    return (ranks // layout.blocked_by).ravel()


def block_column(layout: Layout, resources: Floats, counts: int | Ints) -> tuple[str, Category]:
    """Return the name and the column of blocks: ``pair`` with P1, P2, .., or ``block`` with B1, B2, ..

    Parameters
    ----------
    layout : Layout
    resources : float64 [R * G]
    counts : int or int64 [R * G]
        Rows of each school.
    """
    name, letter = ("pair", "P") if layout.assignment == "pairs" else ("block", "B")
    most = layout.schools // layout.blocked_by
    labels = tuple(f"{letter}{i + 1:0{len(str(most))}d}" for i in range(most))
    return name, Category(np.repeat(blocks(resources, layout), counts).astype(np.int32), labels)


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


def _some_of_each_block(layout: Layout, resources: Floats, generator: np.random.Generator) -> Floats:
    """Return which schools are treated when neighbours in resources are a block and some of each are drawn."""
    order = np.argsort(resources).reshape(-1, layout.blocked_by)
    if layout.assignment == "pairs":
        # One number a pair: what was drawn before there were larger blocks.
        places = generator.integers(0, 2, size=(len(order), 1))
    else:
        each = layout.treated_count // len(order)
        places = np.argsort(generator.random(order.shape), axis=1)[:, :each]
    treated = np.zeros(len(resources))
    treated[np.take_along_axis(order, places, axis=1)] = 1.0
    return treated
