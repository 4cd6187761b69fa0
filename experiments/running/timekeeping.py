"""The seconds a run stores with each fit: what it costs where its method is the only one, and the process is warm.

They are made while all workers are busy, so they are orders of magnitude; `fit_times` is the benchmark.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from time import perf_counter

import numpy as np

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Estimator
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.sharing import account

_warm: set[tuple[str, str]] = set()
"""Methods (label, engine) that this process has fitted."""


def fit_timed(estimator: Estimator, batch: Batch, model: Model, engine: str) -> Estimates:
    """Fit a batch; the estimates' seconds are those of `alone`.

    The first fit of a method in a process reads compiled code and imports libraries. A batched engine fits one data set
    before; of a reference engine, which times each fit, the first one's seconds are left out.

    Parameters
    ----------
    estimator : Estimator
    batch : Batch
    model : Model
    engine : str
        ``auto``, ``reference`` or ``batched``.
    """
    name = (estimator.label, estimator.engine_name(engine))
    # By label and engine: options may call other kernels.
    cold = name not in _warm
    _warm.add(name)
    if cold and name[1] == "batched":
        with contextlib.suppress(Exception):  # what can't be fitted is told by the fit that counts
            estimator.fit(batch.take([0]), model, engine)
    with account() as shared:
        started = perf_counter()
        fits = estimator.fit(batch, model, engine)
        took = perf_counter() - started
    seconds = alone(fits.seconds, batch.size, took - shared.computed, sum(shared.used.values()))
    if cold and name[1] != "batched" and batch.size > 1:
        seconds[0] = np.nan
    return replace(fits, seconds=seconds)


def untimed(fits: Estimates) -> Estimates:
    """Return estimates without seconds: those of a fit in a child process say what a cold process costs."""
    return replace(fits, seconds=np.full(fits.size, np.nan))


def alone(measured: Floats, fits: int, own: float, shared: float) -> Floats:
    """Return the seconds of each fit, float64 [R].

    Parameters
    ----------
    measured : float64 [R]
        As the engine measured them: what decides how `own` is spread over the fits.
    fits : int
        R.
    own : float
        Seconds of all fits without what was computed for several methods.
    shared : float
        Seconds of everything shared that the method used, whoever computed it.
    """
    if measured.shape != (fits,):
        return np.full(fits, np.nan)
    total = float(np.nansum(measured))
    weights = measured / total if total > 0 else np.where(np.isnan(measured), np.nan, 1.0 / fits)
    return max(own, 0.0) * weights + shared / fits
