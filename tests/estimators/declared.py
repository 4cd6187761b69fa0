"""Estimators as the suites run them: options that have no default are given."""

from __future__ import annotations

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.registry import ESTIMATORS, get

DECLARED = {"gls": {"theta": 0.6}}


def ready(estimator: Estimator) -> Estimator:
    """Return the estimator with the options it can't do without."""
    return estimator.with_options(DECLARED.get(estimator.name, {}))


OPTIONS = ({"name": "means", "variance": "hc2"},)
"""Options that change the computation so far that they are suites' cases of their own."""

READY = (*(ready(estimator) for estimator in ESTIMATORS), *(get(choice) for choice in OPTIONS))

BY_LABEL = {estimator.label: estimator for estimator in READY}
