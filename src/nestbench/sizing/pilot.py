"""What a pilot, or earlier data of such schools, says of a trial's parameters, and how surely.

Two REML fits, without and with the covariates, give the variances and what covariates explain of each; what counts for
a trial with these covariates are those that are left. The ICC of these has the exact interval that `advise` gives it
(`nestbench.advising.ratio`). Sizes are the data's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.advising.analysis import Analysis, analysis_of
from nestbench.advising.calibration import LEVEL, icc_pivot, variances
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model

MOST_ICC = 0.95


@dataclass(frozen=True, slots=True)
class Pilot:
    """What data say of a trial.

    Attributes
    ----------
    school, student : float
        Variances given the covariates.
    by_school, by_student : float
        What covariates explain of the variance at each level, 0 where it grew with them, as it may by chance.
    icc_low, icc_high : float
        Ends of the exact 90 % interval of the ICC given the covariates.
    students, size_cv : float
        Mean size and coefficient of variation of the schools.
    schools : int
    """

    school: float
    student: float
    by_school: float
    by_student: float
    icc_low: float
    icc_high: float
    students: int
    size_cv: float
    schools: int

    @property
    def icc(self) -> float:
        """ICC given the covariates."""
        return self.school / (self.school + self.student)

    def parameters(self, icc: float | None = None) -> dict[str, Any]:
        """Return the parts of a `nestbench.sizing.trial.Trial` that it knows; at another ICC given the covariates
        with the same variance of students.
        """
        school = self.school if icc is None else self.student * icc / (1.0 - icc)
        schools, students = school + self.by_school, self.student + self.by_student
        known = {
            "icc": schools / (schools + students),
            "r2_school": self.by_school / schools if schools else 0.0,
            "r2_student": self.by_student / students,
            "size_cv": self.size_cv,
            "sd": math.sqrt(schools + students),
        }
        return {"students": self.students, **{name: float(f"{value:.4g}") for name, value in known.items()}}

    def words(self) -> str:
        """Return what it says, in a sentence."""
        known = self.parameters()
        return (
            f"Pilot of {self.schools} schools: ICC given the covariates {self.icc:.3f} ({100 * LEVEL:g} % interval "
            f"{self.icc_low:.3f} to {self.icc_high:.3f}), R^2 of schools {known['r2_school']:.2f}, of students "
            f"{known['r2_student']:.2f}, {self.students} students a school "
            f"(cv {self.size_cv:.2f}), SD {known['sd']:.3g}."
        )


def pilot_of(frame: pd.DataFrame, formula: str, group: str, term: str) -> Pilot:
    """Return what data say of a trial.

    Parameters
    ----------
    frame : DataFrame
        A row a student.
    formula : str
        Outcome and covariates; `term`, where the data have a treatment, is left in both models.
    group, term : str

    Raises
    ------
    InvalidInput
        The data or the formula can't be used, or there are fewer than three schools.
    """
    outcome, _, right = formula.partition("~")
    # Before a trial nobody is treated: a column of zeros is no treatment to leave in.
    varies = term in frame.columns and frame[term].nunique() > 1
    treated = term if varies else "1"
    plain = analysis_of(frame, Model(f"{outcome} ~ {treated}", group))
    if len(plain.offsets) < 4:
        raise InvalidInput(
            f"expected a pilot of at least 3 schools, got {len(plain.offsets) - 1}: nothing says how much schools "
            "differ; give --icc yourself"
        )
    wide = f"{right} + {term}" if varies else right
    full = analysis_of(frame, Model(f"{outcome} ~ {wide}", group))
    (school, student), (less, rest) = parts_of(plain), parts_of(full)
    found, sizes = icc_pivot(full), np.diff(plain.offsets)
    tail = 0.5 * (1.0 - LEVEL)
    low, high = (0.0, np.inf) if found is None else (found.limit(tail), found.limit(1.0 - tail))
    icc = less / (less + rest)
    return Pilot(
        school=less,
        student=rest,
        by_school=max(school - less, 0.0),
        by_student=max(student - rest, 0.0),
        icc_low=min(low / (1.0 + low), icc),
        icc_high=min(max(high / (1.0 + high) if np.isfinite(high) else 1.0, icc), MOST_ICC),
        students=max(1, round(float(sizes.mean()))),
        size_cv=float(sizes.std() / sizes.mean()),
        schools=len(sizes),
    )


def parts_of(analysis: Analysis) -> tuple[float, float]:
    """Return the variances of schools and of students."""
    icc, _, total, _ = variances(analysis, 0)
    return icc * total**2, (1.0 - icc) * total**2


def beside_pilot(pilot: Pilot, unknown: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a trial: what is given, and what the pilot knows of the rest but the unknown."""
    known = {name: value for name, value in pilot.parameters().items() if name != unknown}
    stated = {name: value for name, value in given.items() if value is not None}
    if stated.get("icc") == 0.0:  # nothing is left to explain
        known["r2_school"] = 0.0
    return known | stated


def formula_of(formula: str | None) -> str:
    """Return a pilot's formula.

    Raises
    ------
    InvalidInput
        There is none.
    """
    if formula is None or "~" not in formula:
        raise InvalidInput(
            f'expected the pilot\'s formula, outcome ~ covariates, got {formula!r}; e.g. --formula "grade ~ age"'
        )
    return formula
