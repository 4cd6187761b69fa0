"""What of a population's theory holds for the true values of a condition.

A coverage is that of one value, a bias the distance from one. They hold where the condition's true value of the term is
that value, and not where ``[truth]`` states another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

OF_COEFFICIENTS = ("coverage", "coverage_mcse")


def at_truth(
    known: Mapping[str, Any], named: Mapping[str, float], truth: Mapping[str, float]
) -> dict[str, Any]:
    """Return what of a population's `known` theory holds for the true values of a condition, `truth`.

    Parameters
    ----------
    named : mapping of str to float
        The population's own true values: biases are from these, and coverages are of them where theory doesn't say of
        what.
    """
    covered = known.get("coefficients", named)
    kept = dict(known)
    for key, values in (*((key, covered) for key in OF_COEFFICIENTS), ("bias", named)):
        if key in known:
            kept[key] = {name: _same(of, values, truth) for name, of in known[key].items()}
    if "naive_coverage" in known:
        kept["naive_coverage"] = _same(known["naive_coverage"], covered, truth)
    return kept


def _same(
    by_term: Mapping[str, float], values: Mapping[str, float], truth: Mapping[str, float]
) -> dict[str, float]:
    return {
        term: number
        for term, number in by_term.items()
        if term in values and term in truth and np.isclose(values[term], truth[term], rtol=1e-6, atol=1e-9)
    }
