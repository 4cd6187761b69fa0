"""The contract of a method, as checks that `nestbench.testing` runs: each raises `Breach` saying why."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nestbench.estimators.estimates import ENDS, ESTIMATE, STD_ERROR, STORED_COLUMNS, Estimates, FitStatus
from nestbench.reports.accuracy.fingerprint import digest_of
from nestbench.sim.observed.batch import Batch, Category, Column, Ints, offsets_of
from nestbench.sim.observed.design import design_of
from nestbench.testing.conformance_inference import (
    check_consistency,
    check_coverage,
    check_reference,
    check_size,
)
from nestbench.testing.contract import (
    DATA_SETS,
    SEED,
    Breach,
    Case,
    Part,
    Skipped,
    first_difference,
    require,
    require_same,
)


def check_schema(case: Case) -> None:
    """Shapes, names, statuses and ranges."""
    estimates = case.answers()
    require(isinstance(estimates, Estimates), f"returned {type(estimates).__name__}, expected Estimates")
    _check_shapes(estimates, case.batch)
    usable = estimates.status <= FitStatus.BOUNDARY
    require(usable.any(), f"no usable fit on easy data: {'; '.join(sorted(set(estimates.texts())))}")
    require(np.isfinite(estimates.estimate[usable]).any(axis=1).all(), "a fit says OK without any estimate")
    _check_names(estimates, case.batch.once(design_of, case.cell.model).terms)
    _check_ranges(estimates)


def _check_shapes(estimates: Estimates, batch: Batch) -> None:
    """Require the shapes and types of `Estimates`."""
    shape = (batch.size, len(estimates.terms))
    for name in STORED_COLUMNS:
        values = getattr(estimates, name)
        require(values.shape == shape, f"{name} has shape {values.shape}, expected {shape}")
        require(values.dtype == np.float64, f"{name} is {values.dtype}, expected float64")
    same = np.array_equal(estimates.replications, batch.replications)
    require(same, "replications aren't those of the batch")
    require(
        estimates.status.shape == shape[:1],
        f"status has shape {estimates.status.shape}, expected {shape[:1]}",
    )
    require(set(estimates.status.tolist()) <= {int(s) for s in FitStatus}, "a status is none of FitStatus")
    require(estimates.messages[:1] == ("",), "messages[0] must be the empty text")


def _check_names(estimates: Estimates, known: Sequence[str]) -> None:
    """Require terms by the formula's names, each once, and fit-level quantities in parentheses."""
    require(len(set(estimates.terms)) == len(estimates.terms), "a term occurs twice")
    named = [t for k, t in enumerate(estimates.terms) if np.isfinite(estimates.estimate[:, k]).any()]
    require(
        set(named) & set(known),
        f"no term is named as the formula names it: got {', '.join(named)}, expected {', '.join(known)}",
    )
    bare = [name for name in estimates.quantities if not name.startswith("(")]
    require(not bare, f"fit-level numbers must be named in parentheses, got {', '.join(bare)}")


def _check_ranges(estimates: Estimates) -> None:
    """Require numbers that can be what they are called."""
    with np.errstate(invalid="ignore"):
        require(not (estimates.std_error < 0).any(), "a standard error is negative")
        require(not ((estimates.p_value < 0) | (estimates.p_value > 1)).any(), "a p-value is outside [0, 1]")
        require(
            not (estimates.lower > estimates.upper).any(), "an interval's lower limit is above its upper one"
        )
        require(not (estimates.df <= 0).any(), "degrees of freedom must be positive (inf: normal)")


def check_determinism(case: Case) -> None:
    """The same data, the same bytes."""
    again = case.fit(case.cell.draw(SEED, range(DATA_SETS)))
    if digest_of(again) != digest_of(case.answers()):
        difference = first_difference(case, case.answers(), again, 0.0)
        raise Breach(
            f"two fits of the same data differ{difference}; take random numbers from batch.streams only"
        )


def check_alone(case: Case) -> None:
    """A data set gives the same answer alone and among others."""
    whole = case.answers()
    for i in range(case.batch.size):
        one = case.fit(case.batch.take([i]))
        missing = [
            t for k, t in enumerate(whole.terms) if np.isfinite(whole.estimate[i, k]) and t not in one.terms
        ]
        require(
            not missing, f"terms {', '.join(missing)} of data set {i} are missing when it is fitted alone"
        )
        for name in STORED_COLUMNS:
            for k, term in enumerate(whole.terms):
                if term in one.terms:
                    a, b = getattr(whole, name)[i, k], getattr(one, name)[0, one.terms.index(term)]
                    require(
                        a == b or (np.isnan(a) and np.isnan(b)),
                        f"{name} of {term} in data set {i} is {a:.17g} among others and {b:.17g} alone; "
                        "stored numbers must not depend on how runs are cut",
                    )


def check_data(case: Case) -> None:
    """The data are as they were after a fit."""
    fresh = case.cell.draw(SEED, range(DATA_SETS))
    case.answers()
    for name, column in case.batch.columns.items():
        require(
            np.array_equal(_numbers(column), _numbers(fresh.columns[name])),
            f"the fit changed the column {name}",
        )


def check_students(case: Case) -> None:
    """The order of students within schools doesn't matter."""
    rng = np.random.default_rng(1)
    edges = case.batch.school_offsets
    # Within schools alone: in a batch the students of a school stand together.
    rows = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in itertools.pairwise(edges)])
    other = _with_rows(case.batch, rows)
    require_same(case, case.answers(), case.fit(other), "the order of students within schools changes")


def check_labels(case: Case) -> None:
    """The names of schools don't matter."""
    count = len(case.batch.school_offsets) - 1
    other = replace(case.batch, school_labels=tuple(f"Nr {i:06d} (a, b)" for i in range(count)), _memo={})
    require_same(case, case.answers(), case.fit(other), "renaming the schools changes")


def check_schools(case: Case) -> None:
    """The order of schools doesn't matter."""
    batch = case.batch
    edges, first = batch.school_offsets, batch.replication_offsets
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in itertools.pairwise(first)])
    rows = np.concatenate([np.arange(edges[s], edges[s + 1]) for s in order])
    other = replace(_with_rows(batch, rows), school_offsets=offsets_of(np.diff(edges)[order]))
    require_same(case, case.answers(), case.fit(other), "the order of schools changes")


def check_scale(case: Case) -> None:
    """An outcome in units 1000 times smaller has estimates, standard errors and limits 1000 times larger."""
    response = case.batch.once(design_of, case.cell.model).response
    column = case.batch.columns.get(response)
    if column is None or isinstance(column, Category):
        raise Skipped(f"the outcome '{response}' isn't a numeric column")
    other = replace(case.batch, columns={**case.batch.columns, response: column * 1000.0}, _memo={})
    fits = case.fit(other)
    scaled = {n: getattr(fits, n) / 1000.0 for n in (ESTIMATE, STD_ERROR, *ENDS)}
    require_same(case, case.answers(), replace(fits, **scaled), "the unit of the outcome changes")


def check_hopeless(case: Case) -> None:
    """Data that no method can use give a status and a message, never an exception."""
    for what, batch in _hopeless(case):
        try:
            fits = case.fit(batch)
        except Exception as error:
            raise Breach(
                f"{what}: raised {type(error).__name__}: {error}; return a status instead"
            ) from error
        require(fits.size == batch.size, f"{what}: returned {fits.size} fits for {batch.size} data sets")
        usable = fits.status <= FitStatus.BOUNDARY
        infinite = usable[:, None] & np.isinf(fits.estimate)
        require(not infinite.any(), f"{what}: an infinite estimate with a usable status")


def check_inestimable(case: Case) -> None:
    """A coefficient that the data can't determine is missing, or the fit says it is unusable."""
    name, batch = _constant_regressor(case)
    fits = case.fit(batch)
    if name not in fits.terms:
        return
    k = fits.terms.index(name)
    claimed = (fits.status <= FitStatus.BOUNDARY) & np.isfinite(fits.estimate[:, k])
    require(
        not claimed.any(),
        f"{name} has the same value for all students, so its coefficient can't be determined, but the method says "
        f"{fits.estimate[int(np.argmax(claimed)), k]:.4g} with status OK; return NaN or a status",
    )


CHECKS: tuple[Part, ...] = (
    Part("schema", "returns the schema of results: shapes, names, statuses, ranges", check_schema),
    Part("determinism", "the same data give the same numbers, to the last bit", check_determinism),
    Part("alone", "a data set gives the same numbers alone and among others", check_alone),
    Part("data", "the data are left as they were", check_data),
    Part("students", "the order of students within schools doesn't matter", check_students),
    Part("labels", "the names of schools don't matter", check_labels),
    Part("schools", "the order of schools doesn't matter", check_schools),
    Part("scale", "the unit of the outcome scales estimates and standard errors", check_scale),
    Part("hopeless", "hopeless data give a status, never an exception", check_hopeless),
    Part("inestimable", "what the data can't determine is missing", check_inestimable),
    Part(
        "consistency",
        "p-values and intervals follow from the df, or agree with each other",
        check_consistency,
    ),
    Part("reference", "estimates, SE, df, limits and p are those of the declared reference", check_reference),
    Part("coverage", "intervals cover on a friendly population (false-alarm rate 1e-6)", check_coverage),
    Part("size", "true nulls are rejected at most at alpha + .05 (false-alarm rate 1e-6)", check_size),
)


def _with_rows(batch: Batch, rows: Ints) -> Batch:
    """Return a batch with its rows in another order."""
    columns = {
        name: Category(c.codes[rows], c.levels) if isinstance(c, Category) else c[rows]
        for name, c in batch.columns.items()
    }
    # Nothing that was computed of the rows as they stood.
    return replace(batch, columns=columns, _memo={})


def _numbers(column: Column) -> np.ndarray:
    """Return a column as numbers; labels by their codes."""
    return column.codes if isinstance(column, Category) else column


def _numeric_regressors(case: Case) -> list[str]:
    """Return the terms of a model that are numeric columns as they stand."""
    design = case.batch.once(design_of, case.cell.model)
    columns = case.batch.columns
    return [t for t in design.terms if t in columns and not isinstance(columns[t], Category)]


def _constant_regressor(case: Case) -> tuple[str, Batch]:
    """Return a batch with a constant covariate beside an intercept, so that it is not estimable."""
    names = _numeric_regressors(case)
    design = case.batch.once(design_of, case.cell.model)
    if not names or not design.intercept:
        raise Skipped("the formula has no numeric column beside an intercept")
    fixed = {**case.batch.columns, names[0]: np.full(case.batch.rows, 15.0)}
    return names[0], replace(case.batch, columns=fixed, _memo={})


def _hopeless(case: Case) -> Sequence[tuple[str, Batch]]:
    """Return data that nothing can be estimated from: an outcome without variation, three students."""
    batch = case.batch
    response = batch.once(design_of, case.cell.model).response
    flat = replace(batch, columns={**batch.columns, response: np.full(batch.rows, 3.0)}, _memo={})
    few = batch.take([0])
    rows = np.arange(3)
    tiny = replace(
        _with_rows(few, rows),
        school_offsets=np.array([0, 2, 3], dtype=np.int64),
        replication_offsets=np.array([0, 2], dtype=np.int64),
    )
    batches = [
        ("an outcome that is the same for all students", flat),
        ("three students in two schools", tiny),
    ]
    if _numeric_regressors(case):
        batches.append(("a regressor that is the same for all students", _constant_regressor(case)[1]))
    return batches
