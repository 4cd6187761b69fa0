"""What an adapter is given beside the data, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nestbench.estimators.estimates import DF, ESTIMATE, LOWER, P_VALUE, STD_ERROR, UPPER
from nestbench.sim.observed.model import Model

BY_TERM = (ESTIMATE, STD_ERROR, DF, P_VALUE, LOWER, UPPER)
"""Quantities that each coefficient has."""
VARIANCES = ("school", "class", "slope", "covariance", "residual")
"""Variance components by what they are of; ``covariance`` is that of a school's intercept and slope."""
VARIANCE, LOGLIK = "variance", "loglik"

Answer = Mapping[str, Any]
"""``{"estimate": {term: value}, "std_error": ..., "variance": {"school": value}, "loglik": value, "converged": True}``;
what a package doesn't report isn't there. Terms are named as the package names them. ``seconds`` are the processor
seconds of another process that did the fit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The model that a package is asked for, as texts: an adapter, and a script that stands alone, need no more.

    Attributes
    ----------
    formula : str
        Fixed part: ``"grade ~ treated + age"``.
    group : str
        Column of the schools.
    slope : str
        Column whose effect varies over schools, correlated with their intercept; empty: none does.
    subgroup : str
        Column of classes in schools; empty: none.
    level : float
        Level of the intervals.
    """

    formula: str
    group: str = "school"
    slope: str = ""
    subgroup: str = ""
    level: float = 0.95

    @property
    def lme4(self) -> str:
        """The model in lme4's notation."""
        inner = f"1 + {self.slope}" if self.slope else "1"
        return f"{self.formula} + ({inner} | {self.group}{'/' + self.subgroup if self.subgroup else ''})"

    @property
    def random(self) -> str:
        """Which random part it is: ``intercept``, ``slope`` or ``classes``."""
        return "slope" if self.slope else "classes" if self.subgroup else "intercept"

    @property
    def model(self) -> Model:
        """The same as a model of ours."""
        random = f"1 + {self.slope}" if self.slope else "1"
        return Model(self.formula, self.group, random, self.level, self.subgroup or None)


Fit = Callable[[pd.DataFrame, Asked], Answer]
"""``fit(data, asked)`` calls the package and returns what it reports; it may raise whatever the package raises."""
