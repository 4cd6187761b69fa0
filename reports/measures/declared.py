"""All measures, declared.

Notation of the formulas, one cell x term x estimator: K usable replications of N attempted, t_i estimate, s_i
standard error, v_i = s_i^2, [l_i, u_i] interval, p_i p-value, th_i truth, d_i = t_i - th_i, S2 the sample
variance of t and S its root, w_i = K/(K-1) (t_i - mean t)^2, V the mean of v. Sources: Morris, White &
Crowther (2019), White (2010), Gneiting & Raftery (2007) for the interval score, Gelman & Carlin (2014) for
type S and M errors.
"""

from __future__ import annotations

import numpy as np

from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Bools, Draws
from nestbench.reports.measures.measure import (
    FAILURES,
    INTERVAL,
    NONZERO,
    NOT_NULL,
    P_VALUE,
    STD_ERROR,
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
    return d.total(st.bias) / np.sqrt(d.total(st.variance))


def standardised_bias_influence(d: Draws) -> Floats:
    """(d_i - mean d)/S - (mean d / S) (w_i - S2)/(2 S2)."""
    scale = np.sqrt(d.total(st.variance))[:, None]
    ratio = standardised_bias(d)[:, None]
    return (d.once(st.error) - d.total(st.bias)[:, None]) / scale - 0.5 * ratio * d.once(st.spread_influence)


def empirical_se(d: Draws) -> Floats:
    """S."""
    return np.sqrt(d.total(st.variance))


def empirical_se_influence(d: Draws) -> Floats:
    """(w_i - S2) / (2 S)."""
    return 0.5 * empirical_se(d)[:, None] * d.once(st.spread_influence)


def rmse(d: Draws) -> Floats:
    """Sqrt MSE."""
    return np.sqrt(d.total(st.mean_squared_error))


def rmse_influence(d: Draws) -> Floats:
    """(d_i^2 - MSE) / (2 RMSE)."""
    return (d.once(st.squared_error) - d.total(st.mean_squared_error)[:, None]) / (2.0 * rmse(d)[:, None])


def model_se(d: Draws) -> Floats:
    """Sqrt V."""
    return np.sqrt(d.total(st.model_variance))


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
    return d.total(st.model_variance) / d.total(st.variance)


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
    return d.total(st.mean(st.covers)) * d.n / d.attempted if d.n else np.zeros(len(d.terms))


def rejection_bound(d: Draws) -> Floats:
    """Rejected / N: an unusable fit is a non-rejection."""
    return d.total(st.mean(st.rejects)) * d.n / d.attempted if d.n else np.zeros(len(d.terms))


def usable_share(d: Draws) -> Floats:
    """K / N."""
    return np.full(len(d.terms), d.n / d.attempted)


def _needs(*names: str) -> frozenset[str]:
    return frozenset(names)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "bias", "Bias", "mean d", Unit.ESTIMATE, _needs(TRUTH), st.average(st.error), st.centred(st.error)
    ),
    Measure(
        "relative_bias",
        "Relative bias",
        "mean (d / th)",
        Unit.RATIO,
        _needs(TRUTH, NONZERO),
        st.average(st.relative_error),
        st.centred(st.relative_error),
    ),
    Measure(
        "standardised_bias",
        "Standardised bias",
        "mean d / S",
        Unit.RATIO,
        _needs(TRUTH),
        standardised_bias,
        standardised_bias_influence,
    ),
    Measure(
        "median_bias",
        "Median bias",
        "median d",
        Unit.ESTIMATE,
        _needs(TRUTH),
        st.median(st.error),
        mcse=st.median_mcse(st.error),
    ),
    Measure(
        "empirical_se",
        "Empirical SE",
        "S = sd t",
        Unit.ESTIMATE,
        _needs(),
        empirical_se,
        empirical_se_influence,
    ),
    Measure(
        "mse",
        "Mean squared error",
        "mean d^2",
        Unit.SQUARED,
        _needs(TRUTH),
        st.average(st.squared_error),
        st.centred(st.squared_error),
    ),
    Measure(
        "rmse",
        "Root mean squared error",
        "sqrt(mean d^2)",
        Unit.ESTIMATE,
        _needs(TRUTH),
        rmse,
        rmse_influence,
    ),
    Measure(
        "model_se",
        "Model SE",
        "sqrt(mean s^2)",
        Unit.ESTIMATE,
        _needs(STD_ERROR),
        model_se,
        model_se_influence,
    ),
    Measure(
        "mean_se",
        "Mean SE",
        "mean s",
        Unit.ESTIMATE,
        _needs(STD_ERROR),
        st.average(std_error),
        st.centred(std_error),
    ),
    Measure(
        "se_error",
        "Relative error of the SE",
        "100 (model SE / empirical SE - 1)",
        Unit.PERCENT,
        _needs(STD_ERROR),
        se_error,
        se_error_influence,
    ),
    Measure(
        "variance_ratio",
        "Variance ratio",
        "mean s^2 / S^2",
        Unit.RATIO,
        _needs(STD_ERROR),
        variance_ratio,
        variance_ratio_influence,
    ),
    Measure(
        "coverage",
        "Coverage",
        "mean (l <= th <= u)",
        Unit.SHARE,
        _needs(TRUTH, INTERVAL),
        st.average(st.covers),
        st.centred(st.covers),
        ddof=0,
    ),
    Measure(
        "coverage_bound",
        "Coverage, failures as misses",
        "covered / N",
        Unit.SHARE,
        _needs(TRUTH, INTERVAL, FAILURES),
        coverage_bound,
        mcse=st.binomial(coverage_bound),
        count=st.attempts,
    ),
    Measure(
        "be_coverage",
        "Bias-eliminated coverage",
        "mean (l <= mean t <= u)",
        Unit.SHARE,
        _needs(INTERVAL),
        st.average(st.covers_mean),
        st.centred(st.covers_mean),
        ddof=0,
    ),
    Measure(
        "miss_below",
        "Interval below the truth",
        "mean (u < th)",
        Unit.SHARE,
        _needs(TRUTH, INTERVAL),
        st.average(below),
        st.centred(below),
        ddof=0,
    ),
    Measure(
        "miss_above",
        "Interval above the truth",
        "mean (l > th)",
        Unit.SHARE,
        _needs(TRUTH, INTERVAL),
        st.average(above),
        st.centred(above),
        ddof=0,
    ),
    Measure(
        "interval_width",
        "Interval width",
        "mean (u - l)",
        Unit.ESTIMATE,
        _needs(INTERVAL),
        st.average(st.width),
        st.centred(st.width),
    ),
    Measure(
        "median_width",
        "Median interval width",
        "median (u - l)",
        Unit.ESTIMATE,
        _needs(INTERVAL),
        st.median(st.width),
        mcse=st.median_mcse(st.width),
    ),
    Measure(
        "interval_score",
        "Interval score",
        "mean ((u - l) + 2/alpha (l - th)+ + 2/alpha (th - u)+)",
        Unit.ESTIMATE,
        _needs(TRUTH, INTERVAL),
        st.average(st.interval_score),
        st.centred(st.interval_score),
    ),
    Measure(
        "rejection",
        "Rejection rate",
        "mean (p <= alpha): type I error where th = b0 (the null value, 0 unless stated), else power",
        Unit.SHARE,
        _needs(P_VALUE),
        st.average(st.rejects),
        st.centred(st.rejects),
        ddof=0,
    ),
    Measure(
        "rejection_bound",
        "Rejection rate, failures as non-rejections",
        "rejected / N",
        Unit.SHARE,
        _needs(P_VALUE, FAILURES),
        rejection_bound,
        mcse=st.binomial(rejection_bound),
        count=st.attempts,
    ),
    Measure(
        "type_s",
        "Type S error",
        "mean (sign (t - b0) != sign (th - b0)) given p <= alpha",
        Unit.SHARE,
        _needs(P_VALUE, TRUTH, NOT_NULL),
        type_s,
        type_s_influence,
        ddof=0,
        count=st.significant,
    ),
    Measure(
        "exaggeration",
        "Exaggeration (type M)",
        "mean |t - b0| given p <= alpha, / |th - b0|",
        Unit.RATIO,
        _needs(P_VALUE, TRUTH, NOT_NULL),
        exaggeration,
        exaggeration_influence,
        mcse=exaggeration_mcse,
        count=st.significant,
    ),
    Measure(
        "usable_share",
        "Usable share",
        "K / N",
        Unit.SHARE,
        _needs(),
        usable_share,
        mcse=st.binomial(usable_share),
        count=st.attempts,
    ),
)
"""Every measure of a term. Fit-level rows (statuses, seconds) are made in `performance`."""


def measure_named(name: str) -> Measure:
    """Return a measure by name; `InvalidInput` with the nearest name when there is none."""
    known = {measure.name: measure for measure in MEASURES}
    if name not in known:
        raise unknown_name("measure", name, known)
    return known[name]
