"""A run as lines of a history: its measures, and what forty batches of replications add to each.

A measure is to first order a mean of influence values, ``value + sum_i IF_i / K``. Batch b, the replications r with
``r mod 40 = b``, adds ``40 sum_{i in b} IF_i / K`` less the mean; the value is the mean over batches of itself and what
they add. Two runs on the same data sets can so be compared batch by batch, long after their replications are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from nestbench import __version__
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.experiments.results import Results
from nestbench.history.entry import BATCHES, Entry, Point, point_of
from nestbench.reports.accuracy.baseline import KEPT, Value
from nestbench.reports.accuracy.fingerprint import digest_of
from nestbench.reports.conditions import conditions
from nestbench.reports.measures.cell_rows import CellRows, rows_of
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.measures.performance import estimator_rows
from nestbench.sim.observed.batch import Floats, Ints

_SMOOTH = [measure for measure in MEASURES if measure.name in KEPT and measure.influence is not None]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the project under test: its name and its date (ISO 8601)."""

    name: str
    date: str


def entries_of(results: Results, commit: Commit) -> Iterator[Entry]:
    """Yield the lines of a run, condition by condition.

    Parameters
    ----------
    results : Results
    commit : Commit
    """
    experiment = results.experiment
    words = conditions(experiment)
    for number, cell in enumerate(experiment.cells):
        rows = rows_of(results, number)
        for label in rows.labels:
            if not rows.attempted(label):
                continue
            fits = results.estimates(number)[label]
            digest = digest_of(fits)[:16]
            for term, points in _points(rows, label, fits).items():
                yield Entry(
                    study=experiment.name,
                    commit=commit.name,
                    date=commit.date,
                    version=__version__,
                    seed=experiment.seed,
                    replications=fits.size,
                    condition=cell.key,
                    where=words[number],
                    method=label,
                    term=term,
                    digest=digest,
                    points=points,
                )


def _points(rows: CellRows, label: str, fits: Estimates) -> dict[str, dict[str, Point]]:
    """Return term -> measure -> point of one method in one condition."""
    batches = _batches(rows, label)
    usable = _usable_batches(fits)
    points: dict[str, dict[str, Point]] = {}
    for block in estimator_rows(label, rows):
        if block.measure not in KEPT:
            continue
        for term, value, mcse, n in zip(block.terms, block.value, block.mcse, block.n, strict=True):
            number: Value = (float(value), float(mcse), int(n))
            parts = (
                usable.get(term) if block.measure == "usable_share" else batches.get((term, block.measure))
            )
            points.setdefault(term, {})[block.measure] = point_of(number, parts)
    return points


def _batches(rows: CellRows, label: str) -> dict[tuple[str, str], Floats]:
    """Return (term, measure) -> what batches add [40], of measures that have influence values."""
    found: dict[tuple[str, str], Floats] = {}
    for measure in _SMOOTH:
        # Quantities of a fit (its ICC) have estimates alone.
        of_fits = () if measure.columns else rows.quantities(label)
        for draws in chain(rows.draws(label, measure.columns), of_fits):
            if draws.n > 1 and measure.influence is not None:
                with np.errstate(all="ignore"):
                    values = measure.influence(draws)
                parts = _parts(np.broadcast_to(values, (len(draws.terms), draws.n)), draws.replications)
                found |= {(term, measure.name): part for term, part in zip(draws.terms, parts, strict=True)}
    return found


def _usable_batches(fits: Estimates) -> Mapping[str, Floats]:
    """Return term -> what batches add to the share of usable fits."""
    usable = fits.usable & (fits.status <= FitStatus.BOUNDARY)[:, None]
    parts = _parts((usable - usable.mean(axis=0)).T, fits.replications)
    return dict(zip(fits.terms, parts, strict=True))


def _parts(influence: Any, replications: Ints) -> Floats:
    """Return what each batch adds to the values [k, 40] from influence values [k, n]."""
    place = replications % BATCHES
    count = influence.shape[1]
    sums = np.stack([np.bincount(place, weights=row, minlength=BATCHES) for row in influence])
    added = BATCHES * sums / count
    return np.asarray(added - added.mean(axis=1, keepdims=True))
