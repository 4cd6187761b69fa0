"""The page's figures: which, with what words, and as files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from altair.utils.schemapi import debug_mode

from nestbench.estimators.null import null_words
from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.biases import RULE as BIAS_RULE
from nestbench.reports.comparing.judged import SE_RULE, judged
from nestbench.reports.figures import fits, lines, panels, theme
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.explained import BIASED, DIAMOND, GRADES, TIMES
from nestbench.reports.figures.lines import MANY, crowded_factor
from nestbench.reports.figures.records import headline_term
from nestbench.reports.wording import factor_words

Maker = Callable[[pd.DataFrame, Experiment], Any]

FIGURES: tuple[tuple[FromTable, str, str, Callable[..., Any]], ...] = (
    (
        panels.COVERAGE,
        "Coverage",
        "Share of intervals that hold the true value; a panel a condition, a line a method, no dot where it has no "
        "answer. Dashed: the condition's promised level; shaded: the tolerated band around it; the line through a dot "
        "is its 95 % Monte Carlo interval; an upright bar is what theory expects, where it knows. In square "
        "brackets: under 95 % of the fits are usable; the bracket opens at the coverage with the others as misses. ",
        panels.coverage,
    ),
    (
        panels.BIAS,
        "Bias",
        "Mean error of the estimates, with its 95 % Monte Carlo interval. Dashed: no bias; in square brackets: under "
        "95 % of the fits are usable.",
        panels.bias,
    ),
    (
        panels.SE_ERROR,
        "Standard errors",
        "How far the average standard error lies from the true spread of the estimates; below 0 it promises too much. "
        "Dashed: no error; an upright bar is what theory expects, where it knows; in square brackets: under 95 % of "
        "the fits are usable.",
        panels.se_error,
    ),
    (
        panels.REJECTION,
        "Rejection rate",
        "Share of tests of {null} with p at most alpha: the type I error where that is the true effect "
        "(dashed: the condition's nominal size), else power. Power of a method whose coverage fails is no "
        "merit. In square brackets: under 95 % of the fits are usable; the bracket opens at the rate with the others "
        "as non-rejections.",
        panels.rejection,
    ),
)


ACROSS = (
    "{factor}: more than {many} levels, so a line stands for each method, broken where it has no answer. "
)
MARKS = {
    "coverage": GRADES,
    "bias": f"{BIASED} {BIAS_RULE}",
    "se_error": f"{DIAMOND} {SE_RULE}",
    "rejection": f"Grey: power; the type I error is judged as coverage is. {GRADES}",
}
"""What the marks in panels say by their shapes, of the whole study; dots on lines have none."""
_OF_PANELS = "; a panel a condition, a line a method, no dot where it has no answer"


def caption_of(name: str, caption: str, experiment: Experiment, across: str | None) -> str:
    """Return a figure's caption: with what its marks say, or as it is true of lines `across` a factor."""
    caption = caption.replace("{null}", null_words([cell.model for cell in experiment.cells]))
    if across is None:
        return f"{caption} {MARKS[name]}"
    of_lines = caption.replace(_OF_PANELS, "").replace("an upright bar", "a short bar")
    of_lines = of_lines.replace("the bracket opens at the", "a dotted line leads to the")
    return ACROSS.format(factor=factor_words(across), many=MANY) + of_lines


# Held against Vega-Lite's schema by the tests; here that would add a third to the time.
@debug_mode(False)
def figures(table: pd.DataFrame, experiment: Experiment) -> list[Mapping[str, Any]]:
    """Return the page's figures: id, title, caption, and the specification with every term's records."""
    entries: list[Mapping[str, Any]] = []
    across = crowded_factor(experiment)
    table = judged(table, experiment)
    for record, title, caption, maker in FIGURES:
        name = record.measure
        if (table["measure"] == name).any():
            spec = theme.dressed(maker(table, experiment, "*", across))
            words = caption_of(name, caption, experiment, across)
            entries.append({"id": name, "title": title, "caption": words, "spec": spec, "by_term": True})
    if fits.failure_records(table, experiment):
        spec = theme.dressed(fits.failures(table, experiment))
        caption = (
            "Share of fits by status other than OK. A fit at the boundary is usable; the others are not."
        )
        entries.append(
            {"id": "failures", "title": "Statuses", "caption": caption, "spec": spec, "by_term": False}
        )
    if fits.runtime_records(table, experiment):
        spec = theme.dressed(fits.runtime(table, experiment))
        caption = f"{TIMES} {fits.RUN_TIMES}"
        entries.append(
            {"id": "runtime", "title": "Runtime", "caption": caption, "spec": spec, "by_term": False}
        )
    return entries


@debug_mode(False)
def write_figures(table: pd.DataFrame, experiment: Experiment, directory: Path, kind: str) -> list[Path]:
    """Write every figure as ``svg`` or ``pdf`` into a directory, those by term once a term (coefficients only).

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    directory : Path
    kind : str
        ``svg`` or ``pdf``.
    """
    charts = {}
    across = crowded_factor(experiment)
    table = judged(table, experiment)
    for record, _, _, maker in FIGURES:
        # Lines against a factor are drawn as `power` draws them, so they're explained as such.
        name, of_kind = record.measure, lines.POWER if across else record
        if (table["measure"] == name).any():
            for number, term in enumerate(shown_terms(table)):
                of_term = Shown(table, experiment, term, name)
                charts[f"{name}-{_file_name(term, number)}"] = of_kind.explained(
                    maker(table, experiment, term, across), of_term
                )
    whole = Shown(table, experiment)
    if fits.failure_records(table, experiment):
        charts["failures"] = fits.FAILURES.explained(fits.failures(table, experiment), whole)
    if fits.runtime_records(table, experiment):
        charts["runtime"] = fits.RUNTIME.explained(fits.runtime(table, experiment), whole)
    paths = []
    for name, chart in charts.items():
        paths.append(directory / f"{name}.{kind}")
        theme.write_chart(chart, paths[-1])
    return paths


def _file_name(term: str, number: int) -> str:
    """Return a term as part of a file's name that every system takes."""
    safe = "".join(c if c.isalnum() else "-" for c in term).strip("-")
    return safe[:40] or f"term{number}"


def shown_terms(table: pd.DataFrame) -> list[str]:
    """Terms for the selector, the headline term first."""
    names = [str(name) for name in table["term"].unique() if not str(name).startswith("(")]
    first = headline_term(table)
    return sorted(names, key=lambda name: name != first)
