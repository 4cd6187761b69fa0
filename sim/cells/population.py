"""Populations: laws that know the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource


@runtime_checkable
class Population(Protocol):
    """A law of nested data: a frozen dataclass whose fields are its parameters, each with a default.

    `name` is the law's name in TOML files; the fields are the keys of the `[population]` table.
    It may state `ranges`, field -> arguments of `nestbench.sim.checks.number`, and `choices`, field -> words (of a
    table: its keys): the schema of TOML files tells them to editors; to check them is the law's own.
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
        law's own columns when none is given.
        """

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the observed data of some replications; row values depend on (law, layout, seed, replication)
        alone."""
