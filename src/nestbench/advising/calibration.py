"""What the residuals say of the errors: variances with exact intervals, slopes, spreads, shapes, confounding.

Everything here is a function of X, schools and residuals (`analysis`), so nothing depends on the coefficient of the
term. Numbers that become parameters of scenarios are rounded to four figures: rounding errors of the outcome
then change no scenario.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nestbench.advising import spreads
from nestbench.advising.analysis import Analysis, orthonormal
from nestbench.advising.clusters import partial_column
from nestbench.advising.ratio import Pivot, pivot
from nestbench.advising.spreads import NOTHING, Arms, Spread
from nestbench.estimators.engines.mixed_fit import fit_of
from nestbench.estimators.methods import registry
from nestbench.estimators.methods.mundlak import with_means
from nestbench.sim.laws.fixed_errors import standardised_column
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import Model

LEVEL = 0.90
"""Level of the intervals whose ends become scenarios."""
FIGURES = 4
MOST_ICC = 0.95
NOTICED = 1.1
"""Ratio of variances below which arms are taken for alike."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of the errors of one model, for one term.

    Attributes
    ----------
    icc, icc_low, icc_high : float
        REML estimate, and the ends of the exact 90 % interval.
    icc_p : float
        Of the exact test of an ICC of 0.
    total_sd, class_icc : float
    ideal_se : float
        Standard error of the term by generalised least squares at the estimated variances.
    slope_sd, slope_low, slope_high, slope_p : float
        SD of the term's effect over schools: the median-unbiased estimate, the ends of the exact 90 % interval, and the
        test of none. NaN for a term that is constant in schools; where the data leave no degrees of freedom for it,
        `slope_high` alone is known, as the SD with which slopes make up `MOST_ICC` of the variance within schools.
    slope_rest : float
        SD of the residuals less what slopes make of them: what is left to students where slopes differ.
    residual_spread, school_spread, between : Spread
        Log variance ratios per SD of the term; coefficient of variation of residual variances over schools.
    school_far, school_most : float
        The end of the 90 % interval of the schools' log variance ratio at which those of the rarer value vary more
        (`spreads.school_far`), and how many times as much that is.
    contrast : Spread
        Between-school less within-school coefficient of the term, and its test by CR2; NaN for school-constant terms.
    contrast_far : float
        The end of its 90 % interval that is further from 0.
    skewness, kurtosis : float
        Of within-school residuals (excess kurtosis).
    """

    icc: float
    icc_low: float
    icc_high: float
    icc_p: float
    total_sd: float
    class_icc: float
    ideal_se: float
    slope_sd: float
    slope_low: float
    slope_high: float
    slope_p: float
    slope_rest: float
    residual_spread: Spread
    school_spread: Spread
    school_far: float
    school_most: float
    between: Spread
    contrast: Spread
    contrast_far: float
    skewness: float
    kurtosis: float

    @property
    def may_vary_more(self) -> bool:
        """Whether schools of the rarer value may vary more than the others, by what would be noticed."""
        return bool(abs(self.school_far) > 0 and self.school_most >= NOTICED)


def rounded(value: float, figures: int = FIGURES) -> float:
    """Return a number to so many significant figures."""
    return float(f"{value:.{figures - 1}e}") if math.isfinite(value) else value


def calibrate(analysis: Analysis, term: str) -> Calibration:
    """Return what the residuals say, for one term."""
    k = analysis.position(term)
    icc, class_icc, total, ideal = variances(analysis, k)
    low, high, p = _limits(analysis)
    slope = _slope(analysis, k)
    z, within = standardised_column(analysis.x[k]), within_residuals(analysis)
    constant, between_within = bool(analysis.constant[k]) and not analysis.single, contrast(analysis, term)
    arms = _arms(analysis, z, within) if constant else None
    far = spreads.school_far(arms, LEVEL)
    return Calibration(
        icc=rounded(min(icc, MOST_ICC)),
        # The interval and the REML estimate are made apart: an estimate may lie outside, its scenario not.
        icc_low=rounded(min(low / (1.0 + low), icc)),
        icc_high=rounded(min(max(high / (1.0 + high) if math.isfinite(high) else 1.0, icc), MOST_ICC)),
        icc_p=rounded(p, 3),
        total_sd=rounded(total),
        class_icc=rounded(class_icc),
        ideal_se=rounded(ideal, 3),
        **slope,
        residual_spread=_kept(spreads.residual_spread(z, within, analysis.offsets, constant)),
        school_spread=_kept(spreads.school_spread(arms)),
        school_far=rounded(far),
        school_most=rounded(math.exp(abs(far) * arms.gap), 2) if arms else float("nan"),
        between=_kept(spreads.between_schools(within, analysis.offsets)),
        contrast=_kept(between_within[0]),
        contrast_far=rounded(between_within[1]),
        skewness=rounded(spreads.skewness(within), 3),
        kurtosis=rounded(spreads.kurtosis(within, analysis.offsets), 3),
    )


def _kept(spread: Spread) -> Spread:
    return Spread(rounded(spread.value), rounded(spread.p_value, 3))


def variances(analysis: Analysis, k: int) -> tuple[float, float, float, float]:
    """Return ICC, class share, SD of all errors, and the term's GLS standard error, at the REML optimum of a random
    intercept (of schools and classes, where there are some)."""
    model = Model(analysis.simulated.formula, analysis.model.group)
    fit = analysis.blind.once(fit_of, model, True)
    school, residual = (float(fit.quantities[name][0]) for name in ("(school_sd)", "(residual_sd)"))
    if not math.isfinite(residual):
        return 0.0, 0.0, float(analysis.residuals.std()), _ols_error(analysis, k)
    ideal = math.sqrt(max(float(fit.unscaled[0, k] * fit.fits.sigma2[0]), 0.0))
    total, classes = school**2 + residual**2, 0.0
    if analysis.model.subgroup is not None:
        nested = registry.get("nested-z").fit(analysis.blind, analysis.simulated)
        found = [float(nested.quantities[f"({name}_sd)"][0]) ** 2 for name in ("school", "class", "residual")]
        if all(map(math.isfinite, found)):
            total = sum(found)
            school, classes = math.sqrt(found[0]), found[1] / total
            ideal = float(nested.std_error[0, k])
    return school**2 / total, classes, math.sqrt(total), ideal


def _ols_error(analysis: Analysis, k: int) -> float:
    """Return the standard error of a term by least squares, of independent errors."""
    e, size = analysis.residuals, float((partial_column(analysis.x, k) ** 2).sum())
    return math.sqrt(float(e @ e) / max(len(e) - len(analysis.terms), 1) / size) if size > 0 else float("nan")


def icc_pivot(analysis: Analysis) -> Pivot | None:
    """Return the pivot of the schools' variance over the residual's."""
    return pivot(
        np.ones(len(analysis.residuals)), orthonormal(analysis.x), analysis.residuals, analysis.offsets
    )


def _limits(analysis: Analysis) -> tuple[float, float, float]:
    # One student a school: its error and the student's are one, and any ratio gives the same data.
    if analysis.single:
        return 0.0, 0.0, float("nan")
    found = icc_pivot(analysis)
    if found is None:
        return 0.0, float("inf"), float("nan")
    tail = 0.5 * (1.0 - LEVEL)
    return found.limit(tail), found.limit(1.0 - tail), found.p_value


def within_residuals(analysis: Analysis) -> Floats:
    """Return residuals [n] of the regression with school dummies; of one student in every school, which these fit
    exactly, those of the model."""
    if analysis.single:
        return analysis.residuals
    q = orthonormal(centred(analysis, analysis.x))
    e = centred(analysis, analysis.residuals[None])[0]
    e = e - q @ (q.T @ e)
    return np.asarray(e)


def centred(analysis: Analysis, rows: Floats) -> Floats:
    """Return rows [p, n] less their school means."""
    means = np.add.reduceat(rows, analysis.offsets[:-1], axis=1) / analysis.sizes
    found = rows - np.repeat(means, analysis.sizes, axis=1)
    tiny = (np.abs(found) <= 1e-12 * np.abs(rows).max(axis=1, initial=0.0)[:, None]).all(axis=1)
    # What is constant in schools leaves rounding errors, which a basis would take for a column.
    found[tiny] = 0.0
    return np.asarray(found)


def _slope(analysis: Analysis, k: int) -> dict[str, float]:
    """Return the spread of the term's effect over schools: exact limits from the regression with school dummies."""
    names = ("slope_sd", "slope_low", "slope_high", "slope_p", "slope_rest")
    nothing = dict.fromkeys(names, float("nan"))
    if analysis.constant[k] or analysis.single:
        return nothing
    rows = centred(analysis, analysis.x)
    q = orthonormal(rows)
    e = centred(analysis, analysis.residuals[None])[0]
    e = e - q @ (q.T @ e)
    # Slopes of variance s^2 make s^2 times this of a student's variance about the school's mean.
    made = float((rows[k] ** 2).sum()) / max(len(e) - analysis.schools, 1)
    most = MOST_ICC / (1.0 - MOST_ICC) / made
    found = pivot(rows[k], q, e, analysis.offsets, used=analysis.schools)
    if found is None:
        df = max(len(e) - analysis.schools - q.shape[1], 1)
        rest = math.sqrt((1.0 - MOST_ICC) * float(e @ e) / df)
        return nothing | {"slope_high": rounded(rest * math.sqrt(most)), "slope_rest": rounded(rest)}
    rest, tail = math.sqrt(found.mean_square), 0.5 * (1.0 - LEVEL)
    limits = {"slope_sd": 0.5, "slope_low": tail, "slope_high": 1.0 - tail}
    values = {
        name: rounded(rest * math.sqrt(min(found.limit(below), most))) for name, below in limits.items()
    }
    return values | {"slope_p": rounded(found.p_value, 3), "slope_rest": rounded(rest)}


def _arms(analysis: Analysis, z: Floats, within: Floats) -> Arms | None:
    """Return the schools' mean residuals by the value of a term of two values."""
    first = analysis.offsets[:-1]
    means = np.add.reduceat(analysis.residuals, first) / analysis.sizes
    variance = float((within**2).sum() / max(len(within) - analysis.schools, 1))
    return spreads.arms_of(z[first], means, variance / analysis.sizes)


def contrast(analysis: Analysis, term: str) -> tuple[Spread, float]:
    """Return the coefficient of the term's school means beside it, with its test, and the far end of its 90 % interval,
    by CR2 with Bell and McCaffrey's df: 0 where effects within and between schools are equal (Mundlak 1978)."""
    k = analysis.position(term)
    if analysis.constant[k]:
        return NOTHING, float("nan")
    varies = tuple(bool(v) for v in ~analysis.constant)
    wide, model = with_means(analysis.blind, analysis.simulated, varies)
    found = registry.get("ols-cr2-satt").fit(wide, model)
    name = f"group_mean({term})"
    if name not in found.terms or not found.usable[0, found.terms.index(name)]:
        return NOTHING, float("nan")
    j = found.terms.index(name)
    value, error = float(found.estimate[0, j]), float(found.std_error[0, j])
    # Not the limits of the fit, which have the level of the analyst's model.
    half = error * float(stats.t.ppf(0.5 + 0.5 * LEVEL, found.df[0, j]))
    return Spread(value, float(found.p_value[0, j])), value + math.copysign(half, value)


def school_means(analysis: Analysis, term: str) -> Floats:
    """Return a term's school means, row by row [n]."""
    column = analysis.x[analysis.position(term)]
    return np.repeat(np.add.reduceat(column, analysis.offsets[:-1]) / analysis.sizes, analysis.sizes)


def partial_of(analysis: Analysis, term: str) -> Floats:
    """Return the term's column less what the others explain of it [n]."""
    return partial_column(analysis.x, analysis.position(term))
