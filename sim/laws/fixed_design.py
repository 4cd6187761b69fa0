"""The fixed-design population: X and the schools from a file, only school effects and residuals drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nestbench.sim import checks
from nestbench.sim.cells.data_size import DataSize
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Effect, Mean, Variable, effects_named
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws import fixed_errors
from nestbench.sim.laws.fixed_statistics import known_by_schools, prepared, prepared_rows, row_strata_of
from nestbench.sim.laws.known_design import Drawn, draw_on, repeated, rows_on
from nestbench.sim.laws.known_strata import WORTH
from nestbench.sim.laws.row_residuals import Residuals, draw_reduced, drawn_here
from nestbench.sim.normals import fill
from nestbench.sim.observed.batch import Batch, Floats, offsets_of
from nestbench.sim.observed.design import design_of, require_finite
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.parsing import parse
from nestbench.sim.parameter import PLAIN, check_declared, documented, like, parameter
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.shocks import ManyStreams, shock
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory import ols_tests as theory
from nestbench.sim.theory.left_out import in_model
from nestbench.sim.theory.rows import rows_of_batch
from nestbench.sim.theory.standardised import standardised

if TYPE_CHECKING:
    from nestbench.sim.laws.design_file import DesignFile


@documented
@dataclass(frozen=True, slots=True)
class FixedDesign:
    """An outcome drawn on columns that stay as they are in a file: inference conditional on a real design.

    For student i of school j, with x_i the columns of `formula` on the file's rows::

        outcome_ij = x_ij' effects + u_j + e_ij,   u_j ~ (0, icc total_sd^2),   e_ij ~ (0, (1 - icc) total_sd^2)

    The truth of every term is its effect (0 if not named). Who errs is decided by the file: leverage of single
    schools, unequal sizes and few schools at each level of a school-constant column hurt as in `random-intercept`,
    here for one's own data, and the size of every OLS test is exactly known (`theory`). Slopes, spreads and classes
    are those of `nestbench.sim.laws.fixed_errors`; at their defaults there are none.

    Raises
    ------
    InvalidInput
        The file can't be read or lacks a column, an unknown effect, or a parameter outside its range.
    """

    name: ClassVar[str] = "fixed-design"
    versions: ClassVar[tuple[int, ...]] = (1, 2, 3)
    normal_errors: ClassVar[bool] = True
    data: str = parameter(
        meaning="A table (relative to the TOML file), read as ``estimate`` reads it, without missing values in the "
        "columns used.",
        metadata={"key": False, "path": True},
        errors=PLAIN,
    )
    formula: str = parameter(
        "1",
        'Right-hand side, as formulaic reads it, over its columns, such as ``"age + gender"``.',
        errors=PLAIN,
    )
    school: str = parameter("school", "Name of its column of schools.", errors=PLAIN)
    effects: Mapping[str, float] = parameter(
        factory=dict,
        meaning="Effects by term, named as formulaic names them (``Intercept``, ``gender[T.male]``).",
        errors=PLAIN,
    )
    outcome: str = parameter(
        "grade", "Name of the column drawn; a column of that name in the file is replaced.", errors=PLAIN
    )
    icc: float = like(Parameters, "icc")
    total_sd: float = like(Parameters, "total_sd")
    residual_shape: str = like(Parameters, "residual_shape")
    school_errors: str = like(Parameters, "school_errors")
    slope: str = parameter("", "Term of ``formula`` whose effect differs between schools.")
    slope_sd: float = parameter(
        0.0, "SD over schools of the effect of ``slope``, which acts on that term about its mean.", low=0.0
    )
    slope_correlation: float = parameter(
        0.0, "Correlation of that effect with the school effect.", low=-1.0, high=1.0
    )
    residual_cv: float = like(Parameters, "residual_cv")
    spread: str = parameter("", "Term of ``formula`` that variances depend on.")
    residual_spread: float = parameter(
        0.0,
        "Log-ratio of the residual variance per SD of the term ``spread``; its mean over the file's rows stays.",
        low=-5.0,
        high=5.0,
    )
    school_spread: float = parameter(
        0.0,
        "The same for the variance of school effects (needs a term that is constant in schools).",
        low=-5.0,
        high=5.0,
    )
    subgroup: str = parameter("", "Column of the classes in schools.")
    class_icc: float = parameter(
        0.0, "Classes' share of the variance (needs ``subgroup``).", low=0.0, high=1.0, open_high=True
    )
    version: int = parameter(
        3,
        "How data sets are drawn. 3: by the statistics of schools, or of their classes and the values that residual "
        "variances go with, with students completed from them when they are asked for, in a time that doesn't depend "
        "on the number of students; where that can't be (residuals that aren't normal, fewer than four students to a "
        "class or value), as in 1. 2: as 3 where schools and students have one variance each and nothing else is "
        "drawn, else as 1. 1: student by student. The population is the same, the numbers are others.",
        low=1,
        high=3,
        errors=PLAIN,
        unwritten=1,
    )
    digest: str = field(default="", init=False)

    def __post_init__(self) -> None:
        from nestbench.sim.laws.design_file import content_of

        checks.make_python(self)
        check_declared(self, "population")
        object.__setattr__(self, "digest", hashlib.sha256(content_of(self.data)).hexdigest()[:16])
        effects = checks.coefficients("population.effects", self.effects, _design(self)[1])
        object.__setattr__(self, "effects", effects)
        file, terms, x = _design(self)
        fixed_errors.check_spreads(self, file.batch, terms, x)

    def check(self, layout: Layout) -> None:
        """Refuse a layout other than the default: the schools are those of the file."""
        plain = Layout()
        changed = [n for n in Layout.__slots__ if getattr(layout, n) != getattr(plain, n)]
        if changed:
            why = "the schools and their students come from the file"
            todo = "leave [layout] out"
            raise checks.clash('population.law = "fixed-design"', f"layout.{changed[0]}", why, todo)

    def check_model(self, model: Model) -> None:
        """Refuse a model with a column that can't be used: no rows are dropped, for the design is fixed."""
        file = _design(self)[0]
        _refuse_unusable(self, file, [*_names(self, file, model), model.subgroup])
        self.data_messages(model)
        if file.batch.columns.keys() >= {*_names(self, file, model)}:
            require_finite(file.batch, file.batch.once(design_of, model), outcome=False)

    def data_messages(self, model: Model) -> tuple[str, ...]:
        """Return what was done to the columns of the file that the population and a model use, in words."""
        from nestbench.sim.laws.design_file import require_labels_apart

        file = _design(self)[0]
        said = dict(file.said)
        if model.subgroup is not None:
            said[model.subgroup] = require_labels_apart(self.data, self.digest, self.school, model.subgroup)
        used = {"", self.school, model.subgroup, *_names(self, file, model)} - {self.outcome}
        return tuple(words for name, words in said.items() if words and name in used)

    def spelled(self, layout: Layout) -> FixedDesign:
        """Return the same population written in the one way that keys are made of: without effects of 0 and names that
        nothing uses, and with the version by which its data sets are in fact drawn."""
        written: dict[str, Any] = {"effects": {term: value for term, value in self.effects.items() if value}}
        by_strata = 2 if fixed_errors.plain(self) else 3
        written |= fixed_errors.unused_names(self) | {"version": by_strata if self.strata(layout) else 1}
        if all(getattr(self, name) == value for name, value in written.items()):
            return self
        spelled = copy(self)  # not made anew: that would read the file, which may have changed, at every draw
        for name, value in written.items():
            object.__setattr__(spelled, name, value)
        return spelled

    @property
    def truth(self) -> dict[str, float]:
        """Term -> true value, with the variance components in parentheses."""
        effects = {term: float(self.effects.get(term, 0.0)) for term in _design(self)[1]}
        sd = fixed_errors.sds(self)
        found = {"(school_sd)": sd["school"], "(residual_sd)": sd["residual"]}
        found |= {"(class_sd)": sd["class"]} if self.class_icc else {}
        found |= {f"(slope_sd[{self.slope}])": float(self.slope_sd)} if self.slope_sd else {}
        return effects | found | {"(icc)": float(self.icc)}

    def theory(self, layout: Layout, model: Model | None = None) -> dict[str, Any]:
        """Return the design effect and the exact behaviour of the OLS tests, for a model within `formula`."""
        fitted = model or Model(formula=f"{self.outcome} ~ {self.formula}", group=self.school)
        # One data set says it all, as its columns are the file's.
        mean = self.mean_of(layout, StreamSource(0, "theory"), range(1))
        drawn = mean.batch
        design = drawn.once(design_of, fitted)
        if not theory.explains(design, self.outcome):
            return {}
        x = standardised(design, drawn)
        projected = in_model(mean.effects, x, design)
        if projected.left_out:
            return {}
        schools = np.diff(drawn.school_offsets)
        known: dict[str, Any] = {}
        if fixed_errors.plain(self):
            known["design_effect"] = theory.design_effect((schools**2).sum() / schools.sum(), self.icc)
        normal = self.residual_shape == self.school_errors == "normal"
        covariance = self.covariance(layout, drawn, slice(0, drawn.rows))
        if covariance is None:
            return known
        averages = theory.averages(
            rows_of_batch(drawn), x, covariance, design.terms, fitted.level, int(normal)
        )
        return known | theory.tables(averages, projected)

    def covariance(self, layout: Layout, batch: Batch, rows: slice) -> tuple[Floats, Floats] | None:
        """Return B' [q, n] and the diagonal of D [n]: errors have covariance D + B B' within schools; None where a
        variance is random."""
        if self.residual_cv:
            return None
        file, terms, x = _design(self)
        fixed = file.batch
        # Every replication has the rows of the file.
        chosen = np.arange(rows.start, rows.stop) % fixed.rows
        return fixed_errors.errors_of(self, fixed, terms, x).covariance(chosen)

    def mean_of(self, layout: Layout, streams: StreamSource, replications: range) -> Mean:
        """Draw some data sets and return their mean, effect by effect; a column's expectation is its mean in the
        file."""
        batch = self.draw(layout, streams, replications)
        _, terms, x = _design(self)
        given = {term: np.tile(row, batch.size) for term, row in zip(terms, x, strict=True)}
        named = {term: self.effects.get(term, 0.0) for term in terms}
        effects = effects_named(batch, named, given, known=True)
        variables = {(v.name, v.expected): v for effect in effects for v in effect.variables}
        used = tuple(effect for effect in effects if effect.value)
        return Mean(batch, self.outcome, used, tuple(variables.values()))

    def random_part(self, batch: Batch) -> tuple[tuple[Effect, ...], Floats]:
        """Return what the random effects act on, and their covariance: the school effect, and the slope if there is
        one, which acts on its term about its mean."""
        school = Effect("Intercept", 1.0)
        variance = self.icc * self.total_sd**2
        if not self.slope_sd:
            return (school,), np.array([[variance]])
        _, terms, x = _design(self)
        column = np.tile(x[terms.index(self.slope)], batch.size)
        mean = float(column.mean())
        both = self.slope_correlation * np.sqrt(variance) * self.slope_sd
        # b (x - mean) is a slope of b and an intercept of -b mean.
        about = np.array([[1.0, -mean], [0.0, 1.0]])
        covariance = about @ np.array([[variance, both], [both, self.slope_sd**2]]) @ about.T
        return (school, Effect(self.slope, 1.0, (Variable(self.slope, column, mean),))), covariance

    def strata(self, layout: Layout) -> int:
        """Return how many strata a data set is drawn by (`known_strata.row_strata`), 0 where it is drawn row by row."""
        return 0 if self.why_row_by_row else len(row_strata_of(self, *_design(self)).starts) - 1

    @property
    def why_row_by_row(self) -> str:
        """Why data sets are drawn row by row; empty where they are drawn by statistics."""
        if not shock("", self.residual_shape).normal:
            return f"residuals are {self.residual_shape}"
        if fixed_errors.plain(self):
            return "version = 1 asks for it" if self.version == 1 else ""
        if self.version < 3:
            return f"slopes, classes or spreads are drawn so in version {self.version}"
        strata = row_strata_of(self, *_design(self))
        if strata.order is not None and len(strata.order) < WORTH * len(strata.starts[1:]):
            return f"fewer than {WORTH} students share a class and a residual variance"
        return ""

    def data_size(self, layout: Layout) -> DataSize:
        """Return how large a data set is."""
        file, terms, _ = _design(self)
        schools, wide = len(file.batch.school_offsets) - 1, len(terms)
        # Means and factor of p + 1 columns; p + 2 random numbers, and those a chi-square is tried with.
        each = (wide + 1) * (wide + 2) + wide + 10
        rows, columns = file.batch.rows, len(file.batch.columns)
        if strata := self.strata(layout):
            return DataSize(schools, rows, columns, statistics=strata * each)
        if self._by_choice:
            return DataSize(schools, rows, columns)
        return DataSize(
            schools, rows, columns, outcome=schools * each + (0 if self._reduced_at_once else rows)
        )

    def _draw_statistics(self, streams: StreamSource, replications: range) -> Batch:
        known, intercepts, errors = prepared(self, *_design(self))
        drawn = Drawn(self.outcome, dict(self.effects), errors, self.school_errors)
        return draw_on(known, intercepts, drawn, streams, replications)

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the observed data of some replications."""
        self.check(layout)
        if self.strata(layout):
            return self._draw_statistics(streams, replications)
        if self._reduced_at_once:
            return self._draw_reduced(streams, replications)
        outcome = self._drawn_rows(streams, replications)
        if not self._by_choice:
            known = known_by_schools(self, *_design(self))
            return rows_on(known, self.outcome, outcome, streams, replications)
        fixed, r = _design(self)[0].batch, len(replications)
        others = {n: c for n, c in fixed.columns.items() if n != self.outcome}
        schools = len(fixed.school_offsets) - 1
        return Batch(
            columns={self.outcome: outcome.ravel()} | {n: repeated(c, r) for n, c in others.items()},
            group=self.school,
            school_offsets=offsets_of(np.tile(np.diff(fixed.school_offsets), r)),
            replication_offsets=np.arange(r + 1, dtype=np.int64) * schools,
            replications=np.asarray(replications, dtype=np.int64),
            streams=streams,
            school_labels=None if fixed.school_labels is None else fixed.school_labels * r,
        )

    @property
    def _reduced_at_once(self) -> bool:
        """Whether rows that have to be drawn are made into statistics as they are drawn."""
        return not (self._by_choice or self.class_icc) and drawn_here(shock("", self.residual_shape))

    def _draw_reduced(self, streams: StreamSource, replications: range) -> Batch:
        (known, intercepts, errors), sd = prepared_rows(self, *_design(self))
        drawn = Drawn(self.outcome, dict(self.effects), errors, self.school_errors)
        residuals = Residuals(
            shock("", self.residual_shape), sd, lambda number: self._drawn_rows(streams, number)
        )
        return draw_reduced(known, intercepts, drawn, residuals, streams, replications)

    @property
    def _by_choice(self) -> bool:
        """Whether rows would not have to be drawn: by version 1 they are, and read by rows alone."""
        return fixed_errors.plain(self) and shock("", self.residual_shape).normal

    def _drawn_rows(self, streams: StreamSource, replications: range) -> Floats:
        """Return the outcome of some replications, drawn row by row [R, N]."""
        file, terms, x = _design(self)
        fixed = file.batch
        sizes = np.diff(fixed.school_offsets)
        mean = np.array([self.effects.get(term, 0.0) for term in terms]) @ x
        errors = fixed_errors.errors_of(self, fixed, terms, x)
        times, width = len(replications), fixed.rows + len(sizes)
        outcome, z = np.empty((times, fixed.rows)), np.empty((times, width))
        starts = np.arange(times + 1, dtype=np.int64) * width
        fill(streams, streams.states(replications, "data"), z.reshape(-1), starts, np.empty((times, 0)))
        shapes = (("residual_shape", z[:, : fixed.rows]), ("school_errors", z[:, fixed.rows :]))
        e, u = (
            shock("", getattr(self, name)).of(part, ManyStreams(streams, replications, name))
            for name, part in shapes
        )
        for i, number in enumerate(replications):
            outcome[i] = errors.added(mean, u[i], e[i], sizes, streams, number)
        return outcome


_DESIGNS: dict[tuple[str, ...], tuple[DesignFile, tuple[str, ...], Floats]] = {}


def _design(law: FixedDesign) -> tuple[DesignFile, tuple[str, ...], Floats]:
    """Return the file, and the terms and rows [p, n] of its design, read once in a process."""
    from nestbench.sim.laws.design_file import content_of, design_file

    key = (law.digest, law.school, law.formula, law.outcome)
    if key not in _DESIGNS:
        content = content_of(law.data)
        if hashlib.sha256(content).hexdigest()[:16] != law.digest:
            raise InvalidInput(
                f"expected '{law.data}' as it was when the experiment was read, got another content"
            )
        file = design_file(law.data, content, law.school, law.outcome)
        _refuse_unusable(law, file, _names(law, file))
        design = file.batch.once(design_of, Model(f"{law.outcome} ~ {law.formula}", law.school))
        require_finite(file.batch, design, outcome=False)
        _DESIGNS[key] = file, design.terms, design.fixed(file.batch)
    return _DESIGNS[key]


def _refuse_unusable(law: FixedDesign, file: DesignFile, names: Iterable[Any]) -> None:
    """Refuse columns of the file that are used but can't be, with the reason for each."""
    if reasons := [file.unusable[name] for name in dict.fromkeys(names) if name in file.unusable]:
        raise InvalidInput(f"population.data, '{law.data}': {'; '.join(reasons)}")


def _names(law: FixedDesign, file: DesignFile, model: Model | None = None) -> list[str]:
    """Return the columns that the formulas of the population and of a model name."""
    texts = [f"~ {law.formula}", *([] if model is None else [model.formula, f"~ {model.random}"])]
    columns, own = (*file.batch.columns, *file.unusable), (law.school, law.outcome)
    return [name for text in texts for name in parse(text, columns, own).names]
