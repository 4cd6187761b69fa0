"""Placebo terms: what is known of them before they are fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nestbench.advising import placebo
from nestbench.advising.analysis import Analysis, analysis_of
from nestbench.advising.placebo import Piece, placebo_rates, silent_methods
from nestbench.estimators.methods.registry import get
from nestbench.sim.observed.derived import constant_within_schools
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

METHODS = tuple(map(get, ("ols-cr2-satt", "means", "reml-bw")))


def analysis(schools: int = 10) -> Analysis:
    rng = np.random.default_rng(3)
    school = np.repeat(np.arange(schools), 8)
    columns = {
        "treated": school % 2,
        "age": rng.normal(size=len(school)),
        "grade": rng.normal(size=len(school)),
    }
    return analysis_of(pd.DataFrame({"school": school, **columns}), Model("grade ~ treated + age"))


def piece(term: str, size: int = 4) -> Piece:
    return Piece(b"", term, 1, 0, size, 0)


@pytest.mark.parametrize("term", ["treated", "age"])
def test_a_placebo_is_constant_in_schools_where_its_term_is(term: str) -> None:
    own = analysis()
    drawn = placebo._columns(own, piece(term))
    batch = placebo.with_placebos(own.blind, np.stack(drawn), 0)
    model = replace(own.simulated, formula=f"{own.simulated.formula} + {placebo.COLUMN}")
    expected = constant_within_schools(batch, design_of(batch, model))
    np.testing.assert_array_equal(placebo._school_level(own, term, len(drawn)), expected)


def test_methods_that_cannot_tell_a_placebo_are_known_beforehand() -> None:
    assert silent_methods(analysis(), piece("age"), METHODS) == {"means"}
    assert silent_methods(analysis(), piece("treated"), METHODS) == frozenset()
    rates = placebo_rates(analysis(), "age", METHODS, 1, 1, 20).set_index("method")
    assert rates["n"].to_dict() == {"ols-cr2-satt": 20, "means": 0, "reml-bw": 20}


def test_a_draw_that_is_the_term_again_says_nothing_of_methods() -> None:
    """Of two schools every placebo is the term or its mirror."""
    assert silent_methods(analysis(2), piece("treated"), METHODS) == frozenset()
