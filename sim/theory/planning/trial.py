"""What every planned trial says: how large it is, the variance of its estimated effect, its degrees of freedom.

Everything is in units of the outcome's total SD (of students over all schools, without treatment and given no
covariate), as planners state effects: shares of variance sum to 1. Numbers of schools and students are those that are
recruited; what attrition leaves of them is what formulas use.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.parameter import check_declared, parameter
from nestbench.sim.theory.planning.points import Points, certain

SHARE: dict[str, Any] = {"low": 0.0, "high": 1.0, "open_high": True}
EFFECTS = ("constant", "fixed", "random")


def check_students(name: str, value: Any) -> None:
    """Refuse a mean number of students below 1; infinitely many are allowed, for limits."""
    if not (isinstance(value, (int, float)) and value == math.inf):
        checks.number(name, value, low=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(ABC):
    """A planned trial, with what all of them have; change one by `dataclasses.replace`."""

    students: float = parameter(
        meaning="Students a school (the mean, where sizes differ); ``math.inf`` for the limit.",
        check=check_students,
    )
    treated_share: float = parameter(0.5, "Share treated.", low=0.0, high=1.0, open_low=True, open_high=True)
    student_attrition: float = parameter(0.0, "Share of students lost, at random.", **SHARE)

    def __post_init__(self) -> None:
        checks.make_python(self)
        self.check()

    def check(self) -> None:
        """Refuse values, and combinations of values, that can't be.

        Raises
        ------
        InvalidInput
            Names the value and what is allowed.
        """
        check_declared(self, "trial")

    @property
    @abstractmethod
    def variance(self) -> float:
        """Variance of the estimated effect, in squared total SDs."""

    @property
    @abstractmethod
    def df(self) -> float:
        """Degrees of freedom of its t-test; not above 0 where nothing estimates the variance."""

    @property
    def efficiency(self) -> Points:
        """Of the treatment's variance, the share that covariates leave: `variance` is divided by it. 1, unless the
        covariates are a sample too."""
        return certain(1.0)

    @property
    def students_left(self) -> float:
        """Students a school after attrition."""
        return self.students * (1.0 - self.student_attrition)

    @property
    def per_arm(self) -> float:
        """P (1 - P) of the share treated."""
        return self.treated_share * (1.0 - self.treated_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolTrial(Trial, ABC):
    """A planned trial in several schools."""

    schools: int = parameter(meaning="Schools recruited, in both arms together.", low=2)
    icc: float = parameter(meaning="Intraclass correlation: the schools' share of the variance.", **SHARE)
    r2_school: float = parameter(0.0, "Share of the schools' variance explained by covariates.", **SHARE)
    r2_student: float = parameter(0.0, "Share of the students' variance explained by covariates.", **SHARE)
    size_cv: float = parameter(0.0, "Coefficient of variation of the schools' sizes.", low=0.0, high=5.0)
    school_attrition: float = parameter(0.0, "Share of schools lost, at random.", **SHARE)

    @property
    def schools_left(self) -> float:
        """Schools expected to be left after attrition."""
        return self.schools * (1.0 - self.school_attrition)

    @property
    def size_cv_left(self) -> float:
        """Coefficient of variation of sizes after students are lost at random: sqrt(cv^2 + a / (n (1 - a)))."""
        return math.sqrt(self.size_cv**2 + self.student_attrition / self.students_left)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedTrial(SchoolTrial, ABC):
    """A trial that treats and doesn't treat within each of several blocks: schools, or blocks of schools."""

    effects: str = parameter(
        "random",
        "How the blocks' effects enter: as a ``random`` sample of effects, ``fixed`` at what each block has, or "
        "``constant``, one for all.",
        choices=EFFECTS,
    )
    effect_sd: float = parameter(0.0, "SD of the effect over blocks, in total SDs.", low=0.0)
    r2_effect: float = parameter(
        0.0, "Share of the effects' variance explained by blocks' covariates.", **SHARE
    )

    def check(self) -> None:
        """Refuse effects that vary where they are said to be one."""
        super(BlockedTrial, self).check()
        if self.effects == "constant" and self.effect_sd:
            raise checks.clash(
                f"trial.effect_sd = {self.effect_sd:g}",
                'trial.effects = "constant"',
                "one effect for all doesn't vary",
                'take effects = "random" or leave effect_sd out',
            )

    @property
    def effect_variance(self) -> float:
        """Variance over blocks that the mean effect is uncertain by: 0 unless effects are random."""
        return self.effect_sd**2 * (1.0 - self.r2_effect) if self.effects == "random" else 0.0


def df_within_blocks(
    effects: str, units: float, blocks: float, covariates: float, block_covariates: float
) -> float:
    """Return the df of an effect estimated within blocks, by how blocks' effects enter.

    ``random`` blocks - 1 - block_covariates; ``fixed`` units - 2 blocks - covariates (a mean for each arm of each
    block); ``constant`` units - blocks - 1 - covariates.

    Parameters
    ----------
    effects : {"random", "fixed", "constant"}
    units, blocks : float
        What is randomised, and how many blocks it is in.
    covariates, block_covariates : float
        Of units, and of blocks.
    """
    if effects == "random":
        return blocks - 1.0 - block_covariates
    return units - blocks - (blocks if effects == "fixed" else 1.0) - covariates


def refuse_shares(trial: Any, *names: str) -> None:
    """Refuse variance shares that leave nothing to students.

    Raises
    ------
    InvalidInput
        Names the shares and their sum.
    """
    total = sum(getattr(trial, name) for name in names)
    if total >= 1.0:
        listed = " + ".join(f"{name} = {getattr(trial, name):g}" for name in names)
        raise InvalidInput(
            f"expected shares of variance that leave some to students, got {listed}, {total:g} in all; "
            "their sum must be below 1"
        )
