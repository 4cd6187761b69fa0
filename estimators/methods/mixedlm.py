"""statsmodels' mixed model exactly as users run it: ``MixedLM(y, X, groups).fit()``, its flags and its failures.

The method under study, not a good fit: REML by BFGS, then L-BFGS, then CG from cov_re = I, Wald z. Its own convergence
flag becomes the status; but a fit to data that don't identify the school variance, whose log-likelihood is not finite,
or whose standard errors are absurd beside those of OLS, does not say OK whatever it claims. Its numbers stay in the
row, not usable, so that the claim can be studied.
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines.mixed_optimum import MixedFit, random_part
from nestbench.estimators.engines.mixed_status import judged, named_engine
from nestbench.estimators.engines.mixed_textbook import GLS, MODEL_BASED, REML
from nestbench.estimators.engines.reference import (
    Answer,
    DataSet,
)
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.estimators.honoured import RandomPart


def fit_mixedlm(data: DataSet) -> Answer:
    """Fit as users do, with their outcome and columns untouched."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    result = MixedLM(data.y, data.x, data.groups, exog_re=random_part(data)).fit()
    fit = MixedFit(
        np.asarray(result.fe_params),
        np.asarray(result.bse_fe),
        np.atleast_2d(np.asarray(result.cov_re)),
        float(result.scale),
        float(result.llf),
    )
    return judged(data, fit, "" if result.converged else "its flag says not converged")


MIXEDLM = Estimator(
    name="mixedlm",
    version=2,
    info=Info(
        label="MixedLM z",
        summary="statsmodels MixedLM with its defaults (REML), Wald z: as users run it",
        assumes="normal school effects and errors, many schools, and that the optimiser arrives",
        df="inf (z)",
        source="Laird & Ware 1982; statsmodels MixedLM.fit()",
        formula=(*GLS, REML, MODEL_BASED, r"\nu = \infty"),
    ),
    reference=named_engine(fit_mixedlm),
    agreement=Agreement.UNDER_STUDY,
    random=RandomPart.ANY,
    theory=("likelihood",),
)
