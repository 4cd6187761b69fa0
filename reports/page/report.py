"""The report: one HTML file that loads nothing, with the verdict first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import pandas as pd
import vl_convert
from altair.utils.schemapi import debug_mode

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.experiments.storing.files import write_atomically
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.published import published_section
from nestbench.reports.figures import fits, panels, theme
from nestbench.reports.figures.rows import headline_term
from nestbench.reports.measures.performance import performance_table, write_performance
from nestbench.reports.page import parts as page_parts
from nestbench.reports.page.cells import parts_of_cells
from nestbench.reports.page.runtime import timing_section
from nestbench.reports.words import ademp
from nestbench.reports.words.verdict import verdicts
from nestbench.reports.words.wording import plural


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the template environment: autoescaped, undefined names are errors."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("nestbench.reports.page", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = in_code
    made.filters["plural"] = plural
    return made


def in_code(sentence: str) -> markupsafe.Markup:
    """Return a sentence with the names in backticks set as code, everything escaped."""
    parts = [markupsafe.escape(part) for part in sentence.split("`")]
    return markupsafe.Markup("").join(
        markupsafe.Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)
    )


def script_json(value: Any) -> markupsafe.Markup:
    """Return JSON that is safe inside a script element: no ``<``, ``>``, ``&`` or line separators left raw."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=str)
    for raw in "<>&\u2028\u2029":
        text = text.replace(raw, f"\\u{ord(raw):04x}")
    return markupsafe.Markup(text)


def write_report(
    results: Results, path: Path | str, run: str | None = None, table: pd.DataFrame | None = None
) -> Path:
    """Write ``report.html``, and beside it ``performance.csv``, ``performance.parquet`` and ``figures/*.svg``.

    `run` is what the replay commands call the run: by default the file's directory. `table` is the performance table
    when the caller has it already.
    """
    path = Path(path)
    table = performance_table(results) if table is None else table
    write_atomically(path, render(results, table, run or str(path.parent)).encode())
    write_performance(table, path.parent)
    write_figures(table, results.experiment, path.parent / "figures")
    return path


def render(results: Results, table: pd.DataFrame, run: str) -> str:
    """Return the page as text."""
    experiment = results.experiment
    template = environment().get_template("page.html.jinja")
    return template.render(
        experiment=experiment,
        verdicts=verdicts(table, experiment),
        terms=_terms(table),
        conditions=page_parts.conditions(experiment),
        glance=page_parts.glance(table, experiment),
        grade_rule=grades.RULE,
        figures=figures(table, experiment),
        **parts_of_cells(results, table, run),
        published=published_section(table, experiment),
        sections=ademp.ademp(experiment, table),
        audit=page_parts.audit_line(results.audits()),
        timing=timing_section(results),
        provenance=page_parts.flat(results.provenance),
        citation=page_parts.citation(experiment, results.provenance),
        data=script_json(page_parts.data_of(table, experiment)),
        palette=script_json([list(theme.LIGHT.values()), list(theme.DARK.values())]),
        vega=markupsafe.Markup(_vega()),
        script=markupsafe.Markup(_asset("page.js")),
        style=markupsafe.Markup(_asset("page.css")),
    )


def _terms(table: pd.DataFrame) -> list[str]:
    """Terms for the selector, the headline term first."""
    names = [str(name) for name in table["term"].unique() if not str(name).startswith("(")]
    first = headline_term(table)
    return sorted(names, key=lambda name: name != first)


Maker = Callable[[pd.DataFrame, Experiment], Any]

FIGURES: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    (
        "coverage",
        "Coverage",
        "Share of intervals that hold the true value. Dashed: the promised level; shaded: the tolerated band; the line "
        "through a dot is its 95 % Monte Carlo interval; an upright bar is what theory expects, where it knows.",
        panels.coverage,
    ),
    (
        "bias",
        "Bias",
        "Mean error of the estimates, with its 95 % Monte Carlo interval.",
        panels.bias,
    ),
    (
        "se_error",
        "Standard errors",
        "How far the average standard error lies from the true spread of the estimates; below 0 it promises too much.",
        panels.se_error,
    ),
    (
        "rejection",
        "Rejection rate",
        "Share of tests with p at most alpha: the type I error where the true effect is 0 (dashed: nominal), else "
        "power. Power of a method whose coverage fails is no merit.",
        panels.rejection,
    ),
)


@debug_mode(False)
def figures(table: pd.DataFrame, experiment: Experiment) -> list[Mapping[str, Any]]:
    """Return the page's figures: id, title, caption, and the specification with every term's records."""
    made: list[Mapping[str, Any]] = []
    for name, title, caption, maker in FIGURES:
        if (table["measure"] == name).any():
            spec = script_json(theme.dressed(maker(table, experiment, "*")))
            made.append({"id": name, "title": title, "caption": caption, "spec": spec, "by_term": True})
    if fits.failure_records(table, experiment):
        spec = script_json(theme.dressed(fits.failures(table, experiment)))
        caption = (
            "Share of fits by status other than OK. A fit at the boundary is usable; the others are not."
        )
        made.append(
            {"id": "failures", "title": "Statuses", "caption": caption, "spec": spec, "by_term": False}
        )
    if fits.runtime_records(table, experiment):
        spec = script_json(theme.dressed(fits.runtime(table, experiment)))
        caption = (
            "Median (dot) to 90th percentile (line) per fit, one dot a condition. Made while the run was using all its "
            "workers: an order of magnitude, not a benchmark."
        )
        made.append({"id": "runtime", "title": "Runtime", "caption": caption, "spec": spec, "by_term": False})
    return made


@debug_mode(False)
def write_figures(table: pd.DataFrame, experiment: Experiment, directory: Path) -> list[Path]:
    """Write every figure as SVG, those by term once a term (coefficients only)."""
    paths = []
    for name, _, _, maker in FIGURES:
        if (table["measure"] == name).any():
            for number, term in enumerate(_terms(table)):
                path = directory / f"{name}-{_file_name(term, number)}.svg"
                paths.append(path)
                write_atomically(path, theme.svg(maker(table, experiment, term)).encode())
    if fits.failure_records(table, experiment):
        paths.append(directory / "failures.svg")
        write_atomically(paths[-1], theme.svg(fits.failures(table, experiment)).encode())
    if fits.runtime_records(table, experiment):
        paths.append(directory / "runtime.svg")
        write_atomically(paths[-1], theme.svg(fits.runtime(table, experiment)).encode())
    return paths


def _file_name(term: str, number: int) -> str:
    plain = "".join(c if c.isalnum() else "-" for c in term).strip("-")
    return plain[:40] or f"term{number}"


def _asset(name: str) -> str:
    return files("nestbench.reports.page").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the installed package: nothing is fetched."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")
