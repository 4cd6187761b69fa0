"""Exact sizes of other tests against an integral over the design's own quadratic forms, and limits of their
power."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers, methods
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from tests.sim.theory.design_case import Case

TESTS = {"cr0": ("cr0", "z"), "cr1s": ("cr1s", "t"), "cr2": ("cr2", "satt"), "cr3": ("cr3", "t")}
DESIGNS = [(10, 5, 20, 0.1), (9, 2, 15, 0.3), (40, 20, 2, 0.0), (8, 1, 30, 0.2), (100, 30, 5, 0.6)]


def _case(schools: int, treated: int, students: int, icc: float) -> Case:
    rows = schools * students
    x = np.column_stack([np.ones(rows), np.repeat(1.0 * (np.arange(schools) < treated), students)])
    return Case(x, np.full((rows, 1), np.sqrt(icc)), np.full(rows, 1.0 - icc), np.full(schools, students))


@pytest.mark.parametrize(("schools", "treated", "students", "icc"), DESIGNS)
def test_sizes_are_those_of_quadratic_forms(schools: int, treated: int, students: int, icc: float) -> None:
    """Another route: an integral of the design's own quadratic forms, where these are averaged noncentral t."""
    trial = SchoolsRandomised(schools=schools, students=students, icc=icc, treated_share=treated / schools)
    case = _case(schools, treated, students, icc)
    assert methods.exact_size(trial, "ols") == pytest.approx(case.naive(1), abs=1e-9)
    for method, (kind, reference) in TESTS.items():
        if treated > 1 or method in ("cr0", "cr1s"):
            size = case.robust(1, kind, reference)
            assert methods.exact_size(trial, method) == pytest.approx(size, abs=1e-9)


def test_powers_meet_the_planned_test_where_they_are_it() -> None:
    """School means are the planned test; so is CR2 with equal arms; other tests are it at another level."""
    trial = SchoolsRandomised(schools=12, students=20, icc=0.2)
    for effect in (0.0, 0.4, -1.5):
        planned = answers.power(trial, effect)
        assert methods.exact_power(trial, "means", effect) == pytest.approx(planned, abs=1e-12)
        assert methods.exact_power(trial, "cr2", effect) == pytest.approx(planned, abs=1e-9)
    for method in ("cr0", "cr1s", "cr3"):
        same = answers.power(trial, 0.4, alpha=methods.exact_size(trial, method))
        assert methods.exact_power(trial, method, 0.4) == pytest.approx(same, abs=1e-9)
    one = replace(trial, students=1)
    assert methods.exact_power(one, "ols", 0.9) == pytest.approx(answers.power(one, 0.9), abs=1e-12)


def test_what_is_not_known_is_refused() -> None:
    trial = SchoolsRandomised(schools=12, students=20, icc=0.2)
    refused = [
        (replace(trial, size_cv=0.2), "ols", "equal size"),
        (replace(trial, treated_share=0.3), "ols", "whole treated"),
        (replace(trial, treated_share=1 / 12), "cr2", "at least 2 schools"),
        (replace(trial, schools=2), "cr0", "at least 3 schools"),
        (trial, "cr9", "unknown method"),
    ]
    for each, method, said in refused:
        with pytest.raises(InvalidInput, match=said):
            methods.exact_power(each, method, 0.3)
