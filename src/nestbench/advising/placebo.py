"""Placebo terms on the real outcome: the term's own pattern, dealt out at random, beside the real term.

A term that is constant in schools has its schools' values permuted over the schools; any other has its values
permuted within each school. Nothing acts, so that a test of 5 % should find something in 5 % of the draws
(Bertrand, Duflo & Mullainathan 2004; MacKinnon 2026 proposes it for one's own data). The real term stays in the
model, and the outcome is taken as its residuals: the effect can't be seen here either. All draws share one outcome,
so their share varies more about the true size than its Monte Carlo error says; it is a check beside the simulation,
no verdict.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cloudpickle
import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.advising.analysis import Analysis, orthonormal
from nestbench.advising.candidates import WITH_MEANS, limits_of, placebos_for
from nestbench.advising.simulating import draws_of, sparing, spread_out
from nestbench.estimators.engines.mixed_fit import school_level
from nestbench.estimators.estimator import Estimator
from nestbench.experiments.running.workers import ignore_interrupts, one_thread
from nestbench.own_data.bar import Step, silent
from nestbench.sim.laws.registry import known_laws
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, offsets_of
from nestbench.sim.observed.model import rejected

DRAWS = 2000
PIECE = 500_000
"""Students in the draws that a worker has at once."""
LONGEST = 250
COLUMN = "placebo"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the draws, as a worker needs them: the pickled data and methods, the process they come from, and the
    methods that can't tell placebo and term apart."""

    blob: bytes
    term: str
    seed: int
    start: int
    size: int
    home: int
    silent: frozenset[str] = frozenset()


def placebo_rates(
    analysis: Analysis,
    term: str,
    methods: Sequence[Estimator],
    seed: int,
    workers: int | None = None,
    most: int = DRAWS,
    step: Step = silent,
) -> pd.DataFrame:
    """Return a row a method: ``method, rejected, mcse, n``, over draws in which the placebo isn't the term again."""
    draws = placebos_for(analysis, most)
    # Limits of slow methods are looked at where a piece begins, so no piece is longer than one.
    size = max(1, min(PIECE // len(analysis.residuals), LONGEST))
    step(0, -(-draws // size), "placebo terms on the real outcome")
    blob, home = cloudpickle.dumps((analysis, tuple(methods))), os.getpid()
    starts = range(0, draws, size)
    first = Piece(blob, term, seed, 0, min(size, draws), home)
    first = replace(first, silent=silent_methods(analysis, first, methods))
    pieces = (replace(first, start=start, size=min(size, draws - start)) for start in starts)
    found: dict[int, dict[str, Floats]] = {}
    step = sparing(step)
    for done, (start, rates) in enumerate(spread_out(_draw, pieces, len(starts), workers), 1):
        found[start] = rates
        step(min(done, len(starts) - 1), len(starts), "placebo terms on the real outcome")
    values = {m.label: np.concatenate([found[start][m.label] for start in starts]) for m in methods}
    return pd.DataFrame([_row(label, p, analysis.model.level) for label, p in values.items()])


def _draw(piece: Piece) -> tuple[int, dict[str, Floats]]:
    """Return the p-values of the placebo by method, of one piece of the draws."""
    ignore_interrupts(piece.home)
    known_laws()
    analysis, methods = pickle.loads(piece.blob)
    with one_thread():
        return piece.start, p_values(analysis, piece, methods)


def silent_methods(analysis: Analysis, piece: Piece, methods: Sequence[Estimator]) -> frozenset[str]:
    """Return the methods without a p-value for the first placebo: for all of them their textbook engines may take
    minutes to say so."""
    columns = _columns(analysis, piece)[:1]
    with one_thread():
        found = _p_values(analysis, piece, columns, methods) if columns else {}
    return frozenset(label for label, p in found.items() if not np.isfinite(p).any())


def p_values(analysis: Analysis, piece: Piece, methods: Sequence[Estimator]) -> dict[str, Floats]:
    """Return the p-values of the placebo by method; none of a method that can't tell it from the term."""
    columns = _columns(analysis, piece)
    return (
        _p_values(analysis, piece, columns, methods) if columns else {m.label: np.empty(0) for m in methods}
    )


def _columns(analysis: Analysis, piece: Piece) -> list[Floats]:
    """Return the placebos of a piece that aren't the term again."""
    span = orthonormal(analysis.x)
    rng = np.random.Generator(np.random.PCG64DXSM([piece.seed, piece.start]))
    drawn = [placebo_column(analysis, piece.term, rng) for _ in range(piece.size)]
    return [column for column in drawn if apart(column, span)]


def _p_values(
    analysis: Analysis, piece: Piece, columns: Sequence[Floats], methods: Sequence[Estimator]
) -> dict[str, Floats]:
    found = {method.label: np.empty(0) for method in methods}
    batch = with_placebos(analysis.blind, np.stack(columns), piece.start)
    model = replace(analysis.simulated, formula=f"{analysis.simulated.formula} + {COLUMN}")
    batch.put(_school_level(analysis, piece.term, len(columns)), school_level, model)
    limits = limits_of(analysis)
    varies = not analysis.constant[analysis.position(piece.term)]
    for method in methods:
        # A placebo permuted within schools has the term's school means: methods that add them can't tell the two
        # apart.
        if method.label in piece.silent or (varies and method.name in WITH_MEANS):
            continue
        if piece.start < limits.get(method.name, piece.start + 1):
            found[method.label] = draws_of(method.for_term(COLUMN).fit(batch, model), COLUMN).p_value
    return found


def _school_level(analysis: Analysis, term: str, times: int) -> npt.NDArray[np.bool_]:
    """Return which columns are constant in schools [R, p + 1], the placebo last: it has the term's pattern."""
    own = np.append(analysis.constant, analysis.constant[analysis.position(term)])
    return np.tile(own, (times, 1))


def _row(label: str, p_values: Floats, level: float) -> dict[str, object]:
    good = p_values[np.isfinite(p_values)]
    share = float(rejected(good, level).mean()) if len(good) else float("nan")
    error = float(np.sqrt(share * (1.0 - share) / len(good))) if len(good) else float("nan")
    return {"method": label, "rejected": share, "mcse": error, "n": len(good)}


def placebo_column(analysis: Analysis, term: str, rng: np.random.Generator) -> Floats:
    """Return a placebo [n] with the pattern of a term."""
    k = analysis.position(term)
    values, offsets = analysis.x[k], analysis.offsets
    if analysis.constant[k]:
        return np.repeat(rng.permutation(values[offsets[:-1]]), analysis.sizes)
    # One sort for all schools: by school, in it by random keys.
    order = np.argsort(rng.random(len(values)) + np.repeat(np.arange(analysis.schools), analysis.sizes))
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
