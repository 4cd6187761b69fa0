"""Which methods are shown unasked, and what is said of each term before any of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nestbench.estimators.methods import registry
from nestbench.sim.counted import plural
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.derived import constant_within_schools
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

USUAL = ("ols", "ols-hc1", "ols-cr1s-t", "ols-cr1s-z", "reml-z")
"""What users otherwise take: OLS, HC1, Stata's and statsmodels' cluster defaults, the mixed model's z (MixedLM's,
where its optimiser arrives)."""
SMALL_SAMPLES = ("ols-cr2-satt", "reml-satt", "reml-kr")
"""What the literature recommends beside them where schools are few: the family that `advise` most often names."""
FOR_CLASSES = ("nested-satt",)


def shown_unasked(model: Model) -> list[str]:
    """Return the methods of a plain ``nestbench estimate``: the usual and the recommended ones, and the user's own."""
    own = [name for name in registry.runnable() if not registry.built_in(name)]
    return [*USUAL, *SMALL_SAMPLES, *(FOR_CLASSES if model.subgroup is not None else ()), *own]


def shown_line(shown: int) -> str:
    """Return how many methods are shown of those there are."""
    every = len(registry.runnable())
    return f"{shown} of {every} methods: the usual ones and those for few schools; --all shows every one"


def term_lines(batch: Batch, model: Model) -> tuple[str, ...]:
    """Return what is said of the terms of one data set: which are constant in schools, and in how many schools each
    of two values is.

    Parameters
    ----------
    batch : Batch
        One data set.
    model : Model
    """
    design = batch.once(design_of, model)
    constant = constant_within_schools(batch, design)[0]
    first = design.fixed(batch)[:, batch.school_offsets[:-1]]
    said, within = [], []
    for term, values, same in zip(design.terms, first, constant, strict=True):
        if not same:
            within.append(term)
        elif np.ptp(values) > 0:
            said.append(f"{term}: constant in {plural(len(values), 'school')}{_carried(term, values)}: {SEE}")
    return (*said, *_within(within, len(first[0])))


SEE = "see nestbench advise"


def _carried(term: str, values: np.ndarray) -> str:
    """Return how many schools carry the rarer of two values, in words."""
    found, counts = np.unique(values, return_counts=True)
    # Of two values in equally many schools the larger: treated rather than not.
    rarer = found[counts == counts.min()][-1]
    return f", {counts.min()} with {term} = {rarer:g}" if len(counts) == 2 else ""


def _within(terms: Sequence[str], schools: int) -> list[str]:
    """Return the line of the terms that vary within schools."""
    if not terms:
        return []
    verb = "varies" if len(terms) == 1 else "vary"
    return [f"{', '.join(terms)}: {verb} within {plural(schools, 'school')}"]
