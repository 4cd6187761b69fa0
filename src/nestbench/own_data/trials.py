"""What a method would take on large data, from trials on some of its schools."""

from __future__ import annotations

import math
import time

import numpy as np

from nestbench.estimators.estimator import Estimator
from nestbench.sim.observed.batch import Batch, Category, offsets_of
from nestbench.sim.observed.model import Model

LARGE = 5_000
"""Schools from which on a method is tried before it is run unasked."""
FIRST = 200
"""Schools of the first trial; each further one has `STEP` times as many."""
STEP = 4
BEARABLE = 60.0
"""Seconds a method may be expected to take to be run unasked."""
NOTICEABLE = 0.2
"""Seconds of a trial below which its time is overhead, and says nothing of how time grows with schools."""


def too_long(batch: Batch, estimator: Estimator, model: Model, engine: str) -> str:
    """Return why a method should not be run unasked on a batch of one data set, or an empty string.

    Trials on 200, 800, 3200, ... schools end where what they predict is more than `BEARABLE`: time t of g schools
    predicts t (G/g)^k on G, with k, at least 1, from the last two trials.

    Tried on some of the schools and scaled up: nobody waits an hour for a method that wasn't asked for, and whoever
    names it gets it.

    Parameters
    ----------
    batch : Batch
    estimator : Estimator
    model : Model
    engine : str
    """
    schools = len(batch.school_offsets) - 1
    if schools < LARGE:
        return ""
    tried, before = FIRST, 0.0
    while tried * STEP < schools:
        now = seconds_of(some_schools(batch, tried), estimator, model, engine)
        power = math.log(now / before, STEP) if before > NOTICEABLE else 1.0
        expected = now * (schools / tried) ** max(power, 1.0)
        if now > NOTICEABLE and expected > BEARABLE:
            return (
                f"expected to take about {_words(expected)} on {schools} groups ({now:.1f} s on {tried} of them), more "
                f"than {BEARABLE:.0f} s; name it to run it all the same"
            )
        before, tried = now, tried * STEP
    return ""


def seconds_of(batch: Batch, estimator: Estimator, model: Model, engine: str) -> float:
    """Return the seconds of a fit, of a second one where the first was slow: it may have compiled."""
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        # A batch of its own each time: what the first fit left in the memo would make the second one free.
        estimator.fit(batch.take([0]), model, engine)
        seconds = time.perf_counter() - started
        if seconds < NOTICEABLE:
            break
    return seconds


def some_schools(batch: Batch, count: int) -> Batch:
    """Return a batch of `count` of the schools of a single data set, evenly spread."""
    schools = np.linspace(0, len(batch.school_offsets) - 2, count).astype(np.int64)
    sizes = np.diff(batch.school_offsets)[schools]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = np.repeat(batch.school_offsets[schools], sizes) + within
    columns = {
        name: Category(column.codes[rows], column.levels) if isinstance(column, Category) else column[rows]
        for name, column in batch.columns.items()
    }
    return Batch(
        columns=columns,
        group=batch.group,
        school_offsets=offsets_of(sizes),
        replication_offsets=np.array([0, count], dtype=np.int64),
        replications=batch.replications[:1],
        streams=batch.streams,
    )


def _words(seconds: float) -> str:
    """Return seconds in words, rounded as a guess is."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"
