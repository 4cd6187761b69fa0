"""Which terms have no true value, and why: the measures that need one are missing for them, not good or bad."""

from __future__ import annotations

import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.conditions import condition_of
from nestbench.reports.wording import several

RULE = (
    "The true value of a term is its coefficient in the population's mean, as the fitted formula has it, the same in "
    "every data set. Where there is none, coverage, bias, RMSE and interval scores don't exist for the term; state "
    "one (in [truth], or by --truth where results are read) if you know which value it should be judged by."
)


def untold(table: pd.DataFrame, experiment: Experiment) -> list[str]:
    """Return a sentence for each reason why terms of the table have no true value, terms in backticks."""
    shown = {term for term in table["term"].unique() if not term.startswith("(")}
    places: dict[tuple[str, str], list[str]] = {}
    for i, cell in enumerate(experiment.cells):
        for term, why in cell.truth_reasons.items():
            if term in shown:
                places.setdefault((term, why), []).append(condition_of(experiment, i))
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (term, why), cells in places.items():
        grouped.setdefault((why, tuple(cells)), []).append(term)
    return [
        _sentence(terms, why, [] if len(cells) == len(experiment.cells) else list(cells))
        for (why, cells), terms in grouped.items()
    ]


def reason_of(term: str, experiment: Experiment) -> str | None:
    """Return why a term has no true value in the first condition where it has none."""
    reasons = (cell.truth_reasons.get(term) for cell in experiment.cells)
    return next((why for why in reasons if why), None)


def _sentence(terms: list[str], why: str, cells: list[str]) -> str:
    """Return why some terms have no true value, as one sentence for all conditions where the reason is the same."""
    names = several([f"`{term}`" for term in terms], 8)
    where = f" ({several(cells)})" if cells else ""
    return f"No coverage or bias of {names}{where}: {why}."
