"""Runs that are never stored: small studies inside a test, with the same draws and fits as a stored run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Extent
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.running.work import fit_all
from nestbench.experiments.storing.provenance import packages


@dataclass(slots=True)
class InMemory:
    """The results of an experiment, computed condition by condition when asked for. Implements `Results`."""

    experiment: Experiment
    provenance: Mapping[str, Any] = field(default_factory=lambda: {"packages": packages()})
    _cells: dict[int, Mapping[str, Estimates]] = field(default_factory=dict, repr=False)

    def extent(self) -> Extent:
        """Everything that is asked for."""
        counts = {e.label: self.experiment.limit(e) for e in self.experiment.estimators}
        cells = (counts,) * len(self.experiment.cells)
        return Extent(cells, cells)

    def estimates(
        self, cell: int, within: range | None = None, names: Sequence[str] | None = None
    ) -> Mapping[str, Estimates]:
        """Estimates of one condition by method label; each method on as many replications as a stored run gives it."""
        if cell not in self._cells:
            self._cells[cell] = _fitted(self.experiment, cell)
        return self._cells[cell]

    def span(self, cell: int) -> range:
        """Conditions are read whole."""
        return range(0)

    def names(self, cell: int) -> Mapping[str, tuple[str, ...]]:
        """Not needed of conditions that are read whole."""
        return {}

    def opener(self) -> None:
        """Nothing: they are in this process alone."""

    def timings(self, cell: int) -> pd.DataFrame:
        """No times are kept."""
        return pd.DataFrame(columns=["estimator", "engine", "replication", "seconds"])

    def audits(self) -> pd.DataFrame:
        """No audits are made."""
        return pd.DataFrame()


def _fitted(experiment: Experiment, cell: int) -> dict[str, Estimates]:
    """Return the estimates of a condition by label; methods with equally many replications are fitted together."""
    by_label: dict[str, Estimates] = {}
    # Methods with as many replications are fitted together, so that they share what can be shared.
    for count in sorted({experiment.limit(e) for e in experiment.estimators}):
        methods = with_truth(
            (e for e in experiment.estimators if experiment.limit(e) == count), experiment.cells[cell]
        )
        by_label |= fit_all(experiment.cells[cell], experiment.seed, range(count), methods, experiment.engine)
    return {e.label: by_label[e.label] for e in experiment.estimators}
