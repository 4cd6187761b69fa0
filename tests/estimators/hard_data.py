"""Small data sets of any awkward kind, and what the dense oracles say about every method on them.

`Case` holds the columns of one data set; `answers` maps each batched method to the oracle's (estimate, SE, df) by term,
computed in the well-conditioned coordinates of `tests.oracles.conditioned`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods.choices import choices_of
from nestbench.estimators.methods.registry import get
from nestbench.sim.observed.batch import Batch, Category, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.oracles import least_squares, mixed_dense
from tests.oracles.conditioned import Conditioned, conditioned
from tests.oracles.least_squares import Fit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FORMULA = "y ~ x1 + x2 + w"
TERMS = ("Intercept", "x1", "x2", "w")


@dataclass(frozen=True)
class Case:
    """One data set: columns of y, x1, x2 (students) and w (schools), rows sorted by school; `klass` in schools."""

    sizes: tuple[int, ...]
    columns: Mapping[str, Floats]
    klass: Ints
    formula: str = FORMULA

    @property
    def schools(self) -> Ints:
        """School number of each student."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms of the formula, in its order."""
        return ("Intercept", *[t.strip() for t in self.formula.split("~")[1].split("+")])

    def column(self, term: str) -> Floats:
        """Return a column of X."""
        return np.ones(len(self.columns["y"])) if term == "Intercept" else self.columns[term]

    @cached_property
    def x(self) -> Floats:
        """X [n, p]."""
        return np.column_stack([self.column(term) for term in self.terms])

    @cached_property
    def well(self) -> Conditioned:
        """The pooled regression in well-conditioned coordinates."""
        return conditioned(self.columns["y"], self.x)

    @property
    def model(self) -> Model:
        """Return the model of the fixed part, with a random intercept."""
        return Model(self.formula, group="s", subgroup="klass")

    def batch(self) -> Batch:
        """Return the batch of this one data set."""
        levels = tuple(str(k) for k in range(int(self.klass.max(initial=0)) + 1))
        return Batch(
            columns={**self.columns, "klass": Category(self.klass.astype(np.int32), levels)},
            group="s",
            school_offsets=offsets_of(self.sizes),
            replication_offsets=np.array([0, len(self.sizes)]),
            replications=np.zeros(1, dtype=np.int64),
            streams=StreamSource(1, "hard"),
        )

    def change(self, **columns: Floats) -> Case:
        """Return the case with other columns."""
        return replace(self, columns={**self.columns, **columns})


def drawn(seed: int, sizes: tuple[int, ...], tau: float = 1.0) -> Case:
    """Return a friendly data set of given school sizes."""
    rng = np.random.default_rng(seed)
    n, g = sum(sizes), len(sizes)
    w, u = (np.repeat(rng.normal(size=g), sizes) for _ in range(2))
    x1, x2 = rng.normal(size=(2, n))
    y = 2.0 + x1 - 0.5 * x2 + 0.3 * w + tau * u + rng.normal(size=n)
    return Case(sizes, {"y": y, "x1": x1, "x2": x2, "w": w}, rng.integers(0, 2, n))


def within_school(case: Case) -> tuple[list[int], Conditioned]:
    """Return which terms vary within schools, and their regression beside school dummies."""
    x, schools = case.x, case.schools
    varies = [
        j
        for j in range(x.shape[1])
        if any(np.ptp(x[schools == g, j]) > 1e-12 * np.abs(x[:, j]).max() for g in range(len(case.sizes)))
    ]
    dummies = (schools[:, None] == np.arange(len(case.sizes))).astype(np.float64)
    return varies, conditioned(case.columns["y"], np.column_stack([dummies, x[:, varies]]), len(case.sizes))


class Defined(NamedTuple):
    """What a definition says: terms answered, their numbers, the regression they come from and their rows in it."""

    terms: list[str]
    fit: Fit
    well: Conditioned
    rows: list[int]


Oracle = Callable[[Case], Defined]


def pooled(fit: Callable[..., Fit]) -> Oracle:
    """Return the oracle of a pooled method."""

    def oracle(case: Case) -> Defined:
        return _named(case, case.well, fit, list(range(len(case.terms))), 0)

    return oracle


def dummies(fit: Callable[..., Fit]) -> Oracle:
    """Return the oracle of a method with school dummies."""

    def oracle(case: Case) -> Defined:
        varies, well = within_school(case)
        return _named(case, well, fit, varies, len(case.sizes))

    return oracle


def _named(case: Case, well: Conditioned, fit: Callable[..., Fit], columns: list[int], skip: int) -> Defined:
    chosen = [k for k in range(len(columns)) if well.estimable[skip + k]]
    rows = [skip + k for k in chosen]
    got = fit(well.y, well.x, case.schools, well.back[rows])
    return Defined(
        [case.terms[columns[k]] for k in chosen],
        got._replace(estimate=well.shift[rows] + got.estimate),
        well,
        rows,
    )


def sandwich(kind: str) -> Callable[..., Fit]:
    """Return `least_squares.sandwich` of one kind."""

    def fit(y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
        return least_squares.sandwich(kind, y, x, schools, contrasts)

    return fit


def normal(fit: Callable[..., Fit]) -> Callable[..., Fit]:
    """Return a fit with df = inf."""

    def changed(*data: Floats) -> Fit:
        got = fit(*data)
        return got._replace(df=np.full_like(got.df, np.inf))

    return changed


def working(fit: Callable[..., Fit], kind: str) -> Callable[..., Fit]:
    """Return a fit with the df of the whole quadratic form of `kind`."""

    def changed(y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
        df = least_squares.working_df(kind, x, schools, contrasts)
        return fit(y, x, schools, contrasts)._replace(df=df)

    return changed


def gee(corrected: bool) -> Callable[..., Fit]:
    """Return the GEE oracle."""

    def fit(y: Floats, x: Floats, schools: Ints, contrasts: Floats) -> Fit:
        return least_squares.gee(y, x, schools, contrasts, corrected)[0]

    return fit


LEAST_SQUARES: dict[str, Oracle] = {
    "ols": pooled(least_squares.iid),
    "ols-cr0-z": pooled(normal(sandwich("CR0"))),
    "ols-cr1s-z": pooled(normal(sandwich("CR1S"))),
    "ols-cr1s-t": pooled(sandwich("CR1S")),
    "ols-cr2-satt": pooled(least_squares.cr2),
    "ols-cr3-t": pooled(sandwich("CR3")),
    "ols-jackknife-t": pooled(least_squares.jackknife),
    "gee-z": pooled(gee(False)),
    "gee-md-z": pooled(gee(True)),
    "dummies": dummies(least_squares.iid),
    "dummies-cr1s-z": dummies(normal(sandwich("CR1S"))),
    "dummies-cr2-satt": dummies(least_squares.cr2),
    "ols-cr1-t": pooled(sandwich("CR1")),
    "ols-cr0-z(reference=satterthwaite)": pooled(working(sandwich("CR0"), "CR0")),
    "ols-cr1-t(reference=satterthwaite)": pooled(working(sandwich("CR1"), "CR0")),
    "ols-cr1s-t(reference=satterthwaite)": pooled(working(sandwich("CR1S"), "CR0")),
    "ols-cr3-t(reference=satterthwaite)": pooled(working(sandwich("CR3"), "CR3")),
    "ols-jackknife-t(reference=satterthwaite)": pooled(working(least_squares.jackknife, "jackknife")),
    "dummies-cr1s-z(reference=satterthwaite)": dummies(working(sandwich("CR1S"), "CR0")),
}
"""The least-squares methods, by label, and their dense definitions."""


def labelled(label: str) -> Estimator:
    """Return the method of a label."""
    (choice,) = choices_of(label)
    return get(choice)


def covariance(case: Case, quantities: Mapping[str, Floats]) -> tuple[Floats, list[Floats]]:
    """Return V/sigma^2 of a random-intercept or nested fit at its own variance components, and the parts of V."""
    n, residual = len(case.columns["y"]), quantities["(residual_sd)"][0]
    parts = [mixed_dense.same(case.schools)]
    sds = [quantities["(school_sd)"][0]]
    if "(class_sd)" in quantities:
        parts.insert(0, mixed_dense.same(case.schools * (int(case.klass.max()) + 1) + case.klass))
        sds.insert(0, quantities["(class_sd)"][0])
    v = np.eye(n)
    for sd, part in zip(sds, parts, strict=True):
        v = v + (sd / residual) ** 2 * part
    return v, [*parts, np.eye(n)]


def psi_of(quantities: Mapping[str, Floats], terms: tuple[str, ...]) -> Floats:
    """Return Var(u)/sigma^2 [q, q] of random effects from the standard deviations and correlations of a fit."""
    residual = quantities["(residual_sd)"][0]
    names = ["(school_sd)" if term == "Intercept" else f"(slope_sd[{term}])" for term in terms]
    psi = np.diag([(quantities[name][0] / residual) ** 2 for name in names])
    for j, b in enumerate(terms):
        for i, a in enumerate(terms[:j]):
            shared = np.sqrt(psi[i, i] * psi[j, j]) * np.nan_to_num(quantities[f"(corr[{a},{b}])"][0])
            psi[i, j] = psi[j, i] = shared
    return np.asarray(psi)


def slopes(
    case: Case, quantities: Mapping[str, Floats], terms: tuple[str, ...]
) -> tuple[Floats, list[Floats]]:
    """Return V/sigma^2 of a random-slope fit at its own covariance, and the parts of V."""
    z, together = np.column_stack([case.column(term) for term in terms]), mixed_dense.same(case.schools)
    v = mixed_dense.relative_covariance(z, case.schools, psi_of(quantities, terms))
    parts = []
    for j in range(len(terms)):
        for i in range(j + 1):
            unit = np.zeros((len(terms), len(terms)))
            unit[i, j] = unit[j, i] = 1.0
            parts.append(together * (z @ unit @ z.T))
    return v, [*parts, np.eye(len(z))]
