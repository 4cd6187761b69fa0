"""Assurance: power averaged over what isn't known for sure, the effect or the intraclass correlation.

O'Hagan, Stevens & Campbell 2005, Pharmaceutical Statistics 4:187. It is less than power at the mean where that is high,
and doesn't rise to 1 with more schools where the effect may be 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats
from nestbench.sim.theory.planning import answers, t_test
from nestbench.sim.theory.planning.points import Points, icc_points
from nestbench.sim.theory.planning.trial import SchoolTrial, Trial

LARGEST_ICC = 1.0 - 1e-9


def assurance(
    trial: Trial,
    effect: float,
    effect_sd: float = 0.0,
    iccs: Points | None = None,
    *,
    alpha: float = 0.05,
    sides: int = 2,
) -> float:
    """Return the power averaged over effects N(effect, effect_sd^2), and over independent ICCs.

    Over such effects the estimate is N(effect, effect_sd^2 + se^2), still independent of its estimated variance: its t
    statistic, divided by sqrt(1 + effect_sd^2 / se^2), is a noncentral t one.

    Parameters
    ----------
    trial : Trial
    effect, effect_sd : float
        In total SDs.
    iccs : Points, optional
        See `points.icc_points`; the trial's own ICC by default.
    alpha, sides : float, {1, 2}

    Raises
    ------
    InvalidInput
        ICCs of a trial without schools, or no degrees of freedom.
    """
    answers.check_test(alpha, sides)
    df = answers.degrees_of_freedom(trial)
    variances, weights = _variances(trial, iccs)
    spread = np.sqrt(effect_sd**2 + variances)
    # Nothing is uncertain: the test finds what is there, and 0 / 0 below would not say so.
    if not spread.all():
        return 1.0 if effect > 0.0 or (effect and sides == 2) else 0.0
    c = t_test.critical_value(df, alpha=alpha, sides=sides) * np.sqrt(variances) / spread
    return float(t_test.exceeds(c, df, effect / spread, sides=sides) @ weights)


def _variances(trial: Trial, iccs: Points | None) -> tuple[Floats, Floats]:
    """Return the variance of the estimated effect at each ICC and efficiency, and their weights."""
    spread = trial.efficiency
    found, weights = _over_iccs(trial, iccs)
    return np.outer(found, 1.0 / spread.values).ravel(), np.outer(weights, spread.weights).ravel()


def _over_iccs(trial: Trial, iccs: Points | None) -> tuple[Floats, Floats]:
    if iccs is None:
        return np.array([trial.variance]), np.ones(1)
    if not isinstance(trial, SchoolTrial):
        raise InvalidInput("expected a trial in schools for a distribution of ICCs; leave it out")
    others = getattr(trial, "class_icc", 0.0) + getattr(trial, "block_icc", 0.0)
    # A beta distribution reaches to 1, a trial must leave some variance to students.
    largest = LARGEST_ICC * (1.0 - others)
    return np.array(
        [replace(trial, icc=min(icc, largest)).variance for icc in iccs.values.tolist()]
    ), iccs.weights


@dataclass(frozen=True, slots=True)
class Assurance:
    """As a target: power averaged over effects N(effect, effect_sd^2) and ICCs with SD `icc_sd` about the trial's.

    Raises
    ------
    InvalidInput
        A level or an SD outside its range.
    """

    effect: float
    effect_sd: float = 0.0
    icc_sd: float = 0.0
    power: float = 0.8
    alpha: float = 0.05
    sides: int = 2

    def __post_init__(self) -> None:
        answers.check_test(self.alpha, self.sides)
        checks.number("the effect", self.effect)
        checks.number("the SD of the effect", self.effect_sd, low=0.0)
        checks.number("the SD of the ICC", self.icc_sd, low=0.0, high=0.5)
        checks.number("the power", self.power, low=self.alpha, high=1.0, open_low=True, open_high=True)

    def value(self, trial: Trial) -> float:
        """Return the assurance of a trial."""
        icc = getattr(trial, "icc", None)
        iccs = icc_points(icc, self.icc_sd) if icc and self.icc_sd else None
        return assurance(trial, self.effect, self.effect_sd, iccs, alpha=self.alpha, sides=self.sides)

    def excess(self, trial: Trial) -> float:
        """Return assurance less the one wanted."""
        return self.value(trial) - self.power

    def describe(self) -> str:
        """Return e.g. ``assurance 0.8 for an effect of 0.25 SD that is known to 0.1``."""
        return f"assurance {self.power:g} for an effect of {self.effect:g} SD that is known to {self.effect_sd:g}"

    @property
    def most(self) -> float:
        """What no trial exceeds: the chance that the effect isn't 0 (one side: that it is above 0)."""
        if self.effect_sd == 0.0:
            return 1.0 if self.effect and (self.sides == 2 or self.effect > 0.0) else self.alpha
        return 1.0 if self.sides == 2 else 0.5 * math.erfc(-self.effect / self.effect_sd / math.sqrt(2.0))
