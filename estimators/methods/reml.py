"""Mixed models fitted exactly: one REML or ML optimum, and the ways of judging its coefficients.

Status BOUNDARY says that the school variance is estimated at zero: the coefficients are then those of pooled OLS. The
methods differ in what they make of it: Satterthwaite's df become N - p there, Kenward-Roger's stay near the schools'.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines import mixed_reference
from nestbench.estimators.engines.at_theta import at_theta
from nestbench.estimators.engines.likelihood_grid import on_grid
from nestbench.estimators.engines.mixed_batched import (
    CR2,
    KENWARD_ROGER,
    NORMAL,
    SATTERTHWAITE,
    WALD,
    Inference,
    between_within,
    cr2,
    kenward_roger,
    satterthwaite,
    wald_z,
)
from nestbench.estimators.engines.mixed_fit import (
    BatchFit,
    estimates_of,
    fit_of,
    school_level,
)
from nestbench.estimators.engines.mixed_reference import statsmodels_engine, textbook_engine
from nestbench.estimators.engines.mixed_textbook import GLS, ML, MODEL_BASED, REML
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Engine, Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.sim.observed.batch import Batch, Ints
from nestbench.sim.observed.model import Model

OPTIONS: Options = {"covariance": "full"}
"""`covariance`: of random intercept and slopes, ``full`` (correlated) or ``diagonal``."""


def batched_engine(inference: Inference, reference: Engine, restricted: bool = True) -> Engine:
    """Return the fast engine of a method: the shared fit, then `inference`; irregular data go to the reference."""

    def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
        """Fit once a batch, then infer."""
        started = perf_counter()
        fit = batch.once(fit_of, model, restricted, options["covariance"])
        std_error, df = inference(fit)
        estimates = estimates_of(batch, model, fit, std_error, df, started)
        return estimates, np.flatnonzero(~fit.moments.regular | _saturated(fit))

    return with_careful(fast, reference)


def _saturated(fit: BatchFit) -> npt.NDArray[np.bool_]:
    """Whether schools and student-level terms fit any outcome exactly [R]: the reference refuses, in its words.

    Then nothing but the shape of the likelihood between schools speaks of the residual variance.
    """
    within = fit.fits.students - np.diff(fit.moments.replication_offsets)
    # The usual case, without looking at which columns vary within schools.
    if (within > len(fit.moments.x)).all():
        return np.zeros(len(within), dtype=np.bool_)
    return np.asarray(within <= (~fit.batch.once(school_level, fit.model)).sum(axis=1))


def method(
    name: str,
    info: Info,
    inference: Inference,
    reference: Engine,
    agreement: Agreement,
    restricted: bool = True,
) -> Estimator:
    """Return a method with both engines."""
    fast = batched_engine(inference, reference, restricted)
    there = at_theta(restricted) if agreement is Agreement.IMPLICIT else None
    return Estimator(
        name,
        4,
        info,
        reference,
        fast,
        agreement,
        OPTIONS,
        random=RandomPart.ANY,
        at_theta=there,
        on_grid=on_grid(restricted),
        theory=("likelihood",),
    )


REML_Z = method(
    "reml-z",
    Info(
        label="REML z",
        summary="random school effects at the exact REML optimum, Wald z with sigma^2 (X'V^-1X)^-1",
        assumes=f"{NORMAL}; many schools",
        df="inf (z)",
        source="Patterson & Thompson 1971; Pinheiro & Bates 2000",
        formula=(*GLS, REML, MODEL_BASED, WALD),
    ),
    wald_z,
    statsmodels_engine(True),
    Agreement.IMPLICIT,
)
ML_Z = method(
    "ml-z",
    Info(
        label="ML z",
        summary="the same at the exact maximum of the likelihood, whose variances are too small with few schools",
        assumes=f"{NORMAL}; many schools",
        df="inf (z)",
        source="Pinheiro & Bates 2000",
        formula=(*GLS, ML, MODEL_BASED, WALD),
    ),
    wald_z,
    statsmodels_engine(False),
    Agreement.IMPLICIT,
    restricted=False,
)
REML_BW = method(
    "reml-bw",
    Info(
        label="REML between-within",
        summary="REML with t tests whose df are counted: by schools for school-level terms, by students for others",
        assumes=f"{NORMAL}; about equal schools",
        df="G - p_school or N - G - p_student, per term",
        source="Schluchter & Elashoff 1990; Pinheiro & Bates 2000",
        formula=(
            *GLS,
            REML,
            MODEL_BASED,
            r"\nu_j = G - p_{\text{school}} \text{ for columns constant within schools}",
            r"\nu_j = N - G - p_{\text{student}} \text{ for the others}",
        ),
    ),
    between_within,
    textbook_engine(mixed_reference.between_within),
    Agreement.DIRECT,
)
REML_SATT = method(
    "reml-satt",
    Info(
        label="REML Satterthwaite",
        summary="REML with Satterthwaite df from the observed information in (theta, sigma), as lmerTest",
        assumes=f"{NORMAL}",
        df="per term (Satterthwaite); N - p where the school variance is estimated at 0",
        source="Giesbrecht & Burns 1985; Kuznetsova et al. 2017",
        formula=(*GLS, REML, MODEL_BASED, SATTERTHWAITE),
    ),
    satterthwaite,
    textbook_engine(mixed_reference.satterthwaite),
    Agreement.DIRECT,
)
REML_KR = method(
    "reml-kr",
    Info(
        label="REML Kenward-Roger",
        summary="REML with the adjusted covariance and df of Kenward and Roger (expected information), as pbkrtest",
        assumes=f"{NORMAL}",
        df="per term (Kenward-Roger)",
        source="Kenward & Roger 1997; Halekoh & Hojsgaard 2014",
        formula=(*GLS, REML, *KENWARD_ROGER),
    ),
    kenward_roger,
    textbook_engine(mixed_reference.kenward_roger),
    Agreement.DIRECT,
)
REML_CR2 = method(
    "reml-cr2",
    Info(
        label="REML CR2",
        summary="REML coefficients with cluster-robust CR2 standard errors, the fitted V as working model",
        assumes="independent schools, independent of the covariates; V need not be right",
        df="per term (Satterthwaite)",
        source="Bell & McCaffrey 2002; Pustejovsky & Tipton 2018",
        formula=(*GLS, REML, *CR2),
    ),
    cr2,
    textbook_engine(mixed_reference.cr2),
    Agreement.DIRECT,
)
