"""How advice is come by: design, calibration, scenarios, simulation, choice, and only then the fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.advising.advice import Advice
from nestbench.advising.analysis import Analysis, analysis_of, asked_terms
from nestbench.advising.as_experiment import DESIGN, choice_of, experiment_of, null_cells
from nestbench.advising.calibration import calibrate
from nestbench.advising.candidates import (
    cost_words,
    limits_of,
    methods_for,
    placebos_for,
    replications_for,
)
from nestbench.advising.design import Design, design_of_term
from nestbench.advising.measuring import table_of
from nestbench.advising.notebook import html_of
from nestbench.advising.placebo import DRAWS, placebo_rates
from nestbench.advising.scenarios import Scenario, read_scenarios, scenarios_of
from nestbench.advising.simulating import Answers, simulate
from nestbench.advising.terminal import text_of
from nestbench.advising.validity import Choice, choose
from nestbench.advising.warming import warm_up
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.estimators.methods.choices import choices_of
from nestbench.own_data.bar import Step, silent
from nestbench.own_data.fit import Fit, fit_one
from nestbench.own_data.usual import USUAL
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

SEED = 20261125
POWER = 2.8
"""A planted effect in ideal standard errors: found in 80 % by a test that knows all variances."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is simulated, and with what; None takes what the data allow, or every method that applies."""

    replications: int | None = None
    seed: int = SEED
    methods: str | Sequence[str | Mapping[str, Any]] | None = None
    workers: int | None = None
    scenario: Path | None = None
    placebos: int = DRAWS


def advise(
    frame: pd.DataFrame,
    *,
    formula: str,
    group: str = "school",
    term: str | None = None,
    random: str = "1",
    subgroup: str | None = None,
    level: float = 0.95,
    replications: int | None = None,
    seed: int = SEED,
    methods: str | Sequence[str | Mapping[str, Any]] | None = None,
    workers: int | None = None,
    scenario: str | Path | None = None,
) -> Advice:
    """Say which method to use for a term of one's own data, by simulation on its design.

    Parameters
    ----------
    frame : DataFrame
        One row a student.
    formula : str
        Fixed part; a random part in lme4's notation may stand in it.
    group : str
        Name of the group column.
    term : str
        The term asked about (default: the first that is constant in schools, else the first).
    random, subgroup, level
        As in `estimate`.
    replications : int
        Data sets of each scenario (default: 10 000, fewer for large data).
    seed : int
    methods : str or sequence
        The methods tried beside the usual ones (default: all that can estimate the term).
    workers : int
        Processes (default: one a core). The answer is the same for any number.
    scenario : path
        A TOML file with further scenarios.

    Raises
    ------
    InvalidInput
        The data, the formula, the term or a method can't be used; the message says why.
    """
    model = Model(formula, group, random, level, subgroup)
    analysis = analysis_of(frame, model)
    chosen = asked_terms(analysis, [] if term is None else [term])[0]
    settings = Settings(replications, seed, methods, workers, None if scenario is None else Path(scenario))
    return advice_of(analysis, chosen, settings)


def advice_of(analysis: Analysis, term: str, settings: Settings, step: Step = silent) -> Advice:
    """Return the advice on one term."""
    if settings.scenario is not None:
        # For its refusals: before anything is compiled.
        read_scenarios(settings.scenario, {})
    methods = _ready(analysis, term, settings, step)
    found = calibrate(analysis, term)
    design = design_of_term(analysis, term, found)
    laws = scenarios_of(found, term, analysis.model.subgroup)
    if settings.scenario is not None:
        laws += read_scenarios(settings.scenario, laws[0].parameters)
    replications = settings.replications or replications_for(analysis)
    placebos = placebos_for(analysis, settings.placebos)
    if said := cost_words(analysis, term, len(laws), replications, placebos, len(methods)):
        step(0, 1, said)
    planted = float(f"{POWER * found.ideal_se:.3g}") if np.isfinite(found.ideal_se) else found.total_sd
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        choices = [choice_of(method) for method in methods]
        experiment = experiment_of(
            analysis, term, laws, choices, planted, replications, settings.seed, folder
        )
        cells = null_cells(experiment, term)
        answers = simulate(experiment, cells, term, planted, limits_of(analysis), settings.workers, step)
        toml, csv = experiment.source, (folder / DESIGN).read_text(encoding="utf-8")
    table = table_of([law.name for law in laws], answers, analysis.model.level)
    choice = _honest(_chosen(analysis, answers, table, laws, methods, settings), design)
    placebo = placebo_rates(analysis, term, methods, settings.seed, settings.workers, settings.placebos, step)
    advice = Advice(
        term,
        analysis.model,
        choice,
        table,
        tuple(laws),
        design,
        found,
        placebo,
        {method.label: method.info for method in methods},
        planted,
        replications,
        settings.seed,
        toml,
        csv,
        analysis.data.messages,
        # Last: the choice above was made without the estimate.
        fits_of(analysis, [name for name in (choice.least_bad, choice.guarding) if name], methods),
        remarks_of(analysis),
    )
    return replace(advice, shown=text_of(advice), html=html_of(advice))


def _ready(analysis: Analysis, term: str, settings: Settings, step: Step) -> list[Estimator]:
    """Return the methods to simulate, their kernels compiled and loaded."""
    named = methods_asked(analysis, term, settings.methods)
    warm_up(analysis, named, settings.workers, step)
    if settings.methods is not None:
        return named
    return [method for method in named if answers(analysis, term, method)]


def _chosen(
    analysis: Analysis,
    answers: Sequence[Answers],
    table: pd.DataFrame,
    laws: Sequence[Scenario],
    methods: Sequence[Estimator],
    settings: Settings,
) -> Choice:
    precautions = [law.name for law in laws if law.precaution]
    labels = [method.label for method in methods]
    return choose(answers, table, labels, analysis.model.level, settings.seed, precautions)


def _honest(choice: Choice, design: Design) -> Choice:
    """With one school on one side no method holds without assuming that its variance is that of the others."""
    if design.fewest > 1:
        return choice
    return replace(choice, named=None, valid=(), assuming=choice.named or choice.assuming)


def methods_asked(
    analysis: Analysis, term: str, asked: str | Sequence[str | Mapping[str, Any]] | None
) -> list[Estimator]:
    """Return the methods that may be tried, in the order in which equals are preferred, the usual ones last.

    Raises
    ------
    InvalidInput
        A method that isn't known.
    """
    names: list[str | Mapping[str, Any]]
    if asked is None:
        names = list(methods_for(analysis, term))
    else:
        own = choices_of(asked) if isinstance(asked, str) else list(asked)
        names = [*own, *USUAL]
    return list({method.label: method for method in map(registry.get, names)}.values())


def answers(analysis: Analysis, term: str, method: Estimator) -> bool:
    """Whether a method gives an interval for the term on the residuals of the data, or is one of the usual ones."""
    if method.label in USUAL:
        return True
    try:
        fit = method.fit(analysis.blind, analysis.simulated)
    except InvalidInput:
        return False
    return term in fit.terms and bool(np.isfinite(fit.lower[0, fit.terms.index(term)]))


def fits_of(analysis: Analysis, named: Sequence[str], methods: Sequence[Estimator]) -> tuple[Fit, ...]:
    """Return the fits to the data: the methods named first, then the usual ones."""
    known = {method.label: method for method in methods}
    labels = dict.fromkeys([*named, *USUAL])
    return tuple(fit_one(analysis.data, known[label], analysis.model) for label in labels if label in known)


def remarks_of(analysis: Analysis) -> tuple[str, ...]:
    """Return what is said of the outcome itself, beside the fits."""
    batch = analysis.data.batch
    if len(np.unique(batch.once(design_of, analysis.model).outcome(batch))) > 2:
        return ()
    return ("The outcome has two values: a linear probability model, of differences of shares.",)
