"""The answer in sentences, for terminal, notebook and page."""

from __future__ import annotations

import math

from nestbench.sim.counted import plural
from nestbench.sizing.answer import MethodAnswer, Sizing
from nestbench.sizing.question import EFFECT, HALF_WIDTH, ICC, N_SCHOOLS, N_STUDENTS, N_TREATED, Question


def number(value: float, unknown: str) -> str:
    """Return an unknown's value as text."""
    if math.isnan(value):
        return "-"
    if unknown == EFFECT:
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
    return f"{value:.3f}".lstrip("0") or "0" if unknown == ICC else f"{value:g}"


def design_line(sizing: Sizing) -> str:
    """Return the trial in a line."""
    question = sizing.question
    cell = question.cell(None)
    layout, law = cell.layout, cell.population
    parts = []
    if question.unknown != N_SCHOOLS:
        parts.append(plural(layout.schools, "school"))
    if question.unknown != N_STUDENTS:
        spread = f" (cv {layout.size_cv:g})" if layout.size_cv else ""
        parts.append(f"{layout.mean_size:g} students a school{spread}")
    if layout.classes:
        parts.append(f"{plural(layout.classes, 'class', 'classes')} a school")
    if question.unknown != N_TREATED:
        parts.append(treated_words(question))
    icc = getattr(law, "icc", None)
    if icc is not None and question.unknown != ICC:
        parts.append(f"ICC {icc:.3g}{' given the covariates' if len(cell.found.terms) > 2 else ''}")
    return f"{cell.model.formula}; {', '.join(parts)}; {target_words(question)}."


def treated_words(question: Question) -> str:
    """Return who is treated."""
    layout = question.cell(None).layout
    if layout.assignment == "students":
        return f"{100 * layout.treated_part:g} % of the students treated in each"
    if layout.assignment == "pairs":
        return "one school of each pair treated"
    if layout.treated_share is not None:
        return f"{100 * layout.treated_share:g} % of the schools treated"
    return f"{layout.treated_schools} schools treated"


def target_words(question: Question) -> str:
    """Return what is to be reached."""
    level = f"{100 * question.level:g} %"
    if question.target == HALF_WIDTH:
        return f"{level} intervals of {question.term} of half-width {question.goal:g}"
    of = "" if question.effect is None else f" to find an effect of {question.effect:g}"
    return f"power {100 * question.goal:g} %{of} at alpha {1 - question.level:.3g}"


def verdict(sizing: Sizing) -> str:
    """Return the answer in a sentence or two."""
    found = sizing.answer
    if found is None:
        return no_answer(sizing)
    words = f"{value_words(sizing.question, found)} ({found.method}; 95 % interval {interval_words(sizing, found)}). "
    size = f"its type I error there is {100 * found.size:.1f} %"
    return (
        words + f"Power {100 * found.power:.1f} %, {size}."
        if not math.isnan(found.power)
        else words + size + "."
    )


def value_words(question: Question, found: MethodAnswer) -> str:
    """Return the number that answers the question, in words."""
    value = number(found.value, question.unknown)
    if question.unknown == EFFECT:
        return f"The smallest effect found is {value}"
    if question.unknown == ICC:
        return f"An ICC up to {value} is tolerable"
    if question.unknown == N_STUDENTS:
        return f"Take {value} students a school"
    if question.unknown == N_TREATED:
        return f"Treat {value} schools"
    layout = question.cell(int(found.value)).layout
    treated = f", {layout.treated_count} of them treated" if layout.treated_count else ""
    return f"Take {value} schools{treated}"


def interval_words(sizing: Sizing, found: MethodAnswer) -> str:
    """Return the interval of an answer."""
    unknown = sizing.question.unknown
    return f"{number(found.low, unknown)} to {number(found.high, unknown)}"


def no_answer(sizing: Sizing) -> str:
    """Return why there is no answer."""
    if any(a.valid for a in sizing.answers):
        return "Out of reach for every method that holds."
    return "None of these methods holds at the design where it would reach the target."


def closed_line(sizing: Sizing) -> str:
    """Return what the formula says, and whether the simulation agrees."""
    closed = sizing.closed
    if closed is None:
        return ""
    value = "out of reach" if math.isinf(closed.value) else number(closed.value, sizing.question.unknown)
    agree = "agrees" if closed.agrees else f"disagrees: it says {100 * closed.power:.1f} % power there"
    return f"Closed form ({closed.name}): {value}; the simulation {agree}."
