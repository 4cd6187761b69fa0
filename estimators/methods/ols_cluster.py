"""OLS with cluster-robust standard errors, schools as clusters.

With ``s_g = X_g'e_g`` and ``M = (X'X)^-1``, CR0 is ``M [sum_g s_g s_g'] M``. CR1 multiplies it by ``G/(G-1)``, CR1S by
``G/(G-1) (N-1)/(N-p)``, statsmodels' and Stata's default. CR3 uses ``(I - H_gg)^-1 e_g`` for ``e_g``: it equals
``sum_g (b_(g) - b)(b_(g) - b)'`` over the leave-one-school-out estimates. statsmodels' ``cluster-crv3`` is
``(G-1)/G`` of that, so its variance is multiplied by ``G/(G-1)`` here. CRV3J, the jackknife, keeps ``(G-1)/G`` and is
centred at the mean of the ``b_(g)``. All are computed on standardised columns, since statsmodels judges the rank of X
and of each leave-one-out X'X in absolute terms.

Where a term is not estimable without some school (one treated school; I - H_gg is singular) neither exists for it: the
fit is SINGULAR and that term has no standard error. statsmodels notices by rounding, hence only sometimes.

The same variance with a normal and with a t(G - 1) reference has two names; any other is the option `reference`
(`distributions`).
"""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.cluster_robust import (
    FORMULAS,
    SINGULAR,
    Blocks,
    blocks_of,
    coefficients,
    dwarfed,
    require_schools,
    sandwich_answer,
    unidentified,
)
from nestbench.estimators.engines.distributions import (
    DF,
    batched_engine,
    dense_df,
    df_of,
    with_reference,
    working,
)
from nestbench.estimators.engines.least_squares import LEAST_SQUARES, least_squares
from nestbench.estimators.engines.reference import Answer, DataSet, FitOne, reference_engine
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.sim.observed.batch import Floats


def fit_cluster(cov_type: str, *, correction: bool = True, factor: str = "") -> FitOne:
    """Return the method for one of statsmodels' cluster covariances.

    Parameters
    ----------
    cov_type : str
        ``cluster``, ``cluster-crv3`` or ``cluster-jk``.
    correction : bool
        statsmodels' `use_correction`.
    factor : str
        ``"G/(G-1)"`` multiplies the variance by that, else empty.
    """
    power, centred = 0.0 if cov_type == "cluster" else 1.0, cov_type == "cluster-jk"

    def fit(data: DataSet) -> Answer:
        """Fit by statsmodels on standardised columns, and take out the terms that need a single school."""
        require_schools(data)
        inner, back, shift = data.standardised()
        groups = {"groups": data.groups, "use_correction": correction}
        g = data.schools
        df = df_of(data, lambda: dense_df(inner, back, power, centred=centred))
        if power and (blocks := blocks_of(inner)).needs_a_school.any():
            return without_a_school(data, inner, back, shift, blocks, centred, df)
        result = least_squares(inner, data.y, cov_type=cov_type, cov_kwds=groups)
        beta, std_error, naive = coefficients(result, back)
        scale = np.sqrt(g / (g - 1)) if factor else 1.0
        return sandwich_answer(data.terms, beta + shift, std_error * scale, naive, df)

    return fit


def without_a_school(
    data: DataSet,
    inner: DataSet,
    back: Floats,
    shift: Floats,
    blocks: Blocks,
    centred: bool,
    df: float | Floats,
) -> Answer:
    """Return CR3, or CRV3J when centred, where leaving out some school leaves X without full rank: status SINGULAR.

    b_(g) - b = -R^-1 (I - K_g)^+ Q_g'e_g for the terms that stay estimable without school g; a term that does not,
    for some g, has no standard error.
    """
    result = least_squares(inner, data.y)
    beta, _, naive = coefficients(result, back)
    rows = back @ np.linalg.inv(blocks.r)
    scores = np.add.reduceat(blocks.q * result.resid[:, None], data.starts, axis=0)
    lost = blocks.left <= SINGULAR
    weights = np.where(lost, 0.0, 1.0 / np.where(lost, 1.0, blocks.left))
    along = np.einsum("gij,gi->gj", blocks.vectors, scores) * weights
    moves = np.einsum("jk,gki,gi->gj", rows, blocks.vectors, along)
    g = data.schools
    variance = (
        ((moves - moves.mean(axis=0)) ** 2).sum(axis=0) * (g - 1) / g if centred else (moves**2).sum(axis=0)
    )
    answer = sandwich_answer(data.terms, beta + shift, np.sqrt(variance), naive, df)
    return unidentified(answer, data.terms, blocks.needed_by(back) | dwarfed(data, blocks))


Variances = tuple[ols_batched.Variance, ols_batched.Variance]
"""The batched variance with any df, and with its Satterthwaite df."""

_CR0, _CR1, _CR1S = ((cr0, working(cr0)) for cr0 in map(ols_batched.cr0, ("", "CR1", "CR1S")))
_CR3, _JACKKNIFE = (
    (out, working(out, inverted=True, centred=centred))
    for centred, out in ((centred, ols_batched.leave_one_out(centred)) for centred in (False, True))
)
_WORDS = {
    "CR0": "cluster sandwich without a correction",
    "CR1": "cluster sandwich times G/(G-1)",
    "CR1S": "cluster sandwich times G/(G-1) (N-1)/(N-p)",
    "CR3": "cluster sandwich on (I - H_gg)^-1 residuals",
    "jackknife": "leave-one-school-out jackknife CRV3J, centred at its mean",
}


def _estimator(
    kind: str,
    default: str,
    source: str,
    fit: FitOne,
    variances: Variances,
    *,
    assumes: str = "many schools",
    note: str = "",
) -> Estimator:
    """Return a method of the family: a variance under two names, by reference distribution."""
    short = "z" if default == "z" else "t"
    words = _WORDS[kind]
    info = Info(
        f"OLS {kind} {short}",
        f"{words}, {'normal reference' if default == 'z' else 't(G - 1)'}{note}",
        f"schools independent of each other; {assumes}",
        "inf (z)" if default == "z" else "G - 1",
        source,
        (LEAST_SQUARES, *FORMULAS[kind], DF[default]),
    )
    reference = reference_engine(fit)
    batched = batched_engine(ols_batched.pooled_engine, *variances, reference)
    test = f"{kind.lower()}-{short}"
    estimator = Estimator(f"ols-{test}", 1, info, reference, batched, Agreement.DIRECT, theory=("ols", test))
    return with_reference(estimator, default, f"OLS {kind}", words)


CR0_Z, CR0_T = (
    _estimator("CR0", default, "Liang & Zeger 1986", fit_cluster("cluster", correction=False), _CR0)
    for default in ("z", "t(G-1)")
)
CR1_T = _estimator(
    "CR1",
    "t(G-1)",
    "Cameron & Miller 2015",
    fit_cluster("cluster", correction=False, factor="G/(G-1)"),
    _CR1,
)
CR1S_Z = _estimator(
    "CR1S",
    "z",
    "Liang & Zeger 1986; statsmodels cov_type='cluster'",
    fit_cluster("cluster"),
    _CR1S,
    note=": statsmodels' default",
)
CR1S_T = _estimator(
    "CR1S",
    "t(G-1)",
    "Cameron & Miller 2015",
    fit_cluster("cluster"),
    _CR1S,
    note=": Stata's default",
)
CR3_T = _estimator(
    "CR3",
    "t(G-1)",
    "Bell & McCaffrey 2002; G/(G-1) times statsmodels' cluster-crv3",
    fit_cluster("cluster-crv3", factor="G/(G-1)"),
    _CR3,
    assumes="every term identified without any one school",
)
JACKKNIFE_T = _estimator(
    "jackknife",
    "t(G-1)",
    "MacKinnon, Nielsen & Webb 2023; statsmodels cluster-jk",
    fit_cluster("cluster-jk"),
    _JACKKNIFE,
    assumes="every term identified without any one school",
)
