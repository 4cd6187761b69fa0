"""What a planned trial can find: the noncentral t at its standard error and degrees of freedom."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats
from nestbench.sim.theory.planning import t_test
from nestbench.sim.theory.planning.trial import SchoolTrial, Trial


def standard_error(trial: Trial) -> float:
    """Return the standard error of the estimated effect, in total SDs; where covariates are drawn (`Trial.efficiency`)
    that with covariates balanced between arms."""
    return math.sqrt(trial.variance)


def degrees_of_freedom(trial: Trial) -> float:
    """Return the df of the trial's t-test.

    Raises
    ------
    InvalidInput
        None are left: too few schools (students) for the arms, blocks and covariates.
    """
    if trial.df <= 0.0:
        of = (
            f"{trial.schools:g} schools" if isinstance(trial, SchoolTrial) else f"{trial.students:g} students"
        )
        raise InvalidInput(
            f"expected degrees of freedom above 0, got {trial.df:g} from {of} after arms, blocks, covariates and "
            "attrition: nothing is left to estimate a standard error from; add schools or take covariates out"
        )
    return trial.df


def has_df(trial: Trial) -> bool:
    """Whether the trial's t-test has degrees of freedom at all."""
    return trial.df > 0.0


def power(trial: Trial, effect: float, *, alpha: float = 0.05, sides: int = 2) -> float:
    """Return the probability that the trial finds an effect of so many total SDs.

    Parameters
    ----------
    trial : Trial
    effect : float
        In total SDs.
    alpha, sides : float, {1, 2}

    Raises
    ------
    InvalidInput
        No degrees of freedom, or a level outside (0, 1).
    """
    check_test(alpha, sides)
    df, spread = degrees_of_freedom(trial), trial.efficiency
    errors = standard_error(trial) / np.sqrt(spread.values)
    return float(t_test.power_at(effect, errors, df, alpha=alpha, sides=sides) @ spread.weights)


def smallest_effect(trial: Trial, *, power: float = 0.8, alpha: float = 0.05, sides: int = 2) -> float:
    """Return the minimum detectable effect size (MDES), in total SDs.

    Parameters
    ----------
    trial : Trial
    power : float
        Between alpha and 1, exclusive.
    alpha, sides : float, {1, 2}

    Raises
    ------
    InvalidInput
        No degrees of freedom, or a power that isn't between alpha and 1.
    """
    check_test(alpha, sides)
    checks.number("the power", power, low=alpha, high=1.0, open_low=True, open_high=True)
    df, spread = degrees_of_freedom(trial), trial.efficiency
    c, roots = t_test.critical_value(df, alpha=alpha, sides=sides), np.sqrt(spread.values)

    def found(shift: Floats) -> Floats:
        return np.asarray(t_test.exceeds(c, df, shift * roots, sides=sides) @ spread.weights)

    first = t_test.bloom_multiplier(df, power=power, alpha=alpha, sides=sides)
    return float(standard_error(trial) * t_test.least_reaching(found, power, first))


def half_width(trial: Trial, *, level: float = 0.95) -> float:
    """Return the expected half-width of the trial's t interval, in total SDs.

    Raises
    ------
    InvalidInput
        No degrees of freedom, or a level outside (0, 1).
    """
    checks.number("the level of the interval", level, low=0.0, high=1.0, open_low=True, open_high=True)
    df, spread = degrees_of_freedom(trial), trial.efficiency
    errors = standard_error(trial) / np.sqrt(spread.values)
    return float(t_test.half_width(errors, df, level=level) @ spread.weights)


def with_any_students(trial: Trial) -> Trial:
    """Return the trial with infinitely many students a school: what schools alone allow."""
    return replace(trial, students=math.inf)


def ceiling(trial: Trial, effect: float, *, alpha: float = 0.05, sides: int = 2) -> float:
    """Return the power that the trial's schools allow, however many students each has.

    Parameters
    ----------
    trial : Trial
    effect : float
        In total SDs.
    alpha, sides : float, {1, 2}
    """
    return power(with_any_students(trial), effect, alpha=alpha, sides=sides)


def check_test(alpha: float, sides: int) -> None:
    """Refuse a level outside (0, 1), or sides that aren't 1 or 2."""
    checks.number("alpha", alpha, low=0.0, high=1.0, open_low=True, open_high=True)
    if sides not in (1, 2):
        raise InvalidInput(f"expected a one-sided or two-sided test (1 or 2), got {sides!r} sides; take 2")
