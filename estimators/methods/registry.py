"""The registry: every method, in one explicit tuple, and the ones a user's files add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nestbench.estimators.engines.diagnostics import diagnosed
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import (
    adapters,
    dummies,
    gee,
    gls,
    lmer,
    means,
    mixedlm,
    mixedlm_guarded,
    mundlak,
    nested,
    ols,
    ols_cluster,
    ols_cr2,
    ols_hc,
    pairs_bootstrap,
    permutation,
    reml,
    wild,
)
from nestbench.sim import entry_points
from nestbench.sim.errors import InvalidInput, unknown_name

FAMILIES: Mapping[str, tuple[Estimator, ...]] = {
    "Pooled least squares": (
        ols.OLS_IID,
        ols_hc.HC1,
        ols_hc.HC2,
        ols_hc.HC3,
        diagnosed(ols_cluster.CR0_Z),
        diagnosed(ols_cluster.CR0_T),
        diagnosed(ols_cluster.CR1_T),
        diagnosed(ols_cluster.CR1S_Z),
        diagnosed(ols_cluster.CR1S_T),
        diagnosed(ols_cr2.CR2_SATT),
        diagnosed(ols_cluster.CR3_T),
        diagnosed(ols_cluster.JACKKNIFE_T),
        wild.WILD,
        wild.WILD_U,
    ),
    "School dummies": (
        dummies.DUMMIES,
        dummies.DUMMIES_CR1S_Z,
        ols_cr2.DUMMIES_CR2_SATT,
    ),
    "School means": (means.MEANS,),
    "Random school effects: statsmodels' MixedLM": (
        mixedlm.MIXEDLM,
        mixedlm_guarded.MIXEDLM_GUARDED,
    ),
    "Generalised estimating equations": (
        gee.GEE_Z,
        gee.GEE_MD_Z,
    ),
    "Random school effects: exact REML, ML and GLS": (
        reml.REML_Z,
        reml.ML_Z,
        reml.REML_BW,
        reml.REML_SATT,
        reml.REML_KR,
        reml.REML_CR2,
        gls.GLS,
    ),
    "Classes in schools": (
        nested.NESTED_Z,
        nested.NESTED_SATT,
    ),
    "School means of covariates added (Mundlak)": (
        mundlak.mundlak(reml.REML_Z, "z", "z"),
        mundlak.mundlak(reml.REML_SATT, "satt", "Satterthwaite"),
        mundlak.mundlak(reml.REML_KR, "kr", "Kenward-Roger"),
        mundlak.mundlak(ols_cluster.CR1S_T, "cr1s-t", "CR1S t"),
        mundlak.mundlak(ols_cr2.CR2_SATT, "cr2-satt", "CR2 Satterthwaite"),
    ),
    "Schools reassigned or redrawn": (
        permutation.PERMUTATION,
        pairs_bootstrap.PAIRS_BOOTSTRAP,
    ),
}
"""Every method that is written here, by family: the headings of lists."""

ESTIMATORS: tuple[Estimator, ...] = tuple(method for family in FAMILIES.values() for method in family)

ADAPTERS: tuple[Estimator, ...] = (*adapters.ADAPTERS, lmer.LMER)
"""Methods of other packages; they run where the package is installed."""

OTHER_PACKAGES, ADDED = "Methods of other packages", "Added by you or by installed packages"

_ADDED: dict[str, Estimator] = {}


def known() -> dict[str, Estimator]:
    """Return every method by name: built in, adapters to other packages, then added by users or their packages."""
    # At each look-up, for a worker process has loaded nothing yet; only the first in a process does anything.
    entry_points.load("nestbench.estimators", _add_offered)
    return {estimator.name: estimator for estimator in (*ESTIMATORS, *ADAPTERS)} | _ADDED


def family_of(name: str) -> str:
    """Return the family of a method by its name."""
    of = {
        method.name: family
        for family, methods in (*FAMILIES.items(), (OTHER_PACKAGES, ADAPTERS))
        for method in methods
    }
    return of.get(name, ADDED)


def built_in(name: str) -> bool:
    """Whether a method comes with this package, adapters included."""
    return any(name == estimator.name for estimator in (*ESTIMATORS, *ADAPTERS))


def runnable() -> dict[str, Estimator]:
    """Return the methods by name without the adapters whose package is not installed."""
    missing = {name for name, package in adapters.PACKAGES.items() if not adapters.installed(package)}
    missing |= set() if lmer.installed() else {lmer.LMER.name}
    return {name: estimator for name, estimator in known().items() if name not in missing}


def add(estimator: Estimator) -> None:
    """Add a method of the user's to this process; adding the same one again is harmless."""
    if built_in(estimator.name):
        raise InvalidInput(f"the name '{estimator.name}' is taken by a built-in method; choose another name")
    _ADDED[estimator.name] = estimator


def _add_offered(offered: Any) -> None:
    """Add what an entry point names; a decorated function was added when its module was loaded."""
    if isinstance(offered, Estimator):
        add(offered)


def get(choice: str | Mapping[str, Any]) -> Estimator:
    """Return a method by name, or by a table ``{name = "ols-wild", draws = 999}``.

    A label is not a name: what stands in results as ``ols-wild(draws=999)`` is read by `choices`, which makes a table
    of it.

    Parameters
    ----------
    choice : str or mapping

    Raises
    ------
    InvalidInput
        No such method, or an option that it doesn't have; the message names the nearest.
    """
    if isinstance(choice, str):
        choice = {"name": choice}
    options = dict(choice)
    name = options.pop("name", None)
    estimators = known()
    if not isinstance(name, str) or name not in estimators:
        raise unknown_name("method", str(name), estimators)
    return estimators[name].with_options(options)
