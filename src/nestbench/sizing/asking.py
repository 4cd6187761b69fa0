"""From a question to its answer: methods, start, search, what each method says at its design, and the words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from nestbench.experiments.running import warming
from nestbench.experiments.running.backends import LOCAL, processes_start
from nestbench.experiments.running.execute import compile_all, cores
from nestbench.experiments.running.progress import Quiet
from nestbench.own_data.bar import Step, silent
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.theory.planning.budget import Cost
from nestbench.sizing.answer import ClosedForm, MethodAnswer, Sizing
from nestbench.sizing.bought import with_words as in_words
from nestbench.sizing.closed import FAR, closed_form, power_at, width_at
from nestbench.sizing.files import DRAWS, write_sizing
from nestbench.sizing.frontier import Frontier, frontier_of
from nestbench.sizing.limits import limits_of
from nestbench.sizing.measuring import choose, curve_table, detected, solved
from nestbench.sizing.notebook import html_of
from nestbench.sizing.pilot import Pilot, beside_pilot, formula_of, pilot_of
from nestbench.sizing.posing import Options, prices_of, question_of, short_name, truth_of, whole_blocks
from nestbench.sizing.question import EFFECT, HALF_WIDTH, N_SCHOOLS, Question
from nestbench.sizing.rerun import rerun_of
from nestbench.sizing.search import LEAST, MOST, Simulated, detect
from nestbench.sizing.search import solve as search
from nestbench.sizing.sentences import pilot_words
from nestbench.sizing.terminal import text_of
from nestbench.sizing.varied import changed, table_of

SEED = 20261126


FRONTIER = 8_000
"""Data sets of a design at most, where many designs are compared."""
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
    effect_spread: float = 0.0,
    icc_spread: float = 0.0,
    methods: str | Sequence[str | Mapping[str, Any]] | None = None,
    seed: int = SEED,
    workers: int | None = None,
    most: int = MOST,
    out: str | Path | None = None,
    like: pd.DataFrame | None = None,
    formula: str | None = None,
    group: str = "school",
    cost: tuple[float, float] | Mapping[str, float] | None = None,
    budget: float | None = None,
    **trial: Any,
) -> Sizing | Frontier:
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
    effect_spread : float
        SD of a normal distribution of the effect: `power` is then the assurance, averaged over it.
    icc_spread : float
        SD of a beta distribution of the ICC about `icc`: `power` is averaged over it, too.
    methods : str or sequence
    seed : int
    workers : int
        Threads (default: one a core). The answer is the same for any number.
    most : int
        Data sets of a design at most.
    out : path
        Folder for ``experiment.toml``, its run, and ``size.json``; the same call goes on where one was stopped.
    like : DataFrame
        A pilot, a row a student: what isn't given of ICC, R^2, sizes and SD is taken from it.
    formula, group : str
        Of the pilot: outcome and covariates, and the column of schools.
    cost : (float, float) or mapping
        Of a school and of a student, ``{"school": 300, "student": 10}``: the cheapest design that reaches the target is
        looked for, over students a school.
    budget : float
        With `cost`, and the effect to solve for: of the designs that it buys the one that finds the smallest effect;
        the power for `effect`, where that is given, stands beside.
    **trial
        Fields of `nestbench.sizing.trial.Trial`: kind, schools, students, treated_share, icc, r2_school, ...

    Returns
    -------
    Sizing
        With `cost` a `nestbench.sizing.frontier.Frontier`.

    Raises
    ------
    InvalidInput
        A value that can't be, or is missing; the message says what to do.
    """
    asked = Options(
        toml, solve, power, half_width, alpha, term, effect, effect_spread, icc_spread, methods, trial
    )
    pilot = None if like is None else pilot_of(like, formula_of(formula), group, term or "treated")
    folder = None if out is None else Path(out)
    found = answered(asked, Settings(seed, workers, most, folder), pilot, prices_of(cost), budget)
    if folder is not None:
        # Only here: the page draws and shows, an answer needs neither.
        from nestbench.sizing.page import write_page

        write_page(found, folder, workers)
        write_sizing(found, folder, workers, Quiet())
    return found


def answered(
    asked: Options,
    settings: Settings,
    pilot: Pilot | None = None,
    cost: tuple[float, float] | None = None,
    budget: float | None = None,
    step: Step = silent,
) -> Sizing | Frontier:
    """Return the answer to what is asked: with a pilot what that says, with costs the cheapest design."""
    refuse_bought(asked, cost, budget)
    stated = any(asked.trial.get(name) is not None for name in ("icc", "sd", "r2_school", "r2_student"))
    if pilot is not None:
        asked = replace(asked, trial=beside_pilot(pilot, short_name(asked.solve), asked.trial))
    if cost is not None:
        if asked.toml is None:
            # Any will do: they are what is looked for.
            free = {"students": 20} | ({} if budget is None else {"schools": whole_blocks(asked.trial)})
            asked = replace(asked, trial={**free, **asked.trial})
        prices, small = Cost(*cost), replace(settings, most=min(settings.most, FRONTIER))

        def solve(question: Question) -> Sizing:
            return sizing_of(question, small, step)

        return in_words(frontier_of(question_of(asked), prices, budget, solve))
    sizing = sizing_of(question_of(asked), settings, step)
    if pilot is None:
        return sizing
    return with_pilot(sizing, pilot, settings, stated, step)


def refuse_bought(asked: Options, cost: tuple[float, float] | None, budget: float | None) -> None:
    """Refuse what contradicts costs and a budget.

    Raises
    ------
    InvalidInput
        A budget without costs or with another unknown than the effect, or numbers given that are looked for.
    """
    if budget is not None and cost is None:
        raise InvalidInput("expected what a school and a student cost with a budget, got neither; give both")
    if budget is not None and short_name(asked.solve) != EFFECT:
        raise InvalidInput(
            f"expected effect to solve for with a budget, got {asked.solve}: a budget buys designs, of which the one "
            "that finds the smallest effect is looked for; without it the cheapest is"
        )
    looked_for = () if cost is None else ("students",) if budget is None else ("schools", "students")
    given = [name for name in looked_for if asked.trial.get(name) is not None]
    if given:
        raise InvalidInput(
            f"expected {' and '.join(given)} to be looked for with costs, got {given[0]} = {asked.trial[given[0]]}; "
            "leave it out, or leave the costs out"
        )


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
    if warming.needed(experiment):
        step(0, 1, "compiling, once for this version")
        workers = settings.workers or cores()
        compile_all(experiment, workers if processes_start() else 1, LOCAL, Quiet())
    if question.unknown == EFFECT:
        steps = range(1)
        effects = detect(found, 0)
        answered = [detected(found, m, *effects[m.label]) for m in found.methods]
    else:
        steps = question.steps(cell)
        roots = search(found, first_step(found, steps), steps)
        answered = [solved(found, m, roots[m.label]) for m in found.methods]
    return _finished(question, tuple(answered), found, cell, steps)


def holding_everywhere(sizing: Sizing, others: Sequence[Sizing]) -> str | None:
    """Return the method to name where it must hold at other ICCs, too: whether a test holds may hang on the ICC."""
    fails = {a.method for other in others for a in other.answers if not a.valid}
    return choose(sizing.question, [a for a in sizing.answers if a.method not in fails]) or sizing.named


def _value(found: Sizing, method: str | None) -> tuple[float, float, float]:
    """Return a method's answer with its interval, NaN where the target is out of its reach."""
    answer = next((a for a in found.answers if a.method == method and a.reached), None)
    return (math.nan,) * 3 if answer is None else (answer.value, answer.low, answer.high)


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
        closed=beside(found, of_the_formula(question, answered, named), steps),
        curve=curve_table(found),
        limits=limits_of(question, answered, cell, found.cell(steps[-1])),
        data_sets=found.total,
        seed=found.seed,
        toml=rerun_of(question, answered, found),
    )
    return with_words(sizing)


def with_words(sizing: Sizing) -> Sizing:
    """Return the answer as terminal and notebook show it."""
    return replace(sizing, shown=text_of(sizing), html=html_of(sizing))


def with_pilot(sizing: Sizing, pilot: Pilot, settings: Settings, stated: bool, step: Step = silent) -> Sizing:
    """Return the answer with what the pilot says, and, unless the ICC is stated, the answers at the ends of its
    interval.
    """
    others: dict[float, Sizing] = {}
    for icc in dict.fromkeys((pilot.icc_low, pilot.icc_high)):
        own = {
            name: value for name, value in pilot.parameters(icc).items() if name in ("icc", "r2_school", "sd")
        }
        question = changed(sizing.question, own)
        if question is not None and not stated:
            others[float(f"{icc:.3g}")] = sizing_of(question, replace(settings, out=None, most=LEAST), step)
    named = holding_everywhere(sizing, list(others.values()))
    sizing = replace(sizing, named=named)
    table = table_of((icc, *_value(found, named)) for icc, found in others.items())
    words = pilot_words(sizing.question.unknown, table)
    notes = (pilot.words(), words) if words else (pilot.words(),)
    return with_words(replace(sizing, notes=notes, other_iccs=table))


EXACT = ("reml", "nested", "means", "dummies")
"""Families whose t test is the one that formulas are of."""
NOMINAL = 0.9
"""Share of alpha that a formula's test must use: mixed models don't with an ICC near 0, when their school variance is
often estimated to be 0."""


def of_the_formula(
    question: Question, answered: Sequence[MethodAnswer], named: str | None
) -> MethodAnswer | None:
    """Return the answer that the formula should give: of a family whose test it is, first of those that aren't
    conservative, else of the method named.
    """
    good, least = [a for a in answered if a.valid and a.reached], NOMINAL * alpha_of(question.level)
    varies = question.cell(None).model.random != "1"
    family = [a for a in good if _is_exact(a.method, varies)]
    nominal = [a for a in family if a.size + 2.0 * a.size_mcse >= least]
    return next(iter(nominal or family), next((a for a in good if a.method == named), None))


def _is_exact(method: str, varies: bool) -> bool:
    """Whether a method's t test is a formula's: where effects vary over schools, that of their own with G - 1 df."""
    name = method.partition("-")[0]
    return name in EXACT and ("cr2" in method) is (varies and name == "dummies")


def beside(found: Simulated, named: MethodAnswer | None, steps: range) -> ClosedForm | None:
    """Return the closed form, and what it says of the power at the answer of the method whose test it is.

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
    if closed is None or named is None:
        return closed
    closed = replace(closed, method=named.method)
    # An effect changes no design: there is one, at step 0.
    at = 0 if question.unknown == EFFECT else question.step_of(named.value)
    if question.target == HALF_WIDTH:
        width = width_at(question, found.cell(at))
        wide = abs(width - named.half_width) > FAR * named.half_width_mcse
        return replace(closed, half_width=width, agrees=not wide)
    effect = named.value if question.unknown == EFFECT else float(question.effect or 0.0)
    power = power_at(question, found.cell(at), effect)
    agrees = not math.isfinite(power) or abs(power - named.power) <= FAR * named.power_mcse
    return replace(closed, power=power, agrees=agrees)
