"""Placebo terms on the real outcome: the term's own pattern, dealt out at random, beside the real term.

A term that is constant in schools has its schools' values permuted over the schools; any other has its values
permuted within each school. Nothing acts, so that a test of 5 % should find something in 5 % of the draws
(Bertrand, Duflo & Mullainathan 2004; MacKinnon 2026 proposes it for one's own data). The real term stays in the
model, and the outcome is taken as its residuals: the effect can't be seen here either. All draws share one outcome,
so their share varies more about the true size than its Monte Carlo error says; it is a check beside the simulation,
no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from nestbench.advising.simulating import draws_of
from nestbench.advising.study import SLOW
from nestbench.advising.subject import Subject, orthonormal
from nestbench.estimators.estimator import Estimator
from nestbench.own_data.bar import Step, silent
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, offsets_of
from nestbench.sim.observed.model import Model, rejected

DRAWS = 2000
ROWS = 20_000_000
"""Students in all draws together."""
PIECE = 500_000
COLUMN = "placebo"


def placebo_rates(
    subject: Subject,
    term: str,
    methods: Sequence[Estimator],
    seed: int,
    most: int = DRAWS,
    step: Step = silent,
) -> pd.DataFrame:
    """Return a row a method: ``method, rejected, mcse, n``, over draws in which the placebo isn't the term again."""
    draws = min(most, max(100, ROWS // len(subject.residuals)))
    # Limits of slow methods are looked at where a piece begins, so no piece is longer than one.
    size = max(1, min(PIECE // len(subject.residuals), min(SLOW.values())))
    span = orthonormal(subject.x)
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    found: dict[str, list[Floats]] = {method.label: [] for method in methods}
    silent_ones: set[str] = set()
    for start in range(0, draws, size):
        step(start, draws, "placebo terms on the real outcome")
        drawn = [placebo_column(subject, term, rng) for _ in range(min(size, draws - start))]
        columns = [column for column in drawn if apart(column, span)]
        if not columns:
            continue
        batch = with_placebos(subject.blind, np.stack(columns), start)
        model = replace(subject.simulated, formula=f"{subject.simulated.formula} + {COLUMN}")
        for method in methods:
            if not found[method.label] and not _answers(method, batch.take([0]), model):
                silent_ones.add(method.label)
            if start < SLOW.get(method.name, draws) and method.label not in silent_ones:
                found[method.label].append(draws_of(method.fit(batch, model), COLUMN).p_value)
    return pd.DataFrame(
        [_row(label, np.concatenate([np.empty(0), *p]), subject.model.level) for label, p in found.items()]
    )


def _answers(method: Estimator, batch: Batch, model: Model) -> bool:
    """Whether a method can tell a placebo from the term: one that adds school means can't, for they are the same."""
    return bool(np.isfinite(draws_of(method.fit(batch, model), COLUMN).p_value[0]))


def _row(label: str, p_values: Floats, level: float) -> dict[str, object]:
    good = p_values[np.isfinite(p_values)]
    share = float(rejected(good, level).mean()) if len(good) else float("nan")
    error = float(np.sqrt(share * (1.0 - share) / len(good))) if len(good) else float("nan")
    return {"method": label, "rejected": share, "mcse": error, "n": len(good)}


def placebo_column(subject: Subject, term: str, rng: np.random.Generator) -> Floats:
    """Return a placebo [n] with the pattern of a term."""
    k = subject.position(term)
    values, offsets = subject.x[k], subject.offsets
    if subject.constant[k]:
        return np.repeat(rng.permutation(values[offsets[:-1]]), subject.sizes)
    # One sort for all schools: by school, in it by random keys.
    order = np.lexsort((rng.random(len(values)), np.repeat(np.arange(subject.schools), subject.sizes)))
    return np.asarray(values[order])


def apart(column: Floats, span: Floats) -> bool:
    """Whether a column [n] is no combination of those with the orthonormal basis `span` [n, r]."""
    rest = column - span @ (span.T @ column)
    return bool(np.abs(rest).max() > 1e-8 * np.abs(column).max(initial=0.0))


def with_placebos(batch: Batch, placebos: Floats, first: int) -> Batch:
    """Return a batch of one data set repeated, each time with another placebo [R, n]; `first` is the first's
    number."""
    times = len(placebos)
    sizes = np.diff(batch.school_offsets)
    return replace(
        batch,
        columns={name: repeated(column, times) for name, column in batch.columns.items()}
        | {COLUMN: placebos.ravel()},
        school_offsets=offsets_of(np.tile(sizes, times)),
        replication_offsets=np.arange(times + 1, dtype=np.int64) * len(sizes),
        replications=np.arange(first, first + times, dtype=np.int64),
        school_labels=None if batch.school_labels is None else batch.school_labels * times,
        # What is remembered of a batch is of its columns.
        _memo={},
    )


def repeated(column: Column, times: int) -> Column:
    """Return a column so many times over."""
    if isinstance(column, Category):
        return Category(np.tile(column.codes, times), column.levels)
    return np.tile(column, times)
