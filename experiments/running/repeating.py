"""Whether users' own methods give the same numbers when a data set is fitted again.

A method that draws from a generator of its own, or remembers earlier data sets, breaks what everything else rests on:
that a row can be replayed, and that neither workers nor interruptions change it. One data set, fitted twice in a run's
first task, costs next to nothing and finds most of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments.plan import Task


def to_repeat(
    task: Task, estimators: Sequence[Estimator], fits: Mapping[str, Estimates]
) -> tuple[Estimator, ...]:
    """Return the methods whose first data set is to be fitted again: in a run's first task, all that aren't ours and
    answered."""
    # Once a run is enough, and only the first task is part of every division of it.
    if task.cell or task.start:
        return ()
    own = [e for e in estimators if not registry.built_in(e.name)]
    return tuple(e for e in own if fits[e.label].size and FitStatus(int(fits[e.label].status[0])).usable)


def differing(
    estimators: Sequence[Estimator], fits: Mapping[str, Estimates], again: Mapping[str, Estimates]
) -> tuple[str, ...]:
    """Return the labels of the methods whose second fit of the first data set gives other numbers."""
    return tuple(e.label for e in estimators if not _same(fits[e.label], again[e.label]))


def _same(first: Estimates, second: Estimates) -> bool:
    """Whether the first fits have the same numbers of every term that either has."""
    for term in {*first.terms, *second.terms}:
        if term not in first.terms or term not in second.terms:
            return False
        i, j = first.terms.index(term), second.terms.index(term)
        one, other = ([getattr(e, n)[0, k] for n in STORED_COLUMNS] for e, k in ((first, i), (second, j)))
        if not np.array_equal(one, other, equal_nan=True):
            return False
    return bool(first.status[0] == second.status[0])
