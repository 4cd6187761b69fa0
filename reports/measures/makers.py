"""Makers of measures: a mean, a share, a median of values per replication, and what has influence values of its own.

Each takes what is computed, then name, label and formula, then the unit, then what must exist (`Measure`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Draws
from nestbench.reports.measures.measure import Measure, Unit
from nestbench.sim.observed.batch import Floats

Value = Callable[[Draws], Floats]


def smooth(
    value: Value, influence: Value, name: str, label: str, formula: str, unit: Unit, *needs: str
) -> Measure:
    """Return a measure whose MCSE follows from its influence values.

    Parameters
    ----------
    value : Draws -> float64 [k]
    influence : Draws -> float64 [k, n]
        With mean 0 over replications; the MCSE is its standard deviation over the root of n.
    name, label, formula : str
    unit : Unit
    needs : str
        What must exist for a term to have the measure.
    """
    return Measure(name, label, formula, unit, frozenset(needs), value, influence)


def mean_of(values: st.Values, name: str, label: str, formula: str, unit: Unit, *needs: str) -> Measure:
    """Return a mean over the usable replications.

    Influence values of a mean are the values less their mean, so that nothing else has to be said of them.
    """
    return smooth(st.average(values), st.centred(values), name, label, formula, unit, *needs)


def share_of(event: st.Values, name: str, label: str, formula: str, *needs: str) -> Measure:
    """Return the share of the usable replications where something is so.

    Its MCSE has the divisor K, as that of a binomial proportion.
    """
    return replace(mean_of(event, name, label, formula, Unit.SHARE, *needs), ddof=0)


def median_of(values: Value, name: str, label: str, formula: str, unit: Unit, *needs: str) -> Measure:
    """Return a median over the usable replications.

    Its MCSE comes from the order statistics around it, since a median has no smooth influence value.
    """
    measure = Measure(name, label, formula, unit, frozenset(needs), st.median(values))
    return replace(measure, mcse=st.median_mcse(values))


def share_of_attempts(share: Value, name: str, label: str, formula: str, *needs: str) -> Measure:
    """Return a share of all attempted fits, binomial.

    Unusable fits count in the denominator: what a method that fails would have to be credited with at worst.
    """
    measure = Measure(name, label, formula, Unit.SHARE, frozenset(needs), share)
    return replace(measure, mcse=st.binomial(share), count=st.attempts)
