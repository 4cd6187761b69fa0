"""Students randomised one by one, without schools: the reference for what clustering costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nestbench.sim.errors import InvalidInput
from nestbench.sim.parameter import documented, parameter
from nestbench.sim.theory.planning.trial import SHARE, Trial


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class StudentsAlone(Trial):
    """Independent students, of whom `treated_share` are treated; `students` counts them all.

    Variance (1 - r2) / (P (1 - P) N), df N - 2 - covariates (Bloom 2006).

    Raises
    ------
    InvalidInput
        A value outside its range.
    """

    r2: float = parameter(0.0, "Share of the variance explained by covariates.", **SHARE)
    covariates: int = parameter(0, "Number of covariates.", low=0)

    def check(self) -> None:
        """Refuse infinitely many students."""
        super(StudentsAlone, self).check()
        if math.isinf(self.students):
            raise InvalidInput(
                "expected trial.students to be finite, got inf; without schools there is no limit"
            )

    @property
    def variance(self) -> float:
        """Of the difference of arms."""
        return (1.0 - self.r2) / (self.per_arm * self.students_left)

    @property
    def df(self) -> float:
        """N - 2 - covariates."""
        return self.students_left - 2.0 - self.covariates
