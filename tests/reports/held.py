"""A run held in memory: estimates by condition, without times or audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Extent


@dataclass
class RunInMemory:
    """What reports read of a run."""

    experiment: Experiment
    cells: list[dict[str, Estimates]]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def extent(self) -> Extent:
        asked = dict.fromkeys((e.label for e in self.experiment.estimators), self.experiment.replications)
        fitted = [{name: cell[name].size if name in cell else 0 for name in asked} for cell in self.cells]
        return Extent((asked,) * len(fitted), tuple(fitted))

    def estimates(
        self, cell: int, within: range | None = None, names: Sequence[str] | None = None
    ) -> Mapping[str, Estimates]:
        return self.cells[cell]

    def span(self, cell: int) -> range:
        return range(0)

    def names(self, cell: int) -> Mapping[str, tuple[str, ...]]:
        return {}

    def opener(self) -> None:
        return None

    def timings(self, cell: int) -> pd.DataFrame:
        return pd.DataFrame()

    def audits(self) -> pd.DataFrame:
        return pd.DataFrame()
