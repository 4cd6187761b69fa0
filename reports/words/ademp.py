"""The ADEMP description (Morris, White & Crowther 2019), generated from the experiment as run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from nestbench.estimators.null import null_words
from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.conditions import level_texts, varying
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.wording import named, several, value_words
from nestbench.reports.words.drawn import drawn_words
from nestbench.reports.words.symbols import EXPLAINED, formula_words
from nestbench.reports.words.untold import reason_of
from nestbench.sim.counted import plural

Table = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""Column heads and rows, as text."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the description: its heading, paragraphs, and perhaps a table."""

    heading: str
    paragraphs: list[str]
    table: Table | None = None


def ademp(experiment: Experiment, table: pd.DataFrame) -> list[Section]:
    """Return aims, data-generating mechanisms, estimands, methods and performance measures."""
    return [
        Section("Aims", [experiment.aims or "Not stated in the experiment."]),
        Section(
            "Data-generating mechanisms",
            of_table(experiment) if experiment.brought else mechanisms(experiment),
            None if experiment.brought else parameters(experiment),
        ),
        Section("Estimands", [estimand_words(experiment)], estimands(experiment, table)),
        Section("Methods", [], methods(experiment)),
        Section("Performance measures", [measure_words()], measures_used(table)),
    ]


def mechanisms(experiment: Experiment) -> list[str]:
    """Return how data are drawn, in words."""
    laws = list(dict.fromkeys(cell.population.name for cell in experiment.cells))
    words = [
        f"Population: {several(laws)}. {plural(len(experiment.cells), 'condition')}{crossing(experiment)}. "
        f"Up to {plural(experiment.replications, 'data set')} a condition, seed {experiment.seed}; all methods see the "
        "same data sets (one that is fitted to fewer, the first of them). A data set depends on seed, population, "
        "layout and replication number alone: conditions that differ in their model only share theirs."
    ]
    doc = (type(experiment.cells[0].population).__doc__ or "").strip() if experiment.cells else ""
    words += [" ".join(doc.split("\n\n")[0].split())] if doc else []
    words += [drawn_words(experiment)] if experiment.cells else []
    read = "; ".join(experiment.data_messages)
    return words + ([f"As read from the file: {read}."] if read else [])


def of_table(experiment: Experiment) -> list[str]:
    """Return what is known of results that were read from a table: its conditions, and what was made of it."""
    first = (
        f"Read from {experiment.brought}; how its data sets were drawn isn't known here. "
        f"{plural(len(experiment.cells), 'condition')}{crossing(experiment)}. "
        f"Up to {plural(experiment.replications, 'replication')} a condition; methods are compared replication by "
        "replication."
    )
    return [first, *(f"{sentence}." for sentence in experiment.data_messages)]


def crossing(experiment: Experiment) -> str:
    """Return what varies over the conditions: ``, crossing ICC (0 and 0.2) and ...``; nothing without factors."""
    texts = level_texts(experiment)
    factors = varying(experiment)
    full = math.prod(len(texts[factor]) for factor in factors) == len(experiment.cells)
    how = "crossing" if full and len(factors) > 1 else "varying"
    words = [f"{named(factor)} ({several(list(texts[factor].values()), 12)})" for factor in factors]
    return f", {how} {several(words, 12)}" if words else ""


def parameters(experiment: Experiment) -> Table | None:
    """Return the parameters: values that are the same in all conditions, and what the others vary over.

    Read from the conditions themselves, so that it doesn't matter how a factor is written: a dotted key, an entry of a
    table, a whole table, keys that change together.
    """
    if not experiment.cells:
        return None
    rows = []
    for owner in ("population", "layout", "model"):
        values = [getattr(cell, owner) for cell in experiment.cells]
        names = dict.fromkeys(item.name for value in values for item in fields(value))
        for name in names:
            # Conditions of one experiment may have different populations, with other parameters.
            numbers = [getattr(value, name) for value in values if hasattr(value, name)]
            rows.append((f"{owner}.{name}", parameter_words(numbers)))
    return ("parameter", "value"), rows


def parameter_words(values: Sequence[Any]) -> str:
    """Return a parameter's values over the conditions: one, ``varied: 0 and 3``, or entry by entry of a table."""
    if all(isinstance(value, Mapping) for value in values):
        keys = dict.fromkeys(key for value in values for key in value)
        words = (f"{key} {parameter_words([value.get(key) for value in values])}" for key in keys)
        return ", ".join(words) or "none"
    texts = list(dict.fromkeys("none" if value is None else value_words(value) for value in values))
    return (
        texts[0] if len(texts) == 1 else f"varied ({'; '.join(texts[:6])}{'; ...' if len(texts) > 6 else ''})"
    )


def estimand_words(experiment: Experiment) -> str:
    """Return what is estimated, in words."""
    formulas = list(dict.fromkeys(cell.model.formula for cell in experiment.cells))
    levels = sorted({f"{100 * cell.model.level:g} %" for cell in experiment.cells})
    if experiment.brought:
        return f"What the table estimates, with {several(levels)} intervals and two-sided tests of 0."
    return (
        f"The coefficients of {several(formulas)}, with {several(levels)} intervals and two-sided tests of "
        f"{null_words([cell.model for cell in experiment.cells])}; "
        "variance components where the method has them."
    )


def estimands(experiment: Experiment, table: pd.DataFrame) -> Table:
    """Return the true value of each term, over the conditions."""
    names = list(dict.fromkeys([*fixed_terms(table), *table["term"].unique()]))
    rows = []
    for name in names:
        values = [cell.truth[name] for cell in experiment.cells if name in cell.truth]
        if values:
            distinct = list(dict.fromkeys(f"{value:.4g}" for value in values))
            rows.append((name, several(distinct, 8)))
        if why := reason_of(name, experiment):
            rows.append((name, f"none: {why}" if not values else f"in some conditions none: {why}"))
    return ("term", "true value"), rows


def methods(experiment: Experiment) -> Table:
    """Return each method: what it does, assumes, its degrees of freedom and source."""
    rows = [
        (e.label, e.info.summary, e.info.assumes, e.info.df, e.info.source) for e in experiment.estimators
    ]
    return ("method", "what it does", "assumes", "df", "source"), rows


def measure_words() -> str:
    """Return how Monte Carlo errors are made, in words."""
    return (
        "Every measure is taken over the usable fits (its n), with its Monte Carlo standard error (MCSE): the standard "
        "deviation of its influence values over the root of n. Coverage and rejection are also given with failed fits "
        "counted as misses and non-rejections, where fits failed. Differences between methods are paired. "
        f"Symbols: {EXPLAINED}"
    )


def measures_used(table: pd.DataFrame) -> Table:
    """Return the measures that occur, with their definitions."""
    present = set(table["measure"])
    rows = [(m.label, m.name, formula_words(m.formula)) for m in MEASURES if m.name in present]
    return ("measure", "name", "definition"), rows
