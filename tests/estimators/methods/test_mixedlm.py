"""statsmodels' mixed model as users run it, its known defects, and the guarded version beside it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import statsmodels.formula.api as smf
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.golden.reference import golden

MODEL = Model(formula="grade ~ resources")


@cache
def without_school_effects() -> Batch:
    """Sixteen data sets, ten schools of 20, no school effect: where the default optimiser lands on zero."""
    effects = {"Intercept": 50.0, "age": 0.0, "gender": 0.0, "resources": 0.5}
    law = RandomIntercept(icc=0.0, effects=effects)
    return Cell(law, Layout(schools=10, students=20), MODEL).draw(11, range(16))


@cache
def fitted(name: str) -> Estimates:
    return get(name).fit(without_school_effects(), MODEL, "reference")


def test_is_what_the_formula_interface_gives() -> None:
    case = golden("treat30", "m2")
    frame = case.frame()
    theirs = smf.mixedlm(case.formula, frame, groups=frame["school"]).fit()
    got = get("mixedlm").fit(case.batch(), case.spec())
    # the data differ in the order of rows only, so the two optimisers may stop a rounding error apart
    for j, term in enumerate(got.terms):
        assert got.estimate[0, j] == pytest.approx(theirs.fe_params[term], rel=1e-5)
        assert got.std_error[0, j] == pytest.approx(theirs.bse_fe[term], rel=1e-5)
        assert got.p_value[0, j] == pytest.approx(theirs.pvalues[term], rel=1e-3)
    assert got.quantities["(loglik)"][0] == pytest.approx(theirs.llf, abs=1e-6)
    assert got.quantities["(school_sd)"][0] ** 2 == pytest.approx(theirs.cov_re.iloc[0, 0], rel=1e-3)
    assert got.quantities["(residual_sd)"][0] ** 2 == pytest.approx(theirs.scale, rel=1e-5)


def test_random_slopes_are_what_the_formula_interface_gives() -> None:
    case = golden("slope25", "m1c")
    frame = case.frame()
    theirs = smf.mixedlm(case.formula, frame, groups=frame["school"], re_formula="~ agec").fit()
    got = get("mixedlm").fit(case.batch(), case.spec(random="1 + agec"))
    assert got.estimate[0, got.terms.index("agec")] == pytest.approx(theirs.fe_params["agec"], rel=1e-4)
    assert "(icc)" not in got.quantities
    sds = np.sqrt(np.diag(theirs.cov_re))
    named = [
        got.quantities[name][0] for name in ("(school_sd)", "(slope_sd[agec])", "(corr[Intercept,agec])")
    ]
    assert named == pytest.approx([*sds, theirs.cov_re.to_numpy()[0, 1] / sds.prod()], rel=1e-3)


def test_a_false_claim_of_convergence_is_seen() -> None:
    """statsmodels issue 10239: at a zero variance it may report llf = inf, SE of 1e7 and converged = True."""
    got = fitted("mixedlm")
    false_claim = [text.startswith("flagged converged, but") for text in got.texts()]
    assert sum(false_claim) >= 2, "the defect shows in about a fifth of such data sets"
    bad = np.flatnonzero(false_claim)
    assert (got.status[bad] == FitStatus.FAILED).all()
    assert not np.isfinite(got.quantities["(loglik)"][bad]).all()
    slope = got.terms.index("resources")
    assert (got.std_error[bad, slope] > 1e3).any(), "its numbers stay in the row"


def test_what_it_calls_ok_is_no_further_than_a_likelihood_unit_from_the_optimum_or_below_it() -> None:
    mine, theirs = fitted("mixedlm-guarded"), fitted("mixedlm")
    ok = theirs.status <= FitStatus.BOUNDARY
    gap = mine.quantities["(loglik)"][ok] - theirs.quantities["(loglik)"][ok]
    assert (gap >= -1e-6).all(), "no fit beats the guarded one"


def test_guarded_answers_on_every_data_set() -> None:
    got = fitted("mixedlm-guarded")
    assert (got.status <= FitStatus.BOUNDARY).all(), got.texts()
    assert set(got.status.tolist()) == {FitStatus.OK, FitStatus.BOUNDARY}
    assert got.usable.all()


def test_guarded_at_the_boundary_is_ols() -> None:
    got, ols = fitted("mixedlm-guarded"), fitted("ols")
    at_zero = got.status == FitStatus.BOUNDARY
    assert at_zero.sum() >= 4
    np.testing.assert_allclose(got.estimate[at_zero], ols.estimate[at_zero], rtol=1e-5)
    np.testing.assert_allclose(got.std_error[at_zero], ols.std_error[at_zero], rtol=1e-4)


def test_its_standard_error_is_not_the_textbook_one() -> None:
    """`bse_fe` inverts the joint Hessian in (beta, theta): on unequal schools it differs from sigma^2 (X'V^-1 X)^-1."""
    case = golden("unbal8", "m2")
    got = get("mixedlm").fit(case.batch(), case.spec())
    textbook = case.values("lmm", "ri", "REML", "se")
    ratio = [got.std_error[0, j] / textbook[term] for j, term in enumerate(got.terms)]
    assert max(ratio) > 1.001
    assert ratio == pytest.approx([1.0] * 4, rel=0.2)


def test_units_of_y_make_its_own_boundary_warning_but_not_ours() -> None:
    case = golden("bal10", "m1")
    tiny = case.frame().assign(grade=lambda f: f["grade"] * 1e-3)
    with pytest.warns(ConvergenceWarning, match="boundary"):
        smf.mixedlm(case.formula, tiny, groups=tiny["school"]).fit()
    from nestbench.sim.observed.batch import batch_of_frame

    assert get("mixedlm").fit(batch_of_frame(tiny, "school"), case.spec()).status[0] == FitStatus.OK
