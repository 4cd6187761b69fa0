"""Data sets of a design, drawn and fitted in this process: the same that `nestbench run` draws and fits.

Threads share the work: kernels let go of Python's lock, and a process begun anew would take longer to import than most
questions take to answer. Replications are cut into chunks that don't depend on how many threads there are, and joined
in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nestbench.estimators.estimates import LOWER, UPPER, Estimates
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.running.work import fit_all
from nestbench.reports.words.ground import mixed_models_own
from nestbench.sim.cells.cell import Cell
from nestbench.sim.observed.batch import Floats

CHUNK = 500
"""Data sets drawn and fitted at once, at most."""
NUMBERS = 4_000_000
"""Numbers of the schools' cross-products held at once by a thread."""
ORACLE = "gls"


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What is kept of a design's data sets.

    Attributes
    ----------
    lower, upper : mapping of str to float64 [n]
        By method: the term's limits less its true value; NaN where there is no answer.
    z : float64 [n] or None
        Noise of the generalised least squares estimate in its own, known standard errors.
    """

    lower: Mapping[str, Floats]
    upper: Mapping[str, Floats]
    z: Floats | None

    @property
    def size(self) -> int:
        """Data sets."""
        return len(next(iter(self.lower.values())))


Heard = Callable[[int], None]
"""Hears how many data sets more are done."""


def draw(
    cell: Cell,
    term: str,
    seed: int,
    replications: range,
    methods: Sequence[Estimator],
    workers: int,
    heard: Heard,
) -> Draws:
    """Return what some methods say of a term in the data sets of a condition."""
    known = oracle_of(cell, term)
    wanted = {m.label: m for m in (*methods, *([known] if known else []))}
    fitted = with_truth(wanted.values(), cell)
    size = chunk_of(cell)
    chunks = [
        range(start, min(start + size, replications.stop))
        for start in range(replications.start, replications.stop, size)
    ]
    truth = float(cell.truth[term])

    def do(chunk: range) -> tuple[dict[str, tuple[Floats, Floats]], Floats | None]:
        fits = fit_all(cell, seed, chunk, fitted, "auto")
        z = (
            None
            if known is None
            else noise(fits[known.label], term, truth, float(cell.truth["(residual_sd)"]))
        )
        return {m.label: limits_of(fits[m.label], term, truth) for m in methods}, z

    parts = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for chunk, part in zip(chunks, pool.map(do, chunks), strict=True):
                parts.append(part)
                heard(len(chunk))
        except BaseException:  # Ctrl-C: what hasn't begun is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Draws(
        {m.label: np.concatenate([limits[m.label][0] for limits, _ in parts]) for m in methods},
        {m.label: np.concatenate([limits[m.label][1] for limits, _ in parts]) for m in methods},
        None if known is None else np.concatenate([z for _, z in parts if z is not None]),
    )


def joined(first: Draws, more: Draws) -> Draws:
    """Return the data sets of both."""
    known = None if first.z is None or more.z is None else np.concatenate([first.z, more.z])
    return Draws(_both(first.lower, more.lower), _both(first.upper, more.upper), known)


def _both(first: Mapping[str, Floats], more: Mapping[str, Floats]) -> dict[str, Floats]:
    return {label: np.concatenate([values, more[label]]) for label, values in first.items()}


def limits_of(fits: Estimates, term: str, truth: float) -> tuple[Floats, Floats]:
    """Return the limits of a term less its true value [n], NaN where a fit isn't usable."""
    if term not in fits.terms:
        return np.full(fits.size, np.nan), np.full(fits.size, np.nan)
    k = fits.terms.index(term)
    usable = fits.usable[:, k]
    ends = (np.where(usable, getattr(fits, end)[:, k] - truth, np.nan) for end in (LOWER, UPPER))
    lower, upper = ends
    return lower, upper


def noise(fits: Estimates, term: str, truth: float, residual_sd: float) -> Floats:
    """Return (estimate - truth) / SE of the oracle [n], the SE with the true residual SD in place of its estimate."""
    k = fits.terms.index(term)
    error = fits.std_error[:, k] / fits.quantities["(residual_sd)"] * residual_sd
    return np.asarray((fits.estimate[:, k] - truth) / error)


def chunk_of(cell: Cell) -> int:
    """Return how many data sets are drawn at once."""
    columns = len(cell.found.terms) + 2
    numbers = cell.layout.schools * columns * columns
    return int(np.clip(NUMBERS // numbers, 1, CHUNK))


def oracle_of(cell: Cell, term: str) -> Estimator | None:
    """Return the method that knows the ratio of the variances, where the population is the model that it assumes: its
    noise is a standard normal then.
    """
    plain = cell.model.subgroup is None and cell.model.random == "1"
    known = plain and {term, "(school_sd)", "(residual_sd)"} <= set(cell.truth) and mixed_models_own(cell)
    return registry.get(ORACLE) if known and term in cell.found.terms else None
