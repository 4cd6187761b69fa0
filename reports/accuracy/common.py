"""Two records of the same data sets, one of fewer replications: both on those that both have.

Measures of other numbers of replications differ by chance though every fit is the same: no margin holds for that. Those
on the common ones are made of what a baseline keeps of each replication (`kept`), on both sides alike, so that its
rounding cancels. Monte Carlo errors are those of means of influence values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from nestbench.reports.accuracy.baseline import Record, Value
from nestbench.reports.accuracy.kept import Kept
from nestbench.sim.observed.batch import Floats, Ints


def on_common(before: Record, after: Record) -> tuple[Record, Record]:
    """Return both records on their common replications; as they are where these are the same, or not all kept."""
    numbers = np.intersect1d(before.replications, after.replications, assume_unique=True)
    kept = all(len(numbers) and np.isin(numbers, r.replications[: r.rows]).all() for r in (before, after))
    if np.array_equal(before.replications, after.replications) or not kept:
        return before, after
    return at_numbers(before, numbers), at_numbers(after, numbers)


def at_numbers(record: Record, numbers: Ints) -> Record:
    """Return a record on some of its replications, all of which are kept."""
    at = np.searchsorted(record.replications, numbers)
    first = np.array_equal(at[:2], np.arange(min(2, len(at))))
    kept = {
        term: Kept(one.grid, {name: codes[at] for name, codes in one.codes.items()})
        for term, one in record.kept.items()
    }
    return replace(
        record,
        replications=numbers,
        status=record.status[at],
        codes={part: codes[at[at < len(codes)]] for part, codes in record.codes.items()},
        rows=len(at),
        kept=kept,
        measures={
            term: _measures(kept[term], measures) if term in kept else measures
            for term, measures in record.measures.items()
        },
        sample=record.sample if first else {},
    )


def _measures(kept: Kept, known: Mapping[str, Value]) -> dict[str, Value]:
    """Return the measures of a term that its record has, of the replications that are kept."""
    found = dict(_from(kept))
    return {name: found.get(name, value) for name, value in known.items()}


def _from(kept: Kept) -> Iterator[tuple[str, Value]]:
    """Yield measures with their errors and n."""
    values, grid = kept.values(), kept.grid
    errors = grid.centre + grid.scale * values["bias"]
    there = np.isfinite(errors)
    yield "usable_share", _mean(there.astype(np.float64))
    yield "bias", _mean(errors[there])
    yield "rmse", _root(errors[there] ** 2)
    deviations = (errors[there] - errors[there].mean()) ** 2 if there.any() else errors[there]
    empirical = _root(deviations, one_less=True)
    yield "empirical_se", empirical
    squares = (grid.std_error * np.exp(values["model_se"])) ** 2
    yield "model_se", _root(squares[np.isfinite(squares)])
    yield "se_error", _ratio(squares[there], deviations)
    yield "interval_width", _mean(_finite(grid.std_error * np.exp(values["interval_width"])))
    for name in ("coverage", "rejection"):
        yield name, _mean(_finite(values[name]))


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _mean(values: Floats) -> Value:
    """Return a mean with its error; of shares this is the root of p (1 - p) / n."""
    n = len(values)
    if not n:
        return np.nan, np.nan, 0
    shares = bool(np.isin(values, (0.0, 1.0)).all())
    error = float(values.std(ddof=0 if shares or n < 2 else 1)) / n**0.5
    return float(values.mean()), error, n


def _root(squares: Floats, one_less: bool = False) -> Value:
    """Return the root of a mean of squares, whose influence values are (x - m) / 2 sqrt(m)."""
    n = len(squares)
    if n < 2:
        return np.nan, np.nan, n
    root = float(np.sqrt(squares.sum() / (n - one_less)))
    return root, float(squares.std(ddof=1)) / (2.0 * root * n**0.5) if root > 0 else 0.0, n


def _ratio(squares: Floats, deviations: Floats) -> Value:
    """Return the error of the mean standard error in percent of the empirical one."""
    known = np.isfinite(squares)
    (model, _, n), (empirical, _, _) = _root(squares[known]), _root(deviations[known], one_less=True)
    if not empirical > 0 or not model > 0:
        return np.nan, np.nan, n
    influence = 0.5 * (squares[known] / model**2 - deviations[known] / empirical**2)
    ratio = model / empirical
    return 100.0 * (ratio - 1.0), 100.0 * ratio * float(influence.std(ddof=1)) / n**0.5, n
