"""Parts of the page as plain data: conditions, the table at a glance, failures with their commands, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.grades import Grade, estimands
from nestbench.reports.conditions import condition_of, level_parts
from nestbench.reports.conditions import conditions as conditions_of
from nestbench.reports.frames import rows_of
from nestbench.reports.measures.cell_rows import CellRows
from nestbench.reports.measures.performance import factors_of
from nestbench.reports.measures.printed import printed_mcse
from nestbench.reports.words.missing import data_sets, missing_of, missing_sentence
from nestbench.reports.words.untold import reason_of
from nestbench.reports.words.usable import bracket
from nestbench.sim.counted import plural

EXAMPLES = 3
ENTRY = ("term", "estimator", "cell", "coverage", "error", "n", "n_attempted", "grade", "partial", "bound")
MARKS = {
    Grade.HOLDS: "holds",
    Grade.LIKELY: "likely",
    Grade.DOUBTFUL: "doubtful",
    Grade.FAILS: "fails",
    Grade.WIDE: "wide",
    Grade.LOOSE: "loose",
}


def conditions(experiment: Experiment) -> list[dict[str, Any]]:
    """Return number and words of each condition."""
    return [{"cell": i, "words": words} for i, words in enumerate(conditions_of(experiment))]


def glance(table: pd.DataFrame, experiment: Experiment) -> dict[str, Any]:
    """Return the coverage of every method in every condition, by term, with its grade: the table read first."""
    graded = estimands(table, experiment)
    labels = [e.label for e in experiment.estimators if e.label in set(table["estimator"])]
    entries = {(row.term, row.estimator, row.cell): row for row in rows_of(graded, ENTRY)}
    heads = [list(parts.values()) or ["all data"] for parts in level_parts(experiment)]
    fitted = set(zip(table["cell"], table["estimator"], strict=True))
    return {
        "conditions": heads,
        "terms": {
            term: [
                (
                    label,
                    [
                        _entry(entries.get((term, label, cell)), (cell, label) in fitted)
                        for cell in range(len(heads))
                    ],
                )
                for label in labels
            ]
            for term in dict.fromkeys(graded["term"])
        },
    }


def _entry(row: Any, fitted: bool) -> dict[str, str]:
    """Return the coverage of a method in a condition, as the first table shows it."""
    if row is None:
        title = "this method has no answer here" if fitted else "not run yet"
        return {
            "text": "–" if fitted else "",
            "grade": "none",
            "title": title,
            "said": "" if fitted else title,
        }
    text = f"{100 * row.coverage:.1f}"
    title = f"{row.grade}: coverage {text} %, MCSE {100 * row.error:.1f}, n {row.n}"
    said = str(row.grade)
    if row.partial:
        text += bracket("coverage", row.coverage, row.n, row.n_attempted)
        title += f" of {row.n_attempted} fits; {100 * row.bound:.1f} % with the others as misses"
        said += f", only {100 * row.n / row.n_attempted:.0f} % of the fits usable"
    return {"text": text, "grade": MARKS[Grade(row.grade)], "said": said, "title": title}


def failures_of_cell(experiment: Experiment, cell: int, rows: CellRows) -> list[dict[str, Any]]:
    """Return a condition's unusable fits by method, status and message, with the numbers of the first few."""
    words = condition_of(experiment, cell)
    return [
        {
            "cell": cell,
            "words": words,
            "estimator": label,
            "status": FitStatus(status).name.lower().replace("_", " "),
            "message": message or "no message",
            "count": count,
            "attempted": rows.attempted(label),
            "examples": examples,
        }
        for label in rows.labels
        for status, message, count, examples in _unusable(rows.estimates[label])
    ]


Failure = tuple[int, str, int, list[int]]
"""Status, message, number of fits, numbers of the first few replications."""


def _unusable(estimates: Estimates) -> list[Failure]:
    """Return a method's unusable fits by status, then message as they first appear."""
    bad = np.flatnonzero(estimates.status > FitStatus.BOUNDARY)
    pairs = np.stack(
        [estimates.status[bad].astype(np.int64), estimates.message[bad].astype(np.int64)], axis=1
    )
    failures: list[Failure] = []
    for status, code in np.unique(pairs, axis=0):
        numbers = estimates.replications[bad[(pairs == (status, code)).all(axis=1)]]
        failures.append(
            (int(status), estimates.messages[int(code)], len(numbers), numbers[:EXAMPLES].tolist())
        )
    return failures


CAUSE = 110
"""Letters of a cause that stand in the table; the whole message is folded below."""


def grouped(failures: list[dict[str, Any]], run: str, drawn: bool = True) -> list[dict[str, Any]]:
    """Return failures by condition, method, status and cause, the most frequent first.

    A cause is what a message begins with; `messages` are the whole ones, each with its number of fits and the commands
    that replay some of them. Data sets that weren't drawn here have none: then their numbers are said.
    """
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in failures:
        cause = cause_of(one["message"])
        key = (one["cell"], one["estimator"], one["status"], cause)
        group = groups.setdefault(key, {**one, "cause": cause, "count": 0, "messages": []})
        group["count"] += one["count"]
        commands = [replay(run, one["cell"], r, one["estimator"]) for r in one["examples"] if drawn]
        if not drawn:
            commands = [f"replication {', '.join(map(str, one['examples']))} of condition {one['cell']}"]
        group["messages"].append({"text": one["message"], "count": one["count"], "commands": commands})
    largest_first = sorted(groups.values(), key=lambda group: -group["count"])
    return [
        group | {"share": f"{100 * group['count'] / group['attempted']:.2g} %"} for group in largest_first
    ]


def cause_of(message: str) -> str:
    """Return what a message begins with, before what else was said: short enough for a table."""
    first = message.strip().split("; ")[0].split("\n")[0].strip()
    return first if len(first) <= CAUSE else f"{first[: CAUSE - 1].rstrip()}…"


def replay(run: str, cell: int, replication: int, label: str) -> str:
    """Return the command that draws a data set again and refits it.

    Parameters
    ----------
    run : str
    cell, replication : int
    label : str
        Of the method.
    """
    # Labels and folders have spaces and brackets: what is shown can be pasted into a shell.
    return shlex.join(
        [
            "nestbench",
            "replay",
            run,
            "--condition",
            str(cell),
            "--replication",
            str(replication),
            "--method",
            label,
        ]
    )


def audit_line(audits: pd.DataFrame) -> dict[str, str] | None:
    """Return whether the two engines agreed where fits were done twice, and how often statsmodels' optimiser missed."""
    if not len(audits):
        return None
    under_study = audits[audits["agreement"] == Agreement.UNDER_STUDY]
    pairs = audits[audits["agreement"] != Agreement.UNDER_STUDY]
    parts = [_engines(pairs)] if len(pairs) else []
    parts += [_missed(label, part) for label, part in under_study.groupby("estimator", sort=False)]
    off = int(audits["disagreements"].sum() + audits["below_grid"].sum())
    return {"state": "bad" if off else "good", "words": f"{'; '.join(parts)}."}


def _engines(audits: pd.DataFrame) -> str:
    """Return what the audits of two engines came to, in words."""
    fits, off = int(audits["fits"].sum()), int(audits["disagreements"].sum())
    short = int(audits["stopped_short"].sum())
    line = f"Both engines did {plural(fits, 'fit')} of {plural(audits['estimator'].nunique(), 'method')}: "
    line += "all agree" if not off else f"{plural(off, 'fit disagrees', 'fits disagree')}"
    line += f", worst relative difference {audits['worst'].max():.1g}"
    if short:
        line += f"; in {short} the reference engine stopped short of the optimum"
    below = int(audits["below_grid"].sum())
    if below:
        worst = audits["worst_below_grid"].max()
        line += f"; {plural(below, 'fit')} below another point of a grid of variance parameters, by up to {worst:.2g} "
        line += "log-likelihood units"
    return line


def _missed(label: Any, audits: pd.DataFrame) -> str:
    """Return how often a method under study missed the maximum, in words."""
    fits, short, off = (int(audits[name].sum()) for name in ("fits", "stopped_short", "disagreements"))
    line = f"{label} stopped short of the exact REML maximum in {short} of {plural(fits, 'fit')}"
    if short:
        line += f", by up to {audits['worst_shortfall'].max():.2g} log-likelihood units where it gave a likelihood"
    return line + (f", and claims more than the maximum in {off}" if off else "")


def flat(provenance: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested provenance as (dotted name, text)."""
    rows: list[tuple[str, str]] = []
    for key, value in provenance.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((name, "" if value is None else text))
    return rows


def without_table(term: str, experiment: Experiment) -> str:
    """Return why a section has no table for a term that can be chosen."""
    if reason := reason_of(term, experiment):
        return f"Nothing to show for {term}: {reason}."
    if term == "Intercept":
        return "The intercept is left out of the verdict and of this table."
    return f"Nothing to show for {term}: no method answers for it with a known true value."


def origin(results: Results) -> list[tuple[str, str]]:
    """Return provenance as (name, text), what the run lacks first."""
    stored = missing_sentence(results) or "all data sets of all conditions"
    return [("stored", stored), *flat(results.provenance)]


def citation(results: Results) -> str:
    """Return how to cite the run."""
    experiment, provenance = results.experiment, results.provenance
    version = dict(flat(provenance)).get("packages.nestbench") or provenance.get("nestbench") or ""
    if experiment.brought:
        return f"Results of {experiment.brought}, read with nestbench {version}, {data_sets(results)}."
    unfinished = "unfinished, " if missing_of(results.extent()) else ""
    title = experiment.title or experiment.name
    stop = "" if title.endswith((".", "?", "!")) else "."
    return (
        f"{title}{stop} Simulation study run with nestbench {version}".rstrip()
        + f", {unfinished}seed {experiment.seed}, {data_sets(results)}."
    )


def data_of(table: pd.DataFrame, experiment: Experiment) -> dict[str, Any]:
    """Return the performance table column by column, names coded as numbers: what the page sorts and copies."""
    # A quarter of the bytes of rows with their names.
    coded = {}
    for name in ("estimator", "term", "measure"):
        codes, values = pd.factorize(table[name])
        coded[name] = {"codes": codes.tolist(), "values": [str(v) for v in values]}
    numbers = {"value": _short(table["value"]), "mcse": _short(pd.Series(printed_mcse(table)))}
    counts = {name: table[name].tolist() for name in ("cell", "n", "n_attempted")}
    levels = [{f: str(v) for f, v in level.items()} for level in experiment.levels]
    return {
        **coded,
        **numbers,
        **counts,
        "factors": factors_of(table),
        "levels": levels,
        "conditions": conditions_of(experiment),
    }


def _short(column: pd.Series[float]) -> list[float | str | None]:
    """Six significant digits; infinity as text, missing as None."""
    return [
        float(f"{x:.6g}") if np.isfinite(x) else (None if np.isnan(x) else str(x)) for x in column.tolist()
    ]
