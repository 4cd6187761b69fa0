"""The page: one HTML file that loads nothing, with the verdict first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np
import pandas as pd

from nestbench.experiments.files import write_atomically
from nestbench.own_data.bar import Step, silent
from nestbench.reports.comparing.grades import RULE
from nestbench.reports.page.report import environment
from nestbench.sim.observed.model import alpha_of
from nestbench.sizing import bought, pictures, tradeoff
from nestbench.sizing.alternatives import Alternative, alternatives
from nestbench.sizing.answer import MethodAnswer, Sizing
from nestbench.sizing.files import DRAWS
from nestbench.sizing.formula import along
from nestbench.sizing.frontier import Frontier
from nestbench.sizing.paragraph import paragraph, promise, sources_of
from nestbench.sizing.question import EFFECT, HALF_WIDTH, N_SCHOOLS, N_STUDENTS, N_TREATED
from nestbench.sizing.sentences import assumed, caution, closed_line, number, standing, verdict
from nestbench.sizing.sweep import sweep
from nestbench.sizing.terminal import percent

TITLES = {
    N_SCHOOLS: "How many schools?",
    N_STUDENTS: "How many students a school?",
    N_TREATED: "How many treated schools?",
    EFFECT: "Which effect can be found?",
}
HEADS = {
    N_SCHOOLS: "Schools",
    N_STUDENTS: "Students a school",
    N_TREATED: "Treated schools",
    EFFECT: "Effect",
}
CHEAPEST, BEST = "Which design is cheapest?", "What does the budget buy?"
CLOSED_POINTS = 40
PAGE = "size.html"


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """What the page shows beyond the answer.

    Attributes
    ----------
    curve : DataFrame
        Along the unknown; see `sweep`.
    closed : tuple of (value, power or half-width)
        The closed form along the unknown; empty where there is none.
    alternatives : tuple of Alternative
    """

    curve: pd.DataFrame
    closed: tuple[tuple[float, float], ...]
    alternatives: tuple[Alternative, ...]


def detail_of(
    sizing: Sizing, workers: int | None = None, step: Step = silent, folder: Path | None = None
) -> Detail:
    """Simulate what the page shows beyond the answer, from the chunks kept in a folder on; the numbers don't depend on
    workers.
    """
    curve = sweep(sizing, workers, step, folder)
    values = sorted(set(curve["value"]))
    closed: list[tuple[float, float]] = []
    if values:
        spread = np.linspace(values[0], values[-1], CLOSED_POINTS)
        whole = sizing.question.unknown in (N_SCHOOLS, N_STUDENTS, N_TREATED)
        closed = along(
            sizing.question, sorted({float(round(v)) for v in spread} if whole else spread.tolist())
        )
    return Detail(curve, tuple(closed), alternatives(sizing, workers, step, folder))


def write_page(
    found: Sizing | Frontier, folder: Path, workers: int | None = None, step: Step = silent
) -> Path | None:
    """Simulate what the page shows beyond the answer, of several designs the best one's, and write it; return its path,
    None where no design reaches the target.
    """
    frontier = None if isinstance(found, Sizing) else found
    sizing = found if isinstance(found, Sizing) else found.best
    if sizing is None:
        return None
    path = folder / PAGE
    detail = detail_of(sizing, workers, step, folder / DRAWS)
    write_atomically(path, render(sizing, detail, frontier).encode())
    return path


def render(sizing: Sizing, detail: Detail, frontier: Frontier | None = None) -> str:
    """Return the page as text.

    Parameters
    ----------
    sizing : Sizing
    detail : Detail
    frontier : Frontier or None
        The designs of which the answer's is the best.
    """
    question = sizing.question
    template = (
        environment()
        .overlay(loader=jinja2.PackageLoader("nestbench.sizing", "."))
        .get_template("size.html.jinja")
    )
    return template.render(
        title=title_of(sizing, frontier),
        **designs_of(frontier),
        formula=question.cell(None).model.formula,
        design=assumed(question).removeprefix("Of "),
        verdict=verdict(sizing).replace(" %", "\N{NO-BREAK SPACE}%"),
        kind="use" if sizing.named else "avoid",
        limits=sizing.limits,
        closed=closed_line(sizing),
        caution=caution(sizing),
        warnings=warnings(sizing),
        target="half-width" if question.target == HALF_WIDTH else "power",
        goal=f"{question.goal:g}" if question.target == HALF_WIDTH else f"{100 * question.goal:g} %",
        has_closed=bool(detail.closed),
        has_answer=sizing.named is not None,
        curves=pictures.curves(sizing, detail.curve, detail.closed),
        sizes=pictures.sizes(sizing, detail.curve),
        alpha=f"{100 * alpha_of(question.level):.3g}",
        unknown=HEADS.get(question.unknown, "ICC"),
        rows=[method_row(sizing, answer) for answer in sizing.answers],
        alternatives=[alternative_row(sizing, one) for one in detail.alternatives],
        would=would_words(sizing),
        named=sizing.named,
        grade_rule=RULE,
        paragraph=paragraph(sizing, "" if frontier is None else bought.paid(frontier)),
        sources=sources_of(sizing),
        data_sets=f"{sizing.data_sets:,}".replace(",", " "),
        seed=sizing.seed,
        toml=sizing.toml,
        style=markupsafe.Markup(
            files("nestbench.reports.page").joinpath("page.css").read_text(encoding="utf-8")
        ),
    )


def title_of(sizing: Sizing, frontier: Frontier | None) -> str:
    """Return the page's question."""
    if frontier is not None:
        return CHEAPEST if frontier.budget is None else BEST
    return TITLES.get(sizing.question.unknown, "Which intraclass correlation is tolerable?")


def designs_of(frontier: Frontier | None) -> dict[str, Any]:
    """Return what the page says of several designs; of one, nothing."""
    if frontier is None or frontier.best_row is None:
        return {"designs": None}
    head, *rows = bought.rows_of(frontier)
    best = list(frontier.table["students"]).index(frontier.best_row["students"])
    return {
        "designs": tradeoff.figure(frontier),
        "choice": bought.verdict(frontier),
        "design_heads": [text[:1].upper() + text[1:] for text in head],
        "design_rows": rows,
        "best_design": best,
        "budget": frontier.budget,
        "goal_words": "find this effect" if frontier.budget is not None else "reach the target",
    }


def warnings(sizing: Sizing) -> list[str]:
    """Return what methods that don't hold would have promised."""
    nominal = f"{100 * alpha_of(sizing.question.level):.3g} %"
    return [
        f"{answer.method} says {promise(sizing.question, answer)}; its type I error there is "
        f"{100 * answer.size:.1f} %, not {nominal}."
        for answer in sizing.answers
        if not answer.valid and answer.reached and math.isfinite(answer.value)
    ]


def method_row(sizing: Sizing, answer: MethodAnswer) -> dict[str, str]:
    """Return a row of the table of methods."""
    unknown = sizing.question.unknown
    reached = answer.reached and math.isfinite(answer.value)
    return {
        "method": answer.method,
        "value": number(answer.value, unknown) if reached else "out of reach",
        "interval": f"{number(answer.low, unknown)} to {number(answer.high, unknown)}" if reached else "-",
        "power": percent(answer.power, answer.power_mcse),
        "size": percent(answer.size, answer.size_mcse),
        "width": "-" if math.isnan(answer.half_width) else f"{answer.half_width:.3g}",
        "grade": mark(answer),
        "note": note(sizing, answer),
    }


def mark(answer: MethodAnswer) -> str:
    """Return the colour of a type I error."""
    if math.isnan(answer.size):
        return "none"
    return ("wide" if answer.conservative else "holds") if answer.valid else "fails"


def note(sizing: Sizing, answer: MethodAnswer) -> str:
    """Return what stands beside a method's numbers."""
    if not answer.valid:
        return f"not valid: {answer.grade}"
    named = "named" if answer.method == sizing.named else ""
    return ", ".join(filter(None, [named, standing(answer)]))


def alternative_row(sizing: Sizing, one: Alternative) -> list[str]:
    """Return a row of the table of alternatives."""
    wide = sizing.question.target == HALF_WIDTH
    reached = f"{one.half_width:.3g}" if wide else percent(one.power, one.power_mcse)
    would = "out of reach" if math.isinf(one.needed) else number(one.needed, sizing.question.unknown)
    return [one.name, reached, percent(one.size, one.size_mcse), would]


def would_words(sizing: Sizing) -> str:
    """Return the head of the column of what would be needed."""
    return {
        N_SCHOOLS: "Schools it would take (closed form)",
        N_STUDENTS: "Students a school it would take (closed form)",
        N_TREATED: "Treated schools it would take (closed form)",
        EFFECT: "Smallest effect found",
    }.get(sizing.question.unknown, "")
