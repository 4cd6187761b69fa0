"""Ways of the league as methods: the numbers of the package, by the model's names."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.methods import registry
from nestbench.gate.methods import (
    Called,
    add_ways,
    find_package,
    gated,
    method_name,
    package_named,
    packages,
    table_of,
)
from nestbench.league.asked import Asked
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MIXED = [way.name for way in gated(package_named("statsmodels")) if way.mixed]
MODEL = Model("grade ~ age + resources")
SAMPLE = Cell(RandomIntercept(icc=0.6), Layout(20, 8), MODEL).draw(1, range(1)).replication(0)


def test_a_method_gives_the_packages_own_numbers() -> None:
    called = pickle.loads(pickle.dumps(Called("statsmodels", "MixedLM lbfgs")))
    table = called(SAMPLE.frame(), MODEL)
    answer = package_named("statsmodels").way("MixedLM lbfgs").fit(SAMPLE.frame(), Asked(MODEL.formula))
    assert [*table] == ["Intercept", "age", "resources", "(school_sd)", "(residual_sd)", "(loglik)"]
    for quantity in ("estimate", "std_error", "p_value", "lower", "upper"):
        assert table["age"][quantity] == answer[quantity]["age"]
    assert table["(school_sd)"]["estimate"] ** 2 == pytest.approx(answer["variance"]["school"], abs=1e-12)
    assert table["(loglik)"]["estimate"] == answer["loglik"]


def test_terms_have_the_models_names_whatever_the_package_calls_them() -> None:
    answer = {
        "estimate": {"(Intercept)": 1.0, "Age": 2.0, "C(arm)[T.b]": 3.0},
        "variance": {"covariance": -1.0},
    }
    assert [*table_of(answer, Model("grade ~ age"))] == ["Intercept", "age", "C(arm)[T.b]"]


def test_every_package_has_ways_whose_names_are_methods_names() -> None:
    for package in packages():
        assert find_package(package.distribution.replace("-", "_").upper()) == package
        names = [method_name(package, way) for way in gated(package)]
        assert len({*names}) == len(names)
    assert method_name(package_named("pyfixest"), package_named("pyfixest").ways[0]) == "pyfixest-feols-crv1"
    drawn = package_named("wildboottest")
    assert not [way for way in gated(drawn) if way.draws]
    names = [way.name for way in gated(package_named("statsmodels"))]
    assert "GEE" in names
    assert [name for name in names if name.startswith("MixedLM")] == ["MixedLM", "MixedLM powell"]


def test_ways_are_added_as_methods_and_unknown_ones_are_said() -> None:
    add_ways("statsmodels", "OLS cluster", "GEE")
    assert {"statsmodels-ols-cluster", "statsmodels-gee"} <= set(registry.known())
    with pytest.raises(InvalidInput, match="Did you mean 'GEE'"):
        add_ways("statsmodels", "GE")
    with pytest.raises(InvalidInput, match="expected a package of the league, got 'statmodels'"):
        add_ways("statmodels")


@pytest.mark.slow
@pytest.mark.parametrize("icc", [0.5, 0.8])
@pytest.mark.parametrize("way", MIXED)
def test_last_bits_decide_nothing_that_a_gate_compares(way: str, icc: float) -> None:
    """Another processor rounds otherwise, as outcomes changed in their last digits make it do here: a tenth of the
    gate's tolerance is not reached. (Of fits by lbfgs, which the gate leaves out, a fifth would be red.)"""
    batch = Cell(RandomIntercept(icc=icc), Layout(10, 20), MODEL).draw(0, range(20))
    rng, called = np.random.default_rng(0), Called("statsmodels", way)
    for sample in map(batch.replication, range(batch.size)):
        frame = sample.frame()
        rounded = frame.assign(grade=frame["grade"] * (1 + 1e-13 * rng.standard_normal(len(frame))))
        one, two = (pd.DataFrame(called(data, MODEL)) for data in (frame, rounded))
        pd.testing.assert_frame_equal(one, two, rtol=1e-5)
