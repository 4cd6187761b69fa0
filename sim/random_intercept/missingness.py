"""What the analyst doesn't see: students missing at random or by age (stream "missing"), and schools that drop out.

Missing rows are gone; the truth stays that of the population. Missingness depends on columns that are seen (nothing,
age, resources), so methods that condition on them stay unbiased (MCAR, MAR); what suffers is precision, balance, and
the number of schools that carry the inference.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nestbench.sim.observed.batch import Batch, Category, Column, Floats, Ints, offsets_of
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.streams import StreamSource

Mask = npt.NDArray[np.bool_]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


def missing_intercept(share: float, slope: float) -> float:
    """Return b with E[expit(b + slope Z)] = share for a standard normal Z (80-point Gauss-Hermite quadrature)."""
    from scipy import optimize
    from scipy.special import expit

    weights = _WEIGHTS / _WEIGHTS.sum()
    excess = lambda b: float(weights @ expit(b + slope * _NODES)) - share  # noqa: E731
    return float(optimize.brentq(excess, -60.0 - 10 * abs(slope), 60.0 + 10 * abs(slope), xtol=1e-12))


def observed(law: Parameters, batch: Batch) -> Batch:
    """Return the batch without what is missing; schools left without students are gone too, with their labels.

    Where nothing at all would be left of a replication, its first student stays.
    """
    if not law.missing and not law.missing_schools:
        return batch
    keep = np.ones(batch.rows, dtype=np.bool_)
    bounds = batch.row_offsets
    base = missing_intercept(law.missing, law.missing_age) if law.missing and law.missing_age else 0.0
    for i in range(batch.size):
        rows = slice(int(bounds[i]), int(bounds[i + 1]))
        keep[rows] = _seen(law, batch, i, base)
        if not keep[rows].any():
            keep[bounds[i]] = True
    return kept_rows(batch, keep)


def kept_rows(batch: Batch, keep: Mask) -> Batch:
    """Return the batch with the rows where `keep` [N] is true."""
    sizes = np.add.reduceat(keep, batch.school_offsets[:-1], dtype=np.int64)
    stay = sizes > 0
    schools = np.add.reduceat(stay, batch.replication_offsets[:-1], dtype=np.int64)
    labels = [label for i in range(batch.size) for label in batch.replication(i).labels]
    return Batch(
        columns={name: _rows(column, keep) for name, column in batch.columns.items()},
        group=batch.group,
        school_offsets=offsets_of(sizes[stay]),
        replication_offsets=offsets_of(schools),
        replications=batch.replications,
        streams=batch.streams,
        school_labels=tuple(label for label, kept in zip(labels, stay, strict=True) if kept),
    )


def _seen(law: Parameters, batch: Batch, index: int, base: float) -> Mask:
    """Return which students of a data set are seen, bool [n].

    Students may be missing depending on their age, schools depending on their resources; each draws from a stream of
    its own purpose, so that switching one on doesn't change the other.
    """
    from scipy.special import expit

    sample, streams = batch.replication(index), batch.streams
    keep = np.ones(sample.rows.stop - sample.rows.start, dtype=np.bool_)
    if law.missing:
        z = (_floats(batch, "age")[sample.rows] - law.age_mean) / law.age_sd
        chance = expit(base + law.missing_age * z) if law.missing_age else law.missing
        keep &= streams.at(sample.number, "missing").random(len(z)) >= chance
    if law.missing_schools:
        first = np.searchsorted(sample.groups, np.arange(len(sample.school_sizes)))
        resources = _floats(batch, "resources")[sample.rows][first]
        gone = dropped(law, resources, streams, sample.number)
        keep &= ~np.isin(sample.groups, gone)
    return keep


def dropped(law: Parameters, resources: Floats, streams: StreamSource, number: int) -> Ints:
    """Return which schools of a data set drop out, by their resources [G]."""
    # The largest log-odds with Gumbel noise: schools drop out one after another, each with a chance in proportion
    # to its odds among those that are left.
    noise = streams.at(number, "missing-schools").gumbel(size=len(resources))
    return np.argsort(-(noise + law.missing_resources * (resources / law.resources_sd)))[
        : law.missing_schools
    ]


def _floats(batch: Batch, name: str) -> Floats:
    """Return a column of numbers."""
    column = batch.columns[name]
    assert not isinstance(column, Category)
    return column


def _rows(column: Column, keep: Mask) -> Column:
    """Return some rows of a column."""
    if isinstance(column, Category):
        return Category(column.codes[keep], column.levels)
    return np.asarray(column[keep], dtype=np.float64)
