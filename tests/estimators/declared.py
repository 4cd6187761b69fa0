"""Estimators as the suites run them: options that have no default are given."""

from __future__ import annotations

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.registry import ESTIMATORS

DECLARED = {"gls": {"theta": 0.6}}


def ready(estimator: Estimator) -> Estimator:
    """Return the estimator with the options it can't do without."""
    return estimator.with_options(DECLARED.get(estimator.name, {}))


READY = tuple(ready(estimator) for estimator in ESTIMATORS)
