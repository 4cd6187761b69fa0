"""The page: one HTML file that loads nothing, with the verdict first and the estimate last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import markupsafe
import numpy as np
import pandas as pd

from nestbench.advising import pictures
from nestbench.advising.advice import Advice
from nestbench.advising.placebo import DRAWS
from nestbench.advising.scenarios import shown_rule
from nestbench.advising.sentences import (
    NO_PEEKING,
    assumption,
    paragraph,
    precaution,
    sources_of,
    sure_words,
    verdict,
    worth,
)
from nestbench.advising.terminal import decimals_of, own, percent, summary
from nestbench.reports.comparing.grades import RULE
from nestbench.reports.page.report import environment
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.tables.reading import table_of

KINDS = {
    "holds": "holds",
    "seems to hold": "likely",
    "doubtful": "doubtful",
    "fails": "fails",
    "too wide": "wide",
    "perhaps too wide": "loose",
}
MARKS = {"fails": " !", "doubtful": " ?", "too wide": " +"}


def render(found: Sequence[Advice]) -> str:
    """Return the page about some terms as text."""
    template = _environment().get_template("advise.html.jinja")
    return template.render(
        title=f"Which method for {', '.join(advice.term for advice in found)}?",
        formula=found[0].model.formula,
        design=found[0].design,
        messages=found[0].messages,
        remarks=found[0].remarks,
        parts=[part_of(advice) for advice in found],
        no_peeking=NO_PEEKING,
        grade_rule=RULE,
        scenario_rule=shown_rule(),
        style=markupsafe.Markup(
            files("nestbench.reports.page").joinpath("page.css").read_text(encoding="utf-8")
        ),
    )


def _environment() -> jinja2.Environment:
    return environment().overlay(loader=jinja2.PackageLoader("nestbench.advising", "."))


def part_of(advice: Advice) -> Mapping[str, Any]:
    """Return what the page shows of one term."""
    return {
        "term": advice.term,
        "id": "".join(c if c.isalnum() else "-" for c in advice.term),
        "verdict": verdict(advice),
        "method": advice.choice.least_bad,
        "info": advice.infos[advice.choice.least_bad],
        "kind": "use" if advice.method else "avoid",
        "sure": " ".join(text for text in (sure_words(advice), worth(advice)) if text),
        "assumption": assumption(advice),
        "precaution": precaution(advice),
        "findings": advice.design.findings,
        "coverage_figure": pictures.coverage(advice),
        "leverage_figure": pictures.leverage(advice, *schools_of(advice)),
        "schools": advice.design.schools,
        "drawn": pictures.DRAWN,
        "placebo_figure": pictures.placebos(advice),
        "size": f"{100 * alpha_of(advice.model.level):.3g}",
        "placebo_draws": f"{int(advice.placebo['n'].max()):,}".replace(",", " "),
        "placebo_few": int(advice.placebo["n"].max()) < DRAWS,
        "laws": [(law.name, law.why, law_words(law.parameters)) for law in advice.laws],
        "heads": [law.name for law in advice.laws],
        "rows": matrix(advice),
        "numbers": numbers(advice),
        "planted": f"{advice.planted:g}",
        "replications": f"{advice.replications:,}".replace(",", " "),
        "seed": advice.seed,
        "toml": advice.toml,
        "paragraph": paragraph(advice),
        "sources": sources_of(advice),
        "fits": fit_rows(advice),
        "level": f"{100 * advice.model.level:g}",
    }


def schools_of(advice: Advice) -> tuple[list[int], list[str]]:
    """Return the schools' sizes and, of a term that is constant in them and has few values, its value in each."""
    labels = list(advice.design.leverage)
    group = advice.model.group
    frame = frame_of(advice)
    counts = frame[group].astype(str).value_counts()
    sizes = [int(counts[label]) for label in labels]
    few = advice.design.constant and 1 < len(advice.design.carriers) <= 6
    if not few or advice.term not in frame.columns:
        return sizes, [""] * len(labels)
    values = frame.groupby(frame[group].astype(str))[advice.term].first()
    return sizes, [
        f"{values[label]:g}" if np.isreal(values[label]) else str(values[label]) for label in labels
    ]


def frame_of(advice: Advice) -> pd.DataFrame:
    """Return the design as a table."""
    from pathlib import Path

    return table_of(Path("design.csv"), advice.design_csv.encode(), (advice.model.group,)).frame


def law_words(parameters: Mapping[str, Any]) -> str:
    """Return a scenario's parameters in one line."""
    return ", ".join(f"{name} = {value}" for name, value in parameters.items())


def matrix(advice: Advice) -> list[tuple[str, list[dict[str, str]]]]:
    """Return coverage in percent, a row a method, a column a scenario."""
    table = advice.table.set_index(["method", "scenario"])
    rows = []
    for label in pictures.ordered(advice):
        cells = []
        for law in advice.laws:
            row: Any = table.loc[(label, law.name)]
            grade = str(row["grade"])
            cells.append(
                {
                    "grade": KINDS.get(grade, "none"),
                    "text": percent(float(row["coverage"])) + MARKS.get(grade, ""),
                    "title": f"{grade}; MCSE {100 * float(row['coverage_mcse']):.2f}, {int(row['n'])} data sets",
                }
            )
        rows.append((label, cells))
    return rows


def numbers(advice: Advice) -> list[list[str]]:
    """Return by method: lowest coverage and where, width relative to the method named, power at least, placebos
    found."""
    found = summary(advice)
    placebo: Any = advice.placebo.set_index("method")
    rows = []
    for label in pictures.ordered(advice):
        row: Any = found.loc[label]
        relative = float(row["relative"])
        share = float(placebo.loc[label, "rejected"]) if label in placebo.index else float("nan")
        rows.append(
            [
                label,
                percent(float(row["coverage"])),
                str(row["scenario"]),
                "-" if np.isnan(relative) else f"{relative:.2f}",
                percent(float(row["power"])),
                percent(share),
            ]
        )
    return rows


def fit_rows(advice: Advice) -> list[list[str]]:
    """Return the fits to the data: method, estimate, interval, p."""
    digits = decimals_of(advice)
    return [[fit.estimator, *own(fit, advice.term, digits)] for fit in advice.fits]
