"""Three levels, students in classes in schools: REML exact, Wald z or Satterthwaite.

The classes are named by the model's `subgroup` column; labels may be used again in other schools. theta are the
relative SDs of classes and of schools. Status BOUNDARY says that one of the two variances is estimated at zero.
"""

from __future__ import annotations

import itertools
from time import perf_counter

import numpy as np

from nestbench.estimators.engines import mixed_reference
from nestbench.estimators.engines.identified import CONFOUNDED, check_within, require_identified
from nestbench.estimators.engines.mixed_batched import (
    NORMAL,
    SATTERTHWAITE,
    WALD,
    Inference,
    satterthwaite,
    wald_z,
)
from nestbench.estimators.engines.mixed_fit import BatchFit, columns_of, estimates_of, evidence
from nestbench.estimators.engines.mixed_reference import Inference as TextbookInference
from nestbench.estimators.engines.mixed_search import several
from nestbench.estimators.engines.mixed_textbook import (
    GLS,
    MODEL_BASED,
    REML,
    Textbook,
    TextbookFit,
    criterion_at,
    textbook_of,
)
from nestbench.estimators.engines.random_part import random_part_of
from nestbench.estimators.engines.reference import (
    Answer,
    CannotFit,
    DataSet,
    full_rank,
    matrices_of,
    reference_engine,
)
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Engine, Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.kernels import nested as kernel
from nestbench.estimators.kernels.mixed import as_named, empty_fits
from nestbench.estimators.moments.school_moments import SchoolMoments, moments_of
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.observed.affine import affine_columns, fixed_columns
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

GRID = (0.0, 0.1, 0.5, 2.0, 10.0)
"""SDs of classes and of schools, relative to the residual SD, none of which may have a higher likelihood than a fit."""
QUANTITIES = ("(class_sd)", "(school_sd)", "(residual_sd)", "(loglik)", "(score)", "(iterations)")
NEAR_EXACT = 1e-10
"""Residual squares below this share of y'y have lost six digits in cross-products: such data are the reference's."""


def codes_of(batch: Batch, model: Model) -> Ints:
    """Return an integer code of each student's class label [N].

    Raises
    ------
    InvalidInput
        The model has no `subgroup`, or the data have no such column.
    """
    if model.subgroup is None:
        raise InvalidInput(
            "the nested methods expected the model's subgroup (the column of classes within schools), got none; "
            'set subgroup = "class"'
        )
    if model.subgroup not in batch.columns:
        raise InvalidInput(
            f"expected a column '{model.subgroup}' of classes within schools, got the columns "
            f"{', '.join(batch.columns)}.{did_you_mean(model.subgroup, batch.columns)}"
        )
    return as_codes(batch.columns[model.subgroup])


def as_codes(column: Column) -> Ints:
    """Return an integer code of each label."""
    if isinstance(column, Category):
        return column.codes.astype(np.int64)
    return np.unique(column, return_inverse=True)[1].astype(np.int64)


def classes_of(codes: Ints, school: Ints, schools: int) -> tuple[Ints, Ints]:
    """Return class numbers over the whole batch [N], and the first class of each school [S + 1].

    Parameters
    ----------
    codes, school : int64 [N]
        Code of the label, and school over the whole batch.
    schools : int
        S.
    """
    width = int(codes.max(initial=0)) + 1
    # Labels may be used again in other schools: school and label together are a class.
    distinct, numbers = np.unique(school * width + codes, return_inverse=True)
    first = np.searchsorted(distinct, np.arange(schools + 1) * width)
    return numbers.astype(np.int64), first.astype(np.int64)


def fit_of(batch: Batch, model: Model) -> BatchFit:
    """Return the REML fit of every replication (call it as ``batch.once(fit_of, model)``)."""
    moments = batch.once(moments_of, model)
    sums, sizes, first = class_moments(batch, model, moments)
    fits = empty_fits(batch.size, len(moments.x), 2)
    kernel.fit(
        moments.cross, moments.replication_offsets, columns_of(moments), first, sums, sizes, True, fits
    )
    estimate, unscaled = np.empty_like(moments.shift), np.empty_like(moments.shift)
    as_named(moments.contrasts, moments.shift, fits.beta, fits.unscaled, estimate, unscaled)
    residual = np.sqrt(fits.sigma2) / moments.scale[:, -1]
    quantities = {
        "(class_sd)": fits.theta[:, 0] * residual,
        "(school_sd)": fits.theta[:, 1] * residual,
        "(residual_sd)": residual,
        **evidence(moments, fits, True),
    }
    part = random_part_of(moments, False)
    return BatchFit(batch, model, moments, fits, estimate, unscaled, quantities, part)


def class_moments(batch: Batch, model: Model, moments: SchoolMoments) -> tuple[Floats, Floats, Ints]:
    """Return the class sums of the pivoted [X y] [C, p + 1], class sizes [C] and each school's first class [S + 1].

    From strata where classes are constant in them: their means, each of as many students as they have.
    """
    x, y, weight, numbers, first, rows = on_means(batch, model) or on_students(batch, model)
    sums, sizes = np.empty((int(first[-1]), len(moments.x) + 1)), np.empty(int(first[-1]))
    kernel.class_sums(
        np.ascontiguousarray(x),
        np.ascontiguousarray(y),
        weight,
        numbers,
        rows,
        moments.contrasts,
        moments.shift,
        np.ascontiguousarray(moments.scale[:, -1]),
        sums,
        sizes,
    )
    return sums, sizes, first


Weighted = tuple[Floats, Floats, Floats, Ints, Ints, Ints]
"""X' [p, N], y [N], students that each stands for [N], class of each [N], first class of each school [S + 1] and first
entry of each replication [R + 1]."""


def on_students(batch: Batch, model: Model) -> Weighted:
    """Return what class sums are taken of, student by student."""
    design = batch.once(design_of, model)
    school = np.repeat(np.arange(len(batch.school_offsets) - 1), np.diff(batch.school_offsets))
    numbers, first = classes_of(codes_of(batch, model), school, len(batch.school_offsets) - 1)
    return (
        design.fixed(batch),
        design.outcome(batch),
        np.ones(batch.rows),
        numbers,
        first,
        batch.row_offsets,
    )


def on_means(batch: Batch, model: Model) -> Weighted | None:
    """Return the same stratum by stratum; None where a column or the classes aren't known by strata."""
    design = batch.once(design_of, model)
    found = fixed_columns(batch, design)
    if found is None or model.subgroup is None or model.subgroup not in found[0].constants:
        return None
    strata, columns = found
    outcome = affine_columns([((design.response,), design.lhs_products)], strata)
    if outcome is None:
        return None
    there = np.flatnonzero(strata.count)
    schools = np.repeat(np.arange(len(strata.offsets) - 1), np.diff(strata.offsets))[there]
    codes = as_codes(strata.constants[model.subgroup])[there]
    numbers, first = classes_of(codes, schools, len(strata.offsets) - 1)
    starts = np.searchsorted(there, strata.offsets[batch.replication_offsets])
    means = np.stack([column.mean[there] for column in columns])
    weight = strata.count[there].astype(np.float64)
    return means, outcome[0].mean[there], weight, numbers, first, starts.astype(np.int64)


def outcome_squares(moments: SchoolMoments) -> Floats:
    """Return y'y about the pivot, in the moments' units, of each replication [R]."""
    return np.asarray(np.add.reduceat(moments.cross[:, -1, -1], moments.replication_offsets[:-1]))


def batched_engine(inference: Inference, reference: Engine) -> Engine:
    """Return the fast engine of a method."""

    def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
        """Fit once a batch, then infer."""
        started = perf_counter()
        fit = batch.once(fit_of, model)
        estimates = estimates_of(batch, model, fit, *inference(fit), started)
        near_exact = fit.fits.sigma2 * fit.fits.nu <= NEAR_EXACT * outcome_squares(fit.moments)
        return estimates, np.flatnonzero(~fit.moments.regular | near_exact)

    return with_careful(fast, reference)


def textbook_engine(inference: TextbookInference) -> Engine:
    """Return the engine with every V_g written out."""

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        """Fit the replications one by one."""
        batch.once(codes_of, model)

        def fit_one(data: DataSet) -> Answer:
            """Fit one data set and infer; BOUNDARY where a variance is zero."""
            fit = batch.once(textbook_fit, data.sample.index, model)
            std_error, df = inference(fit, data)
            sigma = float(np.sqrt(fit.sigma2))
            values = [
                *(np.abs(fit.theta) * sigma),
                sigma,
                -0.5 * fit.criterion,
                np.abs(fit.score).max() / 2.0,
                np.nan,
            ]
            status = FitStatus.BOUNDARY if (fit.theta == 0.0).any() else FitStatus.OK
            return Answer(fit.estimate, std_error, df, status, dict(zip(QUANTITIES, values, strict=True)))

        return reference_engine(fit_one, quantities=QUANTITIES)(batch, model, options)

    return engine


def textbook_fit(batch: Batch, index: int, model: Model) -> TextbookFit:
    """Return the fit of one data set."""
    return several(textbook_of_classes(batch, index, model), [(0, 0), (1, 1)])


def textbook_of_classes(batch: Batch, index: int, model: Model) -> Textbook:
    """Return the model of one data set with Z_g = [1, class indicators], Psi = diag(theta_s^2, theta_c^2, ...)."""
    whole = batch.once(matrices_of, model).of(batch.replication(index), {})
    data = whole.keep(full_rank(whole).columns)
    require_identified(data)
    codes = batch.once(codes_of, model)[data.sample.rows]
    z = np.column_stack([np.ones(len(codes)), codes[:, None] == np.unique(codes)])
    distinct, numbers = np.unique(np.column_stack([data.groups, codes]), axis=0, return_inverse=True)
    if len(distinct) in (data.schools, len(codes)):
        raise CannotFit(CONFOUNDED)
    check_within(data, numbers.ravel())
    second = np.zeros((2, 2, z.shape[1], z.shape[1]))
    second[1, 1, 0, 0] = 2.0
    second[0, 0, 1:, 1:] = 2.0 * np.eye(z.shape[1] - 1)
    return textbook_of(data, second, True, z)


def method(name: str, info: Info, inference: Inference, textbook: TextbookInference) -> Estimator:
    """Return a method with both engines."""
    reference = textbook_engine(textbook)
    return Estimator(
        name,
        2,
        info,
        reference,
        batched_engine(inference, reference),
        Agreement.DIRECT,
        random=RandomPart.INTERCEPT,
        subgroup=True,
        on_grid=on_grid,
    )


def on_grid(batch: Batch, model: Model, options: Options) -> Floats:
    """Return the highest log-likelihood of classes in schools on a grid of both SDs [R], by the textbook."""
    return np.array([_highest(batch, index, model) for index in range(batch.size)])


def _highest(batch: Batch, index: int, model: Model) -> float:
    try:
        written = textbook_of_classes(batch, index, model)
    except CannotFit:
        return -np.inf
    return max(-0.5 * criterion_at(written, np.array(point)) for point in itertools.product(GRID, GRID))


CLASSES = (
    r"V_g = I + \theta_s^2\, 1 1^\top + \theta_c^2 \sum_k 1_k 1_k^\top, "
    r"\quad 1_k \text{ the students of class } k"
)


NESTED_Z = method(
    "nested-z",
    Info(
        label="nested REML z",
        summary="random school and class effects at the exact REML optimum, Wald z",
        assumes=f"{NORMAL}, and classes likewise; many schools",
        df="inf (z)",
        source="Pinheiro & Bates 2000",
        formula=(*GLS, CLASSES, REML, MODEL_BASED, WALD),
    ),
    wald_z,
    mixed_reference.wald_z,
)
NESTED_SATT = method(
    "nested-satt",
    Info(
        label="nested REML Satterthwaite",
        summary="random school and class effects by REML, Satterthwaite df from the observed information",
        assumes=f"{NORMAL}, and classes likewise",
        df="per term (Satterthwaite)",
        source="Giesbrecht & Burns 1985; Kuznetsova et al. 2017",
        formula=(*GLS, CLASSES, REML, MODEL_BASED, SATTERTHWAITE),
    ),
    satterthwaite,
    mixed_reference.satterthwaite,
)
