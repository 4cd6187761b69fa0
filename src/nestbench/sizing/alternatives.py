"""What if: the answer's design in other circumstances, simulated, and what each of these would need in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nestbench.estimators.estimator import Estimator
from nestbench.experiments.running.execute import cores
from nestbench.own_data.bar import Step, silent
from nestbench.sim.errors import InvalidInput
from nestbench.sim.random_intercept.law import RandomIntercept
from nestbench.sizing import response
from nestbench.sizing.answer import Sizing
from nestbench.sizing.formula import needed, step_of
from nestbench.sizing.measuring import measured
from nestbench.sizing.question import EFFECT, ICC, Question, Source
from nestbench.sizing.search import Simulated, answers, oriented

ICCS = (0.05, 0.1, 0.2)
LOST = 2
SPREAD = 0.5
DATA_SETS = 4_000
KEPT = ("power", "power_mcse", "size", "size_mcse", "half_width", "half_width_mcse")

Tables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """Designs of a source, with something changed."""

    source: Source
    change: Callable[[Tables], None]

    @property
    def base(self) -> Path:
        """The source's."""
        return self.source.base

    @property
    def icc(self) -> float | None:
        """The source's."""
        return self.source.icc

    def with_icc(self, icc: float) -> Changed:
        """Return the designs with another ICC, changed alike."""
        return replace(self, source=self.source.with_icc(icc))

    def with_design(self, design: Mapping[str, int]) -> Changed:
        """Return the designs with other numbers of students or schools, changed alike."""
        return replace(self, source=self.source.with_design(design))

    def tables(self, unknown: str, value: float | None) -> Tables:
        """Return the source's tables, changed."""
        tables = self.source.tables(unknown, value)
        self.change(tables)
        return tables


@dataclass(frozen=True, slots=True)
class Alternative:
    """What becomes of the answer.

    Attributes
    ----------
    name : str
        What is different.
    power, power_mcse, size, size_mcse : float
        Of the method named, at the answer's design; with an effect unknown, of the answer's effect.
    half_width, half_width_mcse : float
        Mean half-width of its intervals there.
    needed : float
        The unknown that would reach the target then, by the closed form; NaN where there is none, infinite where
        nothing does. Of an effect, the smallest that the method finds, simulated.
    """

    name: str
    power: float
    power_mcse: float
    size: float
    size_mcse: float
    half_width: float
    half_width_mcse: float
    needed: float


def alternatives(
    sizing: Sizing, workers: int | None = None, step: Step = silent, folder: Path | None = None
) -> tuple[Alternative, ...]:
    """Return the alternatives to a question's assumptions, the assumptions themselves first; none without an answer."""
    answer = sizing.answer
    if answer is None or not isinstance(sizing.question.cell(None).population, RandomIntercept):
        return ()
    method = next(m for m in sizing.question.experiment(None).estimators if m.label == answer.method)
    made = []
    cell = sizing.question.cell(_step(sizing))
    own = answer.value if sizing.question.unknown == EFFECT else needed(sizing.question, cell)
    kept = {key: float(getattr(answer, key)) for key in KEPT}
    made.append(Alternative("as planned", **kept, needed=own))
    for name, source in _changed(sizing).items():
        try:
            question = replace(sizing.question, source=source)
            made.append(_alternative(name, question, sizing, method, workers or cores(), step, folder))
        except InvalidInput:
            continue
    return tuple(made)


def _changed(sizing: Sizing) -> Mapping[str, Source]:
    """Return what may be different, by name."""
    question, cell = sizing.question, sizing.question.cell(_step(sizing))
    source, layout = question.source, cell.layout
    found: dict[str, Source] = {}
    now = float(getattr(cell.population, "icc", math.nan)) if source.icc is None else source.icc
    if question.unknown != ICC and now > 0.0:
        found |= {f"ICC {icc:g}": source.with_icc(icc) for icc in ICCS if abs(icc - now) > 1e-9}
    if not layout.blocked_by and layout.assignment != "students" and layout.schools > LOST + 3:
        found[f"{LOST} schools drop out"] = Changed(source, _lose_schools)
    if layout.balanced and not layout.classes:
        found[f"sizes differ (cv {SPREAD:g})"] = Changed(source, _spread_sizes)
    return found


def _lose_schools(tables: Tables) -> None:
    population = tables["population"]
    population["missing_schools"] = population.get("missing_schools", 0) + LOST
    # who drops out is drawn; so must be who is treated
    if tables["layout"].get("assignment", "first") == "first":
        tables["layout"]["assignment"] = "random"


def _spread_sizes(tables: Tables) -> None:
    tables["layout"]["size_cv"] = SPREAD


def _step(sizing: Sizing) -> int | None:
    """Return the step of the answer."""
    if sizing.question.unknown == EFFECT:
        return None
    return step_of(sizing.question, sizing.value)


def _alternative(
    name: str,
    question: Question,
    sizing: Sizing,
    method: Estimator,
    workers: int,
    step: Step,
    folder: Path | None,
) -> Alternative:
    at = _step(sizing)
    found = Simulated(question, (method,), sizing.seed, workers, DATA_SETS, step, folder)
    found.add(at or 0, DATA_SETS)
    effect = sizing.value if question.unknown == EFFECT else question.effect
    seen = measured(found, at or 0, method.label, effect)
    sample = oriented(found.draws[at or 0], method.label, question.effect)
    if not answers(sample):
        raise InvalidInput(f"expected answers of {method.label}, got none")
    if question.unknown == EFFECT:
        would = response.factor_for(sample, question.goal, question.effects)[0]
    else:
        would = needed(question, question.cell(at))
    return Alternative(name, **{key: float(seen[key]) for key in KEPT}, needed=would)
