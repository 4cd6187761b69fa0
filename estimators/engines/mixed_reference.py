"""Reference engines of the mixed-model methods: statsmodels' formulas where it has them, the textbook's elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nestbench.estimators.components import components, quantity_names
from nestbench.estimators.engines import mixed_inference
from nestbench.estimators.engines.identified import require_identified
from nestbench.estimators.engines.least_squares import least_squares
from nestbench.estimators.engines.mixed_optimum import UNCHECKED, evaluate, optimum
from nestbench.estimators.engines.mixed_search import several, single
from nestbench.estimators.engines.mixed_textbook import (
    Textbook,
    TextbookFit,
    effects,
    factor_of,
    free_entries,
    textbook_of,
)
from nestbench.estimators.engines.reference import Answer, DataSet, full_rank, matrices_of, reference_engine
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Engine, Options
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

Inference = Callable[[TextbookFit, DataSet], tuple[Floats, Floats | float]]
"""Standard errors and df [p] after a fit to a data set."""


def textbook_engine(inference: Inference, restricted: bool = True) -> Engine:
    """Return the engine that fits by the textbook and infers by a function of the fit."""

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        terms = batch.once(design_of, model).random_terms
        diagonal = options.get("covariance", "full") == "diagonal"

        def fit_one(data: DataSet) -> Answer:
            fit = batch.once(textbook_fit, data.sample.index, model, restricted, diagonal)
            std_error, df = inference(fit, data)
            score = float(np.abs(fit.score).max()) / 2.0
            quantities = components(terms, fit.relative, fit.sigma2, -0.5 * fit.criterion, score)
            status = FitStatus.BOUNDARY if singular(fit) else FitStatus.OK
            return Answer(fit.estimate, std_error, df, status, quantities)

        return reference_engine(fit_one, quantities=quantity_names(terms))(batch, model, options)

    return engine


def wald_z(fit: TextbookFit, data: DataSet) -> tuple[Floats, float]:
    """Return model-based standard errors and df = inf."""
    return mixed_inference.model_based_errors(fit), np.inf


def between_within(fit: TextbookFit, data: DataSet) -> tuple[Floats, Floats]:
    """Return G - p_school df for columns of X that are constant within schools, N - G - p_student for the others."""
    constant = data.school_constant()
    school = data.schools - int(constant.sum())
    student = len(data.y) - data.schools - int((~constant).sum())
    df = np.where(constant, float(school), float(student))
    return mixed_inference.model_based_errors(fit), np.where(df > 0, df, np.nan)


def satterthwaite(fit: TextbookFit, data: DataSet) -> tuple[Floats, Floats]:
    """Return model-based standard errors and Satterthwaite df."""
    return mixed_inference.model_based_errors(fit), mixed_inference.satterthwaite(fit)


def kenward_roger(fit: TextbookFit, data: DataSet) -> tuple[Floats, Floats]:
    """Return Kenward-Roger standard errors and df."""
    return mixed_inference.kenward_roger(fit)


def cr2(fit: TextbookFit, data: DataSet) -> tuple[Floats, Floats]:
    """Return CR2 standard errors and Satterthwaite df."""
    return mixed_inference.cr2(fit)


def textbook_fit(batch: Batch, index: int, model: Model, restricted: bool, diagonal: bool) -> TextbookFit:
    """Return the fit of one data set, shared by all methods that rest on it; parameters as `textbook_model`."""
    written = textbook_model(batch, index, model, restricted, diagonal)
    q = written.q
    return single(written) if q == 1 else several(written, free_entries(q, diagonal))


def textbook_model(batch: Batch, index: int, model: Model, restricted: bool, diagonal: bool) -> Textbook:
    """Return the model of one data set as the textbook writes it.

    Parameters
    ----------
    batch : Batch
    index : int
        Position of the data set in it.
    model : Model
    restricted : bool
        REML, else ML.
    diagonal : bool
        Uncorrelated random effects.
    """
    whole = batch.once(matrices_of, model).of(batch.replication(index), {})
    data = whole.keep(full_rank(whole).columns)
    require_identified(data)
    terms = batch.once(design_of, model).random_terms
    z, back = effects(data.z, None if diagonal else intercept_of(terms))
    return textbook_of(data, factor_of(len(terms), diagonal), restricted, z, back)


def intercept_of(terms: tuple[str, ...]) -> int | None:
    """Return which of the random terms is the intercept."""
    return terms.index("Intercept") if "Intercept" in terms else None


def singular(fit: TextbookFit) -> bool:
    """Whether the covariance of the random effects is singular."""
    return bool(np.linalg.eigvalsh(fit.psi)[0] < 1e-10)


def statsmodels_engine(restricted: bool) -> Engine:
    """Return the engine of Wald z tests by statsmodels' formulas, SE sigma^2 (X'V^-1X)^-1."""

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        if options.get("covariance", "full") == "diagonal":
            return textbook_engine(wald_z, restricted)(batch, model, options)
        terms = batch.once(design_of, model).random_terms

        def fit_one(data: DataSet) -> Answer:
            return _by_statsmodels(data, terms, restricted)

        return reference_engine(fit_one, quantities=quantity_names(terms))(batch, model, options)

    return engine


def _by_statsmodels(data: DataSet, terms: tuple[str, ...], restricted: bool) -> Answer:
    require_identified(data)
    inner, back, shift = data.standardised()
    unit = float(np.sqrt(least_squares(inner, data.y).scale))
    z, effects_back = effects(data.z, intercept_of(terms))
    inner = replace(inner, y=inner.y / unit, z=z)
    model, relative, units, score_ok = optimum(inner, restricted)
    fit = evaluate(model, relative, units)
    relative, floor = relative / np.outer(units, units), 1e-7
    covariance = fit.scale * back @ np.linalg.inv(_precision(inner, relative)) @ back.T
    nu = len(data.y) - (back.shape[1] if restricted else 0)
    loglik = (
        fit.loglik - nu * float(np.log(unit)) + (float(np.linalg.slogdet(back)[1]) if restricted else 0.0)
    )
    on_floor = bool(np.linalg.eigvalsh(relative * np.outer(units, units))[0] < floor)
    return Answer(
        unit * back @ fit.beta + shift,
        unit * np.sqrt(np.diag(covariance)),
        np.inf,
        FitStatus.NOT_CONVERGED if not score_ok else FitStatus.BOUNDARY if on_floor else FitStatus.OK,
        components(terms, effects_back @ relative @ effects_back.T, unit**2 * fit.scale, loglik, np.nan),
        "" if score_ok else UNCHECKED,
    )


def _precision(data: DataSet, relative: Floats) -> Floats:
    """Return sum X_g'V_g^-1X_g [p, p], V_g = I + Z_g relative Z_g'."""
    total = np.zeros((data.x.shape[1], data.x.shape[1]))
    for first, size in zip(data.starts, data.sizes, strict=True):
        rows = slice(first, first + size)
        v = np.eye(size) + data.z[rows] @ relative @ data.z[rows].T
        total += data.x[rows].T @ np.linalg.solve(v, data.x[rows])
    return total
