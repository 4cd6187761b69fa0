"""Claims about a method, as values: what is claimed, how many data sets its test needs, and the test of each term.

A `Claim` knows nothing of where its data come from: the pytest fixture, the conformance suite and anything else that
wants to contradict a method draw `Claim.replications` data sets, make the `Evidence`, and ask for a finding per term.
One function below makes each kind; they share the false-alarm rate and the power of their `Gate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from nestbench.estimators.estimates import Estimates
from nestbench.reports.accuracy import evidence as ev
from nestbench.reports.accuracy.baseline import Value
from nestbench.reports.accuracy.evidence import Finding, Gate
from nestbench.reports.measures.draws import Truth, truth_of
from nestbench.sim.observed.batch import Floats

Measures = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a method answered on the data sets of a claim.

    Attributes
    ----------
    estimates : Estimates
    measures : mapping
        Term -> measure -> (value, MCSE, n).
    reference : Estimates or None
        A second method's answers on the same data sets, for claims that compare.
    """

    estimates: Estimates
    measures: Measures
    reference: Estimates | None = None


Find = Callable[[str, Evidence], Finding]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Attributes
    ----------
    what, wanted : str
        What is measured, and what it should be, in words: "<method>: <what> should be <wanted>".
    gate : Gate
        False-alarm rate, power, departure, number of terms.
    replications : int
        Data sets at which the departure is found with the power.
    find : function
        Term, `Evidence` -> `Finding`.
    spread : function or None
        Term, `Evidence` -> the standard deviation of one replication's contribution over the one that `replications`
        rests on: where it is larger, more data sets are drawn. It may not depend on whether the claim holds.
    most : float
        How many times as many, at most.
    in_errors : bool
        Whether the data set that contradicts the claim most is looked for in units of its standard error.
    """

    what: str
    wanted: str
    gate: Gate
    replications: int
    find: Find
    spread: Callable[[str, Evidence], float] | None = None
    most: float = 4.0
    in_errors: bool = True

    def findings(self, terms: Sequence[str], evidence: Evidence) -> list[Finding]:
        """Return the finding of each term."""
        return [self.find(term, evidence) for term in terms]

    def grown(self, terms: Sequence[str], evidence: Evidence) -> int:
        """Return how many data sets the power asks for once their spread is known."""
        if self.spread is None:
            return self.replications
        worst = max(self.spread(term, evidence) for term in terms)
        times = min(self.most, max(1.0, worst**2)) if math.isfinite(worst) else 1.0
        return math.ceil(self.replications * times)


def unbiased(gate: Gate) -> Claim:
    """Claim that the mean estimate is the truth, within `tolerance` empirical SEs."""

    def find(term: str, seen: Evidence) -> Finding:
        """Judge the bias of a term in units of the empirical SE, which is what a user of the method would compare it
        with.
        """
        measures = seen.measures[term]
        return ev.bias_finding(term, measures["bias"], measures["empirical_se"][0], gate)

    wanted = f"0, tolerance {gate.tolerance:g} empirical SE"
    return Claim("bias", wanted, gate, ev.mean_replications(gate), find, in_errors=False)


def share(measure: str, what: str, low: float, high: float, departed: float, gate: Gate) -> Claim:
    """Claim that a share (coverage, rejection) is from `low` to `high`; `departed` is one to be found. Exact.

    Parameters
    ----------
    measure : str
        ``coverage`` or ``rejection``.
    what : str
        The claim in words.
    low, high : float
    departed : float
    gate : Gate
    """

    def find(term: str, seen: Evidence) -> Finding:
        """Judge a share of data sets against its bounds."""
        return ev.share_finding(term, seen.measures[term][measure], low, high, gate)

    count = ev.share_replications(gate, low, high, departed)
    wanted = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return Claim(what, wanted, gate, count, find)


def covering(gate: Gate, nominal: float, at_least: bool = False) -> Claim:
    """Claim that intervals cover with their level; with `at_least` more is no fault."""
    low = max(0.0, nominal - gate.tolerance)
    high = 1.0 if at_least else min(1.0, nominal + gate.tolerance)
    return share("coverage", "coverage", low, high, max(0.0, nominal - gate.detect), gate)


def keeping_size(gate: Gate, alpha: float, two_sided: bool = False) -> Claim:
    """Claim that true null hypotheses are rejected at most at the rate alpha; with `two_sided` at that rate."""
    low = max(0.0, alpha - gate.tolerance) if two_sided else 0.0
    high, departed = min(1.0, alpha + gate.tolerance), min(1.0, alpha + gate.detect)
    return share("rejection", "rejection rate under the null hypothesis", low, high, departed, gate)


def calibrated(gate: Gate) -> Claim:
    """Claim that the mean squared standard error is the variance of the estimates, as a ratio of SEs.

    With a tolerance it is an equivalence: the claim fails only where the ratio is shown to be outside, and each finding
    notes whether it was shown to be within (`evidence.equivalence`).
    """
    count = ev.mean_replications(_in_logs(gate) if gate.tolerance else gate, math.sqrt(0.5))

    def find(term: str, seen: Evidence) -> Finding:
        """Judge the ratio of the mean standard error to the empirical SE."""
        return ev.ratio_finding(term, seen.measures[term]["se_error"], gate)

    def spread(term: str, seen: Evidence) -> float:
        """Return what the ratio's error is per root of n, from a first look."""
        _, mcse, n = seen.measures[term]["se_error"]
        return mcse / 100.0 * math.sqrt(2.0 * n)

    return Claim(
        "model SE / empirical SE", f"1, tolerance {gate.tolerance:g}", gate, count, find, spread=spread
    )


def right_df(gate: Gate) -> Claim:
    """Claim that squared standard errors vary as their degrees of freedom say: ``Var(s^2) / E(s^2)^2 = 2 / df``.

    True where s^2 is proportional to a chi-squared variable with df degrees of freedom, as in balanced normal data.
    What is found is the df that the variation implies; `detect` and `tolerance` are relative. With v = s^2, the
    logarithm of the squared coefficient of variation has the influence ``(v - m)^2 / S^2 - 1 - 2 (v - m) / m``, whose
    variance is ``2 + 4 / df``.
    """

    def find(term: str, seen: Evidence) -> Finding:
        """Judge stated df against those that the spread of the squared standard errors implies."""
        implied, error, stated, n = implied_df(term, seen.estimates)
        factor = (1.0 + gate.tolerance) * math.exp(ev.critical(gate, n) * error)
        return Finding(term, implied, implied * error, n, stated / factor, stated * factor)

    wanted = f"what the method says, tolerance {gate.tolerance:g}"
    count = ev.mean_replications(_in_logs(gate), math.sqrt(2.0 + 4.0 / 5.0))
    return Claim("df that the standard errors' variation implies", wanted, gate, count, find)


def as_precise(gate: Gate, reference: str) -> Claim:
    """Claim that estimates vary no more than those of a reference method on the same data sets.

    The test of Pitman and Morgan (1939), one-sided: with the ratio q of the two empirical SEs and the correlation r of
    the two estimates, ``sinh(log q) sqrt((n - 2) / (1 - r^2))`` has the distribution t(n - 2) under q = 1, exactly for
    normal estimates. The more alike the methods, the fewer data sets it takes.
    """

    def find(term: str, seen: Evidence) -> Finding:
        """Judge the ratio of two methods' empirical SEs on the same data sets, by the correlation of sum and difference
        (Pitman, Morgan).
        """
        ratio, correlation, n = precision(term, seen)
        reach = math.sqrt(max(1.0 - correlation**2, 1e-15) / (n - 2))
        critical = float(stats.t.isf(gate.size, n - 2))
        high = (1.0 + gate.tolerance) * math.exp(math.asinh(critical * reach))
        return Finding(term, ratio, ratio * reach, n, 0.0, high)

    def spread(term: str, seen: Evidence) -> float:
        """Return what the ratio's error is per root of n, from a first look."""
        _, correlation, _ = precision(term, seen)
        return math.sqrt(max(1.0 - correlation**2, 0.0)) / START

    count = ev.mean_replications(_in_logs(gate), START)
    wanted = f"at most {1.0 + gate.tolerance:g}"
    what = f"empirical SE / empirical SE of {reference}"
    return Claim(what, wanted, gate, count, find, spread, most=1.0 / START**2, in_errors=False)


def scoring(gate: Gate, reference: str, truth: Truth, alpha: float) -> Claim:
    """Claim that the interval score is no larger than a reference method's on the same data sets.

    An interval [l, u] of a truth th scores ``(u - l) + 2/alpha (l - th)+ + 2/alpha (th - u)+`` (Gneiting & Raftery
    2007): the smaller the better. With the ratio q of the two means, replication i contributes
    ``(a_i - q b_i) / mean b``, whose standard deviation over the root of n is the error of q; log q has a one-sided t
    test.

    Parameters
    ----------
    gate : Gate
        `detect` and `tolerance` are relative to the reference's mean score.
    reference : str
        Its name.
    truth : mapping
        Term -> true value, or an array by replication number.
    alpha : float
        Of the intervals.
    """

    def find(term: str, seen: Evidence) -> Finding:
        """Judge the ratio of the two methods' mean interval scores."""
        ratio, error, n = score_ratio(term, seen, truth, alpha)
        critical = float(stats.t.isf(gate.size, max(n - 1, 1)))
        high = (1.0 + gate.tolerance) * (math.exp(critical * error / ratio) if error < math.inf else 1.0)
        return Finding(term, ratio, error, n, 0.0, high)

    def spread(term: str, seen: Evidence) -> float:
        """Return what the ratio's error is per root of n, from a first look."""
        ratio, error, n = score_ratio(term, seen, truth, alpha)
        return error / ratio * math.sqrt(n) / SCORES

    count = ev.mean_replications(_in_logs(gate), SCORES)
    what = f"interval score / interval score of {reference}"
    return Claim(what, f"at most {1.0 + gate.tolerance:g}", gate, count, find, spread, most=25.0)


def _in_logs(gate: Gate) -> Gate:
    """Return a gate whose departure and tolerance, factors less 1, are on the log scale."""
    return replace(gate, detect=math.log1p(gate.detect), tolerance=math.log1p(gate.tolerance))


SCORES = 0.2
"""Standard deviation of one replication's contribution that `scoring` starts from: two methods that mostly agree."""

START = 0.2
"""``sqrt(1 - r^2)`` of two estimates that `as_precise` starts from: a correlation of .98."""


def implied_df(term: str, estimates: Estimates) -> tuple[float, float, float, int]:
    """Return the df implied by the variation of s^2, the standard error of its logarithm, the stated df, and n."""
    k = estimates.terms.index(term)
    usable = estimates.usable[:, k] & ~np.isnan(estimates.df[:, k])
    v, df = estimates.std_error[usable, k] ** 2, estimates.df[usable, k]
    n = len(v)
    if n < 3:
        return math.nan, math.nan, math.nan, n
    centred = v - v.mean()
    variance = float(centred @ centred) / (n - 1)
    stated = 1.0 / max(float(np.mean(1.0 / df)), 1e-12)
    if variance == 0.0:
        return math.inf, 0.0, stated, n
    influence: Floats = centred**2 / variance - 2.0 * centred / v.mean()
    return 2.0 * float(v.mean()) ** 2 / variance, float(influence.std(ddof=1) / math.sqrt(n)), stated, n


def precision(term: str, seen: Evidence) -> tuple[float, float, int]:
    """Return the ratio of both methods' empirical SEs, the correlation of their estimates, and n."""
    if seen.reference is None:
        raise ValueError("a claim that compares needs the reference's estimates")
    i, j = seen.estimates.terms.index(term), seen.reference.terms.index(term)
    usable = seen.estimates.usable[:, i] & seen.reference.usable[:, j]
    a, b = seen.estimates.estimate[usable, i], seen.reference.estimate[usable, j]
    if len(a) < 4 or np.ptp(b) == 0:
        return math.nan, 0.0, len(a)
    correlation = float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 else 0.0
    return float(a.std(ddof=1) / b.std(ddof=1)), correlation, len(a)


def score_ratio(term: str, seen: Evidence, truth: Truth, alpha: float) -> tuple[float, float, int]:
    """Return the ratio of both methods' mean interval scores, its standard error, and n; infinite where an interval is.

    Parameters
    ----------
    term : str
    seen : Evidence
    truth : mapping
    alpha : float
    """
    if seen.reference is None:
        raise ValueError("a claim that compares needs the reference's estimates")
    known = truth_of((term,), truth, seen.estimates.replications)[0]
    a, b = (_scores(term, one, known, alpha) for one in (seen.estimates, seen.reference))
    kept = ~np.isnan(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    n = len(a)
    if n < 3 or not b.any():
        return math.nan, math.nan, n
    if np.isinf(a).any():
        return math.inf, math.inf, n
    ratio = float(a.mean() / b.mean())
    return ratio, float((a - ratio * b).std(ddof=1) / b.mean() / math.sqrt(n)), n


def _scores(term: str, estimates: Estimates, truth: Floats, alpha: float) -> Floats:
    """Return the interval scores of one term [R]; NaN where there is no interval."""
    k = estimates.terms.index(term)
    low, high = estimates.lower[:, k], estimates.upper[:, k]
    missed = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    return np.asarray(np.where(estimates.usable[:, k], high - low + 2.0 / alpha * missed, np.nan))
