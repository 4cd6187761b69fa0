"""A package of the league: its name, and the ways it fits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from nestbench.estimators.estimates import DF, ESTIMATE, LOWER, P_VALUE, STD_ERROR, UPPER
from nestbench.league.asked import BY_TERM, Answer, Fit
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model

ALL_RANDOM = ("intercept", "slope", "classes")


@dataclass(frozen=True, slots=True)
class Setting:
    """A data set as it is fitted: students N, schools G, p the rank of X, its columns, and itself with its model."""

    students: int
    schools: int
    terms: int
    columns: int
    batch: Batch
    model: Model


Adjust = Callable[[dict[str, Any], Setting], dict[str, Any]]
"""Exact values of our method -> those under the package's stated convention."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a package fits, and the exact values it is held to.

    Attributes
    ----------
    name : str
        Within its package: ``"MixedLM lbfgs"``.
    fit : callable
        A function of the package's own file, or a `functools.partial` of one.
    exact : mapping of str to str
        Random part (``intercept``, ``slope``, ``classes``) -> method of ours whose values are exact, its options after
        colons; a random part that isn't there is not fitted in this way.
    convention : str
        What each quantity is compared with, in words.
    claims : tuple of str
        What it reports, of `asked.BY_TERM`, ``variance`` and ``loglik``.
    adjust : callable or None
        From our method's values to its convention.
    draws : int
        Number of random draws behind its p-value; 0: none. The exact values of a data set may say another (``draws``):
        where all there are are enumerated, nothing is random.
    most : int
        Data sets of a condition that it is given at most: one that takes seconds a fit would take most of the time.
    others : tuple of (str, callable)
        Conventions as good as the stated one, in words, and what takes our method's values to each: where neither is
        settled, a package that follows one of them isn't wrong.
    determined : bool
        Whether data and code decide its numbers to 1e-4 on every processor, where no variance is near 0; not where last
        bits decide where an optimiser stops.
    """

    name: str
    fit: Fit
    exact: Mapping[str, str]
    convention: str
    claims: tuple[str, ...] = BY_TERM
    adjust: Adjust | None = None
    draws: int = 0
    most: int = 10**6
    others: tuple[tuple[str, Adjust], ...] = ()
    determined: bool = True

    @property
    def mixed(self) -> bool:
        """Whether it fits a mixed model: its df are functions of estimated variances."""
        return any(method.startswith(("reml", "nested", "ml")) for method in self.exact.values())


@dataclass(frozen=True, slots=True)
class Package:
    """A package: how people call it, how it is installed and imported, and how it fits.

    Attributes
    ----------
    name, distribution, module : str
        As it is written, installed and imported.
    ways : tuple of Way
    install : str
        What there must be where pip installs it not, or not alone.
    needs : str
        A program on the path that it can't do without.
    asks : callable or None
        What returns the version of what is no Python distribution.
    """

    name: str
    distribution: str
    module: str
    ways: tuple[Way, ...]
    install: str = ""
    needs: str = ""
    asks: Callable[[], str | None] | None = None

    @property
    def version(self) -> str | None:
        """The version that is installed; None where there is none."""
        if self.asks is not None:
            return self.asks()
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    @property
    def lacks(self) -> str:
        """What is missing beside the package itself, in words; nothing, or no program that it needs."""
        if self.needs and shutil.which(self.needs) is None:
            return f"no {self.needs}: expected the program on the path; {self.install}"
        return ""

    def way(self, name: str) -> Way:
        """Return a way by its name."""
        return next(way for way in self.ways if way.name == name)


def same(method: str, random: tuple[str, ...] = ALL_RANDOM) -> dict[str, str]:
    """Return one method as the exact one of several random parts."""
    return dict.fromkeys(random, method)


def mixed(intercept: str, classes: str = "") -> dict[str, str]:
    """Return the methods of mixed models: one of one or two random effects, one of classes in schools."""
    return {"intercept": intercept, "slope": intercept} | ({"classes": classes} if classes else {})


def scaled_errors(factor: Callable[[Setting], float]) -> Adjust:
    """Return what multiplies variances of coefficients by a factor; p-values and intervals follow."""

    def adjust(exact: dict[str, Any], setting: Setting) -> dict[str, Any]:
        """Return the exact values with other standard errors and what rests on them."""
        root = factor(setting) ** 0.5
        errors = {term: root * value for term, value in exact[STD_ERROR].items()}
        return with_tests({**exact, STD_ERROR: errors}, exact[DF], exact["level"])

    return adjust


def with_df(df: Callable[[Setting], float]) -> Adjust:
    """Return what sets the df of every test."""

    def adjust(exact: dict[str, Any], setting: Setting) -> dict[str, Any]:
        """Return the exact values under another reference distribution."""
        return with_tests(exact, dict.fromkeys(exact[ESTIMATE], df(setting)), exact["level"])

    return adjust


def with_tests(exact: Answer, df: Mapping[str, float], level: float) -> dict[str, Any]:
    """Return p = 2 P(T_df > |b / se|) and b ± t_df se beside estimates b and standard errors se, term by term."""
    from scipy.stats import norm, t

    p_value, lower, upper = {}, {}, {}
    for term, estimate in exact[ESTIMATE].items():
        error = exact[STD_ERROR][term]
        # scipy's t of infinite df is the normal, to fewer digits in the tail.
        law = norm if df[term] == float("inf") else t(df[term])
        p_value[term] = float(2.0 * law.sf(abs(estimate / error))) if error > 0 else float("nan")
        half = float(law.ppf(0.5 + level / 2.0)) * error
        lower[term], upper[term] = estimate - half, estimate + half
    return {**exact, DF: dict(df), P_VALUE: p_value, LOWER: lower, UPPER: upper}
