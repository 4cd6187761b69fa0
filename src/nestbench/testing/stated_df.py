"""Degrees of freedom that are stated, not fitted: what a method's own are held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from nestbench.estimators.estimates import Estimates
from nestbench.sim.cells.cell import Cell
from nestbench.testing.fits import UnderTest

KnownDf = tuple[str, Callable[[Cell, int], "float | Mapping[str, float]"]]
"""A word, and a function of condition and seed -> the df of every term, or by term."""


def stated_df(known: KnownDf, tested: UnderTest) -> tuple[str, dict[str, float]]:
    """Return df by term, and what they are called: ``df = 8``."""
    word, law = known
    found = law(tested.cell, tested.seed)
    df = (
        {t: found.get(t, np.nan) for t in tested.terms}
        if isinstance(found, Mapping)
        else dict.fromkeys(tested.terms, found)
    )
    each = {f"{value:g}" for value in df.values()}
    values = each.pop() if len(each) == 1 else ", ".join(f"{value:g} ({term})" for term, value in df.items())
    return f"{word}df = {values}", df


def with_df(estimates: Estimates, df: Mapping[str, float]) -> Estimates:
    """Return estimates with other df, missing where they were missing."""
    wanted = np.array([df.get(term, np.nan) for term in estimates.terms])
    return replace(estimates, df=np.where(np.isnan(estimates.df), np.nan, wanted))
