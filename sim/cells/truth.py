"""The truth of a condition: the coefficients of the population's mean in the model's formula.

A few data sets are drawn from a stream of their own. On each, the population's mean (the outcome without its errors)
is regressed on the columns of the fitted formula; a term's true value is the coefficient on which all data sets
agree.

**What the model leaves out** (resources that aren't in the formula, an interaction, a confounder) counts as its
expectation under the population. An effect outside the span of the model's columns is split into its expectation, the
schools' means about it and the students' deviations from those (a product into the products of these). What lies in
the span is kept; the rest has expectation 0 and goes to the errors. So the effects that stay in the model keep their
values, whatever bias the omission gives to a method; the intercept moves by what the left-out effects contribute on
average, and a main effect becomes the effect averaged over what it interacts with.

**Where there is no true value**: a coefficient that changes from data set to data set (``center(age)``: the
intercept; ``scale(age)``, ``poly(age, 2)``: all but the terms whose coefficient is 0); an effect that the model has
in another shape (``np.log(age)`` for an effect of age): the terms with that column and the intercept; an outcome that
isn't a linear function of the population's (``np.log(grade)``): every term. `Truth.reasons` says which.

**Variance components** are those of the fitted random part: the population's random effects rewritten in its columns.
With ``random = "1 + age"`` the school SD is that at age 0, with a centred column that at its centre; without a random
slope in the model it is the population's. Left-out effects aren't added to them.

A population that only names true values is taken at its word for terms of those names, as long as no other term of
the model shares the effect; one with ``mean(layout, data)`` gives the mean itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nestbench.sim.cells import projection
from nestbench.sim.cells.components import components_of, name_of
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Effect, KnowsMean, Mean, mean_by_name
from nestbench.sim.cells.outcome import Outcome, outcome_of
from nestbench.sim.cells.population import Population
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import Design, FactorKind, design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource

SEED = 19250107
"""Seed of the data sets that truths are found on, apart from any experiment's."""

SCHOOLS = 30
"""Schools that are pooled, at least, to judge what lies in the span of the model's columns: with few schools any
school-constant column does."""

FOREIGN = 0.25
"""A left-out effect counts as carried by columns the population doesn't know if they explain this share of it (adjusted
R^2).
"""

CHANGES = (
    "its true value changes from data set to data set: the formula computes a column from the whole data set"
)
UNSEEN = "the population's column isn't that of the data, where some students are missing"
UNSTATED = "the population doesn't state its true value"
UNDEFINED = "its columns have values that aren't finite under this population"
INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True)
class Truth:
    """True values by term, and why terms of the model have none."""

    values: Mapping[str, float]
    reasons: Mapping[str, str]
    terms: tuple[str, ...]
    random_terms: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All that may have a true value: the model's terms, the population's others, the variance components."""
        components = ("(school_sd)", "(class_sd)", "(residual_sd)", "(icc)")
        slopes = (name_of(term) for term in self.random_terms)
        return tuple(dict.fromkeys([*self.terms, *self.values, *components, *slopes]))


def truth_of(population: Population, layout: Layout, model: Model) -> Truth:
    """Return the true values of a model's terms, of the population's other terms and of the variance components.

    Parameters
    ----------
    population : Population
    layout : Layout
        Sizes count: an intercept holds the mean of what is left out.
    model : Model

    Raises
    ------
    InvalidInput
        The formula can't be computed on the population's columns.
    """
    per = max(1, -(-SCHOOLS // layout.schools))
    # Two pools of at least SCHOOLS schools: a coefficient is one only if both agree on it.
    streams = StreamSource(SEED, "truth")
    if isinstance(population, KnowsMean):
        mean = population.mean_of(layout, streams, range(2 * per))
    else:
        mean = mean_by_name(population, layout, streams, range(2 * per))
    named = {term: value for term, value in population.truth.items() if not term.startswith("(")}
    design = mean.batch.once(design_of, model)
    outcome = outcome_of(mean, design)
    components, why = components_of(population, mean.batch, design, outcome)
    values, reasons = _coefficients(mean, design, outcome, named, per)
    others = {t: float(v) for t, v in named.items() if t not in design.terms and np.ndim(v) == 0}
    values |= others if outcome.as_drawn and not outcome.reason else {}
    return Truth(values | components, reasons | why, design.terms, design.random_terms)


def _coefficients(
    mean: Mean, design: Design, outcome: Outcome, named: Mapping[str, float], per: int
) -> tuple[dict[str, float], dict[str, str]]:
    x = design.fixed(mean.batch)
    if outcome.reason or not np.isfinite(x).all():
        return {}, dict.fromkeys(design.terms, outcome.reason or UNDEFINED)
    if mean.whole is None and mean.complete and not mean.effects:
        # Nothing acts: what is in the span of X needn't be asked.
        return _solved(np.zeros(mean.batch.rows), x, design, outcome, mean.batch, named)
    wide = _pooled(mean.batch, per)
    rows = projection.slices_of(wide.row_offsets)
    pooled = x if design.rhs_products is not None else design.fixed(wide)
    span = projection.span_of(pooled, rows)
    if mean.whole is not None and span.holds(mean.whole):
        return _solved(mean.whole, x, design, outcome, mean.batch, {})
    parts = [(effect, *projection.seen_part(effect, span, wide.school_offsets)) for effect in mean.effects]
    seen = np.sum([part for _, part, _ in parts], axis=0) if parts else np.zeros(mean.batch.rows)
    left = [effect for effect, _, whole in parts if not whole]
    values, reasons = _solved(seen, x, design, outcome, mean.batch, named)
    blocked = _blocked(left, mean, design, pooled, span)
    if not mean.complete:
        blocked = _unstated(mean, design, named, values) | _uncentred(left, design) | blocked
    kept = {term: value for term, value in values.items() if term not in blocked}
    return kept, reasons | blocked


def _solved(
    seen: Floats, x: Floats, design: Design, outcome: Outcome, batch: Batch, named: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """Solve for the coefficients of a mean in the span of X; what no data set determines keeps the population's
    value."""
    compiled = design.rhs_products is not None and outcome.as_drawn
    # A compiled formula's columns are the same functions in all data sets, whose rows can be solved together.
    rows = [slice(0, batch.rows)] if compiled else projection.slices_of(batch.row_offsets)
    coefficients, spread = projection.constant_coefficients(x, outcome.of(seen), rows)
    values, reasons = {}, {}
    for k, term in enumerate(design.terms):
        own = named.get(term)
        if np.isfinite(coefficients[k]):
            same = own is not None and np.isclose(coefficients[k], own, rtol=1e-8, atol=1e-9)
            values[term] = float(own) if same and own is not None else float(coefficients[k])
        elif np.isnan(spread[k]) and own is not None and outcome.as_drawn:
            values[term] = float(own)
        else:
            reasons[term] = (
                CHANGES if np.isfinite(spread[k]) else "no data set of this population determines it"
            )
    return values, reasons


def _pooled(batch: Batch, per: int) -> Batch:
    """Return the batch with every `per` data sets made one, with all their schools."""
    return replace(
        batch,
        replication_offsets=batch.replication_offsets[::per],
        replications=batch.replications[::per],
        _memo={},
    )


def _blocked(
    left: Sequence[Effect], mean: Mean, design: Design, x: Floats, span: projection.Span
) -> dict[str, str]:
    """Return the terms that stand for a left-out effect in another shape, and why they have no true value."""
    if not left:
        return {}
    own = {effect.term for effect in left} & set(design.terms)
    strange = _strange(mean, design, x, span)
    blocked: dict[str, str] = {}
    for effect in left:
        names = {v.name for v in effect.variables}
        groups = _columns_named(design.terms, strange, mean.batch)
        foreign = [
            group
            for source, group in groups.items()
            if source & names or _stands_for(effect, x[group], mean.batch.rows)
        ]
        why = (
            f"the population's effect of '{effect.term}' isn't a linear function of the model's columns, "
            "which have it in another shape"
        )
        if foreign:
            hit = {design.terms[k] for group in foreign for k in group}
            hit |= {term for term in design.terms if _mentions(term, names)}
            blocked |= dict.fromkeys(hit | ({INTERCEPT} & set(design.terms)), why)
        elif effect.term in own:
            blocked |= dict.fromkeys({effect.term, INTERCEPT} & set(design.terms), UNSEEN)
    return blocked


def _strange(mean: Mean, design: Design, x: Floats, span: projection.Span) -> list[int]:
    """Return which columns of X are no linear function of the population's columns and products of two of them."""
    known = {v.name for v in mean.variables}
    products = design.rhs_products
    suspects = [
        k
        for k in range(len(design.terms))
        if products is None
        or any(factor.column not in known or factor.kind == FactorKind.VALUE for factor in products[k])
    ]
    if not suspects:
        return []
    offsets = mean.batch.school_offsets
    law = projection.span_of(projection.products_of(mean.variables, offsets), span.rows)
    return [k for k in suspects if not law.holds(x[k])]


def _columns_named(
    terms: Sequence[str], strange: Sequence[int], batch: Batch
) -> dict[frozenset[str], list[int]]:
    """Return strange columns by the columns of the data that their names mention."""
    groups: dict[frozenset[str], list[int]] = {}
    for k in strange:
        source = frozenset(name for name in batch.columns if _mentions(terms[k], {name}))
        groups.setdefault(source, []).append(k)
    return groups


def _stands_for(effect: Effect, x: Floats, rows: int) -> bool:
    return projection.share_explained(effect.column(rows), x) > FOREIGN


def _mentions(term: str, names: set[str]) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", term) for name in names)


def _unstated(
    mean: Mean, design: Design, named: Mapping[str, float], values: Mapping[str, float]
) -> dict[str, str]:
    """Return the terms a population that names true values says nothing of."""
    return {t: UNSTATED for t in design.terms if t not in named and not values.get(t)}


def _uncentred(left: Sequence[Effect], design: Design) -> dict[str, str]:
    """Return the terms that move by a left-out effect whose expectation isn't known."""
    blocked: dict[str, str] = {}
    for effect in (e for e in left if e.value and any(v.expected is None for v in e.variables)):
        names = {v.name for v in effect.variables} if len(effect.variables) > 1 else set()
        why = f"'{effect.term}' is left out, and its mean under the population isn't known"
        blocked |= {t: why for t in design.terms if t == INTERCEPT or _mentions(t, names)}
    return blocked
