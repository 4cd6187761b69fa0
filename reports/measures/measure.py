"""What a measure is, and how its Monte Carlo standard error follows from its influence values.

One rule gives the MCSE of every smooth measure: ``sd(IF_i) / sqrt(K)`` with IF_i the influence value of
replication i. It reproduces the closed forms of Morris, White & Crowther (2019) up to their normal-theory
steps, holds under heavy tails, and gives paired MCSEs of differences by subtraction. Proportions take the
divisor K (binomial), others K - 1. Medians have no smooth influence value: their MCSE comes from order
statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np

from nestbench.estimators.estimates import ENDS, P_VALUE, STD_ERROR
from nestbench.reports.measures.draws import Draws
from nestbench.sim.observed.batch import Floats, Ints

TRUTH, NONZERO, INTERVAL = "truth", "nonzero truth", "interval"
NOT_NULL = "truth other than the null value"
FAILURES = "failures"


class Unit(StrEnum):
    """What the numbers of a measure are."""

    ESTIMATE = "units of the estimate"
    SQUARED = "squared units of the estimate"
    SHARE = "share"
    PERCENT = "percent"
    RATIO = "ratio"
    SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of performance.

    Attributes
    ----------
    name, label, formula : str
        Column value, words for people, and definition.
    unit : Unit
    needs : frozenset of str
        What must exist: ``truth``, ``nonzero truth``, ``truth other than the null value``, ``std_error``,
        ``interval``, ``p_value``, ``failures``.
    value : callable
        Draws -> float64 [k], made of statistics (`Draws.once`).
    influence : callable or None
        Draws -> influence values, float64 [k, n]; None where there is no smooth one.
    mcse : callable or None
        Draws -> float64 [k], where it is not ``sd(IF)/sqrt(K)``.
    ddof : int
        1, or 0 for proportions.
    count : callable or None
        Draws -> the measure's own n, int64 [k]; None means K.
    """

    name: str
    label: str
    formula: str
    unit: Unit
    needs: frozenset[str]
    value: Callable[[Draws], Floats]
    influence: Callable[[Draws], Floats] | None = None
    mcse: Callable[[Draws], Floats] | None = None
    ddof: int = 1
    count: Callable[[Draws], Ints] | None = None

    @property
    def columns(self) -> frozenset[str]:
        """Columns that must not be NaN for a replication to count."""
        interval = ENDS if INTERVAL in self.needs else ()
        return frozenset({*interval, *({P_VALUE, STD_ERROR} & self.needs)})

    @property
    def of_tests(self) -> bool:
        """Whether it needs no estimate: how often tests reject, and how many fits are usable."""
        return self.name == "usable_share" or (P_VALUE in self.needs and self.needs <= {P_VALUE, FAILURES})

    @property
    def over_attempts(self) -> bool:
        """Whether it has a value without any usable replication."""
        return FAILURES in self.needs or self.name == "usable_share"


def evaluate(measure: Measure, draws: Draws) -> tuple[Floats, Floats, Ints]:
    """Return value, MCSE and n of a measure, each [k]. NaN where there are too few replications.

    Parameters
    ----------
    measure : Measure
    draws : Draws

    Returns
    -------
    value, mcse : float64 [k]
    n : int64 [k]
        Behind each value; a measure given significance has fewer than there are replications.
    """
    k = len(draws.terms)
    if draws.n == 0 and not measure.over_attempts:
        return np.full(k, np.nan), np.full(k, np.nan), np.zeros(k, dtype=np.int64)
    # Measures of few or constant numbers are NaN, which says enough.
    with np.errstate(all="ignore"):
        value = measure.value(draws)
        error = measure.mcse(draws) if measure.mcse else mcse_of(measure, draws)
    n = measure.count(draws) if measure.count else np.full(k, draws.n, dtype=np.int64)
    return value, error, n


def mcse_of(measure: Measure, draws: Draws) -> Floats:
    """Return ``sd(IF)/sqrt(K)`` [k]."""
    if measure.influence is None:
        return np.full(len(draws.terms), np.nan)
    return root(draws.once(mean_square(measure.influence)), draws.n, measure.ddof)


@cache
def mean_square(influence: Callable[[Any], Floats]) -> Callable[[Any], Floats]:
    """Return the statistic mean(IF_i^2); influence values have mean 0 by construction.

    Cached by influence function: the measure's own MCSE and contrasts with it then share one pass over the values.
    """

    def value(sample: Any) -> Floats:
        values = influence(sample)
        return np.einsum("kn,kn->k", values, values) / sample.n if sample.n else np.full(len(values), np.nan)

    return value


def root(square: Floats, n: int, ddof: int = 1) -> Floats:
    """Return ``sd(IF)/sqrt(K)`` from mean(IF_i^2) [k]."""
    return np.sqrt(square / (n - ddof)) if n > ddof else np.full(len(square), np.nan)
