"""Other packages as methods, where they are installed: pyfixest and linearmodels (lmer has a file of its own).

Each runs as the users of its package run it: defaults, own standard errors and reference. What coincides with a
method of ours is said in the test beside it.

- ``pyfixest-crv1``: equal to `ols-cr1s-t`.
- ``pyfixest-crv3``: the variance of `ols-cr3-t` times G/(G-1) (N-1)/(N-p), pyfixest's default correction.
- ``linearmodels-fe``: equal to `dummies`.
- ``linearmodels-re``: Swamy and Arora's random effects, t(N - p); with equal schools and school-level terms alone its
  coefficients and standard errors are those of REML.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.estimators.engines.cluster_robust import (
    FORMULAS,
    blocks_of,
    coefficients,
    dwarfed,
    require_schools,
    sandwich_answer,
    unidentified,
)
from nestbench.estimators.engines.distributions import DF
from nestbench.estimators.engines.identified import require_identified
from nestbench.estimators.engines.least_squares import LEAST_SQUARES, least_squares, require_residuals
from nestbench.estimators.engines.reference import Answer, DataSet, Screen, full_rank, reference_engine
from nestbench.estimators.engines.school_dummies import WITHIN, require_within, student_level
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.user_code import in_words

if TYPE_CHECKING:
    import pandas as pd

Fit = Callable[[Any, DataSet], Answer]
"""``fit(package, data)``."""


def adapter_engine(package: str, fit: Fit, screen: Screen, quantities: tuple[str, ...] = ()) -> Engine:
    """Return the engine that imports a package when it is first used.

    Raises
    ------
    InvalidInput
        On fitting: the package is not installed, or can't be imported.
    """

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        """Import the package, then fit the replications one by one."""
        if not installed(package):
            raise InvalidInput(
                f"expected the package '{package}' for this method, but it is not installed; "
                f"pip install 'nestbench[{package}]'"
            )
        module = imported(package)
        inner = reference_engine(lambda data: fit(module, data), quantities=quantities, screen=screen)
        return inner(batch, model, options)

    return engine


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return find_spec(package) is not None


def imported(package: str) -> Any:
    """Import a package.

    Raises
    ------
    InvalidInput
        It is installed and fails to import, as old versions beside new ones of what they need do.
    """
    try:
        return import_module(package)
    except Exception as error:
        raise InvalidInput(
            f"expected to import '{package}', got {in_words(error)}; "
            f"pip install --upgrade '{package}', or leave its methods out"
        ) from error


def pyfixest(kind: str) -> Fit:
    """Return the fit by ``feols`` with ``vcov={kind: school}``; t(G - 1)."""

    def fit(package: Any, data: DataSet) -> Answer:
        """Fit one data set as a user of the package would, on its columns y, x0, x1, ..."""
        require_schools(data)
        frame = columns_of(data)
        frame["school"] = data.groups
        # X has its constant already, and its terms' own names would be read as a formula.
        names = [f"x{k}" for k in range(data.x.shape[1])]
        result = package.feols(f"y ~ 0 + {' + '.join(names)}", data=frame, vcov={kind: "school"})
        estimate, std_error = (
            np.asarray(part[names], dtype=np.float64) for part in (result.coef(), result.se())
        )
        inner, back, _ = data.standardised()
        naive = coefficients(least_squares(inner, data.y), back)[2]
        answer = sandwich_answer(data.terms, estimate, std_error, naive, data.schools - 1.0)
        blocks = blocks_of(inner)
        # Where X without a school has no full rank, pyfixest goes on with a pseudo-inverse.
        if kind == "CRV3" and blocks.needs_a_school.any():
            return unidentified(answer, data.terms, blocks.needed_by(back) | dwarfed(data, blocks))
        return answer

    return fit


def columns_of(data: DataSet) -> pd.DataFrame:
    """Return y and the columns of X as y, x0, x1, ..."""
    import pandas as pd

    columns = {f"x{k}": np.ascontiguousarray(data.x[:, k]) for k in range(data.x.shape[1])}
    return pd.DataFrame({"y": data.y, **columns})


def _panel(data: DataSet) -> tuple[pd.Series[Any], pd.DataFrame]:
    """Return the data as linearmodels wants them: indexed by school and by a running number within it."""
    import pandas as pd

    frame = columns_of(data)
    students = np.arange(len(data.y)) - data.starts[data.groups]
    frame.index = pd.MultiIndex.from_arrays([data.groups, students], names=["school", "student"])
    return frame["y"], frame.drop(columns="y")


def fixed_effects(package: Any, data: DataSet) -> Answer:
    """``PanelOLS(entity_effects=True)``, its unadjusted covariance, t(N - G - p)."""
    require_within(data)
    y, x = _panel(data)
    result = package.panel.PanelOLS(y, x, entity_effects=True).fit()
    require_residuals(np.asarray(result.resids), data.y)
    return Answer(result.params.to_numpy(), result.std_errors.to_numpy(), float(result.df_resid))


def random_effects(package: Any, data: DataSet) -> Answer:
    """``RandomEffects``, its unadjusted covariance, t(N - p)."""
    require_identified(data)
    y, x = _panel(data)
    result = package.panel.RandomEffects(y, x).fit()
    between, within = (float(result.variance_decomposition[name]) for name in ("Effects", "Residual"))
    total = between + within
    return Answer(
        result.params.to_numpy(),
        result.std_errors.to_numpy(),
        float(result.df_resid),
        quantities={
            "(school_sd)": float(np.sqrt(max(between, 0.0))),
            "(residual_sd)": float(np.sqrt(within)),
            "(icc)": between / total if total > 0 else np.nan,
        },
    )


def _adapter(
    name: str,
    package: str,
    info: Info,
    fit: Fit,
    screen: Screen = full_rank,
    quantities: tuple[str, ...] = (),
    random: RandomPart = RandomPart.NONE,
    version: int = 1,
) -> Estimator:
    """Return an adapter as a method: no fast engine, and nothing that it must agree with but itself."""
    return Estimator(
        name, version, info, reference=adapter_engine(package, fit, screen, quantities), random=random
    )


PACKAGES = {
    "pyfixest-crv1": "pyfixest",
    "pyfixest-crv3": "pyfixest",
    "linearmodels-fe": "linearmodels",
    "linearmodels-re": "linearmodels",
}
"""The package each adapter needs."""

ADAPTERS: tuple[Estimator, ...] = (
    _adapter(
        "pyfixest-crv1",
        "pyfixest",
        Info(
            "pyfixest CRV1",
            "pyfixest feols with CRV1 clustered by school",
            "many schools; schools independent of each other",
            "G - 1",
            "package pyfixest; equals ols-cr1s-t",
            (LEAST_SQUARES, *FORMULAS["CR1S"], DF["t(G-1)"]),
        ),
        pyfixest("CRV1"),
    ),
    _adapter(
        "pyfixest-crv3",
        "pyfixest",
        Info(
            "pyfixest CRV3",
            "pyfixest feols with CRV3 clustered by school, its default small-sample correction on top",
            "schools independent of each other; every term identified without any one school",
            "G - 1",
            "package pyfixest; ols-cr3-t times G/(G-1) (N-1)/(N-p)",
            (
                LEAST_SQUARES,
                FORMULAS["CR3"][0].replace("= ", r"= \frac{G}{G - 1}\, \frac{N - 1}{N - p}\, ", 1),
                r"\nu = G - 1",
            ),
        ),
        pyfixest("CRV3"),
        version=2,
    ),
    _adapter(
        "linearmodels-fe",
        "linearmodels",
        Info(
            "linearmodels FE",
            "linearmodels PanelOLS with school effects, unadjusted standard errors",
            "independent errors of equal variance within schools; says nothing on school-level terms",
            "N - G - p",
            "package linearmodels; equals dummies",
            WITHIN,
        ),
        fixed_effects,
        student_level,
        version=2,
    ),
    _adapter(
        "linearmodels-re",
        "linearmodels",
        Info(
            "linearmodels RE",
            "linearmodels RandomEffects (Swamy-Arora), unadjusted standard errors",
            "school effects independent of the covariates; many schools",
            "N - p",
            "package linearmodels; Swamy & Arora 1972",
            (
                r"\lambda_g = 1 - \frac{\hat\sigma}{\sqrt{\hat\sigma^2 + n_g \hat\tau^2}}, "
                r"\quad \tilde x_{gi} = x_{gi} - \lambda_g \bar x_g, \quad \tilde y_{gi} = y_{gi} - \lambda_g \bar y_g",
                r"\hat\beta = (\tilde X^\top \tilde X)^{-1} \tilde X^\top \tilde y, "
                r"\quad \operatorname{Var}(\hat\beta) = s^2 (\tilde X^\top \tilde X)^{-1}, "
                r"\quad s^2 = \frac{\tilde e^\top \tilde e}{N - p}",
                r"\nu = N - p",
            ),
        ),
        random_effects,
        quantities=("(school_sd)", "(residual_sd)", "(icc)"),
        random=RandomPart.INTERCEPT,
        version=2,
    ),
)
