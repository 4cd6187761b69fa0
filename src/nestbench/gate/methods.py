"""Ways of the league as methods of an experiment: a gate's plugin adds those of its package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nestbench.experiments.plugins import estimator
from nestbench.league.asked import BY_TERM, LOGLIK, Answer, Asked
from nestbench.league.judging import plain
from nestbench.league.package import Package, Way
from nestbench.league.packages import PLACES
from nestbench.sim.errors import InvalidInput, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.sim.observed.model import Model


@dataclass(frozen=True, slots=True)
class Called:
    """One way of a package as a method's function ``(frame, model) -> table of terms``; picklable by name."""

    package: str
    way: str

    def __call__(self, frame: pd.DataFrame, model: Model) -> dict[str, Any]:
        """Fit one data set."""
        return table_of(package_named(self.package).way(self.way).fit(frame, _asked(model)), model)


def package_named(name: str) -> Package:
    """Return a package of the league by its name, as it is installed or imported.

    Raises
    ------
    InvalidInput
        The league has no such package.
    """
    package = find_package(name)
    if package is None:
        names = [one.name for one in packages()]
        raise InvalidInput(
            f"expected a package of the league, got '{name}'.{did_you_mean(name, names)} Packages: {', '.join(names)}"
        )
    return package


def find_package(name: str) -> Package | None:
    """Return a package of the league by its name, as it is installed or imported; None where there is none."""
    wanted = re.sub(r"[-_.]+", "-", name).lower()
    named = {re.sub(r"[-_.]+", "-", one.distribution).lower(): one for one in packages()}
    return named.get(wanted)


def packages() -> list[Package]:
    """Return the packages of the league; none of them is imported."""
    return [import_module(place).PACKAGE for place in PLACES]


def gated(package: Package) -> tuple[Way, ...]:
    """Return the ways that a gate runs: of a random intercept, the same numbers on whatever processor."""
    return tuple(way for way in package.ways if "intercept" in way.exact and not way.draws and way.determined)


def method_name(package: Package, way: Way) -> str:
    """Return what a way is called as a method: ``pyfixest-feols-crv1``."""
    return re.sub(r"[^a-z0-9]+", "-", f"{package.name} {way.name}".lower()).strip("-")


def add_ways(name: str, *only: str) -> None:
    """Add ways of a package of the league as methods, called ``PACKAGE-WAY``.

    Parameters
    ----------
    name : str
        The package.
    *only : str
        Names of its ways; none: all that a gate runs.

    Raises
    ------
    InvalidInput
        The league has no such package, or it no such way.
    """
    package = package_named(name)
    known = {way.name: way for way in package.ways}
    for one in only or [way.name for way in gated(package)]:
        if one not in known:
            raise InvalidInput(
                f"expected a way of {name}, got '{one}'.{did_you_mean(one, known)} Ways: {', '.join(known)}"
            )
        label, words = f"{package.name} {one}", known[one].convention
        estimator(method_name(package, known[one]), label=label, summary=words)(Called(name, one))


def table_of(answer: Answer, model: Model) -> dict[str, Any]:
    """Return an answer by term, as a method returns it: terms by the model's names, variances as SDs of theirs."""
    written = {plain(term): term for term in ("Intercept", *_terms(model.formula))}
    table: dict[str, dict[str, float]] = {}
    for quantity in BY_TERM:
        for theirs, value in answer.get(quantity, {}).items():
            table.setdefault(written.get(plain(str(theirs)), str(theirs)), {})[quantity] = float(value)
    for name, value in answer.get("variance", {}).items():
        # A covariance has no root; its name in the truth is that of a correlation.
        if name != "covariance":
            table[f"({name}_sd)"] = {"estimate": max(float(value), 0.0) ** 0.5}
    if LOGLIK in answer:
        table["(loglik)"] = {"estimate": float(answer[LOGLIK])}
    return table


def _terms(formula: str) -> list[str]:
    """Return the terms of a sum as written."""
    return [term.strip() for term in formula.partition("~")[2].split("+")]


def _asked(model: Model) -> Asked:
    """Return what an adapter is given of a model."""
    slope = model.random.replace("1", "", 1).replace("+", "").strip()
    return Asked(model.formula, model.group, slope, model.subgroup or "", model.level)
