"""The random-intercept law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri

from nestbench.sim import checks, theory
from nestbench.sim.batch import Batch, Floats
from nestbench.sim.draw import Piece, Schools, batch_of_columns, constant, draw_columns, per_replication
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model
from nestbench.sim.streams import StreamSource

TERMS = {
    "Intercept": "Intercept",
    "age": "age",
    "gender": "gender[T.male]",
    "resources": "resources",
    "treated": "treated",
}
"""Name of an effect in TOML -> name of its term in a fitted model."""


def _default_effects() -> dict[str, float]:
    return {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5, "treated": 0.0}


@dataclass(frozen=True, slots=True)
class RandomIntercept:
    """Students in schools that share a random intercept.

    For student i of school j::

        grade_ij = Intercept + age age_ij + gender male_ij + resources resources_j + treated treated_j + u_j + e_ij
        u_j ~ N(0, icc total_sd^2),   e_ij ~ N(0, (1 - icc) total_sd^2)
        age_ij ~ N(age_mean, age_sd^2),   P(male_ij) = male_share,   resources_j ~ N(0, resources_sd^2)

    The truth of every term is its effect; ``(school_sd)`` = total_sd sqrt(icc), ``(residual_sd)`` = total_sd
    sqrt(1 - icc).

    Who errs: pooled OLS is unbiased for every effect, but its standard error of a school-constant term (`resources`,
    `treated`, the intercept) is too small by the square root of the design effect 1 + (m - 1) icc for schools of m
    students, and a little too large for student-level terms. Cluster-robust errors with a normal reference are too
    small with few schools; the mixed model with z inference likewise; Satterthwaite and Bell-McCaffrey degrees of
    freedom repair it. School dummies lose the school-constant terms.

    Attributes
    ----------
    icc : float
        Intraclass correlation, in [0, 1): the schools' share of the variance of u + e.
    total_sd : float
        SD of u + e.
    effects : table
        Effects by name; an effect that isn't named is 0.
    age_mean, age_sd : float
        Distribution of age.
    male_share : float
        Probability of a boy, in (0, 1).
    resources_sd : float
        SD of the schools' resources.

    Raises
    ------
    InvalidInput
        A parameter outside its range, or an unknown effect.
    """

    name: ClassVar[str] = "random-intercept"
    icc: float = 0.2
    total_sd: float = 1.0
    effects: Mapping[str, float] = field(default_factory=_default_effects)
    age_mean: float = 15.0
    age_sd: float = 1.0
    male_share: float = 0.5
    resources_sd: float = 1.0

    def __post_init__(self) -> None:
        checks.number("population.icc", self.icc, 0.0, 1.0, open_high=True)
        checks.number("population.total_sd", self.total_sd, 0.0, open_low=True)
        object.__setattr__(self, "effects", checks.coefficients("population.effects", self.effects, TERMS))
        checks.number("population.age_mean", self.age_mean)
        checks.number("population.age_sd", self.age_sd, 0.0, open_low=True)
        checks.number("population.male_share", self.male_share, 0.0, 1.0, open_low=True, open_high=True)
        checks.number("population.resources_sd", self.resources_sd, 0.0, open_low=True)

    @property
    def school_sd(self) -> float:
        """SD of the school effects."""
        return self.total_sd * float(np.sqrt(self.icc))

    @property
    def residual_sd(self) -> float:
        """SD of the residuals."""
        return self.total_sd * float(np.sqrt(1.0 - self.icc))

    @property
    def truth(self) -> dict[str, float]:
        """Term -> true value, with the variance components in parentheses."""
        effects = {term: self.effects.get(effect, 0.0) for effect, term in TERMS.items()}
        return effects | {
            "(school_sd)": self.school_sd,
            "(residual_sd)": self.residual_sd,
            "(icc)": float(self.icc),
        }

    def theory(self, layout: Layout, model: Model | None = None) -> dict[str, Any]:
        """Return what is known in closed form; see `nestbench.sim.theory.theory_of`."""
        return theory.theory_of(self, layout, model)

    def covariance(self, batch: Batch, rows: slice) -> tuple[Floats, Floats]:
        """Return B' [q, n] and d [n]: given X, errors of these rows have covariance diag(d) + B B' by school."""
        n = rows.stop - rows.start
        return np.full((1, n), self.school_sd), np.full(n, self.residual_sd**2)

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the observed data of some replications."""
        sizes = np.broadcast_to(layout.sizes(), (len(replications), layout.schools))
        cut = float(ndtri(1.0 - self.male_share))
        columns = draw_columns(sizes, streams, replications, cut, lambda piece: self._schools(layout, piece))
        return batch_of_columns(columns, sizes, streams, replications)

    def _schools(self, layout: Layout, piece: Piece) -> Schools:
        effect = {name: self.effects.get(name, 0.0) for name in TERMS}
        schools = piece.sizes.size
        school_z, resources_z = piece.of_schools()
        resources = self.resources_sd * resources_z
        treated = per_replication(np.arange(layout.schools) < layout.treated_schools, len(piece.sizes))
        intercept = (
            effect["Intercept"]
            + effect["resources"] * resources
            + effect["treated"] * treated
            + self.school_sd * school_z
        )
        return Schools(
            age_base=constant(self.age_mean, schools),
            age_sd=self.age_sd,
            intercept=intercept,
            age_effect=constant(effect["age"], schools),
            gender_effect=constant(effect["gender"], schools),
            residual_sd=constant(self.residual_sd, schools),
            resources=resources,
            treated=treated,
        )
