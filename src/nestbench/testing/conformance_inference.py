"""The part of a method's contract that is about inference: df, p-values and intervals that go together, equality with a
declared reference, and coverage and size on a population whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimates import LOWER, P_VALUE, UPPER, Estimates, FitStatus
from nestbench.reports.accuracy import claims
from nestbench.reports.accuracy.claims import Claim
from nestbench.reports.accuracy.evidence import Gate
from nestbench.sim.cells.cell import Cell
from nestbench.sim.observed.design import design_of
from nestbench.sim.random_intercept.law import TERMS
from nestbench.testing.contract import SEED, Breach, Case, Skipped, determined, require, tolerance_of
from nestbench.testing.fits import UnderTest
from nestbench.testing.given import differences

BESIDE_A_REFERENCE = 30
"""Data sets that a method and its reference must agree on: what differs in a quarter of all is missed once in 5 000."""

Bools = npt.NDArray[np.bool_]


def check_consistency(case: Case) -> None:
    """p-values and intervals are those of the estimate, standard error and df; without df they agree with each other.

    With df: ``p = 2 P(T_df > |estimate / SE|)`` and ``limits = estimate -+ t_{df, (1 + level)/2} SE``, to the method's
    tolerance (limits in standard errors). Without: a p-value below half of alpha and an interval with 0 in it, or one
    above twice alpha and an interval without 0, contradict each other; the space between is that of discrete draws.
    """
    fits, level = case.answers(), case.cell.model.level
    if not (np.isfinite(fits.p_value) | np.isfinite(fits.lower) | np.isfinite(fits.upper)).any():
        raise Skipped("the method has no p-values and no intervals")
    _check_wald(fits, level, case.rtol)
    _check_duality(fits, case.cell.model.alpha)


def _check_wald(fits: Estimates, level: float, rtol: float) -> None:
    """Require p-values and limits that follow from estimate, standard error and df."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lower, upper, p_value = wald(fits.estimate, fits.std_error, fits.df, level)
        stated = fits.usable & (fits.std_error > 0) & ~np.isnan(fits.df)
        gaps = {
            P_VALUE: np.abs(fits.p_value - p_value),
            LOWER: np.abs(fits.lower - lower) / fits.std_error,
            UPPER: np.abs(fits.upper - upper) / fits.std_error,
        }
    follows = {P_VALUE: p_value, LOWER: lower, UPPER: upper}
    for name, gap in gaps.items():
        given = stated & ~np.isnan(getattr(fits, name))
        # Not `gap > rtol`, which a gap of NaN would pass.
        bad = given & ~(gap <= rtol)
        if bad.any():
            r, k = _first(bad)
            raise Breach(
                f"{name} of {fits.terms[k]} in data set {r} is {getattr(fits, name)[r, k]:.6g}, but its estimate, "
                f"standard error and df = {fits.df[r, k]:g} give {follows[name][r, k]:.6g}; return the df that were "
                "used (inf: normal, which is what is meant if no df is returned), or df = NaN if none were",
            )


def _check_duality(fits: Estimates, alpha: float) -> None:
    """Require that tests and intervals don't contradict each other by more than a factor of two in alpha: bootstraps
    may differ a little, for their tests and intervals come from different draws.
    """
    with np.errstate(invalid="ignore"):
        whole = fits.usable & ~np.isnan(fits.p_value) & ~np.isnan(fits.lower) & ~np.isnan(fits.upper)
        has_zero = (fits.lower < 0.0) & (fits.upper > 0.0)
        without = (fits.lower > 0.0) | (fits.upper < 0.0)
        bad = whole & ((has_zero & (fits.p_value < alpha / 2)) | (without & (fits.p_value > 2 * alpha)))
    if bad.any():
        r, k = _first(bad)
        raise Breach(
            f"the p-value of {fits.terms[k]} in data set {r} is {fits.p_value[r, k]:.4g}, but its interval, "
            f"{fits.lower[r, k]:.6g} to {fits.upper[r, k]:.6g}, {'has' if has_zero[r, k] else 'leaves out'} 0",
        )


def check_reference(case: Case) -> None:
    """Estimates, standard errors, df, limits and p-values are those of the reference, on the same data sets.

    Relative differences within the looser of the two tolerances, p-values in absolute terms. What either of the two
    never gives, and what is drawn at random, isn't compared.
    """
    if case.reference is None:
        raise Skipped(
            "no reference declared: df that are wrong, but from which p-values and intervals follow, aren't seen "
            "without one (--reference METHOD, reference=)"
        )
    batch = case.cell.draw(SEED, range(BESIDE_A_REFERENCE))
    own, other = case.fit(batch), case.reference.fit(batch, case.cell.model)
    names = f"{case.name} and {case.reference.label}"
    shared = [t for t in own.terms if t in other.terms and _given(own, t) and _given(other, t)]
    require(shared, f"{names} estimate no term in common")
    rtol = max(case.rtol, tolerance_of(case.reference))
    _check_same_usable(own, other, shared, names)
    both = [n for n in determined(case.reference) if n in case.columns and _compared(own, other, shared, n)]
    # The relative error of a small p-value is about t^2 times that of t: by their ratio, methods that agree differ.
    worst = differences(own, other, shared, [n for n in both if n != P_VALUE], rtol)
    require(
        worst.size <= rtol,
        f"{names} differ in {worst.what}: {worst.left:.10g} and {worst.right:.10g} in data set {worst.replication} "
        f"({worst.count} of {own.size} data sets differ by more than {rtol:g})",
    )
    if P_VALUE in both:
        _check_same_p(own, other, shared, rtol, names)


def _given(estimates: Estimates, term: str) -> bool:
    """Whether a method estimates a term in some data set."""
    return bool(np.isfinite(estimates.estimate[:, estimates.terms.index(term)]).any())


def _compared(own: Estimates, other: Estimates, shared: list[str], name: str) -> bool:
    """Whether both methods give a column for some shared term."""
    return all(
        any(not np.isnan(getattr(e, name)[:, e.terms.index(t)]).all() for t in shared) for e in (own, other)
    )


def _check_same_usable(own: Estimates, other: Estimates, shared: list[str], names: str) -> None:
    """Require that two methods answer for the same terms of the same data sets."""
    usable, expected = (e.usable[:, [e.terms.index(t) for t in shared]] for e in (own, other))
    bad = usable != expected
    if bad.any():
        r, k = _first(bad)
        status = FitStatus(int(own.status[r])).name
        raise Breach(
            f"of {names} only the {'first' if usable[r, k] else 'second'} has a usable {shared[k]} in data set {r} "
            f"(status {status} {own.texts()[r]})".rstrip(),
        )


def _check_same_p(mine: Estimates, wanted: Estimates, shared: list[str], rtol: float, names: str) -> None:
    """Require equal p-values where neither method has standard errors."""
    own, other = (e.p_value[:, [e.terms.index(t) for t in shared]] for e in (mine, wanted))
    bad = ~((np.abs(own - other) <= rtol) | (np.isnan(own) & np.isnan(other)))
    if bad.any():
        r, k = _first(bad)
        raise Breach(
            f"{names} differ in the p-value of {shared[k]}: {own[r, k]:.6g} and {other[r, k]:.6g} in data set {r}",
        )


def check_coverage(case: Case) -> None:
    """On a friendly population, 95 % intervals of student-level terms cover at least 90 % of the time, and bias is
    small."""
    tested = _under_test(case, case.cell)
    tested.choose(_student_terms(case), only_null=False)
    if not np.isfinite(case.answers().lower).any():
        raise Skipped("the method has no intervals")
    # Room for what sound methods lose in small samples: the claim is of no method's exactness.
    low = case.cell.model.level - 0.05
    gate = Gate(1e-6, 0.9, 0.15, 0.05, len(tested.terms))
    covers = claims.share("coverage", "coverage", low, 1.0, low - 0.10, gate)
    covers = replace(covers, wanted=f"at least {low:g}")
    _hold(tested, covers, case)
    # On the data sets that were drawn for coverage: none is drawn for this alone.
    _hold(tested, claims.unbiased(Gate(1e-6, 0.9, 0.5, 0.2, len(tested.terms))), case, covers.replications)


def check_size(case: Case) -> None:
    """Where student-level terms have no effect, tests at alpha reject at most at alpha + .05."""
    if not np.isfinite(case.answers().p_value).any():
        raise Skipped("the method has no p-values")
    terms = _student_terms(case)
    cell = without_effects(case.cell, terms or ())
    null = [t for t in terms or () if cell.truth[t] == 0.0]
    if not null:
        raise Skipped("no student-level term of this population can be given the true value 0")
    alpha = cell.model.alpha
    tested = _under_test(case, cell)
    tested.choose(null, only_null=True)
    gate = Gate(1e-6, 0.9, 0.15, 0.05, len(null))
    sized = claims.keeping_size(gate, alpha)
    _hold(tested, replace(sized, wanted=f"at most {alpha + gate.tolerance:g}"), case)


def without_effects(cell: Cell, terms: tuple[str, ...] | list[str]) -> Cell:
    """Return a condition whose population has the effects of some terms set to 0, as far as the population has a table
    of effects."""
    effects = getattr(cell.population, "effects", None)
    if effects is None or "effects" not in getattr(cell.population, "__dataclass_fields__", {}):
        return cell
    null = {name: 0.0 if TERMS.get(name, name) in terms else value for name, value in effects.items()}
    return replace(cell, population=replace(cell.population, effects=null))  # type: ignore[type-var]


def _under_test(case: Case, cell: Cell) -> UnderTest:
    """Return the simulation that a claim is tested in."""
    return UnderTest(
        case.estimator, cell, SEED, 0.05, case.fits, scratch=None, test="", asked=case.replications
    )


def _hold(tested: UnderTest, claim: Claim, case: Case, count: int = 0) -> None:
    """Simulate and judge a claim."""
    evidence = tested.evidence(case.replications or count or claim.replications)
    tested.judge(claim, claim.findings(tested.terms, evidence))


def _first(bad: Bools) -> tuple[int, int]:
    """Return the first place of a mask."""
    r, k = np.argwhere(bad)[0]
    return int(r), int(k)


def _student_terms(case: Case) -> list[str] | None:
    """Return the estimated terms that vary within schools; for a method without any, all but the intercept."""
    design = case.batch.once(design_of, case.cell.model)
    edges = case.batch.school_offsets[:-1]
    spans = [np.maximum.reduceat(x, edges) - np.minimum.reduceat(x, edges) for x in design.fixed(case.batch)]
    within = [t for t, span in zip(design.terms, spans, strict=True) if (span > 0).any()]
    estimates, truth = case.answers(), case.cell.truth
    estimated = [
        t for k, t in enumerate(estimates.terms) if t in truth and np.isfinite(estimates.estimate[:, k]).any()
    ]
    # Without its student-level terms a model has another intercept than the population's.
    return [t for t in within if t in estimated] or [t for t in estimated if t != "Intercept"] or None
