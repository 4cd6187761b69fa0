"""The exact power and size of other tests than the planned one, where schools are equal and treatment is the only term.

Schools of n students, J_1 treated and J_0 not, with school means of variance v = between + within / n in both arms:
the estimate is the difference of the arms' means, and with S_a the sum of squares of an arm's school means about their
mean, v chi2_{J_a - 1}, and S_w that of students about theirs, within chi2_{J (n - 1)}, every variance estimate here is
a sum of such terms, independent of the estimate:

- ``ols``, independent students, t(N - 2): (n (S_0 + S_1) + S_w) / (N - 2) x (1 / (n J_0) + 1 / (n J_1));
- ``cr0``: S_0 / J_0^2 + S_1 / J_1^2; ``cr1s``, t(J - 1): times J / (J - 1) (N - 1) / (N - 2); ``cr2`` with df of
  Bell & McCaffrey: S_a / (J_a (J_a - 1)); ``cr3``, t(J - 1): S_a / (J_a - 1)^2;
- ``means``, school means or balanced mixed models away from their boundary, t(J - 2): (S_0 + S_1) / (J - 2) x
  (1 / J_0 + 1 / J_1), the planned test.

For a sum w_1 chi2_a + w_2 chi2_b = R (w_1 B + w_2 (1 - B)), with R ~ chi2_{a + b} and B ~ Beta(a / 2, b / 2)
independent, the test given B is a noncentral t one with a + b degrees of freedom: power is its average over B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.theory.planning import answers, t_test
from nestbench.sim.theory.planning.points import beta_points
from nestbench.sim.theory.planning.schools import SchoolsRandomised

METHODS = ("ols", "cr0", "cr1s", "cr2", "cr3", "means")


@dataclass(frozen=True, slots=True)
class VarianceEstimate:
    """A variance estimate w_1 chi2_a + w_2 chi2_b and the degrees of freedom that the test takes it to have."""

    weights: tuple[float, float]
    counts: tuple[float, float]
    df: float


def exact_power(
    trial: SchoolsRandomised, method: str, effect: float, *, alpha: float = 0.05, sides: int = 2
) -> float:
    """Return the exact power of a method's test in a school-randomised trial; with effect 0, its size.

    Parameters
    ----------
    trial : SchoolsRandomised
        With whole treated schools (see `required.in_whole_schools`), equal sizes, no attrition and no covariates.
    method : str
        One of `METHODS`.
    effect : float
        In total SDs.

    Raises
    ------
    InvalidInput
        An unknown method, a trial that it isn't known for, an arm with too few schools for the method.
    """
    answers.check_test(alpha, sides)
    estimate = variance_estimate(trial, method)
    (w1, w2), (a, b) = estimate.weights, estimate.counts
    variance = trial.variance
    # No beta distribution has a parameter of 0: that of an arm of one school, or of an estimate of one sum.
    if not (a and b):
        shares, weights = np.array([1.0 if a else 0.0]), np.ones(1)
    else:
        points = beta_points(0.5 * a, 0.5 * b)
        shares, weights = points.values, points.weights
    spread = (w1 * shares + w2 * (1.0 - shares)) * (a + b) / variance
    c = t_test.critical_value(estimate.df, alpha=alpha, sides=sides) * np.sqrt(spread)
    exceeding = t_test.exceeds(c, a + b, effect / math.sqrt(variance), sides=sides)
    return float(exceeding @ weights)


def exact_size(trial: SchoolsRandomised, method: str, *, alpha: float = 0.05, sides: int = 2) -> float:
    """Return the exact type I error of a method's test; see `exact_power`."""
    return exact_power(trial, method, 0.0, alpha=alpha, sides=sides)


def variance_estimate(trial: SchoolsRandomised, method: str) -> VarianceEstimate:
    """Return a method's variance estimate as a sum of two chi-squares; see the module.

    Raises
    ------
    InvalidInput
    """
    one, zero = _arms(trial)
    v, within, n = trial.school_variance, 1.0 - trial.icc, trial.students
    schools, students = one + zero, (one + zero) * n
    reach = 1.0 / one + 1.0 / zero
    if method == "ols":
        scale = reach / n / (students - 2.0)
        return VarianceEstimate(
            (scale * n * v, scale * within), (schools - 2, schools * (n - 1.0)), students - 2.0
        )
    if method == "means":
        return VarianceEstimate((reach * v / (schools - 2), 0.0), (schools - 2, 0.0), schools - 2.0)
    if method not in METHODS:
        raise unknown_name("method with an exact power", method, METHODS)
    if method in ("cr2", "cr3") and min(one, zero) < 2:
        raise InvalidInput(
            f"expected at least 2 schools in each arm for {method}, got {one} treated and {zero} not"
        )
    factors = {
        "cr0": (lambda j: j**-2),
        "cr2": (lambda j: 1 / (j * (j - 1))),
        "cr3": (lambda j: (j - 1) ** -2),
    }
    stretch = schools / (schools - 1) * (students - 1) / (students - 2) if method == "cr1s" else 1.0
    w1, w0 = (stretch * v * factors.get(method, factors["cr0"])(float(j)) for j in (one, zero))
    return VarianceEstimate((w1, w0), (one - 1, zero - 1), _df_of(method, one, zero))


def _df_of(method: str, one: int, zero: int) -> float:
    """Return t(J - 1), the normal for CR0, or Bell & McCaffrey's df: of two arms (1/J_1 + 1/J_0)^2 over the sum of
    1 / (J_a^2 (J_a - 1))."""
    if method == "cr0":
        return math.inf
    if method == "cr2":
        return (1 / one + 1 / zero) ** 2 / (1 / (one**2 * (one - 1)) + 1 / (zero**2 * (zero - 1)))
    return one + zero - 1.0


def _arms(trial: SchoolsRandomised) -> tuple[int, int]:
    """Return the treated and untreated schools."""
    # Not `isinstance`: trials made from this one have variances of their own.
    plain = type(trial) is SchoolsRandomised and not (
        trial.size_cv
        or trial.school_attrition
        or trial.student_attrition
        or trial.r2_school
        or trial.r2_student
    )
    treated = trial.treated_share * trial.schools
    if (
        not plain
        or trial.school_covariates
        or abs(treated - round(treated)) > 1e-9
        or math.isinf(trial.students)
    ):
        raise InvalidInput(
            "expected schools of equal size, whole treated schools, no attrition and no covariates for an exact power; "
            "take the planned test's, or simulate"
        )
    if trial.schools < 3:
        raise InvalidInput(f"expected at least 3 schools for an exact power, got {trial.schools}")
    return round(treated), trial.schools - round(treated)
