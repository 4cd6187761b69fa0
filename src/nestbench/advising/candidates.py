"""The methods that are tried for a term, and on how many data sets of a scenario."""

from __future__ import annotations

import numpy as np

from nestbench.advising.analysis import Analysis
from nestbench.own_data.usual import USUAL
from nestbench.sim.counted import plural

CANDIDATES = (
    "reml-kr",
    "reml-satt",
    "reml-bw",
    "ols-cr2-satt",
    "ols-cr3-t",
    "ols-jackknife-t",
    "reml-cr2",
    "ols-wild",
)
FOR_SCHOOLS = ("means",)
WITH_MEANS = ("mundlak-kr", "mundlak-satt", "mundlak-cr2-satt")
FOR_STUDENTS = ("dummies-cr2-satt", "dummies", *WITH_MEANS)
FOR_CLASSES = ("nested-satt", "nested-z")
SLOW = {"ols-wild": 1000, "ols-hc1": 1000}
"""Most data sets of a scenario for methods that take hundreds of times as long as the others."""
SLOWER = 100
"""What these limits fall to where one such fit takes milliseconds."""
WILD_SCHOOLS, READ_ROWS = 200_000, 20_000_000
"""Schools in all bootstraps of a scenario, students in all data sets whose rows are read."""
FEW = 2000
"""Schools up to which the bootstrap for few of them is tried."""
ROWS, A_SCHOOL = 3_000_000_000, 400
"""Students drawn for a scenario unless told otherwise; as many as a school costs all methods together."""
SECONDS = 5e-9
"""Processor time of a student, over scenarios that are drawn by statistics and those that aren't: 1.4 ms (a term
constant in schools) and 2.2 ms a data set of 100 000 in 500 schools, .25 s of 300 000 in 150 000."""
PLACEBO_ROWS, PLACEBO_SCHOOL = 20_000_000, 30
"""Students in all placebo terms together, of which a school costs as much as so many."""
PLACEBO_SECONDS = 1.2e-7
"""Processor time of one of these students: 14 ms a placebo among 100 000 in 500 schools."""
MOST, LEAST = 10_000, 100


def methods_for(analysis: Analysis, term: str) -> tuple[str, ...]:
    """Return the names of the methods that are tried for a term, in the order in which equals are preferred."""
    if analysis.single:
        # Means of schools are the students, and deviations from them nothing.
        return (*CANDIDATES, *USUAL)
    constant = bool(analysis.constant[analysis.position(term)])
    few = [name for name in CANDIDATES if name != "ols-wild" or analysis.schools <= FEW]
    found = [*(FOR_CLASSES[:1] if analysis.model.subgroup else ()), *few]
    found += FOR_SCHOOLS if constant else FOR_STUDENTS
    found += FOR_CLASSES[1:] if analysis.model.subgroup else ()
    return (*found, *USUAL)


def size_of(analysis: Analysis) -> int:
    """Return how many students a data set costs as much as, its schools included."""
    return len(analysis.residuals) + A_SCHOOL * analysis.schools


def replications_for(analysis: Analysis) -> int:
    """Return how many data sets of a scenario are drawn unless told otherwise."""
    return int(np.clip(ROWS // size_of(analysis), LEAST, MOST))


def placebos_for(analysis: Analysis, most: int) -> int:
    """Return how many placebo terms are drawn, of at most so many."""
    return min(most, max(LEAST, PLACEBO_ROWS // _placebo_size(analysis)))


def _placebo_size(analysis: Analysis) -> int:
    """Return how many students a placebo term costs as much as, its schools included."""
    return len(analysis.residuals) + PLACEBO_SCHOOL * analysis.schools


def cost_words(
    analysis: Analysis, term: str, scenarios: int, replications: int, placebos: int, methods: int
) -> str:
    """Return what a simulation with some methods will cost, in words; empty where that is less than a minute."""
    share = methods / len(methods_for(analysis, term))
    seconds = scenarios * replications * size_of(analysis) * SECONDS
    seconds += placebos * _placebo_size(analysis) * PLACEBO_SECONDS
    if (minutes := share * seconds / 60.0) < 1.0:
        return ""
    drawn = f"{plural(replications, 'data set')} of {plural(scenarios, 'scenario')} and {plural(placebos, 'placebo')}"
    return f"{drawn}, about {minutes:.0f} min of processor time; fewer: --replications, --methods"


def limits_of(analysis: Analysis) -> dict[str, int]:
    """Return the most data sets of a scenario for methods that take long, fewer where data are large."""
    asked = {"ols-wild": WILD_SCHOOLS // analysis.schools, "ols-hc1": READ_ROWS // len(analysis.residuals)}
    return {name: int(np.clip(asked[name], SLOWER, most)) for name, most in SLOW.items()}
