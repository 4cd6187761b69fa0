"""What is asked: which number is unknown, what must be reached, and of which trial.

A trial is in a planner's words (`trial.Trial`) or any population and layout of a TOML file (`Given`). Either gives the
tables of the design with one number set, and these the condition that `nestbench run` would draw.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from scipy.special import ndtr

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.reading import experiment_from, find
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.theory.planning import points
from nestbench.sizing.response import equally_likely
from nestbench.sizing.trial import Trial, in_shares

N_SCHOOLS, N_STUDENTS, N_TREATED, EFFECT, ICC = "schools", "students", "treated", "effect", "icc"
KEYS = {
    N_SCHOOLS: ("layout", "schools"),
    N_STUDENTS: ("layout", "students"),
    N_TREATED: ("layout", "treated_schools"),
    ICC: ("population", "icc"),
}
"""Unknown -> its place in a TOML file; the effect has none: intervals move with it."""
UNKNOWNS = (*KEYS, EFFECT)
POWER, HALF_WIDTH = "power", "half_width"
MOST_SCHOOLS, MOST_STUDENTS, MOST_ROWS = 2_000, 10_000, 10_000_000
LIKELY, LARGEST = 10, 0.999
"""ICCs that stand for a distribution, and the largest."""
ICC_STEPS = 1_000
"""Steps of an unknown ICC: thousandths."""


MOST_SDS = 5.0
"""Effects in SDs above which a percentage, or another unit, was meant."""


class Source(Protocol):
    """Where designs come from."""

    @property
    def base(self) -> Path:
        """Folder that paths are relative to."""

    @property
    def icc(self) -> float | None:
        """The ICC before covariates, as planners state it; None where it isn't stated."""

    def with_icc(self, icc: float) -> Source:
        """Return the designs with another ICC."""

    def with_design(self, design: Mapping[str, int]) -> Source:
        """Return the designs with other numbers of ``students`` a school, or of ``schools``."""

    def tables(self, unknown: str, value: float | None) -> dict[str, Any]:
        """Return the tables of a TOML file with the unknown set; None leaves it as it is."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Designs of a trial in a planner's words."""

    trial: Trial
    base: Path = Path()

    @property
    def icc(self) -> float:
        """The trial's."""
        return self.trial.icc

    def with_icc(self, icc: float) -> Planned:
        """Return the designs with another ICC, which leaves something to classes and students."""
        most = LARGEST * (1.0 - self.trial.class_icc)
        return replace(self, trial=self.trial.at(icc=min(icc, most)))

    def with_design(self, design: Mapping[str, int]) -> Planned:
        """Return the designs with other numbers of students or schools."""
        return replace(self, trial=self.trial.at(**design))

    def tables(self, unknown: str, value: float | None) -> dict[str, Any]:
        """Return the tables with the unknown set."""
        name = {N_TREATED: "treated_schools"}.get(unknown, unknown)
        trial = self.trial if value is None or unknown == EFFECT else self.trial.at(**{name: value})
        return trial.tables()


@dataclass(frozen=True, slots=True)
class Given:
    """Designs of a TOML file: what it says, but for the unknown.

    Attributes
    ----------
    given : mapping
        The file's tables.
    base : Path
        Its folder.
    """

    given: Mapping[str, Any]
    base: Path

    @property
    def icc(self) -> None:
        """A file states what is left of it given the population's effects."""
        return None

    def with_icc(self, icc: float) -> Given:
        """Return the designs with another ICC given the population's effects."""
        return self._with("population", {"icc": icc})

    def with_design(self, design: Mapping[str, int]) -> Given:
        """Return the designs with other numbers of students or schools."""
        return self._with("layout", design)

    def _with(self, section: str, values: Mapping[str, Any]) -> Given:
        return replace(self, given={**self.given, section: {**self.given.get(section, {}), **values}})

    def tables(self, unknown: str, value: float | None) -> dict[str, Any]:
        """Return the tables with the unknown set; a share treated gives way to a number of treated schools."""
        tables = {name: dict(content) for name, content in self.given.items()}
        if value is None or unknown == EFFECT:
            return tables
        section, key = KEYS[unknown]
        tables.setdefault(section, {})[key] = value
        if unknown == N_TREATED:
            tables["layout"].pop("treated_share", None)
        return tables


def given_of(path: str | Path) -> Given:
    """Return the designs of a TOML file.

    Raises
    ------
    InvalidInput
        It can't be read, or has several conditions.
    """
    file = find(path)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"expected a TOML file, got '{path}', which can't be read: {error}") from error
    if tables.get("factors"):
        raise InvalidInput(
            f"expected one condition to size, got {path} with [factors]; set their values in [population] and [layout]"
        )
    return Given(tables, file.parent)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the size of a trial.

    Attributes
    ----------
    unknown : str
        One of `UNKNOWNS`.
    target : str
        What must be reached: "power", or "half_width" of the interval.
    goal : float
        The power, or the half-width.
    effect : float or None
        The effect to be found, in units of the outcome; None where it is unknown or doesn't matter.
    level : float
        Of the intervals: 1 - alpha.
    term : str
    source : Source
    methods : tuple
        As a TOML file names them.
    effect_spread : float
        SD of a normal distribution of the effect about `effect`: power is then averaged over it (assurance), and counts
        what is found in the effect's direction.
    icc_spread : float
        SD of a beta distribution of the ICC about the trial's: power is then averaged over it, too.

    Raises
    ------
    InvalidInput
        An unknown that there isn't, a goal that can't be, an effect of 0.
    """

    unknown: str
    target: str
    goal: float
    effect: float | None
    level: float
    term: str
    source: Source
    methods: tuple[str | Mapping[str, Any], ...]
    effect_spread: float = 0.0
    icc_spread: float = 0.0

    def __post_init__(self) -> None:
        if self.unknown not in UNKNOWNS:
            raise unknown_name("number to solve for", self.unknown, UNKNOWNS)
        alpha = alpha_of(self.level)
        if not 0.0 < alpha <= 0.5:
            raise InvalidInput(f"expected alpha above 0 and at most 0.5, got {alpha:g}; usual is 0.05")
        if self.target == POWER and not alpha < self.goal < 1.0:
            raise InvalidInput(
                f"expected a power above alpha = {alpha:g} and below 1, got {self.goal!r}: alpha is reached "
                f"without any effect, 1 by no design; usual is 0.8{in_shares(self.goal)}"
            )
        if self.icc_spread:
            self._check_iccs()
        if self.target == HALF_WIDTH:
            self._check_width()
        elif self.unknown != EFFECT:
            self._check_effect()

    def _check_width(self) -> None:
        if not (math.isfinite(self.goal) and self.goal > 0.0):
            raise InvalidInput(f"expected a half-width above 0, got {self.goal!r}")
        if self.unknown == EFFECT:
            raise InvalidInput(
                "expected schools, students, treated or icc to solve for with a half-width, got effect: the width of "
                "an interval doesn't depend on it"
            )

    def _check_effect(self) -> None:
        if self.effect is None:
            raise InvalidInput(
                f"expected the effect to be found, got none; give --effect, or solve for it: --solve effect "
                f"(now: {self.unknown})"
            )
        if self.effect_spread:
            self._check_spread(self.effect)
        if not math.isfinite(self.effect):
            raise InvalidInput(
                f"expected the effect to be found to be a finite number, got {self.effect!r}; e.g. 0.25"
            )
        if self.effect == 0.0:
            raise InvalidInput(
                f"expected an effect other than 0, got {self.effect!r}: an effect of 0 is found in alpha = "
                f"{alpha_of(self.level):g} of all trials, however large; give the smallest effect that matters"
            )
        self._check_unit(self.effect)

    def _check_unit(self, effect: float) -> None:
        """Refuse an effect that is in no SDs."""
        planned = isinstance(self.source, Planned) and self.source.trial.sd == 1.0
        if planned and abs(effect) > MOST_SDS:
            raise InvalidInput(
                f"expected an effect in SDs of the outcome, {MOST_SDS:g} at most, got {effect:g}; divide it by the SD "
                "(a quarter of an SD is 0.25)"
            )

    def _check_spread(self, effect: float) -> None:
        most = float(ndtr(abs(effect) / self.effect_spread)) if self.effect_spread > 0.0 else 0.0
        if not 0.0 < self.effect_spread < math.inf:
            raise InvalidInput(f"expected an SD of the effect above 0, got {self.effect_spread!r}")
        if self.goal >= most:
            raise InvalidInput(
                f"expected an assurance below {most:.3f}, got {self.goal:g}: with an SD of {self.effect_spread:g} the "
                f"effect has the sign of {effect:g} with that probability, and no trial finds more; lower the "
                "assurance or the SD"
            )

    def _check_iccs(self) -> None:
        if self.unknown == ICC or self.target == HALF_WIDTH or self.source.icc is None:
            raise InvalidInput(
                "expected schools, students, treated or effect to solve for, a power, and a trial in options, with an "
                "SD of the ICC"
            )
        points.check_spread(self.source.icc, self.icc_spread)

    @property
    def parts(self) -> tuple[Question, ...]:
        """The questions whose data sets are drawn: this one, or one for each of equally likely ICCs."""
        if not self.icc_spread or self.source.icc is None:
            return (self,)
        iccs = points.equally_likely(self.source.icc, self.icc_spread, LIKELY).tolist()
        return tuple(replace(self, source=self.source.with_icc(icc), icc_spread=0.0) for icc in iccs)

    @property
    def effects(self) -> Floats:
        """The effects to be found, as multiples of `effect`: 1, or equally likely ones."""
        size = abs(self.effect or 1.0)
        return equally_likely(size, self.effect_spread) / size

    def value_of(self, step: int) -> float | int:
        """Return the unknown's value at a step of the search."""
        return step / ICC_STEPS if self.unknown == ICC else step

    def step_of(self, value: float) -> int:
        """Return the step of a value."""
        return round(value * ICC_STEPS) if self.unknown == ICC else round(value)

    def label_of(self, step: int) -> str:
        """Return the design at a step in words, for progress."""
        return "data sets" if self.unknown == EFFECT else f"data sets, {self.unknown} {self.value_of(step):g}"

    def tables(self, step: int | None) -> dict[str, Any]:
        """Return the tables of the design at a step, with tests at the question's level."""
        tables = self.source.tables(self.unknown, None if step is None else self.value_of(step))
        tables["experiment"] = {
            "name": "size",
            "title": "",
            "aims": "",
            **tables.get("experiment", {}),
            "estimators": list(self.methods),
        }
        # 1 - .059 is 0.9410000000000001 in floating point, which would be another model with another key.
        tables["model"] = {**tables.get("model", {}), "level": round(self.level, 12)}
        return tables

    def experiment(self, step: int | None) -> Experiment:
        """Return the experiment of the design at a step."""
        return experiment_from(self.tables(step), self.source.base, where="the design")

    def cell(self, step: int | None) -> Cell:
        """Return the condition at a step."""
        return self.experiment(step).cells[0]

    def steps(self, cell: Cell) -> range:
        """Return the steps that the unknown may take, from the least precise design to the most precise; `cell` is the
        design as it is.
        """
        layout = cell.layout
        if self.unknown == N_SCHOOLS:
            return self._school_steps(cell)
        if self.unknown == N_STUDENTS:
            least = max(2, layout.classes)
            return range(least, max(least + 1, min(MOST_STUDENTS, MOST_ROWS // layout.schools) + 1))
        if self.unknown == N_TREATED:
            if layout.blocked_by or layout.assignment == "students":
                raise InvalidInput(
                    "expected schools to be randomised one by one to solve for treated schools"
                )
            return range(1, layout.schools // 2 + 1)
        return range(
            # Not from the top: the classes keep their share of the variance, and students some.
            ICC_STEPS - 1 - math.ceil(ICC_STEPS * float(getattr(cell.population, "class_icc", 0.0))),
            -1,
            -1,
        )

    def _school_steps(self, cell: Cell) -> range:
        layout = cell.layout
        if not isinstance(layout.students, int):
            raise InvalidInput(
                "expected one number of students a school to solve for schools, got a list; give the mean, and "
                "size_cv for how much sizes differ"
            )
        most = min(MOST_SCHOOLS, MOST_ROWS // max(layout.students, 1))
        if layout.blocked_by:
            # Arms, a dummy a block and two degrees of freedom at least.
            size = layout.blocked_by
            blocks = 3 if size == 2 else 2
            return range(blocks * size, most + 1, size)
        least = max(4, layout.treated_schools + 1, getattr(cell.population, "missing_schools", 0) + 4)
        return range(least, max(least + 1, most + 1))
