"""What a trial is to reach: power for an effect, or an interval no wider than wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nestbench.sim import checks
from nestbench.sim.theory.planning import answers
from nestbench.sim.theory.planning.trial import Trial


class Target(Protocol):
    """What a search asks of a trial: `excess` grows as the trial does, and is 0 or more where the target is reached."""

    def excess(self, trial: Trial) -> float:
        """Return by how much the trial is better than the target."""

    def describe(self) -> str:
        """Return the target in words, for messages."""


@dataclass(frozen=True, slots=True)
class Power:
    """Power for an effect.

    Attributes
    ----------
    effect : float
        In total SDs.
    power : float
        Between alpha and 1.
    alpha : float
    sides : {1, 2}

    Raises
    ------
    InvalidInput
        A power that every trial has, or none.
    """

    effect: float
    power: float = 0.8
    alpha: float = 0.05
    sides: int = 2

    def __post_init__(self) -> None:
        answers.check_test(self.alpha, self.sides)
        checks.number("the effect", self.effect)
        checks.number("the power", self.power, low=self.alpha, high=1.0, open_low=True, open_high=True)

    def excess(self, trial: Trial) -> float:
        """Return power less the power wanted."""
        return answers.power(trial, self.effect, alpha=self.alpha, sides=self.sides) - self.power

    def describe(self) -> str:
        """Return e.g. ``power 0.8 for an effect of 0.25 SD``."""
        return f"power {self.power:g} for an effect of {self.effect:g} SD"


@dataclass(frozen=True, slots=True)
class HalfWidth:
    """An interval whose expected half-width is at most `width` total SDs."""

    width: float
    level: float = 0.95

    def __post_init__(self) -> None:
        checks.number("the half-width", self.width, low=0.0, open_low=True)
        checks.number(
            "the level of the interval", self.level, low=0.0, high=1.0, open_low=True, open_high=True
        )

    def excess(self, trial: Trial) -> float:
        """Return the width wanted less the width."""
        return self.width - answers.half_width(trial, level=self.level)

    def describe(self) -> str:
        """Return e.g. ``a 95 % interval of half-width 0.2 SD``."""
        return f"a {100 * self.level:g} % interval of half-width {self.width:g} SD"
