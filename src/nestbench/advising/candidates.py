"""The methods that are tried for a term, and on how many data sets of a scenario."""

from __future__ import annotations

import numpy as np

from nestbench.advising.analysis import Analysis
from nestbench.own_data.usual import USUAL

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
SLOWER = 200
"""What these limits fall to where one such fit takes milliseconds."""
WILD_SCHOOLS, READ_ROWS = 200_000, 20_000_000
"""Schools in all bootstraps of a scenario, students in all data sets whose rows are read."""
ROWS, A_SCHOOL = 400_000_000, 150
"""Students drawn for a scenario unless told otherwise; as many as a school costs all methods together."""
MOST, LEAST = 10_000, 400


def methods_for(analysis: Analysis, term: str) -> tuple[str, ...]:
    """Return the names of the methods that are tried for a term, in the order in which equals are preferred."""
    if analysis.single:
        # Means of schools are the students, and deviations from them nothing.
        return (*CANDIDATES, *USUAL)
    constant = bool(analysis.constant[analysis.position(term)])
    found = [*(FOR_CLASSES[:1] if analysis.model.subgroup else ()), *CANDIDATES]
    found += FOR_SCHOOLS if constant else FOR_STUDENTS
    found += FOR_CLASSES[1:] if analysis.model.subgroup else ()
    return (*found, *USUAL)


def replications_for(analysis: Analysis) -> int:
    """Return how many data sets of a scenario are drawn unless told otherwise."""
    size = len(analysis.residuals) + A_SCHOOL * analysis.schools
    return int(np.clip(ROWS // size, LEAST, MOST))


def limits_of(analysis: Analysis) -> dict[str, int]:
    """Return the most data sets of a scenario for methods that take long, fewer where data are large."""
    asked = {"ols-wild": WILD_SCHOOLS // analysis.schools, "ols-hc1": READ_ROWS // len(analysis.residuals)}
    return {name: int(np.clip(asked[name], SLOWER, most)) for name, most in SLOW.items()}
