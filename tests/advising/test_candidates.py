"""How much is simulated, and which methods are tried, by the size of data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nestbench.advising.analysis import Analysis, analysis_of
from nestbench.advising.candidates import (
    LEAST,
    MOST,
    cost_words,
    limits_of,
    methods_for,
    placebos_for,
    replications_for,
)
from nestbench.sim.observed.model import Model


def analysis(schools: int, students: int) -> Analysis:
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(schools), students)
    frame = pd.DataFrame({"school": school, "treated": school % 2, "grade": rng.normal(size=len(school))})
    return analysis_of(frame, Model("grade ~ treated"))


@pytest.mark.parametrize(
    ("schools", "students", "replications", "wild", "said"),
    [
        (50, 20, MOST, True, ""),
        (500, 200, MOST, True, "10,000 data sets of 6 scenarios and 173 placebos, about 2 min"),
        (80_000, 2, LEAST, False, "100 data sets of 6 scenarios and 100 placebos, about 2 min"),
    ],
)
def test_large_data_are_simulated_less_often_and_it_is_said_what_that_costs(
    schools: int, students: int, replications: int, wild: bool, said: str
) -> None:
    own = analysis(schools, students)
    found, methods = replications_for(own), methods_for(own, "treated")
    assert found == replications
    assert ("ols-wild" in methods) is wild
    assert set(limits_of(own).values()) <= set(range(100, 1001))
    words = cost_words(own, "treated", 6, found, placebos_for(own, 2000), len(methods))
    assert words.startswith(said)
    assert bool(words) is bool(said)


def test_placebos_are_counted() -> None:
    own = analysis(30_000, 2)
    with_them, without = (cost_words(own, "treated", 60, 100, count, 13) for count in (2000, 0))
    minutes = [int(text.split("about ")[1].split()[0]) for text in (with_them, without)]
    assert minutes[0] > minutes[1] + 3


def test_few_methods_cost_less() -> None:
    own = analysis(30_000, 2)
    every, few = (cost_words(own, "treated", 600, 100, 100, count) for count in (13, 2))
    minutes = [int(text.split("about ")[1].split()[0]) for text in (every, few)]
    assert minutes[0] > 5 * minutes[1]
