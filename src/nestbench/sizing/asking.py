"""From a question to its answer: methods, start, search, what each method says at its design, and the words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nestbench.experiments.running.execute import cores
from nestbench.experiments.running.progress import Quiet
from nestbench.own_data.bar import Step, silent
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sizing.answer import ClosedForm, MethodAnswer, Sizing
from nestbench.sizing.closed import FAR, closed_form, power_at
from nestbench.sizing.files import DRAWS, write_sizing
from nestbench.sizing.limits import limits_of
from nestbench.sizing.measuring import choose, curve_table, detected, solved
from nestbench.sizing.notebook import html_of
from nestbench.sizing.posing import question_of, truth_of
from nestbench.sizing.question import EFFECT, HALF_WIDTH, N_SCHOOLS, Question
from nestbench.sizing.rerun import rerun_of
from nestbench.sizing.search import MOST, Simulated, detect
from nestbench.sizing.search import solve as search
from nestbench.sizing.terminal import text_of

SEED = 20261126


FEWEST = 3
"""Schools without which a treatment of schools leaves no degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is simulated, and with what."""

    seed: int = SEED
    workers: int | None = None
    most: int = MOST
    out: Path | None = None


def size(
    toml: str | Path | None = None,
    *,
    solve: str,
    power: float | None = None,
    half_width: float | None = None,
    alpha: float = 0.05,
    term: str | None = None,
    effect: float | None = None,
    methods: str | Sequence[str | Mapping[str, Any]] | None = None,
    seed: int = SEED,
    workers: int | None = None,
    most: int = MOST,
    out: str | Path | None = None,
    **trial: Any,
) -> Sizing:
    """Say how large a trial must be, or which effect it can find, for methods whose tests hold there.

    Parameters
    ----------
    toml : path
        A TOML file with population, layout and model; else the trial is described by `trial`.
    solve : str
        What is unknown: "schools", "students" (a school), "treated" (schools), "effect" or "icc".
    power : float
        To be reached (default: 0.8).
    half_width : float
        Of the interval, to be reached instead of a power.
    alpha : float
        Two-sided level of the tests; intervals have level 1 - alpha.
    term : str
        Term of the model asked about (default: treated).
    effect : float
        To be found, in units of the outcome; of a TOML file that of its population unless given.
    methods : str or sequence
    seed : int
    workers : int
        Threads (default: one a core). The answer is the same for any number.
    most : int
        Data sets of a design at most.
    out : path
        Folder for ``experiment.toml``, its run, and ``size.json``; the same call goes on where one was stopped.
    **trial
        Fields of `nestbench.sizing.trial.Trial`: kind, schools, students, treated_share, icc, r2_school, ...

    Returns
    -------
    Sizing

    Raises
    ------
    InvalidInput
        A value that can't be, or is missing; the message says what to do.
    """
    question = question_of(toml, solve, power, half_width, alpha, term, effect, methods, trial)
    folder = None if out is None else Path(out)
    sizing = sizing_of(question, Settings(seed, workers, most, folder))
    if folder is not None:
        write_sizing(sizing, folder, workers, Quiet())
    return sizing


def sizing_of(question: Question, settings: Settings, step: Step = silent) -> Sizing:
    """Return the answer to a question."""
    if settings.workers is not None and settings.workers < 1:
        raise InvalidInput(f"expected workers >= 1, got {settings.workers}; leave it out for one per core")
    experiment = question.experiment(None)
    if len(experiment.cells) != 1:
        raise InvalidInput(f"expected one condition to size, got {len(experiment.cells)}")
    cell = experiment.cells[0]
    # For its refusals: before anything is drawn.
    truth_of(cell, question.term)
    if question.unknown != N_SCHOOLS:
        refuse_too_few(cell)
    found = Simulated(
        question,
        experiment.estimators,
        settings.seed,
        settings.workers or cores(),
        settings.most,
        step,
        None if settings.out is None else settings.out / DRAWS,
    )
    if question.unknown == EFFECT:
        steps = range(1)
        effects = detect(found, 0)
        answered = [detected(found, m, *effects[m.label]) for m in found.methods]
    else:
        steps = question.steps(cell)
        roots = search(found, first_step(found, steps), steps)
        answered = [solved(found, m, roots[m.label]) for m in found.methods]
    return _finished(question, tuple(answered), found, cell, steps)


def refuse_too_few(cell: Cell) -> None:
    """Refuse fewer than three schools.

    Raises
    ------
    InvalidInput
        Says what would do.
    """
    if cell.layout.schools < FEWEST and cell.layout.assignment != "students":
        raise InvalidInput(
            f"expected at least {FEWEST} schools, got {cell.layout.schools}: with one school an arm nothing says how "
            "much schools differ, so no test holds, whatever the number of students; add schools, two an arm at least"
        )


def first_step(found: Simulated, steps: range) -> int:
    """Return the step at which the working model's response is the one wanted."""
    question = found.question
    goal = question.goal if question.target == HALF_WIDTH else abs(question.effect or 1.0)
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        good = found.where(steps[middle]) <= 2.0 * math.log(goal)
        low, high = (low, middle) if good else (middle + 1, high)
    return steps[low]


def _finished(
    question: Question, answered: tuple[MethodAnswer, ...], found: Simulated, cell: Cell, steps: range
) -> Sizing:
    named = choose(question, answered)
    sizing = Sizing(
        question=question,
        answers=answered,
        named=named,
        closed=beside(found, of_the_formula(answered, named), steps),
        curve=curve_table(found),
        limits=limits_of(question, answered, cell, found.cell(steps[-1])),
        data_sets=found.total,
        seed=found.seed,
        toml=rerun_of(question, answered, found),
    )
    sizing = replace(sizing, shown=text_of(sizing))
    return replace(sizing, html=html_of(sizing))


EXACT = ("reml", "nested", "means", "dummies")
"""Families whose t test is the one that formulas are of."""


def of_the_formula(answered: Sequence[MethodAnswer], named: str | None) -> MethodAnswer | None:
    """Return the answer that the formula should give: of a family whose test it is, else of the method named."""
    good = [a for a in answered if a.valid and a.reached]
    family = [a for a in good if a.method.partition("-")[0] in EXACT and "cr2" not in a.method]
    return next(iter(family), next((a for a in good if a.method == named), None))


def beside(found: Simulated, named: MethodAnswer | None, steps: range) -> ClosedForm | None:
    """Return the closed form, and what it says of the power at a method's answer.

    Parameters
    ----------
    found : Simulated
    named : MethodAnswer or None
        Where the two are held against one another; None for the closed form alone.
    steps : range
        From the least precise design to the most precise.
    """
    question = found.question
    closed = closed_form(question, found.cell, steps)
    if closed is None or named is None or not math.isfinite(named.power):
        return closed
    # An effect changes no design: there is one, at step 0.
    at = 0 if question.unknown == EFFECT else question.step_of(named.value)
    effect = named.value if question.unknown == EFFECT else float(question.effect or 0.0)
    power = power_at(question, found.cell(at), effect)
    agrees = not math.isfinite(power) or abs(power - named.power) <= FAR * named.power_mcse
    return replace(closed, power=power, agrees=agrees)
