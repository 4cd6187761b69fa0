"""How advice is come by: design, calibration, scenarios, simulation, choice, and only then the fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.advising import study
from nestbench.advising.advice import Advice
from nestbench.advising.calibration import calibrate
from nestbench.advising.design import Design, design_of_term
from nestbench.advising.notebook import html_of
from nestbench.advising.placebo import DRAWS, placebo_rates
from nestbench.advising.scenarios import read_scenarios, scenarios_of
from nestbench.advising.simulating import simulate
from nestbench.advising.subject import Subject, asked_terms, subject_of
from nestbench.advising.terminal import text_of
from nestbench.advising.validity import Choice, choose, table_of
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
    subject = subject_of(frame, model)
    chosen = asked_terms(subject, [] if term is None else [term])[0]
    settings = Settings(replications, seed, methods, workers, None if scenario is None else Path(scenario))
    return advice_of(subject, chosen, settings)


def advice_of(subject: Subject, term: str, settings: Settings, step: Step = silent) -> Advice:
    """Return the advice on one term."""
    found = calibrate(subject, term)
    design = design_of_term(subject, term, found)
    laws = scenarios_of(found, term, subject.model.subgroup)
    if settings.scenario is not None:
        laws += read_scenarios(settings.scenario, laws[0].parameters)
    methods = chosen_methods(subject, term, settings.methods)
    replications = settings.replications or study.replications_for(subject)
    planted = float(f"{POWER * found.ideal_se:.3g}") if np.isfinite(found.ideal_se) else found.total_sd
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        choices = [_choice_of(method) for method in methods]
        experiment = study.study_of(
            subject, term, laws, choices, planted, replications, settings.seed, folder
        )
        cells = study.null_cells(experiment, term)
        answers = simulate(experiment, cells, term, planted, study.limits_of(subject), settings.workers, step)
        toml, csv = experiment.source, (folder / study.DESIGN).read_text(encoding="utf-8")
    level = subject.model.level
    table = table_of([law.name for law in laws], answers, level)
    precautions = [law.name for law in laws if law.precaution]
    labels = [method.label for method in methods]
    choice = _honest(choose(answers, table, labels, level, settings.seed, precautions), design)
    placebo = placebo_rates(subject, term, methods, settings.seed, settings.workers, settings.placebos, step)
    advice = Advice(
        term,
        subject.model,
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
        subject.data.messages,
        # Last: the choice above was made without the estimate.
        fits_of(subject, choice.least_bad, methods),
        remarks_of(subject),
    )
    return replace(advice, shown=text_of(advice), html=html_of(advice))


def _honest(choice: Choice, design: Design) -> Choice:
    """With one school on one side no method holds without assuming that its variance is that of the others."""
    if design.fewest > 1:
        return choice
    return replace(choice, named=None, valid=(), assuming=choice.named)


def chosen_methods(
    subject: Subject, term: str, asked: str | Sequence[str | Mapping[str, Any]] | None
) -> list[Estimator]:
    """Return the methods tried, in the order in which equals are preferred, the usual ones last.

    Raises
    ------
    InvalidInput
        A method that isn't known, or can't honour the model.
    """
    names: list[str | Mapping[str, Any]]
    if asked is None:
        names = list(study.methods_for(subject, term))
    else:
        own = choices_of(asked) if isinstance(asked, str) else list(asked)
        names = [*own, *USUAL]
    found = {method.label: method for method in map(registry.get, names)}
    return [method for method in found.values() if asked is not None or answers(subject, term, method)]


def answers(subject: Subject, term: str, method: Estimator) -> bool:
    """Whether a method gives an interval for the term on the residuals of the data, or is one of the usual ones."""
    if method.label in USUAL:
        return True
    try:
        fit = method.fit(subject.blind, subject.simulated)
    except InvalidInput:
        return False
    return term in fit.terms and bool(np.isfinite(fit.lower[0, fit.terms.index(term)]))


def fits_of(subject: Subject, named: str, methods: Sequence[Estimator]) -> tuple[Fit, ...]:
    """Return the fits to the data: the method named first, then the usual ones."""
    known = {method.label: method for method in methods}
    labels = dict.fromkeys([named, *USUAL])
    return tuple(fit_one(subject.data, known[label], subject.model) for label in labels if label in known)


def remarks_of(subject: Subject) -> tuple[str, ...]:
    """Return what is said of the outcome itself, beside the fits."""
    batch = subject.data.batch
    if len(np.unique(batch.once(design_of, subject.model).outcome(batch))) > 2:
        return ()
    return (
        "The outcome has two values: this is a linear probability model, its coefficients differences of shares.",
    )


def _choice_of(method: Estimator) -> str | dict[str, Any]:
    if not method.changed:
        return method.name
    return {"name": method.name, **{key: method.options[key] for key in method.changed}}
