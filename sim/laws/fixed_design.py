"""The fixed-design population: X and the schools from a file, only school effects and residuals drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from nestbench.sim import checks
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Effect, Mean, effects_named
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.design_file import DesignFile, content_of, design_file, require_labels_apart
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, offsets_of
from nestbench.sim.observed.design import design_of, require_finite
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.parsing import parse
from nestbench.sim.parameter import PLAIN, check_declared, documented, like, parameter
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.shocks import shock
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory import ols_tests as theory
from nestbench.sim.theory.left_out import in_model
from nestbench.sim.theory.standardised import standardised


@documented
@dataclass(frozen=True, slots=True)
class FixedDesign:
    """An outcome drawn on columns that stay as they are in a file: inference conditional on a real design.

    For student i of school j, with x_i the columns of `formula` on the file's rows::

        outcome_ij = x_ij' effects + u_j + e_ij,   u_j ~ (0, icc total_sd^2),   e_ij ~ (0, (1 - icc) total_sd^2)

    The truth of every term is its effect (0 if not named). Who errs is decided by the file: leverage of single
    schools, unequal sizes and few schools at each level of a school-constant column hurt as in `random-intercept`,
    here for one's own data, and the size of every OLS test is exactly known (`theory`).

    Raises
    ------
    InvalidInput
        The file can't be read or lacks a column, an unknown effect, or a parameter outside its range.
    """

    name: ClassVar[str] = "fixed-design"
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
    digest: str = field(default="", init=False)

    def __post_init__(self) -> None:
        checks.make_python(self)
        check_declared(self, "population")
        object.__setattr__(self, "digest", hashlib.sha256(content_of(self.data)).hexdigest()[:16])
        effects = checks.coefficients("population.effects", self.effects, _design(self)[1])
        object.__setattr__(self, "effects", effects)

    def check(self, layout: Layout) -> None:
        """Refuse a layout other than the default: the schools are those of the file."""
        changed = [n for n in Layout.__slots__ if getattr(layout, n) != getattr(Layout(), n)]
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
        file = _design(self)[0]
        said = dict(file.said)
        if model.subgroup is not None:
            said[model.subgroup] = require_labels_apart(self.data, self.digest, self.school, model.subgroup)
        used = {"", self.school, model.subgroup, *_names(self, file, model)} - {self.outcome}
        return tuple(words for name, words in said.items() if words and name in used)

    def spelled(self, layout: Layout) -> FixedDesign:
        """Return the same population without effects of 0: the one way that keys are made of."""
        written = {term: value for term, value in self.effects.items() if value}
        return self if written == self.effects else replace(self, effects=written)

    @property
    def truth(self) -> dict[str, float]:
        """Term -> true value, with the variance components in parentheses."""
        effects = {term: float(self.effects.get(term, 0.0)) for term in _design(self)[1]}
        school, residual = self.total_sd * np.sqrt(self.icc), self.total_sd * np.sqrt(1.0 - self.icc)
        return effects | {
            "(school_sd)": float(school),
            "(residual_sd)": float(residual),
            "(icc)": float(self.icc),
        }

    def theory(self, layout: Layout, model: Model | None = None) -> dict[str, Any]:
        """Return the design effect and the exact behaviour of the OLS tests, for a model within `formula`."""
        fitted = model or Model(formula=f"{self.outcome} ~ {self.formula}", group=self.school)
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
        known = {"design_effect": theory.design_effect((schools**2).sum() / schools.sum(), self.icc)}
        normal = self.residual_shape == self.school_errors == "normal"
        covariance = self.covariance(layout, drawn, slice(0, drawn.rows))
        averages = theory.averages(drawn, x, covariance, fitted, int(normal))
        return known | theory.tables(averages, projected)

    def covariance(self, layout: Layout, batch: Batch, rows: slice) -> tuple[Floats, Floats]:
        """Return B' [1, n] and the diagonal of D [n]: errors have covariance D + B B' within schools."""
        n, truth = rows.stop - rows.start, self.truth
        return np.full((1, n), truth["(school_sd)"]), np.full(n, truth["(residual_sd)"] ** 2)

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
        """Return what the random effects act on, and their covariance [1, 1]: the school effect alone."""
        return (Effect("Intercept", 1.0),), np.array([[self.icc * self.total_sd**2]])

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the observed data of some replications."""
        self.check(layout)
        file, terms, x = _design(self)
        fixed = file.batch
        sizes, r = np.diff(fixed.school_offsets), len(replications)
        mean = np.array([self.effects.get(term, 0.0) for term in terms]) @ x
        truth, others = self.truth, {n: c for n, c in fixed.columns.items() if n != self.outcome}
        outcome = np.empty((r, fixed.rows))
        for i, number in enumerate(replications):
            z = streams.at(number, "data").standard_normal(fixed.rows + len(sizes))
            e = shock("", self.residual_shape).of(z[: fixed.rows], streams.at(number, "residual_shape"))
            u = shock("", self.school_errors).of(z[fixed.rows :], streams.at(number, "school_errors"))
            outcome[i] = mean + truth["(school_sd)"] * np.repeat(u, sizes) + truth["(residual_sd)"] * e
        return Batch(
            columns={self.outcome: outcome.ravel()} | {n: _repeated(c, r) for n, c in others.items()},
            group=self.school,
            school_offsets=offsets_of(np.tile(sizes, r)),
            replication_offsets=np.arange(r + 1, dtype=np.int64) * len(sizes),
            replications=np.asarray(replications, dtype=np.int64),
            streams=streams,
            school_labels=None if fixed.school_labels is None else fixed.school_labels * r,
        )


_DESIGNS: dict[tuple[str, ...], tuple[DesignFile, tuple[str, ...], Floats]] = {}


def _design(law: FixedDesign) -> tuple[DesignFile, tuple[str, ...], Floats]:
    """Return the file, and the terms and rows [p, n] of its design, read once in a process."""
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


def _repeated(column: Column, times: int) -> Column:
    """Return a column of the file as often as there are data sets, one below the other."""
    if isinstance(column, Category):
        return Category(np.tile(column.codes, times), column.levels)
    return np.tile(column, times)
