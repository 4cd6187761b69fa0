"""Estimators as the suites run them: options that have no default are given."""

from __future__ import annotations

from collections.abc import Iterator

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods.registry import ESTIMATORS, get

DECLARED = {"gls": {"theta": 0.6}}


def ready(estimator: Estimator) -> Estimator:
    """Return the estimator with the options it can't do without."""
    return estimator.with_options(DECLARED.get(estimator.name, {}))


def referred() -> Iterator[dict[str, str]]:
    """Every variance that has the option `reference`, once with every reference distribution that has no own name."""
    seen = {estimator.info.label for estimator in ESTIMATORS}
    for estimator in ESTIMATORS:
        for reference in estimator.choices.get("reference", ()):
            choice = {"name": estimator.name, "reference": reference}
            if (label := get(choice).info.label) not in seen:
                seen.add(label)
                yield choice


def looked_up(estimator: Estimator) -> bool:
    """Whether only the t distribution that the same numbers are looked up in is another one than the name's."""
    return "reference" in estimator.changed and estimator.options["reference"] != "satterthwaite"


OPTIONS = ({"name": "means", "variance": "hc2"}, *referred())
"""Options that change the computation so far that they are suites' cases of their own."""

READY = (*(ready(estimator) for estimator in ESTIMATORS), *(get(choice) for choice in OPTIONS))

REFERRED = tuple(estimator for estimator in READY if looked_up(estimator))
"""Their estimates and standard errors are their method's, byte for byte (`test_contract`): no law is held twice."""

OWN = tuple(estimator for estimator in READY if estimator not in REFERRED)
"""The methods that compute numbers of their own."""

BY_LABEL = {estimator.label: estimator for estimator in READY}
