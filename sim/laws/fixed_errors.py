"""The errors of the fixed-design population beyond one variance for schools and one for students.

With x a term of the population's formula and z = (x - mean) / SD over the rows of the file::

    outcome_ij = x_ij' effects + s_ij u_j + b_j (x_ij - mean) + c_jk + r_ij e_ij

    s_ij^2 = icc total_sd^2 exp(school_spread z_ij) / mean exp(school_spread z)
    r_ij^2 = (1 - icc - class_icc) total_sd^2 exp(residual_spread z_ij) / mean exp(residual_spread z) w_j
    b_j = slope_sd (rho u_j + sqrt(1 - rho^2) N(0, 1)),   c_jk ~ N(0, class_icc total_sd^2)

w_j is lognormal with mean 1 and coefficient of variation `residual_cv`. Means are over the rows of the file, so that
`icc` and `total_sd` go on meaning what they mean without a spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.batch import Batch, Category, Floats, Ints
from nestbench.sim.streams import StreamSource


class Spreads(Protocol):
    """The parameters of the fixed-design population that are read here."""

    @property
    def icc(self) -> float: ...

    @property
    def total_sd(self) -> float: ...

    @property
    def slope(self) -> str: ...

    @property
    def slope_sd(self) -> float: ...

    @property
    def slope_correlation(self) -> float: ...

    @property
    def residual_cv(self) -> float: ...

    @property
    def spread(self) -> str: ...

    @property
    def residual_spread(self) -> float: ...

    @property
    def school_spread(self) -> float: ...

    @property
    def subgroup(self) -> str: ...

    @property
    def class_icc(self) -> float: ...


def plain(law: Spreads) -> bool:
    """Whether schools and students have one variance each and nothing else is drawn."""
    return not any((law.slope_sd, law.residual_cv, law.residual_spread, law.school_spread, law.class_icc))


def values(law: Spreads) -> tuple[object, ...]:
    """Return the values of all parameters that are read here."""
    return tuple(getattr(law, name) for name in sorted(vars(Spreads)) if not name.startswith("_"))


def unused_names(law: Spreads) -> dict[str, str]:
    """Return the parameters that name a term or column which no other makes use of, emptied."""
    used = {
        "slope": law.slope_sd,
        "spread": law.residual_spread or law.school_spread,
        "subgroup": law.class_icc,
    }
    return {name: "" for name, value in used.items() if not value}


def sds(law: Spreads) -> dict[str, float]:
    """Return the SDs of school effects, class effects and residuals."""
    shares = {"school": law.icc, "class": law.class_icc, "residual": 1.0 - law.icc - law.class_icc}
    return {name: law.total_sd * float(np.sqrt(share)) for name, share in shares.items()}


def check_spreads(law: Spreads, fixed: Batch, terms: Sequence[str], x: Floats) -> None:
    """Refuse parameters that name nothing in the file, or contradict one another.

    Raises
    ------
    InvalidInput
        Names the parameter and what is expected.
    """
    if law.icc + law.class_icc >= 1.0:
        names = (f"population.icc = {law.icc}", f"population.class_icc = {law.class_icc}")
        raise checks.clash(
            *names, "together they leave nothing to the residuals", "their sum must be below 1"
        )
    if law.slope_correlation and not law.slope_sd:
        names = ("population.slope_correlation", "population.slope_sd = 0")
        raise checks.clash(*names, "the slopes would not differ", "set a slope_sd above 0")
    slopes = [term for term in terms if term != "Intercept"]
    for name, used in (("slope", law.slope_sd), ("spread", law.residual_spread or law.school_spread)):
        term = getattr(law, name)
        if used and term not in slopes:
            raise unknown_name(f"term in population.{name}", term, slopes)
    if law.class_icc and law.subgroup not in fixed.columns:
        raise unknown_name("column in population.subgroup", law.subgroup, list(fixed.columns))
    _check_school_spread(law, terms, x, fixed)


def _check_school_spread(law: Spreads, terms: Sequence[str], x: Floats, fixed: Batch) -> None:
    if law.school_spread and not constant_in_schools(x[list(terms).index(law.spread)], fixed.school_offsets):
        raise InvalidInput(
            f"expected population.school_spread with a term that is constant in schools, got '{law.spread}', which "
            "varies within them; use residual_spread"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """How errors are made of standardised numbers, on the rows of one data set of the file.

    Attributes
    ----------
    school, residual : float or float64 [n]
        Standard deviations.
    slope : float64 [n] or None
        slope_sd times the deviation of x from its mean.
    correlation : float
        Of slopes and school effects.
    classes : int64 [n] or None
        Number of each row's class.
    class_sd, cv : float
    """

    school: float | Floats
    residual: float | Floats
    slope: Floats | None
    correlation: float
    classes: Ints | None
    class_sd: float
    cv: float

    def added(
        self, mean: Floats, u: Floats, e: Floats, sizes: Ints, streams: StreamSource, number: int
    ) -> Floats:
        """Return the outcome [n] of a replication: its mean, and errors from standardised numbers of schools and
        students."""
        residual = self.residual
        if self.cv:
            residual = residual * np.repeat(variance_factors(self.cv, len(sizes), streams, number), sizes)
        outcome = mean + self.school * np.repeat(u, sizes) + residual * e
        if self.slope is not None:
            outcome += self.slope * np.repeat(slopes_of(u, self.correlation, streams, number), sizes)
        if self.classes is not None:
            of_classes = class_effects(int(self.classes.max()) + 1, streams, number)
            outcome += self.class_sd * of_classes[self.classes]
        return np.asarray(outcome)

    def covariance(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return B' [q, n] and the diagonal of D [n] of these rows: errors have covariance D + B B' within schools."""
        n, whole = len(rows), np.ones(len(rows))
        school = np.asarray(self.school)[rows] if np.ndim(self.school) else self.school * whole
        residual = np.asarray(self.residual)[rows] if np.ndim(self.residual) else self.residual * whole
        factors = [np.asarray(school)]
        if self.slope is not None:
            r, slope = self.correlation, self.slope[rows]
            factors = [school + r * slope, np.sqrt(1.0 - r * r) * slope]
        if self.classes is not None:
            own = self.classes[rows]
            factors += [self.class_sd * (own == c) for c in np.unique(own)]
        return np.stack(factors).reshape(-1, n), np.asarray(residual) ** 2


def variance_factors(cv: float, schools: int, streams: StreamSource, number: int) -> Floats:
    """Return the factors on schools' residual SDs [G] of a replication: roots of lognormals with mean 1."""
    s2 = np.log1p(cv**2)
    w = streams.at(number, "residual-scales").standard_normal(schools)
    return np.asarray(np.exp(0.5 * (np.sqrt(s2) * w - 0.5 * s2)))


def slopes_of(u: Floats, correlation: float, streams: StreamSource, number: int) -> Floats:
    """Return standardised slopes [G] of a replication, correlated with its school effects [G]."""
    own = streams.at(number, "slopes").standard_normal(len(u))
    return np.asarray(correlation * u + np.sqrt(1.0 - correlation**2) * own)


def class_effects(count: int, streams: StreamSource, number: int) -> Floats:
    """Return the standardised effects of so many classes of a replication."""
    return streams.at(number, "classes").standard_normal(count)


def errors_of(law: Spreads, fixed: Batch, terms: Sequence[str], x: Floats) -> Errors:
    """Return the errors of a population on its file: terms and their columns [p, n]."""
    sd = sds(law)
    school: float | Floats = sd["school"]
    residual: float | Floats = sd["residual"]
    if law.residual_spread or law.school_spread:
        z = standardised_column(x[list(terms).index(law.spread)])
        school = school * _relative(law.school_spread, z) if law.school_spread else school
        residual = residual * _relative(law.residual_spread, z) if law.residual_spread else residual
    slope = None
    if law.slope_sd:
        column = x[list(terms).index(law.slope)]
        slope = law.slope_sd * (column - column.mean())
    classes = classes_of(fixed, law.subgroup) if law.class_icc else None
    return Errors(school, residual, slope, law.slope_correlation, classes, sd["class"], law.residual_cv)


def standardised_column(values: Floats) -> Floats:
    """Return (x - mean) / SD over the rows; of a constant, zeros."""
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread or 1.0))


def _relative(h: float, z: Floats) -> Floats:
    """Return the factor on a standard deviation whose square has mean 1."""
    variance = np.exp(h * z)
    return np.asarray(np.sqrt(variance / variance.mean()))


def classes_of(fixed: Batch, subgroup: str) -> Ints:
    """Return the number of each row's class; equal labels in two schools are two classes."""
    column = fixed.columns[subgroup]
    values = column.codes if isinstance(column, Category) else column
    _, own = np.unique(values, return_inverse=True)
    schools = np.repeat(np.arange(len(fixed.school_offsets) - 1), np.diff(fixed.school_offsets))
    _, codes = np.unique(schools * (own.max() + 1) + own, return_inverse=True)
    return np.asarray(codes.ravel(), dtype=np.int64)


def constant_in_schools(values: Floats, offsets: Ints) -> bool:
    """Whether a column of one data set is constant in every school."""
    first = np.repeat(values[offsets[:-1]], np.diff(offsets))
    return bool((np.abs(values - first) <= 1e-12 * np.abs(values).max(initial=0.0)).all())
