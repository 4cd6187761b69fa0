"""All measures, declared.

Notation of the formulas, one condition x term x method: K usable replications of N attempted, t_i estimate, s_i
standard error, v_i = s_i^2, [l_i, u_i] interval, p_i p-value, th_i truth, d_i = t_i - th_i, S2 the sample
variance of t and S its root, w_i = K/(K-1) (t_i - mean t)^2, V the mean of v. Sources: Morris, White &
Crowther (2019), White (2010), Gneiting & Raftery (2007) for the interval score, Gelman & Carlin (2014) for
type S and M errors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nestbench.estimators.estimates import P_VALUE, STD_ERROR
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Bools, Draws
from nestbench.reports.measures.makers import mean_of, median_of, share_of, share_of_attempts, smooth
from nestbench.reports.measures.measure import (
    FAILURES,
    INTERVAL,
    NONZERO,
    NOT_NULL,
    TRUTH,
    Measure,
    Unit,
)
from nestbench.reports.measures.signs import (
    exaggeration,
    exaggeration_influence,
    exaggeration_mcse,
    type_s,
    type_s_influence,
)
from nestbench.sim.errors import unknown_name
from nestbench.sim.observed.batch import Floats


def standardised_bias(d: Draws) -> Floats:
    """Mean d / S."""
    return d.once(st.bias) / np.sqrt(d.once(st.variance))


def standardised_bias_influence(d: Draws) -> Floats:
    """(d_i - mean d)/S - (mean d / S) (w_i - S2)/(2 S2)."""
    # Delta method, here and below: S is the root of S2, whose influence relative to itself is `spread_influence`.
    scale = np.sqrt(d.once(st.variance))[:, None]
    ratio = standardised_bias(d)[:, None]
    return (d.once(st.error) - d.once(st.bias)[:, None]) / scale - 0.5 * ratio * d.once(st.spread_influence)


def empirical_se(d: Draws) -> Floats:
    """S."""
    return np.sqrt(d.once(st.variance))


def empirical_se_influence(d: Draws) -> Floats:
    """(w_i - S2) / (2 S)."""
    return 0.5 * empirical_se(d)[:, None] * d.once(st.spread_influence)


def rmse(d: Draws) -> Floats:
    """Sqrt MSE."""
    return np.sqrt(d.once(st.mean_squared_error))


def rmse_influence(d: Draws) -> Floats:
    """(d_i^2 - MSE) / (2 RMSE)."""
    return (d.once(st.squared_error) - d.once(st.mean_squared_error)[:, None]) / (2.0 * rmse(d)[:, None])


def model_se(d: Draws) -> Floats:
    """Sqrt V."""
    return np.sqrt(d.once(st.model_variance))


def model_se_influence(d: Draws) -> Floats:
    """(v_i - V) / (2 sqrt V)."""
    return 0.5 * model_se(d)[:, None] * d.once(st.model_influence)


def std_error(d: Draws) -> Floats:
    """s_i."""
    return d.std_error


def se_error(d: Draws) -> Floats:
    """100 (ModSE / S - 1)."""
    return 100.0 * (model_se(d) / empirical_se(d) - 1.0)


def se_error_influence(d: Draws) -> Floats:
    """100 (ModSE/S) [ (v_i - V)/(2V) - (w_i - S2)/(2 S2) ]."""
    ratio = (model_se(d) / empirical_se(d))[:, None]
    return 50.0 * ratio * (d.once(st.model_influence) - d.once(st.spread_influence))


def variance_ratio(d: Draws) -> Floats:
    """V / S2."""
    return d.once(st.model_variance) / d.once(st.variance)


def variance_ratio_influence(d: Draws) -> Floats:
    """(V/S2) [ (v_i - V)/V - (w_i - S2)/S2 ]."""
    return variance_ratio(d)[:, None] * (d.once(st.model_influence) - d.once(st.spread_influence))


def below(d: Draws) -> Bools:
    """u_i < th_i."""
    return d.upper < d.truth


def above(d: Draws) -> Bools:
    """l_i > th_i."""
    return d.lower > d.truth


def coverage_bound(d: Draws) -> Floats:
    """Covered / N: an unusable fit is a miss."""
    return d.once(st.mean(st.covers)) * d.n / d.attempted if d.n else np.zeros(len(d.terms))


def rejection_bound(d: Draws) -> Floats:
    """Rejected / N: an unusable fit is a non-rejection."""
    return d.once(st.mean(st.rejects)) * d.n / d.attempted if d.n else np.zeros(len(d.terms))


def usable_share(d: Draws) -> Floats:
    """K / N."""
    return np.full(len(d.terms), d.n / d.attempted)


SCORE = "mean ((u - l) + 2/alpha (l - th)+ + 2/alpha (th - u)+)"
REJECTION = "mean (p <= alpha): type I error where th = b0 (the null value, 0 unless stated), else power"
WRONG_SIGN = "mean (sign (t - b0) != sign (th - b0)) given p <= alpha"
MAGNITUDE = "mean |t - b0| given p <= alpha, / |th - b0|"

ESTIMATION = (
    mean_of(st.error, "bias", "Bias", "mean d", Unit.ESTIMATE, TRUTH),
    mean_of(st.relative_error, "relative_bias", "Relative bias", "mean (d / th)", Unit.RATIO, TRUTH, NONZERO),
    smooth(
        standardised_bias,
        standardised_bias_influence,
        "standardised_bias",
        "Standardised bias",
        "mean d / S",
        Unit.RATIO,
        TRUTH,
    ),
    median_of(st.error, "median_bias", "Median bias", "median d", Unit.ESTIMATE, TRUTH),
    smooth(empirical_se, empirical_se_influence, "empirical_se", "Empirical SE", "S = sd t", Unit.ESTIMATE),
    mean_of(st.squared_error, "mse", "Mean squared error", "mean d^2", Unit.SQUARED, TRUTH),
    smooth(rmse, rmse_influence, "rmse", "Root mean squared error", "sqrt(mean d^2)", Unit.ESTIMATE, TRUTH),
)

STANDARD_ERRORS = (
    smooth(model_se, model_se_influence, "model_se", "Model SE", "sqrt(mean s^2)", Unit.ESTIMATE, STD_ERROR),
    mean_of(std_error, "mean_se", "Mean SE", "mean s", Unit.ESTIMATE, STD_ERROR),
    smooth(
        se_error,
        se_error_influence,
        "se_error",
        "Relative error of the SE",
        "100 (model SE / empirical SE - 1)",
        Unit.PERCENT,
        STD_ERROR,
    ),
    smooth(
        variance_ratio,
        variance_ratio_influence,
        "variance_ratio",
        "Variance ratio",
        "mean s^2 / S^2",
        Unit.RATIO,
        STD_ERROR,
    ),
)

INTERVALS = (
    share_of(st.covers, "coverage", "Coverage", "mean (l <= th <= u)", TRUTH, INTERVAL),
    share_of_attempts(
        coverage_bound,
        "coverage_bound",
        "Coverage, failures as misses",
        "covered / N",
        TRUTH,
        INTERVAL,
        FAILURES,
    ),
    share_of(st.covers_mean, "be_coverage", "Bias-eliminated coverage", "mean (l <= mean t <= u)", INTERVAL),
    share_of(below, "miss_below", "Interval below the truth", "mean (u < th)", TRUTH, INTERVAL),
    share_of(above, "miss_above", "Interval above the truth", "mean (l > th)", TRUTH, INTERVAL),
    mean_of(st.width, "interval_width", "Interval width", "mean (u - l)", Unit.ESTIMATE, INTERVAL),
    median_of(st.width, "median_width", "Median interval width", "median (u - l)", Unit.ESTIMATE, INTERVAL),
    mean_of(st.interval_score, "interval_score", "Interval score", SCORE, Unit.ESTIMATE, TRUTH, INTERVAL),
)

TESTS = (
    share_of(st.rejects, "rejection", "Rejection rate", REJECTION, P_VALUE),
    share_of_attempts(
        rejection_bound,
        "rejection_bound",
        "Rejection rate, failures as non-rejections",
        "rejected / N",
        P_VALUE,
        FAILURES,
    ),
    replace(
        smooth(
            type_s,
            type_s_influence,
            "type_s",
            "Type S error",
            WRONG_SIGN,
            Unit.SHARE,
            P_VALUE,
            TRUTH,
            NOT_NULL,
        ),
        ddof=0,
        count=st.significant,
    ),
    replace(
        smooth(
            exaggeration,
            exaggeration_influence,
            "exaggeration",
            "Exaggeration (type M)",
            MAGNITUDE,
            Unit.RATIO,
            P_VALUE,
            TRUTH,
            NOT_NULL,
        ),
        mcse=exaggeration_mcse,
        count=st.significant,
    ),
)

MEASURES: tuple[Measure, ...] = (
    *ESTIMATION,
    *STANDARD_ERRORS,
    *INTERVALS,
    *TESTS,
    share_of_attempts(usable_share, "usable_share", "Usable share", "K / N"),
)
"""Every measure of a term. Fit-level rows (statuses, seconds) are made in `performance`."""


def measure_named(name: str) -> Measure:
    """Return a measure by name.

    Raises
    ------
    InvalidInput
        None of that name; the message has the nearest.
    """
    known = {measure.name: measure for measure in MEASURES}
    if name not in known:
        raise unknown_name("measure", name, known)
    return known[name]
