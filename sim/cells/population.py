"""Populations: what data are drawn from, with the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource


@runtime_checkable
class Population(Protocol):
    """What students and schools are drawn from: a frozen dataclass, its parameters as fields, each with a default.

    With a layout it is a data-generating mechanism. It is a protocol, not a base class, so that a user's population
    depends on nothing here; methods never see one.

    `name` is its name in TOML files (`law = "..."`); the fields are the keys of the `[population]` table. What
    each may be and means is declared with it (`nestbench.sim.parameter`), or by class attributes `ranges`, field ->
    arguments of `nestbench.sim.checks.number`, and `choices`, field -> words (of a table: its keys), and the docstring.
    Lists and the schema that editors read are made of it; checking it is left to the population (`check_declared`).
    One that is drawn by statistics has ``strata(layout) -> int`` (`RandomIntercept.strata`).
    """

    name: ClassVar[str]

    @property
    def truth(self) -> Mapping[str, float]:
        """Term -> true value, terms named as formulaic names them; variance components as ``(school_sd)``,
        ``(residual_sd)``, ``(icc)``."""

    def theory(self, layout: Layout, model: Model | None = None) -> Mapping[str, Any]:
        """What is known without simulation; whatever isn't known is left out.

        ``design_effect`` : float. ``naive_coverage``, ``naive_se_ratio`` : term -> value, pooled OLS, school-constant
        terms. ``coverage``, ``se_ratio`` (expected standard error over true SD), ``bias`` : method -> term -> value,
        the method by its name or by what it computes: a test of `nestbench.sim.theory.ols_tests.TESTS`; of a bias,
        ``ols`` or ``likelihood`` (`Estimator.theory` says which is a method's own). ``coverage_mcse``,
        ``se_ratio_mcse`` : their Monte Carlo errors, where they are averages over draws of the columns;
        ``coefficients`` : term -> the value that coverage is of. Values are for `model`, or for a model with the
        population's own columns when none is given. A population whose ``theory`` has a third parameter ``tests`` is
        told the names of the tests that are wanted, and may leave out the others.
        """

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the observed data of some replications; row values depend on (population, layout, seed, replication)
        alone."""
