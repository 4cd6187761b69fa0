"""The exact values of a data set under a stated convention: by our engines, which the tests hold to oracles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nestbench.estimators.engines.reference import full_rank, matrices_of
from nestbench.estimators.estimates import STD_ERROR
from nestbench.estimators.methods import registry
from nestbench.estimators.methods.choices import choices_of
from nestbench.league.asked import BY_TERM, Asked
from nestbench.league.package import Adjust, Setting, Way
from nestbench.own_data.fit import Fit, fit_one
from nestbench.own_data.user_data import UserData, prepare
from nestbench.sim.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Exact:
    """The exact values of one data set in one way, and the scales that errors are measured in.

    Attributes
    ----------
    values : dict
        As an `asked.Answer`, its terms in our names; NaN where there is no exact value.
    scales : dict
        Component of variance -> what 1 % of it would be 1 % of: the exact value and the total variance (of slopes in
        the units of their variable).
    boundary : bool
        Whether a variance is estimated at 0 or a correlation at 1.
    """

    values: dict[str, Any]
    scales: dict[str, float]
    boundary: bool


class Truths:
    """The exact values of one data set, each method fitted once."""

    def __init__(self, data: pd.DataFrame, asked: Asked) -> None:
        self._asked, self._model = asked, asked.model
        self._data: UserData = prepare(data, self._model)
        slope = data[asked.slope].std() if asked.slope else 1.0
        self._spread = float(slope)
        self._fits: dict[str, Fit] = {}
        self._exact: dict[tuple[str, Adjust | None], Exact] = {}

    def of(self, way: Way) -> Exact:
        """Return the exact values for a way."""
        return self._by(way, way.adjust)

    def others(self, way: Way) -> dict[str, Exact]:
        """Return the exact values under the other conventions of a way, by their words."""
        return {words: self._by(way, adjust) for words, adjust in way.others}

    def _by(self, way: Way, adjust: Adjust | None) -> Exact:
        """Return the exact values under a convention, made once for all ways that have it."""
        key = way.exact[self._asked.random], adjust
        if key not in self._exact:
            self._exact[key] = self._made(*key)
        return self._exact[key]

    def _made(self, method: str, adjust: Adjust | None) -> Exact:
        """Return the exact values by a method of ours, taken to a convention."""
        fit = self._fit(method)
        values = values_of(fit, self._asked)
        if adjust is not None:
            known = {term for term, error in values[STD_ERROR].items() if math.isfinite(error)}
            values = adjust({**values, **_only(values, known)}, self._setting())
        return Exact(values, self._scales(values), at_boundary(fit))

    def _fit(self, name: str) -> Fit:
        """Fit a method of ours, by the engine that is held to the oracles."""
        if name not in self._fits:
            method = registry.get(choices_of(name)[0])
            self._fits[name] = fit_one(self._data, method, self._model)
        return self._fits[name]

    def _setting(self) -> Setting:
        batch = self._data.batch
        # The rank of X: a coefficient without a standard error of one method is fitted all the same.
        whole = batch.once(matrices_of, self._model).of(batch.replication(0), {})
        rank = len(full_rank(whole).columns)
        return Setting(self._data.n, self._data.groups, rank, len(whole.terms), batch, self._model)

    def _scales(self, values: dict[str, Any]) -> dict[str, float]:
        """Return the scale of each component of variance."""
        variance = values["variance"]
        total = sum(variance.get(name, 0.0) for name in ("residual", "class"))
        total += variance.get("school", 0.0) if not self._asked.slope else 0.0
        units = {"slope": self._spread**-2, "covariance": 1.0 / self._spread}
        return {name: abs(value) + total * units.get(name, 1.0) for name, value in variance.items()}


def truths_of(data: pd.DataFrame, asked: Asked) -> Truths | None:
    """Return what has the exact values of a data set; None where our methods refuse it."""
    try:
        return Truths(data, asked)
    except InvalidInput:
        return None


def at_boundary(fit: Fit) -> bool:
    """Return whether a variance is estimated at 0 or a correlation at 1.

    Of data in which some terms aren't estimable the status says that alone.
    """
    if fit.status.name != "SINGULAR":
        return fit.status.name == "BOUNDARY"
    return any(
        abs(value) >= 1.0 if name.startswith("corr[") else value == 0.0
        for name, value in fit.variance.items()
        if "_sd" in name or name.startswith("corr[")
    )


def values_of(fit: Fit, asked: Asked) -> dict[str, Any]:
    """Return a fit of ours as an answer, with the level it has; NaN of fits that aren't usable."""
    # Of data in which some terms aren't estimable, the others have their numbers.
    table = fit.terms if fit.usable or fit.status.name == "SINGULAR" else fit.terms * math.nan
    found = dict(fit.variance) if fit.usable else {}
    names = {
        "school": "school_sd",
        "class": "class_sd",
        "residual": "residual_sd",
        "slope": f"slope_sd[{asked.slope}]",
    }
    variance = {name: found[sd] ** 2 for name, sd in names.items() if sd in found}
    if asked.slope and {"school", "slope"} <= variance.keys():
        # A variance of 0 leaves no correlation, and a covariance of 0.
        correlation = found.get(f"corr[Intercept,{asked.slope}]", 0.0)
        variance["covariance"] = correlation * math.sqrt(variance["school"] * variance["slope"])
    by_term = {name: {str(term): float(value) for term, value in table[name].items()} for name in BY_TERM}
    loglik = fit.loglik if fit.usable and fit.loglik is not None else math.nan
    return {**by_term, "variance": variance, "loglik": loglik, "level": asked.level}


def _only(values: dict[str, Any], terms: set[str]) -> dict[str, dict[str, float]]:
    """Return what values have by term, of some terms only."""
    return {name: {t: v for t, v in values[name].items() if t in terms} for name in BY_TERM}
