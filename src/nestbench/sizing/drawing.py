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
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sizing.keeping import Kept, stacked

CHUNK = 500
"""Data sets drawn and fitted at once, at most."""
NUMBERS = 4_000_000
"""Numbers held at once by a thread: of cross-products, or of students, were a method to read them."""
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
    part : int64 [n]
        Which of several equally likely populations a data set is of.
    """

    lower: Mapping[str, Floats]
    upper: Mapping[str, Floats]
    z: Floats | None
    part: Ints

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
    kept: Kept | None = None,
) -> Draws:
    """Return what some methods say of a term in the data sets of a condition; what is kept isn't drawn again.

    Parameters
    ----------
    cell : Cell
    term : str
    seed : int
    replications : range
        Their numbers: the data sets are those that `nestbench run` draws.
    methods : sequence of Estimator
    workers : int
        Threads; the numbers don't depend on them.
    heard : callable
        Hears how many data sets more are done.
    kept : Kept or None
        Where chunks that are done are found, and put.
    """
    known = oracle_of(cell, term)
    wanted = {m.label: m for m in (*methods, *([known] if known else []))}
    fitted = with_truth(wanted.values(), cell)
    labels = [m.label for m in methods]
    rows = 2 * len(labels) + (known is not None)
    size = chunk_of(cell)
    chunks = [
        range(start, min(start + size, replications.stop))
        for start in range(replications.start, replications.stop, size)
    ]

    def do(chunk: range) -> Floats:
        found = None if kept is None else kept.read(chunk, rows)
        if found is None:
            fits = fit_all(cell, seed, chunk, fitted, "auto", rows=1)
            found = rows_of(fits, labels, None if known is None else known.label, cell, term)
            if kept is not None:
                kept.write(chunk, found)
        return found

    parts = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for chunk, part in zip(chunks, pool.map(do, chunks), strict=True):
                parts.append(part)
                heard(len(chunk))
        except BaseException:  # Ctrl-C: what hasn't begun is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    whole = np.concatenate(parts, axis=1)
    lower, upper = (dict(zip(labels, whole[side : 2 * len(labels) : 2], strict=True)) for side in (0, 1))
    one = np.zeros(whole.shape[1], dtype=np.int64)
    return Draws(lower, upper, None if known is None else whole[-1], one)


def rows_of(
    fits: Mapping[str, Estimates], labels: Sequence[str], known: str | None, cell: Cell, term: str
) -> Floats:
    """Return lower and upper limits of each method, then z where it is known, as rows [2 M or 2 M + 1, n]."""
    truth = float(cell.truth[term])
    rows = [ends for label in labels for ends in limits_of(fits[label], term, truth)]
    if known is not None:
        rows.append(noise(fits[known], term, truth, float(cell.truth["(residual_sd)"])))
    return stacked(rows)


def joined(first: Draws, more: Draws) -> Draws:
    """Return the data sets of both."""
    known = None if first.z is None or more.z is None else np.concatenate([first.z, more.z])
    part = np.concatenate([first.part, more.part])
    return Draws(_both(first.lower, more.lower), _both(first.upper, more.upper), known, part)


def _both(first: Mapping[str, Floats], more: Mapping[str, Floats]) -> dict[str, Floats]:
    return {label: np.concatenate([values, more[label]]) for label, values in first.items()}


def limits_of(fits: Estimates, term: str, truth: float) -> tuple[Floats, Floats]:
    """Return the limits of a term less its true value [n], NaN where a fit isn't usable.

    Parameters
    ----------
    fits : Estimates
    term : str
    truth : float
        The term's true value.
    """
    if term not in fits.terms:
        return np.full(fits.size, np.nan), np.full(fits.size, np.nan)
    k = fits.terms.index(term)
    usable = fits.usable[:, k]
    ends = (np.where(usable, getattr(fits, end)[:, k] - truth, np.nan) for end in (LOWER, UPPER))
    lower, upper = ends
    return lower, upper


def noise(fits: Estimates, term: str, truth: float, residual_sd: float) -> Floats:
    """Return (estimate - truth) / SE of the oracle [n], the SE with the true residual SD in place of its estimate.

    Parameters
    ----------
    fits : Estimates
        Of the oracle.
    term : str
    truth, residual_sd : float
        True values of the term and of the residual SD.
    """
    k = fits.terms.index(term)
    error = fits.std_error[:, k] / fits.quantities["(residual_sd)"] * residual_sd
    return np.asarray((fits.estimate[:, k] - truth) / error)


def chunk_of(cell: Cell) -> int:
    """Return how many data sets are drawn at once."""
    columns = len(cell.found.terms) + 2
    numbers = cell.layout.schools * columns * max(columns, cell.layout.mean_size)
    return int(np.clip(NUMBERS // numbers, 1, CHUNK))


def oracle_of(cell: Cell, term: str) -> Estimator | None:
    """Return the method that knows the ratio of the variances, where the population is the model that it assumes: its
    noise is a standard normal then.
    """
    # `gls` is told one ratio of variances; classes and random slopes have more.
    plain = cell.model.subgroup is None and cell.model.random == "1"
    known = plain and {term, "(school_sd)", "(residual_sd)"} <= set(cell.truth) and mixed_models_own(cell)
    return registry.get(ORACLE) if known and term in cell.found.terms else None
