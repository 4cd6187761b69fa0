"""The answer in sentences, for terminal, notebook and page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nestbench.sim.cells.layout import Layout
from nestbench.sim.counted import plural
from nestbench.sim.observed.model import alpha_of
from nestbench.sizing.answer import ClosedForm, MethodAnswer, Sizing
from nestbench.sizing.question import (
    EFFECT,
    HALF_WIDTH,
    ICC,
    N_SCHOOLS,
    N_STUDENTS,
    N_TREATED,
    Planned,
    Question,
)


def number(value: float, unknown: str) -> str:
    """Return an unknown's value as text."""
    if math.isnan(value):
        return "-"
    if unknown == EFFECT:
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
    return f"{value:.3f}".lstrip("0") or "0" if unknown == ICC else f"{value:g}"


def assumed(question: Question) -> str:
    """Return what the answer is of, in a line: the design but for the unknown, and the target."""
    cell = question.cell(None)
    layout, law, unknown = cell.layout, cell.population, question.unknown
    parts = [
        "" if unknown == N_SCHOOLS else plural(layout.schools, "school"),
        "" if unknown == N_STUDENTS else students_words(layout),
        f"in {plural(layout.classes, 'class', 'classes')}" if layout.classes else "",
        "" if unknown == N_TREATED else treated_words(layout, unknown),
        "" if unknown == ICC else icc_words(question, law, cell.found.terms),
    ]
    return f"Of {', '.join(p for p in parts if p)}: {target_words(question)}."


def students_words(layout: Layout) -> str:
    """Return the students a school in words."""
    spread = f" (cv {short(layout.size_cv)})" if layout.size_cv else ""
    return f"{layout.mean_size:g} students a school{spread}"


def treated_words(layout: Layout, unknown: str) -> str:
    """Return who is treated."""
    if layout.assignment == "pairs":
        return "a school of each pair treated"
    if layout.assignment == "blocks":
        return f"{round(layout.treated_part * layout.block_size)} of each {layout.block_size} alike schools treated"
    share = f"{100 * layout.treated_part:g} %" if layout.treated_part != 0.5 else "half"
    if layout.assignment == "students":
        return f"{share} of each school treated"
    if layout.treated_share is None:
        return f"{layout.treated_schools} treated"
    return f"{f'{100 * layout.treated_share:g} %' if layout.treated_share != 0.5 else 'half'} treated"


def icc_words(question: Question, law: Any, terms: Sequence[str]) -> str:
    """Return the ICC, and of what: of a trial in a planner's words as it was given, with the shares explained."""
    if isinstance(question.source, Planned):
        trial = question.source.trial
        shares = {"schools": trial.r2_school, "classes": trial.r2_class, "students": trial.r2_student}
        known = [f"R^2 {short(r2)} of {level}" for level, r2 in shares.items() if r2]
        spread = f" (SD {short(question.icc_spread)})" if question.icc_spread else ""
        classes = [f"of classes {short(trial.class_icc)}"] if trial.class_icc else []
        return ", ".join([f"ICC {short(trial.icc)}{spread}", *classes, *known])
    if not hasattr(law, "icc"):
        return ""
    more = any(term in terms for term in ("resources", "age", "teacher"))
    given = " given the covariates" if more else ""
    return f"ICC {short(law.icc)}{given}"


def short(value: float) -> str:
    """Return a number in three digits, without its leading 0."""
    text = f"{value:.3g}"
    return text.replace("0.", ".", 1) if abs(value) < 1.0 and value else text


def target_words(question: Question) -> str:
    """Return what is to be reached."""
    if question.target == HALF_WIDTH:
        return f"{100 * question.level:g} % intervals of half-width {short(question.goal)}"
    effect = "" if question.effect is None or question.unknown == EFFECT else f" for {short(question.effect)}"
    if question.effect_spread:
        effect = f"{effect} (SD {short(question.effect_spread)})"
    name = "assurance" if question.effect_spread or question.icc_spread else "power"
    return f"{name} {short(question.goal)}{effect} at alpha {short(alpha_of(question.level))}"


def verdict(sizing: Sizing) -> str:
    """Return the answer in a sentence, with what the method named does there."""
    found = sizing.answer
    if found is None:
        return no_answer(sizing)
    reached = f"power {100 * found.power:.1f} %"
    if sizing.question.target == HALF_WIDTH:
        reached = f"half-width {found.half_width:.3g}"
    return f"{answered(sizing).removesuffix('.')}: {reached}, type I error {100 * found.size:.1f} %."


def standing(answer: MethodAnswer) -> str:
    """Return what is to be known of a method's tests beside its numbers; nothing where they are in order."""
    if not answer.valid:
        return "not valid"
    return "conservative" if answer.conservative else ""


def caution(sizing: Sizing) -> str:
    """Return what it means that the method named is conservative; nothing where it isn't."""
    found = sizing.answer
    if found is None or not found.conservative:
        return ""
    alpha = f"{100 * alpha_of(sizing.question.level):.3g} %"
    return (
        f"{found.method} is conservative there (type I error {100 * found.size:.1f} %, nominal {alpha}): the answer "
        "errs on the safe side."
    )


def answered(sizing: Sizing) -> str:
    """Return the answer in a sentence."""
    found, question = sizing.answer, sizing.question
    if found is None:
        return no_answer(sizing)
    return f"{value_words(question, found)} ({interval_words(sizing, found)}), by {found.method}."


def value_words(question: Question, found: MethodAnswer) -> str:
    """Return the number that answers the question, in words; its interval follows."""
    value = number(found.value, question.unknown)
    if question.unknown == EFFECT:
        return f"Effects of {value} are found"
    if question.unknown == ICC:
        return f"An ICC up to {value}"
    if question.unknown == N_STUDENTS:
        return f"{value} students a school"
    if question.unknown == N_TREATED:
        return f"{value} treated schools"
    layout = question.cell(int(found.value)).layout
    treated = f", {layout.treated_count} treated" if layout.treated_count else ""
    return f"{value} schools{treated}"


def interval_words(sizing: Sizing, found: MethodAnswer) -> str:
    """Return the interval of an answer."""
    unknown = sizing.question.unknown
    return f"{number(found.low, unknown)} to {number(found.high, unknown)}"


def no_answer(sizing: Sizing) -> str:
    """Return why there is no answer."""
    if any(a.valid for a in sizing.answers):
        return "Out of reach for every method that holds."
    return "None of these methods holds at the design where it would reach the target."


def pilot_words(unknown: str, alternatives: pd.DataFrame) -> str:
    """Return what the ends of a pilot's interval of the ICC make of the answer."""
    said = [
        f"{number(row['value'], unknown) if not math.isnan(row['value']) else 'out of reach'} at {short(row['icc'])}"
        for row in alternatives.to_dict("records")
    ]
    return f"At the ends of the ICC's interval the answer is {' and '.join(said)}." if said else ""


def beside(sizing: Sizing) -> str:
    """Return what the formula says, without its name where nothing is to be said of it."""
    closed = sizing.closed
    if closed is None or not closed.agrees:
        return closed_line(sizing)
    return f"Closed form{of_whom(sizing)}: {closed_value(closed, sizing.question.unknown)}."


def of_whom(sizing: Sizing) -> str:
    """Return the method whose test the formula is, where another is named: ICCs near 0 spare OLS what others pay."""
    closed = sizing.closed
    if closed is None or not sizing.named or closed.method in ("", sizing.named):
        return ""
    return f" of {closed.method}"


def closed_value(closed: ClosedForm, unknown: str) -> str:
    """Return the formula's answer."""
    return "out of reach" if math.isinf(closed.value) else number(closed.value, unknown)


def closed_line(sizing: Sizing) -> str:
    """Return what the formula says, and whether the simulation agrees."""
    closed = sizing.closed
    if closed is None:
        return ""
    says = f"Closed form{of_whom(sizing)} ({closed.name}): {closed_value(closed, sizing.question.unknown)}"
    if closed.agrees:
        return f"{says}."
    there = f"power {100 * closed.power:.1f} %" if math.isnan(closed.half_width) else ""
    there = there or f"half-width {closed.half_width:.3g}"
    return f"{says}; it disagrees with the simulation beyond Monte Carlo error ({there} there)."
