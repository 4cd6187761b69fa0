"""Any method with the school means of student-level columns added: Mundlak's device, between-within regression.

``y = X beta + M(X) gamma + ...``, M(X) the school means of the columns of X that vary within schools. The coefficient
of a student-level column is then its within-school effect, free of confounding by what schools have in common, as with
school dummies, and school-level terms keep an answer. Only the terms of the model are given; for those of the means
write ``group_mean(x)`` in the formula.

Which columns vary within schools is a question to each data set, so no answer depends on the others in its batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nestbench.estimators.engines.mixed_fit import school_level
from nestbench.estimators.estimates import ESTIMATE, STD_ERROR, Estimates
from nestbench.estimators.estimator import AtTheta, Engine, Estimator, Info, OnGrid, Options
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.derived import with_school_means
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

Pattern = tuple[bool, ...]


def with_means(batch: Batch, model: Model, varies: Pattern) -> tuple[Batch, Model]:
    """Return batch and model with the school means of the columns that vary."""
    design = batch.once(design_of, model)
    chosen = {f"group_mean({term})": k for k, term in enumerate(design.terms) if varies[k]}
    # A mean that the model has already would be a column twice, and estimable no more.
    chosen = {name: k for name, k in chosen.items() if name not in design.terms}
    added = "".join(f" + `{name}`" for name in chosen)
    # With an empty memo: the design and moments in the other are of the columns without means.
    wide = replace(batch, columns=with_school_means(batch, design, chosen), _memo={})
    return wide, replace(model, formula=model.formula + added)


def widened(batch: Batch, model: Model) -> list[tuple[Ints, Batch, Model]]:
    """Return positions, batch and model with means for every set of replications in which the same columns vary.

    Which columns vary within schools is usually one answer for a whole batch. Where it isn't (a binary covariate in
    small schools), each data set gets the means that it would get alone, so that cutting a batch changes nothing.
    """
    varies = ~batch.once(school_level, model)
    if not batch.size:
        return [(np.empty(0, dtype=np.int64), *with_means(batch, model, (False,) * varies.shape[1]))]
    patterns, which = np.unique(varies, axis=0, return_inverse=True)
    parts = [np.flatnonzero(which.ravel() == k) for k in range(len(patterns))]
    whole = len(parts) == 1
    return [
        (rows, *with_means(batch if whole else batch.take(rows), model, tuple(pattern.tolist())))
        for rows, pattern in zip(parts, patterns, strict=True)
    ]


def mundlak_engine(inner: Engine) -> Engine:
    """Return the engine that gives another engine the widened data, and keeps the model's own terms."""

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        """Fit the widened data and keep the model's own terms."""
        terms = batch.once(design_of, model).terms
        parts = batch.once(widened, model)
        fits = [inner(wide, wide_model, options).with_terms(terms) for _, wide, wide_model in parts]
        return fits[0] if len(fits) == 1 else _together(batch, [rows for rows, _, _ in parts], fits)

    return engine


def _together(batch: Batch, parts: list[Ints], fits: list[Estimates]) -> Estimates:
    """Return the estimates of disjoint sets of replications in the batch's order."""
    # Only its terms and quantities count, for every row is put in below.
    largest = fits[int(np.argmax([len(rows) for rows in parts]))]
    every = np.zeros(batch.size, dtype=np.int64)
    whole = replace(largest.take(every), replications=batch.replications)
    for rows, fit in zip(parts, fits, strict=True):
        whole = whole.put(rows, fit)
    return whole


def at_theta_with_means(at: AtTheta) -> AtTheta:
    """Return the formulas at given variance parameters on data with school means, for the model's own terms."""

    def wide_at(batch: Batch, model: Model, reference: Estimates, covariance: str) -> Mapping[str, Floats]:
        """Evaluate at the variance parameters of fits to the widened data."""
        terms = batch.once(design_of, model).terms
        table, column = (batch.size, len(terms)), batch.size
        shapes = {ESTIMATE: table, STD_ERROR: table, "(residual_sd)": column, "(loglik)": column}
        merged = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        for rows, wide, wide_model in batch.once(widened, model):
            there = {name: values[rows] for name, values in reference.quantities.items()}
            part = at(wide, wide_model, replace(reference, quantities=there), covariance)
            own = [wide.once(design_of, wide_model).terms.index(term) for term in terms]
            for name, values in merged.items():
                values[rows] = part[name][:, own] if values.ndim == 2 else part[name]
        return merged

    return wide_at


def on_grid_with_means(on_grid: OnGrid) -> OnGrid:
    """Return the grid's highest likelihood on data with school means."""

    def highest(batch: Batch, model: Model, options: Options) -> Floats:
        best = np.full(batch.size, -np.inf)
        for rows, wide, wide_model in batch.once(widened, model):
            best[rows] = on_grid(wide, wide_model, options)
        return best

    return highest


def mundlak(inner: Estimator, suffix: str, what: str) -> Estimator:
    """Return the Mundlak version ``mundlak-<suffix>`` of a method, with its options."""
    described = inner.described
    return Estimator(
        name=f"mundlak-{suffix}",
        version=inner.version,
        info=_about(inner, inner.info, what),
        reference=None if inner.reference is None else mundlak_engine(inner.reference),
        batched=None if inner.batched is None else mundlak_engine(inner.batched),
        agreement=inner.agreement,
        options=inner.options,
        random=inner.random,
        subgroup=inner.subgroup,
        choices=inner.choices,
        at_theta=None if inner.at_theta is None else at_theta_with_means(inner.at_theta),
        on_grid=None if inner.on_grid is None else on_grid_with_means(inner.on_grid),
        described=None if described is None else lambda options: _about(inner, described(options), what),
    )


def _about(inner: Estimator, info: Info, what: str) -> Info:
    """Return what to say of the Mundlak version of a method."""
    changed = info.df != inner.info.df
    return Info(
        label=f"Mundlak {info.label.removeprefix('OLS ') if changed else what}",
        summary=f"school means of student-level columns added, then {info.summary if changed else inner.name}",
        assumes=f"{info.assumes}; student-level covariates may be confounded with schools",
        df=info.df,
        source=f"Mundlak 1978; {info.source}",
        formula=(
            r"y_g = X_g\beta + \bar X_g\gamma + \ldots, \quad \bar X_g \text{ school means of varying columns}",
            r"\text{then, with } [X\; \bar X] \text{ for } X:",
            *info.formula,
        ),
    )
