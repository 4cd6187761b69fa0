"""Results as an experiment: a condition a combination of levels, what stands in for population and methods."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nestbench.estimators.estimates import VARIANCE_PREFIX, Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.kept_method import kept_method
from nestbench.own_results.factors import Conditions
from nestbench.own_results.truths import Truths
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.kept_law import BROUGHT, KeptLaw
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.truth import Truth
from nestbench.sim.observed.model import Model

MODEL = "results ~ 1"
"""Stands where a formula must: nobody here knows what was fitted."""


def experiment_of(
    name: str,
    source: str,
    conditions: Conditions,
    fits: Sequence[Mapping[str, Estimates]],
    truths: tuple[Truths, str],
    said: Sequence[str],
    mark: str,
    level: float,
    seed: int | None,
    null: Mapping[str, float],
) -> Experiment:
    """Return the experiment that stands for results.

    Parameters
    ----------
    name : str
        Of the run.
    source : str
        The table in words.
    conditions : Conditions
    fits : sequence of mapping
        For each condition, method -> its estimates.
    truths : (sequence of mapping, str)
        For each condition, term -> true value; why a term has none.
    said : sequence of str
        What was made of the table.
    mark : str
        SHA-256 of the results.
    level : float
    seed : int or None
        None: of no other table's data sets.
    null : mapping
        Term -> the value that its tests are of, where that isn't 0.
    """
    known, why = truths
    model = Model(MODEL, level=level, null=dict(null))
    cells = tuple(
        _cell(levels, fits[i], known[i], why, model, {"source": source, "said": list(said), "sha256": mark})
        for i, levels in enumerate(conditions.levels)
    )
    labels = dict.fromkeys(label for one in fits for label in one)
    return Experiment(
        name=run_name(name),
        title=f"Results of {source}",
        aims="",
        cells=cells,
        levels=conditions.levels,
        estimators=tuple(_method(label, source) for label in labels),
        replications=max(estimates.size for one in fits for estimates in one.values()),
        # Runs of equal seed and condition are taken to have the same data sets: of two tables nobody knows that.
        seed=int(mark[:12], 16) if seed is None else seed,
        engine="reference",
        audit=0,
    )


def _method(label: str, source: str) -> Any:
    info = {"label": label, "summary": f"as in {source}", "assumes": "", "df": "", "source": ""}
    return kept_method(label, 1, info, {})


def _cell(
    levels: Mapping[str, Any],
    fits: Mapping[str, Estimates],
    truth: Mapping[str, float],
    why: str,
    model: Model,
    parameters: Mapping[str, Any],
) -> Cell:
    """Return a condition; its key is made of levels and true values, so that two tables can be compared."""
    names = list(dict.fromkeys(name for e in fits.values() for name in (*e.terms, *e.quantities)))
    terms = tuple(name for name in names if not name.startswith(VARIANCE_PREFIX))
    values = {name: float(truth[name]) for name in names if name in truth}
    reasons = {term: why for term in terms if term not in values}
    counts = {label: estimates.size for label, estimates in fits.items()}
    law: Any = KeptLaw(
        BROUGHT,
        {**parameters, "replications": counts},
        {"levels": dict(levels), "true values": values},
        Truth(values, reasons, terms, ()),
    )
    return Cell(law, Layout(), model)


def run_name(text: str) -> str:
    """Return a text as the name of a run: letters, digits, ``.``, ``_`` and ``-``."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60]
    return name or "results"
