"""The methods section of a paper, from what was run and stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from nestbench.estimators.null import null_words
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Extent, Results
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.frames import items_of
from nestbench.reports.measures.performance import FIT
from nestbench.reports.wording import several, value_words
from nestbench.reports.words.ademp import crossing
from nestbench.reports.words.missing import data_sets, missing_sentence
from nestbench.sim.cells.cell import Cell
from nestbench.sim.counted import plural
from nestbench.sim.observed.model import alpha_of


def methods_paragraph(results: Results, table: pd.DataFrame) -> str:
    """Return the methods section of a paper, in ADEMP order."""
    experiment = results.experiment
    parts = [
        missing_sentence(results),
        experiment.aims.strip(),
        *_data_sentences(results),
        estimands_sentence(experiment, table),
        methods_sentence(experiment, results.extent()),
        measures_sentence(experiment, table),
        failures_sentence(table),
        f"{'The results were summarised' if experiment.brought else 'The simulations were run'} with "
        f"{_software(results.provenance)}.",
    ]
    return " ".join(part for part in parts if part)


def _data_sentences(results: Results) -> list[str]:
    """Return where data came from: the conditions, what a data set had and the spreads; of a table, its conditions."""
    experiment = results.experiment
    if not experiment.brought:
        cells = experiment.cells
        return [conditions_sentence(results), samples_sentence(cells), law_sentence(cells)]
    return [
        f"Results were read from {experiment.brought}: {plural(len(experiment.cells), 'condition')}"
        f"{crossing(experiment)}, with {data_sets(results)}."
    ]


def conditions_sentence(results: Results) -> str:
    """Return the population, the conditions and the factors, and how many data sets each condition has."""
    experiment = results.experiment
    laws = list(dict.fromkeys(cell.population.name for cell in experiment.cells))
    return (
        f"Data were drawn from the {several(laws)} population in {plural(len(experiment.cells), 'condition')}"
        f"{crossing(experiment)}, with {data_sets(results)}; the seed was {experiment.seed}."
    )


def samples_sentence(cells: Iterable[Cell]) -> str:
    """Return the schools, their sizes and the share that is treated, over the conditions."""
    layouts = [cell.layout for cell in cells]
    schools = _list(layout.schools for layout in layouts)
    sizes = _list(_size_words(layout) for layout in layouts)
    students = "student" if sizes == "1" else "students"
    text = f"A data set had {schools} schools of {sizes} {students}"
    treated = [words for layout in layouts if (words := _treated_words(layout))]
    return f"{text}, {_list(treated)}." if treated else f"{text}."


def _size_words(layout: Any) -> str:
    """Return the students per school: a number, a range, or how they are drawn."""
    if layout.size_range is not None:
        return f"{layout.size_range[0]} to {layout.size_range[1]} (drawn)"
    if layout.size_cv:
        return f"on average {value_words(layout.students)} (coefficient of variation {layout.size_cv:g})"
    if layout.size_spread:
        spread = layout.size_spread
        return f"{round(layout.students * (1 - spread))} to {round(layout.students * (1 + spread))} (drawn)"
    sizes = layout.sizes()
    low, high = int(sizes.min()), int(sizes.max())
    return f"{low}" if low == high else f"{low} to {high} (mean {sizes.mean():.3g})"


def _treated_words(layout: Any) -> str:
    """Return who is treated, in words."""
    if layout.assignment == "students" and layout.treated_share:
        return f"{100 * layout.treated_share:g} % of the students of every school treated"
    count = layout.treated_schools or round((layout.treated_share or 0.0) * layout.schools)
    if layout.assignment == "pairs":
        return "one school of each pair treated"
    return (
        f"{count} of {layout.schools} schools ({100 * count / layout.schools:.0f} %) treated" if count else ""
    )


SPREADS = {
    "icc": "intraclass correlation",
    "total_sd": "SD of the outcome given the covariates",
    "slope_sd": "SD of the random slopes",
    "treatment_sd": "SD of the treatment effect between schools",
    "class_icc": "share of the variance between classes",
}


def law_sentence(cells: Iterable[Cell]) -> str:
    """Return the spreads of the population that aren't 0, over the conditions."""
    populations = [cell.population for cell in cells]
    parts = []
    for name, words in SPREADS.items():
        values = [getattr(population, name) for population in populations if hasattr(population, name)]
        if values and (any(values) or name == "icc"):
            parts.append(f"the {words} was {_list(value_words(value) for value in values)}")
    text = several(parts, 8)
    return f"{text[0].upper()}{text[1:]}." if parts else ""


def estimands_sentence(experiment: Experiment, table: pd.DataFrame) -> str:
    """Return the coefficients of the fitted formulas with their true values, where they have some."""
    formulas = list(dict.fromkeys(cell.model.formula for cell in experiment.cells))
    parts = []
    for term in fixed_terms(table):
        values = [cell.truth[term] for cell in experiment.cells if term in cell.truth]
        known = f"true value {_list(f'{value:.4g}' for value in values)}" if values else "no true value"
        parts.append(f"{term} ({known})")
    if experiment.brought:
        return f"The estimands were {several(parts, 12)}." if parts else ""
    fitted = f"the fitted {'formula' if len(formulas) == 1 else 'formulas'} {several(formulas)}"
    return (
        f"The estimands were coefficients of {fitted}: {several(parts, 12)}."
        if parts
        else f"Fitted was {fitted}."
    )


def methods_sentence(experiment: Experiment, extent: Extent) -> str:
    """Return the methods with their numbers of data sets; equal data are claimed only where they are equal."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for estimator in experiment.estimators:
        counts = tuple(cell.get(estimator.label, 0) for cell in extent.fitted)
        groups.setdefault(counts, []).append(estimator.label)
    methods = plural(len(experiment.estimators), "method")
    if len(groups) == 1:
        labels = several(next(iter(groups.values())), 40)
        if len(experiment.estimators) == 1:
            return f"One method was fitted: {labels}."
        data = "replication by replication" if experiment.brought else "on the same data sets"
        return f"The {methods} were compared {data}: {labels}."
    ordered = sorted(groups.items(), key=lambda item: -sum(item[0]))
    parts = [f"{several(labels, 40)} to {_counts(counts)}" for counts, labels in ordered]
    return (
        f"The {methods} were not all fitted to the same number of data sets of a condition: {'; '.join(parts)}; "
        "a method with fewer was fitted to the first ones."
    )


def _counts(counts: tuple[int, ...]) -> str:
    """Return a count, or the range of several, in words."""
    low, high = min(counts), max(counts)
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def measures_sentence(experiment: Experiment, table: pd.DataFrame) -> str:
    """Return the measures that there are and the levels of intervals and tests."""
    levels = sorted({cell.model.level for cell in experiment.cells})
    intervals = several([f"{100 * level:g}" for level in levels])
    tests = several([f"{100 * alpha_of(level):.4g}" for level in reversed(levels)])
    tested = null_words([cell.model for cell in experiment.cells])
    of = "" if tested == "0" else f" of {tested}"
    words = {
        "bias": "bias",
        "empirical_se": "the empirical standard error",
        "model_se": "the model-based standard error",
        "coverage": f"the coverage of {intervals} % intervals",
        "rejection": f"the rejection rate of two-sided tests{of} at the {tests} % level",
    }
    # A table that users bring may lack any of them; a run of our own that isn't begun has none yet.
    there = {*table["measure"]} & {*words} if experiment.brought else {*words}
    parts = [text for measure, text in words.items() if measure in there]
    if {"empirical_se", "model_se"} <= there:
        parts[parts.index(words["empirical_se"])] = "the empirical and the model-based standard error"
        parts.remove(words["model_se"])
    each = "each over the fits with a usable answer and with its Monte Carlo standard error"
    return f"Performance was measured by {several(parts, len(words))}, {each}." if parts else ""


def failures_sentence(table: pd.DataFrame) -> str:
    """Return how many fits gave no usable answer, of which methods, and how they were treated."""
    rows = table[(table["term"] == FIT) & table["measure"].str.startswith("share_")]
    attempted = rows[rows["measure"] == "share_ok"].groupby("estimator", sort=False)["n"].sum()
    # Shares are stored, counts are printed: value times n is whole but for rounding.
    bad = rows[~rows["measure"].isin(["share_ok", "share_boundary"])]
    failed = (bad["value"] * bad["n"]).groupby(bad["estimator"], sort=False).sum().round().astype(int)
    total, lost = int(attempted.sum()), int(failed.sum())
    if not total:
        return ""
    if not lost:
        return (
            f"All {total:,} fits gave a usable answer." if total > 1 else "The one fit gave a usable answer."
        )
    whose = [f"{label} {count:,} of {attempted[label]:,}" for label, count in items_of(failed) if count]
    return (
        f"Of {plural(total, 'fit')} {lost:,} gave no usable answer ({several(whose, 6)}); they were left out of "
        "the measures. Where there are some, coverage and rejection rate are also given with them counted as misses "
        "and as non-rejections."
    )


def _list(values: Iterable[Any]) -> str:
    """Return the values that differ, ``2, 5 or 9``."""
    *first, last = [str(value) for value in dict.fromkeys(values)]
    return f"{', '.join(first[:8])}{', ...' if len(first) > 8 else ''} or {last}" if first else last


def _software(provenance: Mapping[str, Any]) -> str:
    """Return the software with its versions, in words."""
    packages = provenance.get("packages", provenance)
    known = [
        f"{name} {packages[name]}" for name in ("nestbench", "statsmodels", "numpy") if packages.get(name)
    ]
    return several(known) if known else "nestbench"
