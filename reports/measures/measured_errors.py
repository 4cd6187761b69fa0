"""Monte Carlo errors of a run in progress, for targets of precision.

The largest error decides, over methods and terms: a target is a promise about every number of the table.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.storing.store import Store
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.measures.performance import performance_of_cell
from nestbench.sim.errors import InvalidInput, unknown_name


class MeasuredErrors:
    """The largest Monte Carlo error over terms and methods, of the measures that have targets.

    Methods bounded by `reference_replications` are left out: more replications would not reach them.
    """

    def check(self, experiment: Experiment) -> None:
        """Refuse targets for measures that aren't, and experiments in which no method can get more replications."""
        names = [measure.name for measure in MEASURES]
        for name in experiment.precision.targets if experiment.precision else ():
            if name not in names:
                raise unknown_name("measure in [precision]", name, names)
        if not _unbounded(experiment):
            raise InvalidInput(
                "expected a method that reference_replications doesn't bound, for [precision] to reach its targets; "
                'set engine = "reference", or add a method with a fast engine'
            )

    def errors(self, store: Store, cell: int) -> Mapping[str, float]:
        """Return the largest error of each measure with a target; measures undefined in the condition are left out."""
        experiment = store.experiment
        by_label = store.estimates(cell)
        unbounded = {label: by_label[label] for label in _unbounded(experiment) if label in by_label}
        condition = experiment.cells[cell]
        table = performance_of_cell(unbounded, condition.truth, condition.model)
        table = table[~table["term"].astype(str).str.startswith("(")]
        targets = experiment.precision.targets if experiment.precision else {}
        errors = {name: table.loc[table["measure"] == name, "mcse"].max() for name in targets}
        return {name: float(error) for name, error in errors.items() if np.isfinite(error)}


def _unbounded(experiment: Experiment) -> list[str]:
    """Return the methods that more replications would reach."""
    return [e.label for e in experiment.estimators if experiment.engine != "auto" or e.batched is not None]
