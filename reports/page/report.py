"""The report: one HTML file that loads nothing, with the verdict first."""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from nestbench.experiments.files import write_atomically
from nestbench.experiments.results import Results
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.published import published_section
from nestbench.reports.figures import standalone, theme
from nestbench.reports.figures.vega import vega_script
from nestbench.reports.measures.performance import write_performance
from nestbench.reports.page import sections as page_parts
from nestbench.reports.page.breaks import breakable, tied
from nestbench.reports.page.gallery import figures, shown_terms
from nestbench.reports.page.runtime import timing_section
from nestbench.reports.page.sheets import fit_across, sheets
from nestbench.reports.page.survey import Survey, survey
from nestbench.reports.words import ademp
from nestbench.reports.words.missing import data_sets, missing_sentence, unrepeatable
from nestbench.reports.words.untold import untold
from nestbench.reports.words.usable import FEW
from nestbench.sim.counted import plural

SCRIPTS = ("letters.js", "printing.js", "sideways.js", "page.js")


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the template environment: autoescaped, undefined names are errors."""
    jinja = jinja2.Environment(
        loader=jinja2.PackageLoader("nestbench.reports.page", "."),
        autoescape=True,
        # By default a misspelt name is printed as nothing.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["code"] = in_code
    jinja.filters["plural"] = plural
    jinja.filters["breakable"] = breakable
    jinja.filters["tied"] = tied
    return jinja


def in_code(sentence: str) -> markupsafe.Markup:
    """Return a sentence with the names in backticks set as code, everything escaped."""
    # Titles and terms are the users' own: each part is escaped before it's joined.
    parts = [markupsafe.escape(part) for part in sentence.split("`")]
    return markupsafe.Markup("").join(
        markupsafe.Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)
    )


def script_json(value: Any) -> markupsafe.Markup:
    """Return JSON that is safe inside a script element, not to be escaped again."""
    return markupsafe.Markup(standalone.script_json(value))


def write_report(
    results: Results, path: Path | str, run: str | None = None, seen: Survey | None = None
) -> Path:
    """Write ``report.html``, and beside it ``performance.csv`` and ``performance.parquet``.

    `run` is what the replay commands call the run: by default the file's directory. `seen` is what `survey` found
    when the caller has it already.

    Parameters
    ----------
    results : Results
    path : Path or str
        The page's file; the performance table goes beside it.
    run : str, optional
        What the commands on the page call the run (default: its directory).
    seen : Survey, optional
        What was read of the rows already.
    """
    path = Path(path)
    seen = survey(results) if seen is None else seen
    write_atomically(path, render(results, seen, run or str(path.parent)).encode())
    write_performance(seen.table, path.parent)
    return path


def render(results: Results, seen: Survey, run: str) -> str:
    """Return the page as text.

    Parameters
    ----------
    results : Results
    seen : Survey
        What was read of the rows.
    run : str
        What commands on the page call the run.
    """
    experiment, table = results.experiment, seen.table
    glance = page_parts.glance(table, experiment)
    # Over all tables of the page, so that all stand the same way round.
    tables = [glance["terms"], *(one["terms"] for one in seen.matrices)]
    sheet = partial(sheets, glance["conditions"], across=fit_across(glance["conditions"], tables))
    template = environment().get_template("page.html.jinja")
    return template.render(
        experiment=experiment,
        missing=missing_sentence(results),
        unrepeatable=unrepeatable(results),
        data_sets=data_sets(results),
        verdicts=seen.verdicts,
        terms=shown_terms(table),
        without_table={term: page_parts.without_table(term, experiment) for term in shown_terms(table)},
        headline=next(iter(shown_terms(table)), ""),
        conditions=page_parts.conditions(experiment),
        glance=sheet(glance["terms"]),
        grade_rule=grades.RULE,
        few=FEW,
        untold=untold(table, experiment),
        figures=[{**one, "spec": script_json(one["spec"])} for one in figures(table, experiment)],
        matrices=[{**one, "terms": sheet(one["terms"])} for one in seen.matrices],
        remarks=seen.remarks,
        failures=page_parts.grouped(seen.failures, run, not experiment.brought),
        published=published_section(table, experiment),
        sections=ademp.ademp(experiment, table),
        audit=page_parts.audit_line(results.audits()),
        timing=timing_section(results),
        provenance=page_parts.origin(results),
        citation=page_parts.citation(results),
        data=script_json(page_parts.data_of(table, experiment)),
        palette=script_json([list(theme.LIGHT.values()), list(theme.DARK.values())]),
        vega=markupsafe.Markup(vega_script()),
        script=markupsafe.Markup("\n".join(_asset(name) for name in SCRIPTS)),
        style=markupsafe.Markup(_asset("page.css")),
    )


def _asset(name: str) -> str:
    """Return a file of this folder as text."""
    return files("nestbench.reports.page").joinpath(name).read_text(encoding="utf-8")
