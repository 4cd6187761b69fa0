"""Paired comparisons: estimators see the same data sets, so differences carry paired Monte Carlo errors.

Treating two estimators as independent overstates (or, for opposed errors, understates) the MCSE of their
difference; here it is ``sd(IF_B,i - IF_A,i) / sqrt(K)`` over the replications both can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.results import Results
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Draws, Truth, draws_of, shared
from nestbench.reports.measures.measure import INTERVAL, P_VALUE, TRUTH, root_mean_square
from nestbench.sim.batch import Floats
from nestbench.sim.errors import InvalidInput, unknown_name

Pair = Callable[[Draws, Draws], Floats]
"""(reference A, estimator B), both on the same replications -> [k] or [k, n]."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A paired comparison of estimator B with reference A; `neutral` is its value for equal methods.

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


def _difference(values: st.Values) -> tuple[Pair, Pair]:
    def influence(a: Draws, b: Draws) -> Floats:
        x = np.subtract(b.once(values), a.once(values), dtype=np.float64)
        found: Floats = x - x.mean(axis=-1, keepdims=True)
        return found

    def value(a: Draws, b: Draws) -> Floats:
        found: Floats = np.subtract(b.once(values), a.once(values), dtype=np.float64).mean(axis=-1)
        return found

    return value, influence


def relative_precision(a: Draws, b: Draws) -> Floats:
    """100 (S2_A / S2_B - 1)."""
    return 100.0 * (a.once(st.variance) / b.once(st.variance) - 1.0)


def relative_precision_influence(a: Draws, b: Draws) -> Floats:
    """100 (S2_A/S2_B) (w_A,i/S2_A - w_B,i/S2_B)."""
    ratio = 100.0 * (a.once(st.variance) / b.once(st.variance))[:, None]
    return ratio * (a.once(st.spread_influence) - b.once(st.spread_influence))


def relative_efficiency(a: Draws, b: Draws) -> Floats:
    """MSE_A / MSE_B: above 1, B is the more accurate."""
    return a.once(st.mean_squared_error) / b.once(st.mean_squared_error)


def relative_efficiency_influence(a: Draws, b: Draws) -> Floats:
    """E (d_A,i^2/MSE_A - d_B,i^2/MSE_B)."""
    ratio = relative_efficiency(a, b)[:, None]
    first = a.once(st.squared_error) / a.once(st.mean_squared_error)[:, None]
    return ratio * (first - b.once(st.squared_error) / b.once(st.mean_squared_error)[:, None])


_ENDS = frozenset({"lower", "upper"})

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
        columns=frozenset({"p_value"}),
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
    """Return paired contrasts of every estimator with a reference, over all cells.

    Columns: ``cell``, factors, ``estimator, reference, term, contrast, value, mcse, n, outcome``; outcome is
    ``win`` or ``loss`` where the value is beyond 1.96 MCSE on the better or worse side, ``differs`` where no
    side is better, else ``tie``.
    """
    labels = [estimator.label for estimator in results.experiment.estimators]
    if reference not in labels:
        raise unknown_name("reference estimator", reference, labels)
    experiment, frames = results.experiment, []
    for index, cell in enumerate(experiment.cells):
        found = results.estimates(index)
        if reference not in found:
            continue
        frame = contrasts_of_cell(found, reference, cell.population.truth, cell.model.level)
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
    """Return the paired contrasts of one cell (columns as `contrast_table`, without cell and factors)."""
    rows: list[dict[str, Any]] = []
    first = estimates[reference]
    for label, other in estimates.items():
        if label != reference:
            found = _contrasts(first, other, truth, level, contrasts)
            rows.extend({"estimator": label, "reference": reference, **row} for row in found)
    names = ["estimator", "reference", "term", "contrast", "value", "mcse", "n", "outcome"]
    return pd.DataFrame(rows, columns=names)


def _contrasts(
    first: Estimates, second: Estimates, truth: Truth, level: float, contrasts: Sequence[Contrast]
) -> Iterator[dict[str, Any]]:
    pairs: dict[frozenset[str], list[tuple[Draws, Draws]]] = {}
    for contrast in contrasts:
        if contrast.columns not in pairs:
            pairs[contrast.columns] = list(paired(first, second, truth, level, contrast.columns))
        for a, b in pairs[contrast.columns]:
            yield from _values(contrast, a, b)


def _values(contrast: Contrast, a: Draws, b: Draws) -> Iterator[dict[str, Any]]:
    with np.errstate(all="ignore"):
        value = contrast.value(a, b)
        mcse = root_mean_square(contrast.influence(a, b), ddof=1)
    defined = np.isfinite(a.truth).all(axis=1) if TRUTH in contrast.needs else np.ones(len(a.terms), bool)
    for k in np.flatnonzero(defined):
        yield {
            "term": a.terms[k],
            "contrast": contrast.name,
            "value": float(value[k]),
            "mcse": float(mcse[k]),
            "n": a.n,
            "outcome": outcome_of(contrast, float(value[k]), float(mcse[k])),
        }


def outcome_of(contrast: Contrast, value: float, mcse: float) -> str:
    """Return win, tie, loss or differs: is the value beyond 1.96 MCSE of equality, and on which side."""
    away = value - _NEUTRAL.get(contrast.name, 0.0)
    if not abs(away) > st.Z95 * mcse:
        return "tie"
    if contrast.better == 0:
        return "differs"
    return "win" if away * contrast.better > 0 else "loss"


def paired(
    first: Estimates, second: Estimates, truth: Truth, level: float, columns: frozenset[str] = frozenset()
) -> Iterator[tuple[Draws, Draws]]:
    """Yield matched draws of two estimators, terms and replications both can answer."""
    for a in draws_of(first, truth, level, columns):
        for b in draws_of(second, truth, level, columns):
            if a.n and b.n and set(a.terms) & set(b.terms):
                left, right = shared(a, b)
                if left.n:
                    yield left, right
