"""statsmodels' mixed model with the optimisation done with care, and checked.

The search is `mixed_optimum`'s. The best candidate is the answer, and says OK only if its numerical score is zero, or
it lies on the floor with a score that points there.
"""

from __future__ import annotations

from nestbench.estimators.engines.identified import require_identified
from nestbench.estimators.engines.mixed_optimum import UNCHECKED, evaluate, optimum
from nestbench.estimators.engines.mixed_status import judged, named_engine
from nestbench.estimators.engines.mixed_textbook import GLS, MODEL_BASED, REML
from nestbench.estimators.engines.reference import Answer, DataSet
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.estimators.honoured import RandomPart


def fit_guarded(data: DataSet) -> Answer:
    """REML by statsmodels' formulas at an optimum that is checked."""
    require_identified(data)
    model, relative, units, score_ok = optimum(data)
    return judged(
        data,
        evaluate(model, relative, units),
        "" if score_ok else UNCHECKED,
    )


MIXEDLM_GUARDED = Estimator(
    name="mixedlm-guarded",
    version=2,
    info=Info(
        label="MixedLM guarded z",
        summary="statsmodels MixedLM formulas at an optimum found from ANOVA starts and checked by its score, Wald z",
        assumes="normal school effects and errors, many schools",
        df="inf (z)",
        source="Laird & Ware 1982; statsmodels MixedLM",
        formula=(*GLS, REML, MODEL_BASED, r"\nu = \infty"),
    ),
    reference=named_engine(fit_guarded),
    agreement=Agreement.UNDER_STUDY,
    random=RandomPart.ANY,
    theory=("likelihood",),
)
