"""What can be known to fail before a run starts."""

from __future__ import annotations

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.oracle import with_truth
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.design import design_of


def check_models(experiment: Experiment) -> None:
    """Draw one data set per population and compile each model against it.

    A misspelt column then fails within a second, by the name of its section, and not in a worker after the first
    minutes.

    Raises
    ------
    InvalidInput
        A formula, group or random part names a column its population doesn't draw.
    """
    for cell in experiment.cells:
        with_truth(experiment.estimators, cell)
    seen = set()
    for cell in experiment.cells:
        kind = (cell.population.name, cell.model)
        if kind in seen:
            continue
        seen.add(kind)
        batch = cell.draw(experiment.seed, range(1))
        if cell.model.group != batch.group:
            raise InvalidInput(
                f'expected model.group = "{batch.group}", the group column of the population '
                f"'{cell.population.name}', "
                f'got "{cell.model.group}"'
            )
        try:
            batch.once(design_of, cell.model)
        except InvalidInput as error:
            raise InvalidInput(f"[model]: {error}") from error
