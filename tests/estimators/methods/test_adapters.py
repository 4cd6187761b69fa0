"""Methods of other packages against ours, where they coincide; skipped where the package is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods import adapters
from nestbench.estimators.methods.registry import get
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import batch_of_frame
from nestbench.sim.observed.model import Model
from tests.golden.reference import golden

pytestmark = pytest.mark.filterwarnings("ignore")


def both(ours: str, theirs: str, dataset: str, model: str) -> tuple[Estimates, Estimates]:
    case = golden(dataset, model)
    return tuple(get(name).fit(case.batch(), case.spec(), "reference") for name in (ours, theirs))  # type: ignore[return-value]


@pytest.mark.parametrize(("dataset", "model"), [("unbal8", "m2"), ("treat30", "m2")])
def test_pyfixest_crv1_is_cr1s(dataset: str, model: str) -> None:
    pytest.importorskip("pyfixest")
    ours, theirs = both("ols-cr1s-t", "pyfixest-crv1", dataset, model)
    for name in ("estimate", "std_error", "df", "p_value", "lower"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-8)


def test_pyfixest_crv3_is_cr3_with_its_correction_on_top() -> None:
    pytest.importorskip("pyfixest")
    ours, theirs = both("ols-cr3-t", "pyfixest-crv3", "unbal8", "m2")
    factor = np.sqrt(8 / 7 * 191 / 188)
    np.testing.assert_allclose(theirs.std_error, factor * ours.std_error, rtol=1e-8)


def test_linearmodels_fixed_effects_are_school_dummies() -> None:
    pytest.importorskip("linearmodels")
    ours, theirs = both("dummies", "linearmodels-fe", "unbal8", "m2")
    for name in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-8)
    assert theirs.texts() == ours.texts()


def test_linearmodels_random_effects_are_reml_on_equal_schools() -> None:
    pytest.importorskip("linearmodels")
    case = golden("bal10", "m3")
    _, theirs = both("ols", "linearmodels-re", "bal10", "m3")
    for name, stored in (("estimate", "fixef"), ("std_error", "se")):
        expected = case.values("lmm", "ri", "REML", stored)
        got = dict(zip(theirs.terms, getattr(theirs, name)[0], strict=True))
        assert got == pytest.approx(expected, rel=1e-7)
    tau2 = case.at("lmm", "ri", "REML", "covariance_components", "var school")
    assert theirs.quantities["(school_sd)"][0] ** 2 == pytest.approx(tau2, rel=1e-7)
    assert theirs.status[0] == FitStatus.OK


@pytest.mark.parametrize("name", sorted(adapters.PACKAGES))
def test_a_missing_package_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda package: None)
    case = golden("bal3", "m1")
    package = adapters.PACKAGES[name]
    with pytest.raises(
        InvalidInput, match=rf"'{package}' .*not installed; pip install 'nestbench\[{package}\]'"
    ):
        get(name).fit(case.batch(), case.spec())


@pytest.mark.parametrize("name", sorted(adapters.PACKAGES))
@pytest.mark.parametrize("fault", ["import no_such_module", "raise TypeError('too old')"])
def test_a_package_that_does_not_import_is_said(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An old version beside a new one of what it needs."""
    package = adapters.PACKAGES[name]
    (tmp_path / f"{package}.py").write_text(fault)
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    case = golden("bal3", "m1")
    with pytest.raises(
        InvalidInput, match=rf"expected to import '{package}', got .*(no_such_module|too old)"
    ):
        get(name).fit(case.batch(), case.spec())


@pytest.mark.parametrize(
    ("formula", "size", "noise", "said"),
    [
        ("y ~ w", 4, 1.0, "no term varies within schools"),
        (
            "y ~ x + I(x**2) + I(x**3)",
            2,
            1.0,
            "no residual degrees of freedom: 6 observations, 6 coefficients",
        ),
        ("y ~ x", 4, 0.0, "the outcome is fitted exactly"),
    ],
)
def test_what_school_dummies_refuse_linearmodels_refuses(
    formula: str, size: int, noise: float, said: str
) -> None:
    pytest.importorskip("linearmodels")
    rng, school = np.random.default_rng(7), np.repeat(np.arange(3), size)
    x = rng.normal(15.0, 1.0, 3 * size)
    y = 3.0 * x + school + noise * rng.normal(size=3 * size)
    batch = batch_of_frame(
        pd.DataFrame({"y": y, "x": x, "w": x[0] * school, "school": school.astype(str)}), "school"
    )
    ours, theirs = (
        get(name).fit(batch, Model(formula=formula, group="school"), "reference")
        for name in ("dummies", "linearmodels-fe")
    )
    assert theirs.status[0] == ours.status[0] == FitStatus.FAILED
    assert theirs.texts() == ours.texts()
    assert said in theirs.texts()[0]
