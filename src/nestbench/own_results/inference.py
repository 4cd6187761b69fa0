"""Intervals and p-values of results that have none: made of estimate, standard error and degrees of freedom.

Interval: t -+ q s with q the (1 + level) / 2 quantile of t with df degrees of freedom, of the normal where df is inf or
unknown. p-value: 2 (1 - F(|t - b0| / s)), the test of the null value b0 by the same distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from nestbench.own_results.names import DF, ESTIMATE, LOWER, SE, UPPER, VARIANCE, P
from nestbench.own_results.values import several_rows
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The numbers of each row [rows], NaN where there is none, and what was made of them."""

    estimate: Floats
    std_error: Floats
    df: Floats
    lower: Floats
    upper: Floats
    p_value: Floats
    said: tuple[str, ...]
    tests_alone: bool = False
    """Whether there are p-values and no column of estimates."""


def numbers_of(columns: Mapping[str, Floats], level: float, null: Floats | float = 0.0) -> Numbers:
    """Return the numbers of rows, with intervals and p-values where only standard errors were given.

    Parameters
    ----------
    columns : mapping
        Role -> numbers [rows].
    level : float
        Of the intervals.
    null : array [rows] or float
        What tests are of.

    Raises
    ------
    InvalidInput
        One end of the intervals alone, or ends the other way round.
    """
    estimate = columns.get(ESTIMATE, np.full(len(next(iter(columns.values()))), np.nan))
    nothing = np.full(len(estimate), np.nan)
    said: list[str] = []
    se = _errors(columns, nothing, said)
    df = _degrees(columns, nothing, se, said)
    lower, upper = _ends(columns, estimate, se, df, level, said)
    p = _p_values(
        columns, estimate - null, se, df, said, "0" if np.all(np.equal(null, 0.0)) else "the null value"
    )
    return Numbers(estimate, se, df, lower, upper, p, tuple(said), ESTIMATE not in columns)


def _errors(columns: Mapping[str, Floats], nothing: Floats, said: list[str]) -> Floats:
    """Return standard errors: as given, or the roots of variances; none of what is below 0."""
    given = columns.get(SE, columns.get(VARIANCE))
    if given is None:
        return nothing
    what = "standard errors" if SE in columns else "variances"
    if bad := int((given < 0).sum()):
        said.append(several_rows(bad, f"{what} below 0, taken as missing", len(given)))
    if bad := int(np.isinf(given).sum()):
        said.append(several_rows(bad, f"infinite {what}, not usable", len(given)))
    sound = np.where(given >= 0, given, np.nan)
    if VARIANCE in columns and SE not in columns:
        said.append("standard errors are the roots of the variances")
        return np.sqrt(sound)
    return sound


def _degrees(columns: Mapping[str, Floats], nothing: Floats, se: Floats, said: list[str]) -> Floats:
    """Return degrees of freedom: as given, infinite (normal) where standard errors come with none."""
    given = columns.get(DF)
    if given is None:
        return (
            np.where(np.isnan(se), nothing, np.inf) if P not in columns or LOWER not in columns else nothing
        )
    if bad := int((given <= 0).sum()):
        said.append(several_rows(bad, "degrees of freedom of 0 or less, taken as missing", len(given)))
    return np.where(given > 0, given, np.nan)


def _ends(
    columns: Mapping[str, Floats], estimate: Floats, se: Floats, df: Floats, level: float, said: list[str]
) -> tuple[Floats, Floats]:
    """Return the ends of the intervals: as given, else made."""
    if (LOWER in columns) != (UPPER in columns):
        there, lacking = (LOWER, UPPER) if LOWER in columns else (UPPER, LOWER)
        raise InvalidInput(
            f"expected both ends of the intervals or none, got {there} alone; name the column of the other end with "
            f"--{lacking}, or leave this one out with --ignore"
        )
    if LOWER in columns:
        said.append(f"intervals as in the table, taken as {100 * level:g} % intervals")
        return _in_order(columns[LOWER], columns[UPPER], said)
    if np.isnan(se).all():
        return se, se
    said.append(
        f"{100 * level:g} % intervals made here: estimate -+ quantile {_of(columns)} x standard error"
    )
    half = _quantile(0.5 + 0.5 * level, df) * se
    return estimate - half, estimate + half


def _in_order(lower: Floats, upper: Floats, said: list[str]) -> tuple[Floats, Floats]:
    """Return ends whose lower is below the upper; refuse columns that were taken for one another."""
    wrong, known = lower > upper, ~np.isnan(lower) & ~np.isnan(upper)
    if known.any() and wrong.sum() > 0.5 * known.sum():
        raise InvalidInput(
            "expected lower ends below upper ones, got most above; give the two the other way round"
        )
    if wrong.any():
        said.append(
            several_rows(int(wrong.sum()), "intervals whose lower end is above the upper", len(lower))
        )
    return lower, upper


def _p_values(
    columns: Mapping[str, Floats], distance: Floats, se: Floats, df: Floats, said: list[str], null: str
) -> Floats:
    """Return p-values: as given, else made of the estimates' distance from the null value."""
    if P in columns:
        given = columns[P]
        if bad := int(((given < 0) | (given > 1)).sum()):
            said.append(several_rows(bad, "p-values outside 0 to 1, taken as missing", len(given)))
        said.append(f"p-values as in the table, taken as two-sided tests of {null}")
        return np.where((given >= 0) & (given <= 1), given, np.nan)
    if np.isnan(se).all():
        return se
    said.append(f"p-values made here: two-sided tests of {null} {_of(columns)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(distance / se)
    return 2.0 * _tail(size, df)


def _of(columns: Mapping[str, Floats]) -> str:
    """Return the reference distribution in words."""
    if DF not in columns:
        return "of the normal distribution (no df in the table)"
    lacking = int((~(columns[DF] > 0)).sum())
    return "of t with the table's df" + (f", of the normal in {lacking:,} rows without" if lacking else "")


def _quantile(share: float, df: Floats) -> Floats:
    """Return quantiles of t, of the normal where df is infinite or unknown."""
    finite = np.isfinite(df)
    return np.where(finite, special.stdtrit(np.where(finite, df, 1.0), share), special.ndtri(share))


def _tail(size: Floats, df: Floats) -> Floats:
    """Return the chance of more than `size`, by t or the normal."""
    finite = np.isfinite(df)
    return np.where(finite, special.stdtr(np.where(finite, df, 1.0), -size), special.ndtr(-size))
