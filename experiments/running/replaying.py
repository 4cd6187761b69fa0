"""Replays: draw one stored replication again, fit it again, and say whether the numbers are the stored ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import unknown_name

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Replay:
    """One fit of one data set, made again.

    Attributes
    ----------
    label : str
        The method.
    engine : str
        Which engine fitted it.
    estimates : Estimates
        The new fit (R = 1).
    stored : Estimates or None
        The stored fit (R = 1); None if that replication isn't stored.
    """

    label: str
    engine: str
    estimates: Estimates
    stored: Estimates | None

    @property
    def verdict(self) -> str:
        """``identical`` (to the last bit), ``equal`` (to 1e-9), ``different``, or ``not stored``."""
        if self.stored is None:
            return "not stored"
        new, old = _numbers(self.estimates), _numbers(self.stored)
        # Other rows than were stored, however close the numbers.
        if new.keys() != old.keys() or self.estimates.status[0] != self.stored.status[0]:
            return "different"
        pairs = [(np.asarray(new[name]), np.asarray(old[name])) for name in new]
        if all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            return "identical"
        close = all(np.allclose(a, b, rtol=TOLERANCE, atol=1e-12, equal_nan=True) for a, b in pairs)
        return "equal" if close else "different"

    @property
    def status(self) -> FitStatus:
        """Status of the new fit."""
        return FitStatus(int(self.estimates.status[0]))

    def table(self) -> pd.DataFrame:
        """Return the new fit by term (index): estimate, std_error, df, lower, upper, p_value."""
        numbers = _numbers(self.estimates)
        frame = pd.DataFrame.from_dict(numbers, orient="index", columns=list(STORED_COLUMNS))
        return frame.rename_axis("term")


def replay(store: Store, cell: int, replication: int, label: str | None = None) -> list[Replay]:
    """Draw one data set of a run again and fit it again, with one method or with all.

    The answer to "why did this fit fail?": the data set of any stored row can be had in a second, for its draws depend
    on seed, data-generating mechanism and replication alone.

    Parameters
    ----------
    store : Store
    cell, replication : int
        Number of the condition and of the replication, from 0; it need not be stored.
    label : str, optional
        One method of the run; all of them by default.

    Raises
    ------
    InvalidInput
        No such condition, replication or method.
    """
    experiment = store.experiment
    batch = experiment.data_set(cell, replication).batch
    stored = store.estimates(cell)
    replays = []
    for estimator in with_truth(_chosen(experiment, label), experiment.cells[cell]):
        new = estimator.fit(batch, experiment.cells[cell].model, experiment.engine)
        old = _row(stored[estimator.label], replication) if estimator.label in stored else None
        replays.append(Replay(estimator.label, estimator.engine_name(experiment.engine), new, old))
    return replays


def _chosen(experiment: Experiment, label: str | None) -> list[Estimator]:
    """Return the methods of a run with a label, all without one."""
    if label is None:
        return list(experiment.estimators)
    labels = {e.label: e for e in experiment.estimators}
    if label not in labels:
        raise unknown_name("method of this run", label, labels)
    return [labels[label]]


def _row(estimates: Estimates, replication: int) -> Estimates | None:
    """Return the stored fit of a replication (R = 1), None where there is none."""
    place = np.flatnonzero(estimates.replications == replication)
    return estimates.take(place[:1]) if len(place) else None


def _numbers(estimates: Estimates) -> dict[str, list[float]]:
    """Return the numbers of a fit (R = 1) by term; rows without any number are left out."""
    rows = {
        term: [float(getattr(estimates, name)[0, k]) for name in STORED_COLUMNS]
        for k, term in enumerate(estimates.terms)
    }
    empty = [np.nan] * (len(STORED_COLUMNS) - 1)
    rows |= {name: [float(values[0]), *empty] for name, values in estimates.quantities.items()}
    return {term: row for term, row in rows.items() if np.isfinite(row).any()}
