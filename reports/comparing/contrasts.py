"""Paired comparisons: methods see the same data sets, so differences carry paired Monte Carlo errors.

Treating two methods as independent overstates (or, for opposed errors, understates) the MCSE of their
difference; here it is ``sd(IF_B,i - IF_A,i) / sqrt(K)`` over the replications both can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import ENDS, P_VALUE, Estimates
from nestbench.experiments.results import Results
from nestbench.reports.comparing.holm import t_quantile
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import Block, CellRows, matched, rows_of
from nestbench.reports.measures.draws import Paired, Truth
from nestbench.reports.measures.measure import INTERVAL, TRUTH, mean_square, root
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.batch import Floats

Pair = Callable[[Paired], Floats]
"""Reference A and method B on the same replications -> [k] or [k, n]."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A paired comparison of method B with reference A; `neutral` is its value for equal methods.

    `better` is +1 where larger values favour B, -1 where smaller ones do, 0 where neither is better by
    itself.
    """

    name: str
    label: str
    formula: str
    needs: frozenset[str]
    value: Pair
    influence: Pair
    better: int = 0
    columns: frozenset[str] = frozenset()


@cache
def differences(values: st.Values) -> Pair:
    """Return the function x_B,i - x_A,i."""
    return lambda p: np.subtract(p.second.once(values), p.first.once(values), dtype=np.float64)


@cache
def mean_difference(values: st.Values) -> Pair:
    """Return the statistic mean (x_B - x_A)."""
    return lambda p: np.asarray(differences(values)(p).mean(axis=-1))


@cache
def centred_difference(values: st.Values) -> Pair:
    """Return the influence function of `mean_difference`."""
    return lambda p: differences(values)(p) - p.once(mean_difference(values))[:, None]


def _difference(values: st.Values) -> tuple[Pair, Pair]:
    """Return the mean paired difference of some values, and its influence values."""
    return lambda p: p.once(mean_difference(values)), centred_difference(values)


def relative_precision(p: Paired) -> Floats:
    """100 (S2_A / S2_B - 1)."""
    return 100.0 * (p.first.once(st.variance) / p.second.once(st.variance) - 1.0)


def relative_precision_influence(p: Paired) -> Floats:
    """100 (S2_A/S2_B) (w_A,i/S2_A - w_B,i/S2_B)."""
    ratio = 100.0 * (p.first.once(st.variance) / p.second.once(st.variance))[:, None]
    return ratio * (p.first.once(st.spread_influence) - p.second.once(st.spread_influence))


def relative_efficiency(p: Paired) -> Floats:
    """MSE_A / MSE_B: above 1, B is the more accurate."""
    return p.first.once(st.mean_squared_error) / p.second.once(st.mean_squared_error)


def relative_efficiency_influence(p: Paired) -> Floats:
    """E (d_A,i^2/MSE_A - d_B,i^2/MSE_B)."""
    ratio = relative_efficiency(p)[:, None]
    first, second = (
        d.once(st.squared_error) / d.once(st.mean_squared_error)[:, None] for d in (p.first, p.second)
    )
    return ratio * (first - second)


_ENDS = frozenset(ENDS)

CONTRASTS: tuple[Contrast, ...] = (
    Contrast("bias_difference", "Bias difference", "mean (t_B - t_A)", frozenset(), *_difference(st.error)),
    Contrast(
        "mse_difference",
        "MSE difference",
        "mean (d_B^2 - d_A^2)",
        frozenset({TRUTH}),
        *_difference(st.squared_error),
        better=-1,
    ),
    Contrast(
        "coverage_difference",
        "Coverage difference",
        "mean (c_B - c_A), McNemar's variance",
        frozenset({TRUTH, INTERVAL}),
        *_difference(st.covers),
        columns=_ENDS,
    ),
    Contrast(
        "rejection_difference",
        "Rejection difference",
        "mean (r_B - r_A), McNemar's variance",
        frozenset({P_VALUE}),
        *_difference(st.rejects),
        columns=frozenset({P_VALUE}),
    ),
    Contrast(
        "score_difference",
        "Interval score difference",
        "mean (score_B - score_A)",
        frozenset({TRUTH, INTERVAL}),
        *_difference(st.interval_score),
        better=-1,
        columns=_ENDS,
    ),
    Contrast(
        "relative_precision",
        "Relative precision",
        "100 (S2_A / S2_B - 1)",
        frozenset(),
        relative_precision,
        relative_precision_influence,
        better=1,
    ),
    Contrast(
        "relative_efficiency",
        "Relative efficiency",
        "MSE_A / MSE_B",
        frozenset({TRUTH}),
        relative_efficiency,
        relative_efficiency_influence,
        better=1,
    ),
)

_NEUTRAL = {"relative_efficiency": 1.0}


def contrast_table(results: Results, reference: str) -> pd.DataFrame:
    """Return paired contrasts of every method with a reference, over all conditions.

    Columns: ``cell``, factors, ``estimator, reference, term, contrast, value, mcse, n, outcome``; outcome is
    ``win`` or ``loss`` where the value is beyond Monte Carlo error on the better or worse side, ``differs`` where no
    side is better, else ``tie``: the 95 % interval by t with n - 1 degrees of freedom, each row by itself (of many
    rows one in twenty differs by chance; the page holds them by Holm's method).
    """
    labels = [estimator.label for estimator in results.experiment.estimators]
    if reference not in labels:
        raise unknown_name("reference method", reference, labels)
    experiment, frames = results.experiment, []
    for index in range(len(experiment.cells)):
        if reference not in results.estimates(index):
            continue
        frame = contrasts_of_rows(rows_of(results, index), reference)
        for position, (factor, level) in enumerate(experiment.levels[index].items()):
            frame.insert(position, factor, [level] * len(frame))
        frame.insert(0, "cell", index)
        frames.append(frame)
    if not frames:
        raise InvalidInput(f"expected stored rows of '{reference}', got none yet; finish a task")
    return pd.concat(frames, ignore_index=True)


def contrasts_of_cell(
    estimates: Mapping[str, Estimates],
    reference: str,
    truth: Truth,
    level: float,
    contrasts: Sequence[Contrast] = CONTRASTS,
) -> pd.DataFrame:
    """Return the paired contrasts of one condition (columns as `contrast_table`, without condition and factors).

    Parameters
    ----------
    estimates : mapping
        Label -> Estimates.
    reference : str
        The method that the others are compared with.
    truth : mapping
    level : float
    contrasts : sequence of Contrast
    """
    return contrasts_of_rows(CellRows(estimates, truth, level), reference, contrasts)


def contrasts_of_rows(
    rows: CellRows, reference: str, contrasts: Sequence[Contrast] = CONTRASTS
) -> pd.DataFrame:
    """Return `contrasts_of_cell` from the rows of the condition."""
    labels = [label for label in rows.labels if label != reference]
    contrasts_found = [
        {"estimator": label, "reference": reference, **row}
        for names in rows.groups(reference)
        for first in (rows.block(reference, names),)
        for label in labels
        for row in _contrasts(first, rows.block(label, names), contrasts)
    ]
    # Stable: long conditions come term by term, short ones method by method, and the table is the same.
    contrasts_found.sort(key=lambda row: labels.index(row["estimator"]))
    names = ["estimator", "reference", "term", "contrast", "value", "mcse", "n", "outcome"]
    return pd.DataFrame(contrasts_found, columns=names)


def _contrasts(first: Block, second: Block, contrasts: Sequence[Contrast]) -> Iterator[dict[str, Any]]:
    """Yield the contrasts of two methods, pairing once for all that need the same columns."""
    pairs: dict[frozenset[str], Sequence[Paired]] = {}
    for contrast in contrasts:
        if contrast.columns not in pairs:
            pairs[contrast.columns] = list(matched(first, second, contrast.columns))
        for pair in pairs[contrast.columns]:
            yield from _values(contrast, pair)


def _values(contrast: Contrast, pair: Paired) -> Iterator[dict[str, Any]]:
    """Yield a contrast of the terms that it is defined for."""
    with np.errstate(all="ignore"):
        value = contrast.value(pair)
        mcse = root(pair.once(mean_square(contrast.influence)), pair.n)
    truth = pair.first.truth
    defined = np.isfinite(truth).all(axis=1) if TRUTH in contrast.needs else np.ones(len(pair.terms), bool)
    for k in np.flatnonzero(defined):
        yield {
            "term": pair.terms[k],
            "contrast": contrast.name,
            "value": float(value[k]),
            "mcse": float(mcse[k]),
            "n": pair.n,
            "outcome": outcome_of(contrast, float(value[k]), float(mcse[k]), pair.n),
        }


def outcome_of(contrast: Contrast, value: float, mcse: float, n: int) -> str:
    """Return win, tie, loss or differs: is the value's 95 % interval (t) off equality, and on which side.

    Parameters
    ----------
    contrast : Contrast
    value, mcse : float
    n : int
        Data sets that both methods answer.
    """
    away = value - _NEUTRAL.get(contrast.name, 0.0)
    if not abs(away) > float(t_quantile(n)) * mcse:
        return "tie"
    if contrast.better == 0:
        return "differs"
    return "win" if away * contrast.better > 0 else "loss"
