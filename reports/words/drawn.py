"""How the data sets of each condition were drawn, in words: by statistics, or student by student and why."""

from __future__ import annotations

from nestbench.experiments.drawing import how_drawn
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import MOST_AUDITED, Round, audited_replications
from nestbench.reports.conditions import conditions
from nestbench.reports.wording import several
from nestbench.sim.cells.data_size import data_size


def drawn_words(experiment: Experiment) -> str:
    """Return how data sets were drawn, conditions that were drawn alike together.

    ``Data sets: statistics of 50 schools drawn, students completed for ols-hc3.``
    """
    alike: dict[str, list[int]] = {}
    for number, cell in enumerate(experiment.cells):
        alike.setdefault(how_drawn(cell, experiment.estimators, experiment.engine), []).append(number)
    if len(alike) == 1:
        return f"Data sets: {next(iter(alike))}.{_audited(experiment)}"
    names = conditions(experiment)
    parts = (f"{how} ({several([names[i] for i in where], 4)})" for how, where in alike.items())
    return f"Data sets: {'; '.join(parts)}.{_audited(experiment)}"


def _audited(experiment: Experiment) -> str:
    """Return what else has students completed."""
    by_statistics = any(data_size(cell.population, cell.layout).statistics for cell in experiment.cells)
    if not experiment.audit or not by_statistics:
        return ""
    said = " Audits, replays and simulated tables complete the students who belong to these statistics."
    reach = Round.of(experiment)
    if all(audited_replications(cell, reach, i) for i, cell in enumerate(experiment.cells)):
        return said
    most = f"{MOST_AUDITED:,}".replace(",", " ")
    return f"{said} Data sets of more than {most} students aren't audited."
