"""What is known of a random-intercept population before any fit: design effects, biases, and the behaviour of OLS
tests.

X is random, so exact values given X are averaged over a fixed set of draws of X, made from a stream of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Variable
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.affine import affine_columns, strata_of
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import Design, design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept.bias import bias_of
from nestbench.sim.random_intercept.covariance import covariance_of, covariance_on_strata, gaussian
from nestbench.sim.random_intercept.data_sets import draw_data
from nestbench.sim.random_intercept.effects import columns_drawn, mean_on
from nestbench.sim.random_intercept.parameters import Parameters, check_combination
from nestbench.sim.random_intercept.second_moments import of_errors
from nestbench.sim.random_intercept.size_moments import size_ratio
from nestbench.sim.random_intercept.smaller import with_fewer_students
from nestbench.sim.random_intercept.statistics import allows, strata_of_layout
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory.left_out import InModel, in_model, reshapes
from nestbench.sim.theory.ols_tests import Averages, averages, design_effect, explains, tables
from nestbench.sim.theory.rows import Rows, on_strata, rows_of_batch, rows_of_strata
from nestbench.sim.theory.scores import Columns, columns_of
from nestbench.sim.theory.standardised import Standardised, standardised, standardised_on

X_SEED = 19220101
"""Seed of the draws of X, apart from any experiment's."""


BUDGET = 480
"""Draws of X times schools for coverages: 48 draws of 10 schools; with many schools one X is much like another."""


MORE = 10
"""Standard errors, which cost little, are averaged over that many times as many draws, up to `ROWS` students (but
not where formulaic has to make each X)."""


ROWS = 200_000


def theory_of(
    law: Parameters, layout: Layout, model: Model | None = None, tests: Collection[str] | None = None
) -> dict[str, Any]:
    """Return what is known of a population under a layout; what isn't known is left out.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    model : Model, optional
    tests : collection of str, optional
        Those in `theory.ols_tests.TESTS` that are wanted beside the iid one; all, if not given.

    Returns
    -------
    dict
        ``design_effect`` : float, 1 + (E m^2 / E m - 1) rho for schools of m students (Moulton 1986), rho the
        correlation of two errors of one school, effects that the model leaves out among them: the factor on the
        variance of the OLS coefficient of a school-constant column. ``naive_se_ratio`` and ``naive_coverage`` : term
        -> expected standard error of pooled OLS over the true SD, and coverage of its t interval, for the
        school-constant terms. ``se_ratio`` and ``coverage`` : test -> term -> the same for every term and every test
        in `theory.ols_tests.TESTS`, for the coefficients that the population's mean has in the model, in the same way
        in every data set (``coefficients`` : term -> value); ``se_ratio_mcse`` and ``coverage_mcse`` : their Monte
        Carlo errors over draws of X. ``bias`` : estimate -> term -> bias in the limit of many schools (`bias_of`).
    """
    law = replace(law, version=1)  # the population is the same, and so is what is known of it
    # By its text, as the table of effects can't be hashed.
    key = repr((law, layout, model, X_SEED, tests if tests is None else sorted(tests)))
    if key not in _KNOWN:
        if len(_KNOWN) > 500:
            _KNOWN.clear()
        _KNOWN[key] = _theory_of(law, layout, model or default_model(layout), tests)
    return dict(_KNOWN[key])


_KNOWN: dict[str, dict[str, Any]] = {}


def default_model(layout: Layout) -> Model:
    """Return the model whose theory is given when none is named: both student-level columns, resources, treatment."""
    varies = 0.0 < layout.treated_part < 1.0
    return Model(formula="grade ~ age + gender + resources" + (" + treated" if varies else ""))


OF_OUTCOMES = ("icc", "total_sd", "effects")
"""Parameters that no column but the outcome depends on: populations that differ in these alone have the same draws of
X."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A model on draws of X: the same for all populations that differ in `OF_OUTCOMES` alone.

    Attributes
    ----------
    design : Design
    on : Rows
    x : Standardised
    effects_on : Standardised, Batch and variables
        The model, the data sets and their columns that effects act on (where X is on strata: fewer students).
    covariance : callable
        Returns B' and D of a population's errors on these rows, or None; asked for only where nothing is biased.
    """

    design: Design
    on: Rows
    x: Standardised
    effects_on: tuple[Standardised, Batch, dict[str, Variable]]
    covariance: Callable[[Parameters], tuple[Floats, Floats] | None]
    _held: dict[str, Floats | None] = field(default_factory=dict, repr=False)
    _columns: list[Columns] = field(default_factory=list, repr=False)

    def mean(self, law: Parameters) -> InModel:
        """Return what the model makes of a population's mean."""
        x, batch, variables = self.effects_on
        return in_model(mean_on(law, batch, variables).effects, x, self.design, self._held)

    def columns(self) -> Columns:
        """Return what the draws have without their errors; made once."""
        if not self._columns:
            self._columns.append(columns_of(self.on, self.x))
        return self._columns[0]


def _theory_of(
    law: Parameters, layout: Layout, model: Model, tests: Collection[str] | None
) -> dict[str, Any]:
    """Return what theory has on a model, from draws of X; nothing where the formula can't be had in every data set."""
    try:
        check_combination(law, layout)
        drawn = _drawn(law, layout, model)
    except InvalidInput:  # a formula that can't be had in every data set: nothing is known, the run says why
        return {}
    if drawn is None or not explains(drawn.design, "grade"):
        return {}
    mean = drawn.mean(law)
    if reshapes(mean, drawn.design):
        return {}
    known = _design_effect(law, layout, mean)
    bias = bias_of(law, layout, model, mean, drawn.design.terms) if drawn.x.full_rank else {}
    return known | ({"bias": bias} if bias else _ols_tests(law, layout, model, drawn, mean, tests))


def _drawn(law: Parameters, layout: Layout, model: Model) -> Drawn | None:
    """Return a model on draws of X, those of before where nothing that X depends on has changed.

    One is kept, for it holds up to `ROWS` rows: conditions with the same X should follow one another.
    """
    global _last
    few, many = _draws(layout)
    large = few * layout.schools * layout.mean_size > ROWS
    key = repr((columns_key(law, layout), model))
    if _last[0] != key:
        _last = key, (_by_statistics if large else _by_students)(law, layout, model, few, many)
    return _last[1]


def columns_key(law: Parameters, layout: Layout) -> str:
    """Return what draws of X depend on: all parameters but `OF_OUTCOMES`, and the layout."""
    own = tuple(getattr(law, f.name) for f in fields(law) if f.name not in (*OF_OUTCOMES, "version"))
    # Whether there are strata may depend on an effect (of the mean age of all students, some of them missing).
    return repr((own, layout, allows(_by_strata(law))))


_last: tuple[str, Drawn | None] = ("", None)


def _draws(layout: Layout) -> tuple[int, int]:
    """Return how many draws of X coverages and standard errors are averaged over."""
    few = int(np.clip(BUDGET // layout.schools, 4, 60))
    rows = max(1.0, layout.schools * layout.mean_size)
    return few, max(few, min(MORE * few, int(ROWS / rows)))


def _by_students(law: Parameters, layout: Layout, model: Model, few: int, many: int) -> Drawn:
    """Return a model on students drawn; on as many as there are in the data sets."""
    streams = StreamSource(X_SEED, "theory")
    design = draw_data(law, layout, streams, range(1)).once(design_of, model)
    replications = range(few if design.rhs_products is None else many)
    batch, variables = columns_drawn(law, layout, streams, replications)
    x = standardised(design, batch)
    covariance = partial(covariance_of, layout=layout, batch=batch, rows=slice(0, batch.rows))
    return Drawn(design, rows_of_batch(batch), x, (x, batch, variables), covariance)


def _by_statistics(law: Parameters, layout: Layout, model: Model, few: int, many: int) -> Drawn | None:
    """Return a model on the statistics of strata, at a cost that doesn't depend on how many students there are; None
    where X or the errors' variances aren't known from these.

    What the model makes of the mean doesn't depend on the number of students, and is found on few.
    """
    streams = StreamSource(X_SEED, "theory")
    normal = _by_strata(law)
    if not allows(normal):
        return None
    draws = max(few, min(MORE * few, ROWS // (3 * strata_of_layout(layout))))
    batch = draw_data(normal, layout, streams, range(draws))
    strata = strata_of(batch)
    assert strata is not None
    design = batch.once(design_of, model)
    columns = affine_columns([(design.terms, design.rhs_products)], strata)
    if columns is None:
        return None
    on = rows_of_strata(strata, batch.replication_offsets)
    small, variables = columns_drawn(law, with_fewer_students(layout), streams, range(few))
    effects_on = standardised(design, small), small, variables
    x = standardised_on(on, on_strata(columns, strata), design)
    return Drawn(design, on, x, effects_on, partial(covariance_on_strata, layout=layout, strata=strata))


def _by_strata(law: Parameters) -> Parameters:
    """Return a population with the same X, drawn by strata as far as it allows it; residuals' shape doesn't matter."""
    return replace(law, residual_shape="normal", version=2)


def _design_effect(law: Parameters, layout: Layout, mean: InModel) -> dict[str, Any]:
    """``design_effect``, where sizes and errors don't depend on each other and it is the same for every column."""
    related = law.age_confounding or law.resources_confounding or law.size_correlation
    arms = law.treatment_sd or law.treated_variance_ratio != 1.0 or law.treated_school_variance_ratio != 1.0
    uneven = law.missing or law.school_sd_resources or law.slope_sd_resources
    if related or arms or uneven or ("treated" in mean.terms_left_out and layout.assignment == "students"):
        return {}
    classes = law.class_icc or "teacher" in mean.terms_left_out
    errors = None if classes and not layout.balanced else of_errors(law, layout, mean.left_out)
    if errors is None:
        return {}
    return {"design_effect": design_effect(size_ratio(layout), float(errors.shared / errors.total))}


def _ols_tests(
    law: Parameters,
    layout: Layout,
    model: Model,
    drawn: Drawn,
    mean: InModel,
    tests: Collection[str] | None,
) -> dict[str, Any]:
    """Return what is known of the OLS tests.

    Nothing where the errors' covariance isn't known, the model leaves out an effect that matters, the design is rank
    deficient in some draw, or fewer than three schools leave nothing to compare. ``coverage`` needs normal errors.
    """
    extra, covariance = _left_out(law, layout, drawn.on, mean), drawn.covariance(law)
    if extra is None or covariance is None:
        return {}
    # the columns and the errors don't depend on the effects that the model holds: neither do the tests
    errors = replace(law, effects={effect.term: effect.value for effect in mean.left_out})
    key = repr((errors, layout, model, X_SEED, tests if tests is None else sorted(tests)))
    if key not in _AVERAGED:
        if len(_AVERAGED) > 500:
            _AVERAGED.clear()
        whole = np.concatenate([covariance[0], extra]), covariance[1]
        terms, few = drawn.design.terms, _draws(layout)[0] * gaussian(law)
        _AVERAGED[key] = averages(drawn.on, drawn.x, whole, terms, model.level, few, drawn.columns, tests)
    return tables(_AVERAGED[key], mean)


_AVERAGED: dict[str, Averages] = {}


def _left_out(law: Parameters, layout: Layout, on: Rows, mean: InModel) -> Floats | None:
    """Return what effects outside the model add to the errors, as further rows of B' [.., N]; None if not known.

    Resources left out are one more normal school effect, unless who is treated, who drops out or how much schools
    vary depends on them; any other effect left out makes errors that aren't normal, or that depend on X.
    """
    if not mean.left_out:
        return np.zeros((0, len(on.unit)))
    independent = law.resources_shape == "normal" and not layout.blocked_by
    apart = not (law.missing_resources or law.school_sd_resources or law.slope_sd_resources)
    if mean.terms_left_out != {"resources"} or not independent or not apart:
        return None
    return law.effect("resources") * law.resources_sd * on.unit[None, :]
